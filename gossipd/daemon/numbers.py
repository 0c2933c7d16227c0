"""What the shell counts of itself, as plain numbers: counted where it happens, read for
`GET /metrics`. What happens in the core stands in `core.tally`.
"""

from __future__ import annotations

from gossipd.core import Failure, Histogram

LAG_BOUNDS = (0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""Seconds. A loop's timer counts in milliseconds, so that one is nothing."""

COMMIT_BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""Seconds: of a fast disk, of one that seeks, of one that is in trouble."""

BATCH_BOUNDS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000)
"""Increments and puts."""

HANGS = "hangs"


class Numbers:
    """Of one node."""

    def __init__(self) -> None:
        self.lag = Histogram(LAG_BOUNDS)
        """How late the core's timers were."""
        self.commit_seconds = Histogram(COMMIT_BOUNDS)
        self.commit_sizes = Histogram(BATCH_BOUNDS)
        self.disk_errors = {**{failure.name.lower(): 0 for failure in Failure}, HANGS: 0}
        self._commit_began: float | None = None
        self.local, self.remote = 0, 0
        """Increments that count since this process runs: of its own clients; advances of others'
        registers, each of which may be several."""

    def commit_begins(self, now: float) -> None:
        self._commit_began = now

    def commit_ends(self, size: int, now: float) -> None:
        """It has succeeded, with so many increments and puts."""
        self.commit_seconds.add(self.commit_age(now))
        self.commit_sizes.add(size)
        self._commit_began = None

    def commit_fails(self) -> None:
        self._commit_began = None

    def commit_age(self, now: float) -> float:
        """Seconds since the commit that is under way began; 0 if none is."""
        return 0.0 if self._commit_began is None else now - self._commit_began
