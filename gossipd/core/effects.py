"""What an input to the core caused: the closed union that the shell performs and logs.

Nothing else leaves the core, so the effects of a run are its log.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from gossipd.core.durability.write_behind import Changes
from gossipd.core.log.registers import Advance
from gossipd.core.log.writer import Batch
from gossipd.core.swim.reason import Reason
from gossipd.core.wire.drops import Drop
from gossipd.core.wire.messages import MemberView, PassAsk, Status

from .identity import Address, Stream
from .replies import Reply
from .snapshot import StreamSnapshot

Token: TypeAlias = object
"""What is to be answered is asked for under a token: whatever tells the shell whose answer it
is."""


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
    """What is held of a member changed; `before` is None for one not held before. Who accuses a
    suspect stands in its view."""

    view: MemberView
    before: Status | None
    reason: Reason


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
class Questioned:
    """`source` has asked a plain question, in a datagram of the cluster: it is answered in one,
    which is no longer."""

    source: Address
    question: bytes


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
class CommitSoon:
    """Something waits to be committed, and nothing is under way: call `Node.commit` once all that
    is ready now has been taken in, so that it shares one commit."""


@dataclass(frozen=True, slots=True)
class FindKeys:
    """Only the disk may know these keys: tell what it does with `Node.keys_found`, or that it
    cannot be read with `Node.keys_not_found`."""

    question: int
    keys: list[bytes]


@dataclass(frozen=True, slots=True)
class Commit:
    """Make the rows of a batch durable, then call `Node.committed`; `Node.commit_failed` if that
    is not known to be so."""

    batch: Batch
    tokens: Sequence[Token]
    """Whose each of its results is."""


@dataclass(frozen=True, slots=True)
class Abandon:
    """Nothing of a batch whose commit failed may be found on the disk later: take it back before
    anything else is written, and before keys are looked up. `exposed`: what is to be left of its
    stream, that is its version and the registers of the counters in the batch, as far as there are
    any."""

    batch: Batch
    exposed: StreamSnapshot


@dataclass(frozen=True, slots=True)
class Answered:
    """What became of what was asked for under these tokens, one reply each."""

    tokens: Sequence[Token]
    replies: Sequence[Reply]


@dataclass(frozen=True, slots=True)
class AnsweredPart:
    """What became of the next increments of the batch `token`, in order."""

    token: Token
    replies: Sequence[Reply]


@dataclass(frozen=True, slots=True)
class DiskLost:
    """The disk will never take anything again: this process must end, and say why."""

    detail: str


@dataclass(frozen=True, slots=True)
class GaveUpDisk:
    """The leave goes on without the disk's answer: what it was given last may be counted."""


@dataclass(frozen=True, slots=True)
class DiskRefuses:
    """The disk takes nothing, or still does not."""

    detail: str


@dataclass(frozen=True, slots=True)
class DiskTakes:
    """It takes something again."""


@dataclass(frozen=True, slots=True)
class SaveWanted:
    """What was learned is to be stored: somebody waits for that, or it is time. Call `Node.save`
    once all that is ready now has been taken in."""


@dataclass(frozen=True, slots=True)
class Save:
    """Store a part of what was learned in one transaction, then call `Node.saved`, or
    `Node.disk_failed`."""

    changes: Changes


@dataclass(frozen=True, slots=True)
class Expire:
    """Remove what has expired, then call `Node.expired`, or `Node.disk_failed`."""


@dataclass(frozen=True, slots=True)
class Probe:
    """Try to write, though there is nothing to be written, then call `Node.probed`, or
    `Node.disk_failed`."""


@dataclass(frozen=True, slots=True)
class AllSaved:
    """What was to be stored at the end is, as far as the disk takes it."""


@dataclass(frozen=True, slots=True)
class Copies:
    """So many hold the increment of the wish `token`, this node included; `enough`: as many as
    were wanted, else its time is over."""

    token: int
    count: int
    enough: bool


@dataclass(frozen=True, slots=True)
class Included:
    """Whether this node includes what the read `token` waits for; False: its time is over."""

    token: int
    included: bool


@dataclass(frozen=True, slots=True)
class TooManyReads:
    """The read `token` does not wait, as too many do."""

    token: int


@dataclass(frozen=True, slots=True)
class KeysWanted:
    """A peer needs key records that are on the disk only: read those of `stream` with `above` <
    seq <= `upto`, at most `limit` from the oldest on, and hand them to `Node.keys_read`; or tell
    `Node.keys_not_read`."""

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
    | Questioned
    | Answered
    | AnsweredPart
    | CommitSoon
    | Commit
    | FindKeys
    | Abandon
    | Incremented
    | Learned
    | DiskLost
    | GaveUpDisk
    | DiskRefuses
    | DiskTakes
    | SaveWanted
    | Save
    | Expire
    | Probe
    | AllSaved
    | KeysWanted
    | Copies
    | Included
    | TooManyReads
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
