"""What an input to the core caused: the closed union that the shell performs and logs.

Nothing else leaves the core, so the effects of a run are its log.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from .identity import Address
from .log import Advance
from .messages import MemberView, Status


class Drop(Enum):
    """Why a datagram, or a part of one, was not used."""

    TOO_LARGE = "larger than any datagram may be"
    TOO_SHORT = "shorter than a header"
    MAGIC = "not a gossipd datagram"
    VERSION = "a version of the wire that is not spoken here"
    FOREIGN = "another cluster's"
    TAG = "damaged, or of another cluster with the same hash"
    MALFORMED = "its body is not what its kind prescribes"
    UNKNOWN_KIND = "a kind of message that is not known here"
    UNKNOWN_FIELD = "some of its fields or records are not known here; the rest was used"
    OWN = "sent by this very process"
    STRANGER = "its sender is not a member and has to join first"
    UNASKED = "an answer to a question that is not open"
    MISDIRECTED = "meant for a member of another name"
    LIMITED = "an answer larger than a stranger may be sent"
    MEMBERS_FULL = "the member table is full"
    STREAMS_FULL = "the log holds as many streams or registers as it may"


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
class Stalled:
    """A timer was late by so many seconds: this node, not its peers, was slow."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Incremented:
    """A batch of this node's own increments counts now: one advance for each, in order."""

    advances: tuple[Advance, ...]


@dataclass(frozen=True, slots=True)
class Joined:
    """The member at `address` accepted this node."""

    address: Address


@dataclass(frozen=True, slots=True)
class JoinDoubtful:
    """A peer sees this node's datagrams coming from an address that it does not advertise."""

    advertised: Address
    seen: Address


@dataclass(frozen=True, slots=True)
class BecameReady:
    """Counts are complete as far as this node can know; `alone`: no ready peer was found."""

    alone: bool


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
    | MemberChanged
    | Refuted
    | Stalled
    | Joined
    | JoinDoubtful
    | BecameReady
    | NameLost
    | Left
)
