"""What a client is told of what it asked for, and how a commit fails.

An increment that counts is told as its `Advance`, one that was counted before as its `Duplicate`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import NamedTuple, TypeAlias

from gossipd.core.log.dedup import Duplicate, Judgement
from gossipd.core.log.registers import Advance
from gossipd.core.log.sources import Put, PutResult
from gossipd.core.log.writer import LogFull, OutOfRange


class Failure(Enum):
    """What is wrong with a disk, or with whoever writes to it."""

    FULL = auto()
    """It takes nothing for now: full, over quota, read-only."""
    BROKEN = auto()
    """It will never take anything again, such as after EIO."""
    MISTAKE = auto()
    """The program made a mistake."""


class Fate(Enum):
    """What is known of something that was not counted, as far as is known."""

    LEAVING = auto()
    """It was not looked at: the node is leaving."""
    CLOSED = auto()
    """It was not looked at: the disk took nothing a moment ago."""
    NOT_COUNTED = auto()
    """It does not count, and never will."""
    UNKNOWN = auto()
    """It may have been counted: what its commit has left on the disk shows at the next start."""
    MISTAKE = auto()
    """The same, as the program made a mistake."""


@dataclass(frozen=True, slots=True)
class Uncounted:
    """An increment or a put that nobody may take for counted."""

    fate: Fate
    why: str = ""


@dataclass(frozen=True, slots=True)
class ShareFull:
    """One of a batch with a new key: batches have filled their share of the table of keys."""


class PutAnswer(NamedTuple):
    """What became of a put, and the counter's value after it."""

    put: Put
    result: PutResult
    value: int


OneReply: TypeAlias = (
    Advance | Duplicate | OutOfRange | LogFull | Judgement | ShareFull | PutAnswer | Uncounted
)
"""What became of one increment or put, or of some in a row if it is no `Advance`."""


class Run(NamedTuple):
    """Some increments in a row that count."""

    last: Advance
    times: int


class Several(NamedTuple):
    """What became of each of some in a row that did not all end alike."""

    replies: tuple[OneReply, ...]


Reply: TypeAlias = OneReply | Run | Several
