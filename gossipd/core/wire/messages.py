"""What nodes say to each other, as values.

A datagram is one `Envelope`: who speaks, one message, and news that rides along (views of members,
groups of `records`). Nothing here knows bytes (see `decoding` and `encoding`) or what to do with a
message (see `dispatch`). Their numbers on the wire are in `decoding`: append only. A `nonce` is 64
bits that nobody can guess; it names a question, and its answer brings them back. 0 where there is
none.

Indirect probe (SWIM 3.1) with a nack (Lifeguard, LHA-Probe):

    prober --Ping--> target (silent)
    prober --PingReq--> relay --Ping--> target
    prober <--RelayedAck-- relay <--Ack-- target        or, at 80 % of the time given:
    prober <--Nack-- relay
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple, TypeAlias

from gossipd.core.identity import STREAM_BITS, Address, Stream, Tags
from gossipd.core.settings import CONFIRMATIONS_MAX

from .records import AGE_WANTED_MAX, Group, Leaf, Page, PassItem

COOKIE_BYTES_MAX = 16
ACCUSERS_MAX = CONFIRMATIONS_MAX + 1
AGE_MAX = 2**32 - 1
"""Minutes."""

PAGES_MAX = 32
PASS_ITEMS_MAX = 32
HOLD_GROUPS_MAX = 20
DIGEST_BITS = 6
DIGEST_FANOUT = 2**DIGEST_BITS
DIGEST_DEPTH_MAX = STREAM_BITS // DIGEST_BITS
TIMEOUT_MS_MAX = 2**31
ROUND_MAX = 2**32 - 1
NONCE_MAX = 2**64 - 1
"""Bounds of what is said; those of names and numbers in `identity`."""


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
    tags: Tags = ()
    age: int = 0
    """Minutes since the verdict, rounded up; 0 for members that are alive or suspected."""
    accusers: tuple[str, ...] = ()
    """Names of those who suspect the member by their own probes."""


class Shown(NamedTuple):
    """What every ping and ack shows of its sender's state."""

    log: int
    """Fingerprint of its log, 128 bits."""
    members: int
    """That of its member table."""
    ready: bool
    round: int = 0
    """The round of probes that it is in, modulo 2^32 (see `rounds`)."""


@dataclass(frozen=True, slots=True)
class Ping:
    """Are you there? Answered with `Ack`, by `target` only (SWIM 3.1).

    Views that it carries tell a suspect of the suspicion (Lifeguard, Buddy System).
    """

    nonce: int
    target: str
    shown: Shown


@dataclass(frozen=True, slots=True)
class Ack:
    """I am here: the answer to a `Ping` (SWIM 3.1)."""

    nonce: int
    shown: Shown


@dataclass(frozen=True, slots=True)
class PingReq:
    """Ping `target` at `address` for me (SWIM 3.1, ping-req); I wait for `timeout_ms`
    milliseconds."""

    nonce: int
    target: str
    address: Address
    timeout_ms: int


@dataclass(frozen=True, slots=True)
class RelayedAck:
    """The target that you asked a relay to ping has answered it (SWIM 3.1)."""

    nonce: int


@dataclass(frozen=True, slots=True)
class Nack:
    """The relay lives, but the target has not answered it so far (Lifeguard, LHA-Probe)."""

    nonce: int


@dataclass(frozen=True, slots=True)
class Gossip:
    """Nothing but the news that rides along (SWIM 4.1 has no message for that: there it rides on
    probes alone)."""


class Standing(IntEnum):
    """How well a node holds its name: of two with one name, the one of the higher standing keeps
    it, then the larger generation, then the larger address."""

    NEWCOMER = 0
    ALONE = 1
    """Ready, though a member for nobody."""
    MEMBER = 2
    """Taken in a moment ago, perhaps by somebody who did not know better."""
    HOLDER = 3
    """A member for so long that a refusal would have come."""


@dataclass(frozen=True, slots=True)
class Join:
    """Take me in, at `address`: with an empty cookie first, then with the one that came back."""

    nonce: int
    address: Address
    tags: Tags
    cookie: bytes
    standing: Standing


@dataclass(frozen=True, slots=True)
class Cookie:
    """Prove that you read what is sent to the address that you advertise: join with this (as the
    cookie of DTLS, RFC 9147, 5.1, it costs no memory).

    Without a cookie it is a hint only: `seen` is where the join came from.
    """

    nonce: int
    cookie: bytes
    seen: Address


@dataclass(frozen=True, slots=True)
class Welcome:
    """You are a member now; pull what you lack."""

    nonce: int
    shown: Shown


class Refusal(IntEnum):
    """Why a join was refused."""

    NAME_TAKEN = 0
    GENERATION_TOO_LOW = 1


@dataclass(frozen=True, slots=True)
class Refuse:
    """You are not taken in: `holder` has your name, or your generation is not above its own.

    `generation` is the holder's, in milliseconds since 1970.
    """

    nonce: int
    reason: Refusal
    holder: Address
    generation: int
    standing: Standing = Standing.HOLDER
    """That of the sender, where it is the holder itself."""


@dataclass(frozen=True, slots=True)
class Hello:
    """Prove that you read what is sent to you: echo `nonce`. 0 stands for none.

    It carries nothing else, so that who is told of somebody may send it (see `introducing`).
    """

    nonce: int
    echo: int


@dataclass(frozen=True, slots=True)
class DigestAsk:
    """What is below a prefix of the stream ids? `prefix` has `depth` x 6 bits; `size`: the largest
    answer that gets through, bytes."""

    nonce: int
    depth: int
    prefix: int
    size: int


@dataclass(frozen=True, slots=True)
class Digest:
    """The answer to `DigestAsk`: all leaves below the prefix, or 64 sums where these do not
    fit."""

    nonce: int
    depth: int
    prefix: int
    leaves: tuple[Leaf, ...] | None
    sums: tuple[int, ...] | None


@dataclass(frozen=True, slots=True)
class PassAsk:
    """Send me the pages of these streams: at most `pages` datagrams of `size` bytes each."""

    nonce: int
    items: tuple[PassItem, ...]
    pages: int
    size: int
    age: int = AGE_WANTED_MAX
    """Key records that are older, and that a version covers, are not wanted, in `AGE_TICK`."""


@dataclass(frozen=True, slots=True)
class Pages:
    """Pages of what a `PassAsk` asked for; `last`: no further datagram follows."""

    nonce: int
    pages: tuple[Page, ...]
    last: bool


@dataclass(frozen=True, slots=True)
class MembersAsk:
    """Send me the member table from the name after `after` on: at most `pages` datagrams of `size`
    bytes each."""

    nonce: int
    after: str
    pages: int
    size: int


@dataclass(frozen=True, slots=True)
class MembersPage:
    """An answer to `MembersAsk`: all views with names in `(after, upto]`; `upto` "" is the end of
    the table."""

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
    | Hello
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
