"""What happens again and again is told a few times, then now and then, with how often it was not.

So a peer that lies, or one that comes and goes, does not fill the log; nor do thousands of them,
for all together have a budget, too. What was not told of a thing is counted with its next line.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

BURST = 10
"""Lines about one thing that are told one after the other."""

EVERY = 10.0
"""Seconds until one more is."""

BURST_OF_ALL = 500
"""Lines about all things that are told one after the other: a large cluster may meet at once."""

EVERY_OF_ALL = 0.1
"""Seconds until one more of them is."""

THINGS_MAX = 1024
"""Things that are told apart, the latest ones."""


@dataclass(slots=True)
class _Thing:
    tokens: float
    at: float
    hidden: int = 0

    def fill(self, now: float, burst: int, every: float) -> None:
        self.tokens = min(burst, self.tokens + (now - self.at) / every)
        self.at = now


class Repeats:
    """A budget of lines for each thing."""

    def __init__(self) -> None:
        self._things: OrderedDict[str, _Thing] = OrderedDict()
        self._all = _Thing(BURST_OF_ALL, float("-inf"))

    def tell(self, about: str, now: float) -> int | None:
        """Whether a line is to be told: how many before it were not; None if it is not."""
        hidden = self._take(about, now)
        if hidden is None:
            self._things[about].hidden += 1
        return hidden

    def again(self, about: str, now: float) -> int | None:
        """The same of the last line that was not."""
        hidden = self._take(about, now)
        return None if hidden is None else max(0, hidden - 1)

    def _take(self, about: str, now: float) -> int | None:
        thing = self._things.setdefault(about, _Thing(BURST, now))
        self._things.move_to_end(about)
        if len(self._things) > THINGS_MAX:
            self._things.popitem(last=False)
        thing.fill(now, BURST, EVERY)
        self._all.fill(now, BURST_OF_ALL, EVERY_OF_ALL)
        if thing.tokens < 1 or self._all.tokens < 1:
            return None
        thing.tokens -= 1
        self._all.tokens -= 1
        hidden, thing.hidden = thing.hidden, 0
        return hidden
