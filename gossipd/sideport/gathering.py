"""Increments that were made and are not told yet: of too many, those of one counter become one."""

from __future__ import annotations

from itertools import chain

from gossipd.core import RecentEvent


class Gathered:
    """Increments since the last look."""

    def __init__(self) -> None:
        self._all: list[RecentEvent] = []
        self._sums: dict[str, int] = {}
        """By counter, once there were too many."""
        self._last: dict[str, RecentEvent] = {}

    def __bool__(self) -> bool:
        return bool(self._all or self._last)

    def add(self, entries: list[RecentEvent], most: int) -> None:
        """These, too. Of more than `most` those of one counter become one."""
        if not self._last and len(self._all) + len(entries) <= most:
            self._all += entries
            return
        sums, last = self._sums, self._last
        for entry in chain(self._all, entries):
            counter = entry.advance.counter
            sums[counter] = sums.get(counter, 0) + entry.advance.by
            last[counter] = entry
        self._all = []

    def take(self) -> list[RecentEvent]:
        """All of them."""
        sums, last, taken = self._sums, self._last, self._all
        self._sums, self._last, self._all = {}, {}, []
        if last:
            taken = [
                entry._replace(advance=entry.advance._replace(by=sums[counter]))
                for counter, entry in last.items()
                if sums[counter]
            ]
        return taken
