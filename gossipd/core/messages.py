"""What nodes say to each other, as values.

A datagram is one `Envelope`: who speaks, one message, and news that rides along (views of members,
groups of the log). Nothing here knows bytes (see `codec`) or what to do with a message (see
`node`). Their numbers on the wire are `codec`'s: append only.

Indirect probe, SWIM 4.1, with Lifeguard's nack:

    prober --Ping--> target (silent)
    prober --PingReq--> relay --Ping--> target
    prober <--RelayedAck-- relay <--Ack-- target        or, at 80 % of the time given:
    prober <--Nack-- relay
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple, TypeAlias

from .identity import Address, Stream


class Status(IntEnum):
    """What is held of a member, in order of precedence within one incarnation."""

    ALIVE = 0
    SUSPECT = 1
    FAILED = 2
    LEFT = 3
    FORGOTTEN = 4


class MemberView(NamedTuple):
    """What one node holds of a member and tells others."""

    name: str
    address: Address
    generation: int
    incarnation: int
    status: Status
    tags: tuple[tuple[str, str], ...] = ()
    age: int = 0
    """Minutes since the verdict, rounded up; 0 for members that are alive or suspected."""
    accusers: tuple[str, ...] = ()
    """Names of those who suspect the member by their own probes."""


Register: TypeAlias = tuple[str, int, int]
"""(counter, seq, total): the newest event known of a stream on a counter."""


class Group(NamedTuple):
    """All registers of a stream above `start`, newest first; `to` claims completeness.

    A receiver whose version is at least `start` holds everything up to `to` once it has merged
    the records.
    """

    stream: Stream
    start: int
    to: int
    registers: tuple[Register, ...]


class Page(NamedTuple):
    """The registers with seq above `start` whose counter is in `(after, upto]`, by name.

    `after` "" is the beginning, `upto` "" the end; `version` is the answerer's at that moment.
    """

    stream: Stream
    start: int
    after: str
    upto: str
    version: int
    registers: tuple[Register, ...]


class PassItem(NamedTuple):
    """A wish for the pages of one stream: everything above `start`, after counter `after`."""

    stream: Stream
    start: int
    after: str


class Leaf(NamedTuple):
    """One stream in the log's digest."""

    stream: Stream
    version: int
    digest: int


class Shown(NamedTuple):
    """What every ping and ack shows of its sender's state."""

    log: int
    members: int
    ready: bool
    round: int = 0
    """The round of probes that it is in, modulo 2^32 (see `rounds`)."""


@dataclass(frozen=True, slots=True)
class Ping:
    nonce: int
    target: str
    shown: Shown


@dataclass(frozen=True, slots=True)
class Ack:
    nonce: int
    shown: Shown


@dataclass(frozen=True, slots=True)
class PingReq:
    nonce: int
    target: str
    address: Address
    timeout_ms: int


@dataclass(frozen=True, slots=True)
class RelayedAck:
    nonce: int


@dataclass(frozen=True, slots=True)
class Nack:
    nonce: int


@dataclass(frozen=True, slots=True)
class Gossip:
    """Nothing but the news that rides along."""


@dataclass(frozen=True, slots=True)
class Join:
    nonce: int
    address: Address
    tags: tuple[tuple[str, str], ...]
    cookie: bytes


@dataclass(frozen=True, slots=True)
class Cookie:
    """Prove that you read what is sent to the address that you advertise: join with this.

    Without a cookie it is a hint only: `seen` is where the join came from.
    """

    nonce: int
    cookie: bytes
    seen: Address


@dataclass(frozen=True, slots=True)
class Welcome:
    nonce: int
    shown: Shown


class Refusal(IntEnum):
    """Why a join was refused."""

    NAME_TAKEN = 0
    GENERATION_TOO_LOW = 1


@dataclass(frozen=True, slots=True)
class Refuse:
    nonce: int
    reason: Refusal
    holder: Address
    generation: int


@dataclass(frozen=True, slots=True)
class DigestAsk:
    nonce: int
    depth: int
    prefix: int
    size: int


@dataclass(frozen=True, slots=True)
class Digest:
    """What is below a prefix of the stream ids: all leaves, or 64 sums where these do not fit."""

    nonce: int
    depth: int
    prefix: int
    leaves: tuple[Leaf, ...] | None
    sums: tuple[int, ...] | None


@dataclass(frozen=True, slots=True)
class PassAsk:
    nonce: int
    items: tuple[PassItem, ...]
    pages: int
    size: int


@dataclass(frozen=True, slots=True)
class Pages:
    nonce: int
    pages: tuple[Page, ...]
    last: bool


@dataclass(frozen=True, slots=True)
class MembersAsk:
    nonce: int
    after: str
    pages: int
    size: int


@dataclass(frozen=True, slots=True)
class MembersPage:
    """All views with names in `(after, upto]`; `upto` "" is the end of the table."""

    nonce: int
    after: str
    upto: str
    views: tuple[MemberView, ...]


@dataclass(frozen=True, slots=True)
class Hold:
    """Keep these groups durably and say so: the question of who leaves, or waits for copies."""

    nonce: int
    groups: tuple[Group, ...]


@dataclass(frozen=True, slots=True)
class Held:
    """Everything in that `Hold` is durable here; beside it the durable version of each stream."""

    nonce: int
    leaving: bool
    versions: tuple[tuple[Stream, int], ...]
    durable: bool
    """Whether that is on a disk; without one, memory counts as durable."""


JoinMessage: TypeAlias = Join | Cookie | Welcome | Refuse
"""What nodes say to each other while one of them is not a member yet."""

MemberMessage: TypeAlias = (
    Ping
    | Ack
    | PingReq
    | RelayedAck
    | Nack
    | Gossip
    | DigestAsk
    | Digest
    | PassAsk
    | Pages
    | MembersAsk
    | MembersPage
    | Hold
    | Held
)

Message: TypeAlias = JoinMessage | MemberMessage


@dataclass(frozen=True, slots=True)
class Envelope:
    """One datagram, decoded."""

    sender: str
    generation: int
    incarnation: int
    message: Message
    views: tuple[MemberView, ...] = ()
    groups: tuple[Group, ...] = ()
    unknown: int = 0
    """Fields and records in it that this version does not know."""
