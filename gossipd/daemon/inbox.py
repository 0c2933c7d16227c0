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

What is nothing, as its first bytes show, does not wait: to drop it costs less than to keep it. So
it is dropped as it is read, and who joins does not wait behind it. Of a peer within its share that
is not asked: what it sends is mostly good.

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


class _Queue(dict[Address, deque[tuple[bytes, float]]]):
    """What waits of one kind, by address, each with when it came."""

    @property
    def count(self) -> int:
        """How much that is."""
        return sum(map(len, self.values()))

    @property
    def oldest_at(self) -> float:
        """When the oldest of what waits came."""
        return min((each[0][1] for each in self.values()), default=float("inf"))

    def put(self, source: Address, data: bytes, now: float) -> bool:
        """Whether there was room."""
        waiting = self.get(source)
        if waiting is None:
            if len(self) >= ADDRESSES_MAX:
                return False
            waiting = self[source] = deque()
        if len(waiting) >= WAITING_MAX:
            return False
        waiting.append((data, now))
        return True

    def take(self) -> tuple[bytes, Address]:
        """The next one, each address in turn."""
        source = next(iter(self))
        waiting = self.pop(source)
        data, _ = waiting.popleft()
        if waiting:
            self[source] = waiting
        return data, source


class Inbox:
    """Hands datagrams on, at once or when there is time."""

    def __init__(
        self,
        handle: Callable[[bytes, Address], None],
        ranks: Ranks,
        refuse: Callable[[bytes, Address], bool],
        dropped: Callable[[Address], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`refuse`: whether a datagram was nothing, and is done with. `dropped` is told of each
        that was not handled; `clock` tells what handling costs."""
        self._handle = handle
        self._ranks = ranks
        self._refuse = refuse
        self._dropped = dropped
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._uses: dict[Address, _Use] = {}
        self._all = _Use(SHARE_OF_ALL)
        self._by_strangers_at_once, self._by_strangers = _Use(SHARE), _Use(STRANGERS_SHARE)
        self._urgent, self._others, self._strangers = _Queue(), _Queue(), _Queue()
        self._came = 0
        self._came_before = 0
        self._put_off = 0
        self._scheduled: asyncio.Handle | None = None
        """When what waits is looked at next, at once or when strangers may use more time."""
        self._is_later = False

    def receive(self, data: bytes, source: Address) -> None:
        """Something has come."""
        is_proven = self._ranks.is_proven(source)
        if not is_proven and self._refuse(data, source):
            return
        self._came += 1
        now = time.monotonic()
        use = self._uses.get(source) if is_proven else self._by_strangers_at_once
        within = (use is None or use.is_within(now)) and self._all.is_within(now)
        queue = self._others if is_proven else self._strangers
        if within and source not in queue:
            self._do(data, source, is_proven, self._clock())
            return
        if is_proven and self._refuse(data, source):
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
        return self._urgent.count + self._others.count + self._strangers.count

    def oldest_age(self, now: float) -> float:
        """Seconds for which the oldest of them has waited; 0 if there is none."""
        queues = (self._urgent, self._others, self._strangers)
        return max(0.0, now - min(queue.oldest_at for queue in queues))

    def hurry(self) -> None:
        """Somebody is about to be blamed: handle what may speak for it."""
        while self._urgent:
            self._do(*self._urgent.take(), True, self._clock())

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
            now = self._clock()
            until = now + SLICE
            last = self._strangers if self._by_strangers.is_within(time.monotonic()) else None
            while now < until and (queue := self._urgent or self._others or last):
                now = self._do(*queue.take(), queue is not last, now)

    def _do(self, data: bytes, source: Address, is_proven: bool, began: float) -> float:
        """When it was done."""
        self._handle(data, source)
        ended = self._clock()
        spent = ended - began
        self._all.add(spent)
        if is_proven:
            self._use_of(source).add(spent)
        else:
            self._by_strangers.add(spent)
            self._by_strangers_at_once.add(spent)
        return ended

    def _use_of(self, source: Address) -> _Use:
        """It is the last one to be forgotten now."""
        use = self._uses.pop(source, None) or _Use(SHARE)
        self._uses[source] = use
        if len(self._uses) > ADDRESSES_MAX:
            del self._uses[next(iter(self._uses))]
        return use
