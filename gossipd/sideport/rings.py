"""What has changed last, kept once for all who follow it, and how far each of them has come."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import Any

from gossipd.sideport.streaming import ROWS_AT_ONCE


class Event:
    """Something that is told."""

    __slots__ = ("data", "forms", "kind", "name", "number")

    def __init__(
        self, kind: str, name: str, data: Callable[[], Any], number: int | None = None
    ) -> None:
        self.kind = kind
        self.name = name
        """The counter or member that it is about."""
        self.data = data
        """Makes what is told of it: often nobody wants to know."""
        self.number = number
        """Who was told it goes on behind this number."""
        self.forms: dict[object, bytes] = {}
        """It as each of the dialects says it, made once for all watchers."""


AT_ONCE = 4
"""Times the size of a ring that are held at most of what comes in one go."""


class Ring:
    """The last events of one kind. The place of a watcher in it is how many came before.

    What comes in one go, as a batch of different counters does, passes nobody who had seen all
    before: it is held whole, with room to read it, until as much has come after it.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.events: deque[Event] = deque()
        self._held = size
        """How many are held at the moment."""
        self.end = 0
        """How many there were so far."""

    @property
    def start(self) -> int:
        return self.end - len(self.events)

    def add(self, events: list[Event]) -> None:
        came = len(events)
        whole = min(came + self.size // 2, AT_ONCE * self.size)
        self._held = max(self.size, self._held - came, whole)
        self.events.extend(events)
        self.end += came
        for _ in range(len(self.events) - self._held):
            self.events.popleft()

    def forget(self, missed: int) -> None:
        """Nothing is known any more of what was, nor of as many more that were missed."""
        self.events.clear()
        self.end += missed


class Place:
    """How far a watcher has come in a ring."""

    def __init__(self, ring: Ring, at: int) -> None:
        self.ring = ring
        self.at = at

    @property
    def is_passed(self) -> bool:
        return self.at < self.ring.start

    @property
    def room(self) -> int:
        """How many more events may come before those that it has not seen are forgotten, at
        least; less than none where they are held for now."""
        return self.ring.size - (self.ring.end - self.at)

    def skip(self) -> None:
        """Nothing that is there is wanted."""
        self.at = self.ring.end

    def take(self, passes: Callable[[Event], bool]) -> list[Event]:
        """The next events that pass, not many at once."""
        found: list[Event] = []
        ring = self.ring
        for event in islice(ring.events, self.at - ring.start, None):
            self.at += 1
            if passes(event):
                found.append(event)
                if len(found) == ROWS_AT_ONCE:
                    break
        return found
