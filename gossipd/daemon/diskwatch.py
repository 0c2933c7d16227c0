"""Whether this node's disk answers in time.

A store does one thing after the other, so a call that is late makes all others wait. From the
moment at which one has taken longer than the limit the disk *hangs*: whoever waits is told then,
whoever would wait is refused at once, and that lasts until all those calls have ended, however
they end. What a call that is late does in the end is known only when it ends, so nobody gives it
up; only those that wait for its answer are answered.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

from gossipd.daemon.troubles import Trouble, Troubles
from gossipd.sideport.gate import gate

T = TypeVar("T")


class HangsError(OSError):
    """The disk did not answer in time; what it does with what it was asked is not known yet."""


class Wait:
    """A call of the store that is under way."""

    __slots__ = ("began", "late", "told")

    def __init__(self, began: float, late: Callable[[], None] | None) -> None:
        self.began = began
        self.late = late
        self.told = False


class DiskWatch:
    """Watches all calls of one store."""

    def __init__(
        self, limit: float, troubles: Troubles, changed: Callable[[], None] = lambda: None
    ) -> None:
        """`limit`: seconds that a call may take; `changed` is called when it begins to hang, and
        when that is over."""
        self._limit = limit
        self._troubles = troubles
        self._changed = changed
        self._waits: dict[Wait, None] = {}
        """Calls under way, the oldest first."""
        self._late_count = 0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def hangs(self) -> bool:
        """Whether a call that is under way has taken too long."""
        return self._late_count > 0

    @property
    def silence(self) -> str:
        """What is said of a disk that hangs."""
        return f"the disk has not answered for {self._limit:g} s"

    @property
    def waiting_count(self) -> int:
        """Calls under way."""
        return len(self._waits)

    @property
    def oldest_age(self) -> float:
        """Seconds since the oldest of them began; 0 if there is none."""
        oldest = next(iter(self._waits), None)
        return 0.0 if oldest is None else asyncio.get_running_loop().time() - oldest.began

    async def answer(self, ask: Callable[[], Awaitable[T]]) -> T:
        """What a call of the store that only reads ends with. Raises `HangsError` as soon as the
        disk hangs, and without asking while it does; the call goes on, and nobody hears of it."""
        if self.hangs:
            raise HangsError(self.silence)
        call = asyncio.ensure_future(ask())
        over, end = gate()
        call.add_done_callback(partial(self._answered, self.begin(end)))
        call.add_done_callback(end)
        await over
        if call.done():
            return call.result()
        raise HangsError(self.silence)

    def _answered(self, wait: Wait, call: asyncio.Future[T]) -> None:
        if not call.cancelled():
            call.exception()  # which nobody may be waiting for
            self.end(wait)

    def begin(self, late: Callable[[], None] | None = None) -> Wait:
        """A call begins; `late` is called once if the disk hangs before it ends."""
        loop = asyncio.get_running_loop()
        wait = Wait(loop.time(), late)
        self._waits[wait] = None
        if self.hangs:
            self._tell(wait)
        elif self._timer is None:
            self._timer = loop.call_later(self._limit, self._look)
        return wait

    def end(self, wait: Wait) -> None:
        """A call has ended, however that was."""
        del self._waits[wait]
        if not self._waits and self._timer is not None:
            self._timer.cancel()  # it would wake a node that sleeps
            self._timer = None
        if wait.told:
            self._late_count -= 1
            if not self._late_count:
                self._troubles.end(Trouble.HANGS)
                self._changed()

    def _look(self) -> None:
        """One timer for all: when it rings, the oldest call at that time may have ended."""
        self._timer = None
        oldest = next(iter(self._waits))
        if self.hangs:
            return
        loop = asyncio.get_running_loop()
        left = oldest.began + self._limit - loop.time()
        if left > 0:
            self._timer = loop.call_later(left, self._look)
            return
        self._troubles.begin(Trouble.HANGS, f"the disk hangs: {self.silence}", serves=False)
        for wait in list(self._waits):
            self._tell(wait)
        self._changed()

    def _tell(self, wait: Wait) -> None:
        wait.told = True
        self._late_count += 1
        if wait.late is not None:
            wait.late()
