"""Long work of all connections in slices: nothing that is asked holds the loop for long.

In each turn of the loop all connections together work for `SLICE_TIME`. Who comes when that is
over, or has not finished, lines up here, and goes on when it is his turn. So packets, timers and
the disk wait for a slice or two at most, however many clients there are. Who has just come goes
first: a short question does not wait for hundreds of long answers, and of these at least one goes
on in each turn of the loop. Answers that do not end flow beside that, in little slices of their
own: so those who ask lose little by hundreds who watch.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Any

SLICE_TIME = 0.003
"""Seconds of work after which others get their turn."""

FLOW_TIME = 0.000_15
"""Seconds of each turn of the loop in which answers flow that do not end: of a few watchers, as
all who ask something wait for it."""

CANCELLED_MAX = 200
"""Commands that are cancelled in one turn of the loop, as their clients are gone: each is woken by
that and goes its way to the core, which takes some 10 us."""


class Turns:
    """Those who have something to do, first come, first served."""

    def __init__(self) -> None:
        self._new: deque[Callable[[], None]] = deque()
        self._long: deque[Callable[[], None]] = deque()
        """Those who have done something already."""
        self._flows: deque[Callable[[], None]] = deque()
        """Those whose answers do not end."""
        self._slice: Slice | None = None
        """Of this turn of the loop; None where nothing was done in it yet."""
        self._forsaken: deque[asyncio.Future[Any]] = deque()
        """Those to be cancelled."""
        self.batches = asyncio.Lock()
        """Held by who reads, counts and answers a large batch: many at a time would be too many
        objects for the collector to search in one go."""

    def slice(self) -> Slice:
        """What all share in this turn of the loop."""
        if self._slice is None:
            self._slice = Slice()
            asyncio.get_running_loop().call_soon(self._next)
        return self._slice

    def add(self, go_on: Callable[[], None], *, is_new: bool = False) -> None:
        """Call `go_on`, which must not raise, when it is its turn."""
        (self._new if is_new else self._long).append(go_on)
        self.slice()

    def add_flow(self, go_on: Callable[[], None]) -> None:
        """The same, for the next piece of an answer that does not end."""
        self._flows.append(go_on)
        self.slice()

    def answer(self) -> None:
        """Let those who have just got something to do go on at once, if there is time for it in
        this turn of the loop."""
        if self._new:
            time = self.slice()
            while self._new and not time.over:
                self._new.popleft()()

    def forsake(self, command: asyncio.Future[Any]) -> None:
        """Nobody waits for it any more: cancel it soon. Many connections may break at once."""
        if not self._forsaken:
            asyncio.get_running_loop().call_soon(self._cancel)
        self._forsaken.append(command)

    def _cancel(self) -> None:
        for _ in range(min(CANCELLED_MAX, len(self._forsaken))):
            self._forsaken.popleft().cancel()
        if self._forsaken:
            asyncio.get_running_loop().call_soon(self._cancel)

    async def wait(self) -> Slice:
        """Come back when it is one's turn, with a slice of time for oneself."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def go_on() -> None:
            if not turn.done():
                turn.set_result(None)
                self.slice().spend()  # it is woken later, and no other with it

        self.add(go_on)
        await turn
        return Slice()

    def _next(self) -> None:
        """The loop has come round."""
        self._slice = None
        if not (self._new or self._long or self._flows):
            return
        time = self.slice()
        for _ in range(len(self._new)):
            self._new.popleft()()
            if time.over:
                break
        for _ in range(len(self._long)):
            self._long.popleft()()
            if time.over:
                break
        time = Slice(FLOW_TIME)
        for _ in range(len(self._flows)):
            self._flows.popleft()()
            if time.over:
                break


class Slice:
    """A slice of time that begins now."""

    __slots__ = ("_until",)

    def __init__(self, seconds: float = SLICE_TIME) -> None:
        self._until = time.perf_counter() + seconds

    @property
    def over(self) -> bool:
        return time.perf_counter() >= self._until

    def spend(self) -> None:
        """All of it is used."""
        self._until = float("-inf")
