"""Whether this node's disk takes what it is given: not from a write that it refused (full, over
quota, read-only) until one that it did, or, where that changes again and again, until it has taken
all for a while. And when what it has not done is tried again.
"""

from __future__ import annotations

from gossipd.core.effects import DiskLost, DiskRefuses, DiskTakes
from gossipd.core.replies import Failure
from gossipd.core.turn import Turn

RETRY_MIN, RETRY_MAX = 0.1, 5.0
"""Seconds for which what a disk has not done is not tried again; doubles at each failure."""

CALM_MIN, CALM_MAX = 5.0, 60.0
"""Seconds without a refusal until a disk that had just taken something is held to take it again;
doubles each time. Where little room is left small writes pass and large ones do not."""


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
        """Whether it takes nothing: it refused the last write, or one a moment ago."""
        self._took_at = float("-inf")
        """When it last began to take something again."""
        self._calm = self._calm_at = 0.0

    def failed(self, failure: Failure, why: str, turn: Turn) -> None:
        """It has not done what it was asked for; a mistake of this program says nothing of it."""
        if failure is Failure.MISTAKE:
            return
        if not self.refuses:
            again = turn.now - self._took_at < CALM_MAX
            self._calm = min(max(CALM_MIN, 2 * self._calm), CALM_MAX) if again else 0.0
        self.refuses = True
        self._calm_at = turn.now + self._calm
        turn.emit(DiskRefuses(why))
        if failure is Failure.BROKEN:
            turn.emit(DiskLost(why))

    def succeeded(self, turn: Turn) -> None:
        """Something is written."""
        if self.refuses and turn.now >= self._calm_at:
            self.refuses = False
            self._took_at = turn.now
            turn.emit(DiskTakes())
