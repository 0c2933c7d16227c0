"""The other members by how they stand: who lives, who is down, and how many there are of each.

What is held of them, and why, is the table's affair (see `members`).
"""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import NamedTuple

from gossipd.core.wire.messages import Status

from .circle import Circle


class Standing(NamedTuple):
    """How a member stands."""

    status: Status
    known: bool
    """Whether it has proven its address to this node, now or in an earlier life."""


class Roster:
    """Their names."""

    def __init__(self, own: str) -> None:
        self._own = own
        self.live: list[str] = []
        """Who is alive or suspected."""
        self.down: list[str] = []
        """Who has failed, and is known."""
        self.counts = dict.fromkeys(Status, 0)
        """How many there are in each state, this node included."""
        self._circles: list[Circle] = []

    def follow(self, circle: Circle) -> None:
        """Keep who lives in a circle, too."""
        for name in self.live:
            circle.add(name)
        self._circles.append(circle)

    def move(self, name: str, before: Standing | None, after: Standing | None) -> None:
        """Somebody stands in another way than before; None: it is not held."""
        if before is not None:
            self.counts[before.status] -= 1
        if after is not None:
            self.counts[after.status] += 1
        left, entered = self._among(before), self._among(after)
        if name == self._own or left is entered:
            return
        if left is not None:
            del left[bisect_left(left, name)]
        if entered is not None:
            insort(entered, name)
        for circle in self._circles:
            if entered is self.live:
                circle.add(name)
            elif left is self.live:
                circle.remove(name)

    def _among(self, standing: Standing | None) -> list[str] | None:
        """The names among which one is that stands so."""
        if standing is None:
            return None
        if standing.status <= Status.SUSPECT:
            return self.live
        return self.down if standing.status is Status.FAILED and standing.known else None
