"""What comes first when more comes than this node can do: no peer slows it down for the others.

Each address may use a share of the time, and all together a larger one; what comes
within that is handled at once. What is beyond waits: it is handled when there is nothing else to
do, after the socket was read, probes and their answers first, and one address after the other. So
a busy peer gets all the time that nobody else wants, and a flood costs only who sends it. An
address has room for so much; what is beyond that is dropped, which the protocol expects.

What handling takes is measured as time that passes, not as time of a CPU: on a host that is busy
with other things a share is one of what this process gets.

All addresses that have proven nothing here share one such share of the time, and what comes from
them is never urgent: anybody may write any number of them as the sender of a datagram. Of the time
that nobody else wants they get a bounded part, last of all: else whoever likes could have this
process use a whole processor. Each of these addresses has its turn in it, so somebody who joins
does so beside a flood.

Nothing here knows what a datagram says, but whether it is `urgent`.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Protocol

from gossipd.core import Address

SHARE = 0.1
"""Part of the time that one address may use at once."""

STRANGERS_SHARE = 0.25
"""Part of the time that all who have proven nothing may use, though nobody else wants it."""

SHARE_OF_ALL = 0.5
"""Part of the time that all may use at once."""

BURST = 0.1
"""Seconds of its time that an address, or all together, may use ahead."""

SLICE = 0.001
"""Seconds for which what waits is handled before everything else is looked at again."""

READS_FIRST_MAX = 64
"""Times that what waits is put off because something has come."""

WAITING_MAX = 64
"""Datagrams of one address that wait at most, of each of both kinds."""

ADDRESSES_MAX = 1024
"""Addresses whose use is remembered, and of which something may wait."""

_STRANGERS: Address = ("", 0)
"""Stands for all that have proven nothing."""


class Ranks(Protocol):
    """Who tells what comes first: the node."""

    def is_urgent(self, data: bytes) -> bool:
        """Whether it should be handled before others."""

    def is_proven(self, address: Address) -> bool:
        """Whether somebody is known to be there."""


class _Use:
    """Time that was used lately; what is allowed anyway is forgotten."""

    __slots__ = ("_at", "_seconds", "_share")

    def __init__(self, share: float) -> None:
        self._share = share
        self._seconds = 0.0
        self._at = time.monotonic()

    def is_within(self, now: float) -> bool:
        """Whether more may be used."""
        self._seconds = max(0.0, self._seconds - (now - self._at) * self._share)
        self._at = now
        return self._seconds < BURST

    def wait(self, now: float) -> float:
        """Seconds until as much may be used as a slice takes; 0: more may be used now."""
        return 0.0 if self.is_within(now) else (self._seconds - BURST + SLICE) / self._share

    def add(self, seconds: float) -> None:
        self._seconds += seconds


class _Queue:
    """What waits of one kind, by address."""

    def __init__(self) -> None:
        self._waiting: dict[Address, deque[tuple[bytes, float]]] = {}
        """Each with when it came."""

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def __contains__(self, source: Address) -> bool:
        return source in self._waiting

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    @property
    def oldest_at(self) -> float:
        """When the oldest of what waits came."""
        return min((each[0][1] for each in self._waiting.values()), default=float("inf"))

    def put(self, source: Address, data: bytes, now: float) -> bool:
        """Whether there was room."""
        waiting = self._waiting.get(source)
        if waiting is None:
            if len(self._waiting) >= ADDRESSES_MAX:
                return False
            waiting = self._waiting[source] = deque()
        if len(waiting) >= WAITING_MAX:
            return False
        waiting.append((data, now))
        return True

    def take(self) -> tuple[bytes, Address]:
        """The next one, each address in turn."""
        source = next(iter(self._waiting))
        waiting = self._waiting.pop(source)
        data, _ = waiting.popleft()
        if waiting:
            self._waiting[source] = waiting
        return data, source


class Inbox:
    """Hands datagrams on, at once or when there is time."""

    def __init__(
        self,
        handle: Callable[[bytes, Address], None],
        ranks: Ranks,
        dropped: Callable[[Address], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`dropped` is told of each that was not handled; `clock` tells what handling costs."""
        self._handle = handle
        self._ranks = ranks
        self._dropped = dropped
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._uses: dict[Address, _Use] = {}
        self._all = _Use(SHARE_OF_ALL)
        self._by_strangers = _Use(STRANGERS_SHARE)
        self._urgent, self._others, self._strangers = _Queue(), _Queue(), _Queue()
        self._came = 0
        self._came_before = 0
        self._put_off = 0
        self._scheduled: asyncio.Handle | None = None
        """When what waits is looked at next, at once or when strangers may use more time."""
        self._is_later = False

    def receive(self, data: bytes, source: Address) -> None:
        """Something has come."""
        self._came += 1
        now = time.monotonic()
        is_proven = self._ranks.is_proven(source)
        use = self._uses.get(source if is_proven else _STRANGERS)
        within = (use is None or use.is_within(now)) and self._all.is_within(now)
        queue = self._others if is_proven else self._strangers
        if within and source not in queue:
            self._do(data, source)
            return
        if is_proven and self._ranks.is_urgent(data):
            queue = self._urgent
        if not queue.put(source, data, now):
            self._dropped(source)
        elif self._scheduled is None or (self._is_later and queue is not self._strangers):
            self._go_on_soon()

    @property
    def waiting_count(self) -> int:
        """Datagrams that wait."""
        return len(self._urgent) + len(self._others) + len(self._strangers)

    def oldest_age(self, now: float) -> float:
        """Seconds for which the oldest of them has waited; 0 if there is none."""
        queues = (self._urgent, self._others, self._strangers)
        return max(0.0, now - min(queue.oldest_at for queue in queues))

    def hurry(self) -> None:
        """Somebody is about to be blamed: handle what may speak for it."""
        while self._urgent:
            self._do(*self._urgent.take())

    def _go_on(self) -> None:
        self._scheduled = None
        try:
            self._work()
        finally:
            if self._urgent or self._others:
                self._go_on_soon()
            elif self._strangers:
                wait, self._is_later = self._by_strangers.wait(time.monotonic()), True
                self._scheduled = self._loop.call_later(wait, self._go_on)

    def _go_on_soon(self) -> None:
        if self._scheduled is not None:
            self._scheduled.cancel()
        self._is_later = False
        self._scheduled = self._loop.call_soon(self._go_on)

    def _work(self) -> None:
        if self._came != self._came_before and self._put_off < READS_FIRST_MAX:
            self._came_before = self._came
            self._put_off += 1
        else:
            self._put_off = 0
            until = self._clock() + SLICE
            while (queue := self._next()) and self._clock() < until:
                self._do(*queue.take())

    def _next(self) -> _Queue | None:
        """Whose turn it is."""
        if queue := self._urgent or self._others:
            return queue
        is_within = self._strangers and self._by_strangers.is_within(time.monotonic())
        return self._strangers if is_within else None

    def _do(self, data: bytes, source: Address) -> None:
        is_proven = self._ranks.is_proven(source)
        payer = source if is_proven else _STRANGERS
        began = self._clock()
        self._handle(data, source)
        spent = self._clock() - began
        use = self._uses.pop(payer, None) or _Use(SHARE)
        self._uses[payer] = use
        use.add(spent)
        self._all.add(spent)
        if not is_proven:
            self._by_strangers.add(spent)
        if len(self._uses) > ADDRESSES_MAX:
            del self._uses[next(iter(self._uses))]
