"""Who waits for increments, and until when: by stream, and by what they want of it.

Those that want the same of one stream stand in a queue by seq, so that whatever satisfies some of
them satisfies a beginning, however many wait. `ack` and `after` both wait here.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Hashable
from typing import Generic, NamedTuple, TypeAlias, TypeVar

from gossipd.core.identity import Stream
from gossipd.core.timers import Timer, Timers

W = TypeVar("W", bound=Hashable)

Queue: TypeAlias = list[tuple[int, int]]
"""(seq, token) of those who wait, sorted."""

WAITS_MAX = 10_000
"""Those of one kind that wait at a time."""

ENDS_MAX = 80
"""Those whose wait one input ends, as they are satisfied; the next ones a moment later. Each costs
some 4 to 9 us here, and its client is woken in one turn of the loop with the others."""

GO_ON_AFTER = 0.001
"""Seconds until the next ones."""


class Wait(NamedTuple, Generic[W]):
    """Somebody waits for event `seq` of a stream."""

    stream: Stream
    seq: int
    wants: tuple[W, ...]
    """In which queues of the stream."""


class Waiting(Generic[W]):
    """Those of one kind that wait."""

    def __init__(self, timers: Timers, timer: Timer) -> None:
        """`timer` fires under its token for each whose time is over."""
        self._timers = timers
        self._timer = timer
        self.waits: dict[int, Wait[W]] = {}
        """By token."""
        self.queues: dict[Stream, dict[W, Queue]] = {}

    @property
    def is_full(self) -> bool:
        """Whether as many wait as may."""
        return len(self.waits) >= WAITS_MAX

    def add(self, token: int, wait: Wait[W], until: float) -> None:
        """Somebody waits, until then at most."""
        assert token not in self.waits, "one wait a token"
        self.waits[token] = wait
        queues = self.queues.setdefault(wait.stream, {})
        for want in wait.wants:
            insort(queues.setdefault(want, []), (wait.seq, token))
        self._timers.set(self._timer, until, str(token))

    def drop(self, token: int) -> Wait[W]:
        """It waits no more."""
        wait = self.waits.pop(token)
        self._timers.cancel(self._timer, str(token))
        queues = self.queues[wait.stream]
        for want in wait.wants:
            queue = queues[want]
            del queue[bisect_left(queue, (wait.seq, token))]
            if not queue:
                del queues[want]
        if not queues:
            del self.queues[wait.stream]
        return wait

    def between(self, stream: Stream, want: W, above: int, upto: int, most: int) -> Queue:
        """The first `most` of those in one queue that wait for an event in `(above, upto]`."""
        queue = self.queues[stream].get(want, [])
        begin = bisect_left(queue, (above + 1, 0))
        end = bisect_left(queue, (upto + 1, 0), begin)
        return queue[begin : min(end, begin + most)]
