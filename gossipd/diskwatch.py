"""How this node's disk does: whether it answers in time, and whether it takes what it is given.

A store does one thing after the other, so a call that is late makes all others wait. From the
moment at which one has taken longer than the limit the disk *hangs*: whoever waits is told then,
whoever would wait is refused at once, and that lasts until all those calls have ended, however
they end. What a call that is late does in the end is known only when it ends, so nobody gives it
up; only those that wait for its answer are answered.

A disk that refuses a write (full, over quota, read-only) is one that *takes nothing*, until a
write succeeds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

from gossipd.troubles import Troubles

T = TypeVar("T")

HANGS, REFUSES = "disk hangs", "disk not writable"
"""The names of its two troubles."""


class HangsError(OSError):
    """The disk did not answer in time; what it does with what it was asked is not known yet."""


class _Wait:
    """A call of the store that is under way."""

    __slots__ = ("began", "late", "told")

    def __init__(self, began: float, late: Callable[[], None] | None) -> None:
        self.began = began
        self.late = late
        self.told = False


class DiskWatch:
    """Watches all calls of one store."""

    def __init__(self, limit: float, troubles: Troubles) -> None:
        """`limit`: seconds that a call may take."""
        self._limit = limit
        self._troubles = troubles
        self._waits: dict[_Wait, None] = {}
        """Calls under way, the oldest first."""
        self._late_count = 0
        self._timer: asyncio.TimerHandle | None = None
        self.refuses = False
        """Whether it takes nothing: it refused the last write."""

    @property
    def hangs(self) -> bool:
        """Whether a call that is under way has taken too long."""
        return self._late_count > 0

    @property
    def silence(self) -> str:
        """What is said of a disk that hangs."""
        return f"the disk has not answered for {self._limit:g} s"

    @contextmanager
    def during(self, late: Callable[[], None] | None = None) -> Iterator[None]:
        """Around a call of the store, which is waited for however long it takes; `late` is called
        once if the disk hangs meanwhile. Of a call whose caller is cancelled nobody hears how it
        ends, so for all that is known it goes on."""
        wait = self._begin(late)
        try:
            yield
        except asyncio.CancelledError:
            raise
        except BaseException:
            self._end(wait)
            raise
        self._end(wait)

    async def answer(self, ask: Callable[[], Awaitable[T]]) -> T:
        """What a call of the store that only reads ends with. Raises `HangsError` as soon as the
        disk hangs, and without asking while it does; the call goes on, and nobody hears of it."""
        if self.hangs:
            raise HangsError(self.silence)
        call = asyncio.ensure_future(ask())
        told: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        wait = self._begin(partial(told.set_result, None))
        call.add_done_callback(partial(self._answered, wait))
        await asyncio.wait((call, told), return_when=asyncio.FIRST_COMPLETED)
        if call.done():
            return call.result()
        raise HangsError(self.silence)

    def _answered(self, wait: _Wait, call: asyncio.Future[T]) -> None:
        if not call.cancelled():
            call.exception()  # which nobody may be waiting for
            self._end(wait)

    def failed(self, error: OSError) -> None:
        """A write was refused."""
        self.refuses = True
        self._troubles.begin(REFUSES, f"cannot write to the disk: {error}", serves=False)

    def succeeded(self) -> None:
        """A write is on the disk."""
        if self.refuses:
            self.refuses = False
            self._troubles.end(REFUSES)

    def _begin(self, late: Callable[[], None] | None) -> _Wait:
        loop = asyncio.get_running_loop()
        wait = _Wait(loop.time(), late)
        self._waits[wait] = None
        if self.hangs:
            self._tell(wait)
        elif self._timer is None:
            self._timer = loop.call_later(self._limit, self._look)
        return wait

    def _end(self, wait: _Wait) -> None:
        del self._waits[wait]
        if wait.told:
            self._late_count -= 1
            if not self._late_count:
                self._troubles.end(HANGS)

    def _look(self) -> None:
        """One timer for all: when it rings, the oldest call may have ended long ago."""
        self._timer = None
        oldest = next(iter(self._waits), None)
        if oldest is None or self.hangs:
            return
        loop = asyncio.get_running_loop()
        left = oldest.began + self._limit - loop.time()
        if left > 0:
            self._timer = loop.call_later(left, self._look)
            return
        self._troubles.begin(HANGS, f"the disk hangs: {self.silence}", serves=False)
        for wait in list(self._waits):
            self._tell(wait)

    def _tell(self, wait: _Wait) -> None:
        wait.told = True
        self._late_count += 1
        if wait.late is not None:
            wait.late()
