"""What an input to the core caused: the closed union that the shell performs and logs.

Nothing else leaves the core, so the effects of a run are its log.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from .drops import Drop
from .identity import Address, Stream
from .log import Advance
from .messages import MemberView, PassAsk, Status


@dataclass(frozen=True, slots=True)
class Send:
    """Send `data` as one UDP datagram."""

    data: bytes
    to: Address


@dataclass(frozen=True, slots=True)
class Dropped:
    """A datagram from `source` was dropped, wholly or in part."""

    source: Address
    reason: Drop


@dataclass(frozen=True, slots=True)
class MemberChanged:
    """What is held of a member changed; `before` is None for one not held before."""

    view: MemberView
    before: Status | None


@dataclass(frozen=True, slots=True)
class Refuted:
    """This node was told that it is not alive and raised its incarnation."""

    claimed: Status
    incarnation: int


@dataclass(frozen=True, slots=True)
class ClustersMet:
    """By a join of this node two clusters become one that both had members and counts."""

    ours: tuple[str, ...]
    """Members of this node's own one, without itself."""
    theirs: tuple[str, ...]
    """Members of the other one, first the one that took this node in."""


@dataclass(frozen=True, slots=True)
class Stalled:
    """A timer was late by so many seconds: this node, not its peers, was slow."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Incremented:
    """A batch of this node's own increments counts now: one advance for each, in order."""

    advances: tuple[Advance, ...]


@dataclass(frozen=True, slots=True)
class Learned:
    """What peers or sources sent changed values, or a double that was found did: one advance for
    each change."""

    advances: tuple[Advance, ...]


@dataclass(frozen=True, slots=True)
class SaveWanted:
    """Somebody waits until what was learned is on the disk: store what has changed now."""


@dataclass(frozen=True, slots=True)
class Copies:
    """So many hold the increment of the wish `token`, this node included; `enough`: as many as
    were wanted, else its time is over."""

    token: int
    count: int
    enough: bool


@dataclass(frozen=True, slots=True)
class KeysWanted:
    """A peer needs key records that are on the disk only: read those of `stream` with `above` <
    seq <= `upto`, at most `limit` from the oldest on, and hand them to `Node.keys_read`."""

    stream: Stream
    above: int
    upto: int
    limit: int
    ask: PassAsk
    """What is left of the peer's question, this stream first."""
    asker: str
    address: Address


@dataclass(frozen=True, slots=True)
class Joined:
    """The member `name`, asked at `address`, accepted this node."""

    address: Address
    name: str


@dataclass(frozen=True, slots=True)
class FoundItself:
    """What this node sent to `address`, to join through it, came to itself: it is its own."""

    address: Address


@dataclass(frozen=True, slots=True)
class JoinDoubtful:
    """A peer sees this node's datagrams coming from an address that it does not advertise."""

    advertised: Address
    seen: Address


@dataclass(frozen=True, slots=True)
class SpeaksElsewhere:
    """Somebody is silent at the address that it advertises, and speaks from another one."""

    name: str
    advertised: Address
    seen: Address


@dataclass(frozen=True, slots=True)
class BecameReady:
    """Counts are complete as far as this node can know; `alone`: no ready peer was found."""

    alone: bool


@dataclass(frozen=True, slots=True)
class NotAlone:
    """The member `name` has counts that a node lacks which nobody was to be joined by: it waits
    until it holds them."""

    name: str


@dataclass(frozen=True, slots=True)
class NameLost:
    """The name belongs to another process: this one must end, and say why."""

    detail: str


@dataclass(frozen=True, slots=True)
class Left:
    """The leave is over; `undrained` streams may hold increments that nobody else has."""

    undrained: int


Effect: TypeAlias = (
    Send
    | Dropped
    | Incremented
    | Learned
    | SaveWanted
    | KeysWanted
    | Copies
    | MemberChanged
    | Refuted
    | Stalled
    | ClustersMet
    | Joined
    | FoundItself
    | JoinDoubtful
    | SpeaksElsewhere
    | BecameReady
    | NotAlone
    | NameLost
    | Left
)
