"""How much is committed at once: as much as holds the loop for a few milliseconds.

What an increment costs to make ready, to count and to answer differs: most of it goes into the
register of a counter, once a part, and into the record of a key. So parts are measured by that
rather than by their number: the fewer they are, the less often a batch waits for the disk.
"""

from __future__ import annotations

COST_MAX = 1500
"""Of a part. An increment of a batch on a counter that the part has already costs 1, which is some
3 us; all of this is some 5 ms."""

COUNTER_COST = 2
"""More for the first increment of a counter."""

KEY_COST = 2
"""More for one with a key."""

ALONE_COST = 2
"""More for one that somebody waits for by itself, and is woken."""

IN_A_ROW = 8
"""More of the same in a row, so many of which cost 1."""

DEAREST = 1 + COUNTER_COST + KEY_COST + ALONE_COST
"""What one costs at most that is not in a row."""


class Part:
    """The increments that are committed together, as far as they have been chosen."""

    def __init__(self) -> None:
        self._cost = 0
        self._counters: set[str] = set()

    def takes(self, counter: str, *, keyed: bool, alone: bool, count: int = 1) -> bool:
        """Choose one more, or `count` in a row, unless it would be too much; the first one always,
        or it would wait for ever."""
        is_new = counter not in self._counters
        cost = 1 + COUNTER_COST * is_new + KEY_COST * keyed + ALONE_COST * alone
        cost += (count - 1) // IN_A_ROW
        if self._cost and self._cost + cost > COST_MAX:
            return False
        self._cost += cost
        self._counters.add(counter)
        return True
