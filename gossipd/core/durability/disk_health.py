"""Whether this node's disk takes what it is given: not from a write that it refused (full, over
quota, read-only) until one that it did.
"""

from __future__ import annotations

from gossipd.core.effects import DiskLost, DiskRefuses, DiskTakes
from gossipd.core.replies import Failure
from gossipd.core.turn import Turn


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
