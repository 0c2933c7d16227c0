"""How long answers took: any number of samples in bounded memory, exact to half a percent."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence
from itertools import accumulate

_DIGITS = 9
"""Bits of a sample that are kept, in microseconds: what is told is less than 1/256 too short."""


class Latencies:
    def __init__(self) -> None:
        self._samples: dict[int, int] = defaultdict(int)
        """How many there are of each length, in microseconds."""

    def add(self, seconds: float, count: int) -> None:
        microseconds = int(1e6 * seconds)
        shift = max(0, microseconds.bit_length() - _DIGITS)
        self._samples[microseconds >> shift << shift] += count

    def at(self, shares: Sequence[float]) -> list[float]:
        """Milliseconds within which each share of all samples was answered, by nearest rank; 1
        stands for the longest. Nothing where there is no sample."""
        samples = sorted(self._samples.items())
        total = sum(self._samples.values())
        if not total:
            return []
        reached = list(accumulate(count for _, count in samples))
        places = (bisect_left(reached, share * total) for share in shares)
        return [samples[place][0] / 1000 for place in places]
