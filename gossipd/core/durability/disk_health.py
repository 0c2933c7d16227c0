"""Whether this node's disk takes what it is given: not from a write that it refused (full, over
quota, read-only) until one that it did. And when what it has not done is tried again.
"""

from __future__ import annotations

from gossipd.core.effects import DiskLost, DiskRefuses, DiskTakes
from gossipd.core.replies import Failure
from gossipd.core.turn import Turn

RETRY_MIN, RETRY_MAX = 0.1, 5.0
"""Seconds for which what a disk has not done is not tried again; doubles at each failure."""


class Retry:
    """When one kind of write is tried again. Each kind has its own pause: where little is left of
    a disk, small commits may pass that large ones do not."""

    def __init__(self) -> None:
        self._pause = 0.0

    def failed(self) -> float:
        """It was not done; for so many seconds it is not tried."""
        self._pause = min(max(RETRY_MIN, 2 * self._pause), RETRY_MAX)
        return self._pause

    def succeeded(self) -> None:
        """It was done."""
        self._pause = 0.0


class Disk:
    """The disk, as its answers show it."""

    def __init__(self) -> None:
        self.refuses = False
        """Whether it takes nothing: it refused the last write."""

    def failed(self, failure: Failure, why: str, turn: Turn) -> None:
        """It has not done what it was asked for; a mistake of this program says nothing of it."""
        if failure is Failure.MISTAKE:
            return
        self.refuses = True
        turn.emit(DiskRefuses(why))
        if failure is Failure.BROKEN:
            turn.emit(DiskLost(why))

    def succeeded(self, turn: Turn) -> None:
        """Something is written."""
        if self.refuses:
            self.refuses = False
            turn.emit(DiskTakes())
