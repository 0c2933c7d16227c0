"""How fast increments spread: for each one, when every other node held it, to the event.

An arrival (a register went up to a seq) speaks for all increments of that register up to there, so
a coalesced one is not missed. Each (increment, node) pair is looked at once, when it arrives; an
increment is forgotten when everybody holds it.

Who must hold an increment are the nodes that ran when it was made, but those that ended since.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from typing import TypeAlias

from gossipd.core import Stream
from gossipd.core.log.registers import Advance
from gossipd.simulator.distribution import Distribution

_Place: TypeAlias = tuple[Stream, str]


@dataclass(slots=True)
class _Open:
    """An increment that somebody does not hold yet."""

    seq: int
    made_at: float
    waiting: set[str]
    apart: bool
    held_at: float = 0.0


class Spread:
    """Follows increments from where they are made to everywhere."""

    def __init__(self, since: float = 0.0, bucket: float = math.inf) -> None:
        """`since`: when it begins; `bucket`: length of the stretches of `over_time`, seconds."""
        self.made = 0
        self.whole = Distribution()
        """Seconds until everybody held an increment that met no partition."""
        self.apart = Distribution()
        """The same for those that did: the healing and the rejoining are in it."""
        self.pairs = Distribution()
        """Seconds until one node held one increment, over all pairs that met no partition."""
        self.over_time: dict[int, Distribution] = {}
        """Seconds until everybody held an increment, by the stretch in which it was made."""
        self._since = since
        self._bucket = bucket
        self._open: dict[_Place, list[_Open]] = {}

    @property
    def unfinished(self) -> int:
        """Increments that somebody who must hold them does not hold yet."""
        return sum(map(len, self._open.values()))

    def increment(
        self, at: float, host: str, advance: Advance, running: set[str], apart: bool
    ) -> None:
        """An increment was made on `host` while the nodes of `running` ran."""
        self.made += 1
        made = _Open(advance.seq, at, running - {host}, apart, at)
        if made.waiting:
            self._open.setdefault((advance.stream, advance.counter), []).append(made)
        else:
            self._close(made)

    def part(self) -> None:
        """The network is being cut: what is on its way now meets a partition."""
        for waiting in self._open.values():
            for increment in waiting:
                increment.apart = True

    def gone(self, name: str) -> None:
        """A node does not run any more: nothing has to reach it."""
        for waiting in self._open.values():
            for increment in waiting:
                increment.waiting.discard(name)
        self.sweep()

    def arrived(self, at: float, name: str, advance: Advance) -> None:
        """A node heard of an increment."""
        waiting = self._open.get((advance.stream, advance.counter))
        if waiting is None:
            return
        index = bisect_right(waiting, advance.seq, key=lambda increment: increment.seq)
        while index and name in waiting[index - 1].waiting:
            index -= 1
            increment = waiting[index]
            increment.waiting.discard(name)
            increment.held_at = max(increment.held_at, at)
            if not increment.apart:
                self.pairs.add(at - increment.made_at)

    def sweep(self) -> None:
        """Forget what everybody holds."""
        for place in list(self._open):
            waiting = self._open[place]
            still = [increment for increment in waiting if increment.waiting]
            for increment in waiting:
                if not increment.waiting:
                    self._close(increment)
            if still:
                self._open[place] = still
            else:
                del self._open[place]

    def _close(self, increment: _Open) -> None:
        seconds = increment.held_at - increment.made_at
        (self.apart if increment.apart else self.whole).add(seconds)
        stretch = int((increment.made_at - self._since) // self._bucket)
        self.over_time.setdefault(stretch, Distribution()).add(seconds)
