"""The last events seen, for reading: `/log` and whether an id is counted.

A coalesced event (a register that went up by several increments at once) is one entry; the sum of
`by` over entries is the change of the count.
"""

from __future__ import annotations

from collections import deque
from itertools import islice, repeat
from typing import NamedTuple

from gossipd.core.identity import Stream

from .registers import Advance


class RecentEvent(NamedTuple):
    """One event as this node saw it; `at` is seconds of the core's clock."""

    advance: Advance
    at: float


class RecentEvents:
    """A bounded number of events, newest last."""

    def __init__(self, size: int) -> None:
        self._entries: deque[tuple[Advance, float]] = deque(maxlen=size)
        """Each a `RecentEvent`, but a bare tuple: there are many, and few are ever read."""

    def append(self, advances: list[Advance], now: float) -> None:
        """Remember events in the order in which they were seen."""
        self._entries.extend(zip(advances, repeat(now)))

    def newest(self, limit: int | None = None) -> list[RecentEvent]:
        """All entries, or up to `limit`, newest first."""
        return list(map(RecentEvent._make, islice(reversed(self._entries), limit)))

    def has(self, stream: Stream, seq: int) -> bool:
        """Whether the event (stream, seq) itself is among the entries."""
        return any(advance.seq == seq and advance.stream == stream for advance, _ in self._entries)
