"""The last events seen, for reading: `/log`, who follows them, and whether an id is counted.

A coalesced event (a register that went up by several increments at once) is one entry; the sum of
`by` over entries is the change of the count. Entries are numbered from 1 in the order in which
they were seen, so a number says where to go on.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
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
        self.count = 0
        """Events seen so far: the number of the newest."""
        self._followed: list[tuple[Advance, float]] | None = None
        """All since they were last taken, while somebody follows."""

    def append(self, advances: Sequence[Advance], now: float) -> None:
        """Remember events in the order in which they were seen."""
        self.count += len(advances)
        self._entries.extend(zip(advances, repeat(now)))
        if self._followed is not None:
            self._followed.extend(zip(advances, repeat(now)))

    def newest(self, limit: int | None = None) -> list[RecentEvent]:
        """All entries, or up to `limit`, newest first."""
        return list(map(RecentEvent._make, islice(reversed(self._entries), limit)))

    def has(self, stream: Stream, seq: int) -> bool:
        """Whether the event (stream, seq) itself is among the entries."""
        return any(advance.seq == seq and advance.stream == stream for advance, _ in self._entries)

    def follow(self) -> None:
        """From now on keep all events until they are taken, however many there are."""
        self._followed = []

    def stop_following(self) -> None:
        """Keep no more than is remembered anyway."""
        self._followed = None

    def take_followed(self) -> list[RecentEvent]:
        """All events since this was last called, or since they are followed."""
        taken = self._followed
        if not taken:
            return []
        self._followed = []
        return list(map(RecentEvent._make, taken))
