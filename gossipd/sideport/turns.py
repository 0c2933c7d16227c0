"""Long work of all connections in slices: nothing that is asked holds the loop for long.

Who has worked for `SLICE_TIME` lines up here and goes on when it is his turn. In each turn of the
loop one of them does, however many there are, so that packets, timers and everybody's short
questions wait for one slice at most.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable

SLICE_TIME = 0.002
"""Seconds of work after which others get their turn."""


class Turns:
    """Those who have more to do, first come, first served."""

    def __init__(self) -> None:
        self._waiting: deque[Callable[[], None]] = deque()

    def add(self, go_on: Callable[[], None]) -> None:
        """Call `go_on`, which must not raise, when it is its turn."""
        self._waiting.append(go_on)
        if len(self._waiting) == 1:
            asyncio.get_running_loop().call_soon(self._next)

    async def wait(self) -> Slice:
        """Come back when it is one's turn, with a slice of time."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.add(lambda: None if turn.done() else turn.set_result(None))
        await turn
        return Slice()

    def _next(self) -> None:
        go_on = self._waiting[0]
        try:
            go_on()
        finally:
            self._waiting.popleft()
            if self._waiting:
                asyncio.get_running_loop().call_soon(self._next)


class Slice:
    """A slice of time that begins now."""

    __slots__ = ("_until",)

    def __init__(self) -> None:
        self._until = time.perf_counter() + SLICE_TIME

    @property
    def over(self) -> bool:
        return time.perf_counter() >= self._until
