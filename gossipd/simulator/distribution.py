"""Many durations in little memory: how often each one occurred, to a tenth of a millisecond.

Hours of simulated time give millions of durations but few different ones, so that percentiles
stay exact (to the resolution) while memory stays flat. Order of arrival cannot matter.
"""

from __future__ import annotations

import math

RESOLUTION = 0.0001
"""Seconds to which durations are rounded."""

_PER_SECOND = round(1 / RESOLUTION)


class Distribution:
    """Durations in seconds; percentiles are by nearest rank, so each one did occur."""

    def __init__(self) -> None:
        self._times: dict[int, int] = {}
        self._count = 0

    def add(self, seconds: float) -> None:
        """Count one duration."""
        rounded = round(seconds * _PER_SECOND)
        self._times[rounded] = self._times.get(rounded, 0) + 1
        self._count += 1

    def include(self, other: Distribution) -> None:
        """Count all durations of another one."""
        for rounded, times in other._times.items():
            self._times[rounded] = self._times.get(rounded, 0) + times
        self._count += other._count

    @property
    def count(self) -> int:
        """How many durations were counted."""
        return self._count

    def percentile(self, share: float) -> float | None:
        """The smallest duration that at least `share` of all do not exceed; None of nothing.

        Nearest rank: of n sorted durations the one at place ceil(share x n), the first for 0.
        """
        rank = max(1, math.ceil(share * self._count))
        for rounded in sorted(self._times):
            rank -= self._times[rounded]
            if rank <= 0:
                return rounded / _PER_SECOND
        return None

    @property
    def median(self) -> float | None:
        """What half of all do not exceed."""
        return self.percentile(0.5)

    @property
    def p99(self) -> float | None:
        """What 99 of 100 do not exceed."""
        return self.percentile(0.99)

    @property
    def max(self) -> float | None:
        """The longest."""
        return self.percentile(1)
