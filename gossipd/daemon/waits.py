"""Clients that wait for other nodes: until enough hold an increment (`ack`), or until this one
includes it (`after`).

Who is satisfied when is the core's (see `core.durability.acks` and
`core.durability.read_barrier`); this has the table of those who wait, by token.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import count
from typing import Any, TypeAlias

from gossipd.core import (
    RETRY_AFTER,
    Copies,
    Effect,
    Included,
    Node,
    Refused,
    Stream,
    TooManyReads,
    Why,
)
from gossipd.core.durability.waiters import WAITS_MAX

Of: TypeAlias = Copies | Included | TooManyReads
"""The effects that are performed here."""


class Waits:
    """The clients of one node that wait."""

    def __init__(self, node: Node, perform: Callable[[Sequence[Effect]], None]) -> None:
        self._node = node
        self._perform = perform
        self._loop = asyncio.get_running_loop()
        self._tokens = count(1)
        self._waiting: dict[int, tuple[asyncio.Future[Any], float]] = {}
        """Each with when it began, the oldest first."""

    @property
    def count(self) -> int:
        return len(self._waiting)

    def oldest_age(self, now: float) -> float:
        """Seconds for which somebody has waited; 0 if nobody does."""
        _, began = next(iter(self._waiting.values()), (None, now))
        return now - began

    def held(
        self, stream: Stream, seq: int, copies: int, memory: bool, timeout: float
    ) -> asyncio.Future[int]:
        """Ends with how many nodes hold that increment durably, this one included: as soon as it
        is `copies`, or after `timeout` seconds, or at once where too many wait. `memory`: those
        without a disk count, too. Nobody is asked any more on behalf of who cancels it."""
        token, answer, now = next(self._tokens), self._loop.create_future(), time.monotonic()
        self._wait(token, answer, now)
        until = now + timeout
        self._perform(
            self._node.await_copies(token, stream, seq, copies, until, now, memory=memory)
        )
        return answer

    def included(
        self, stream: Stream, seq: int, counter: str | None, timeout: float
    ) -> asyncio.Future[bool]:
        """Ends with True as soon as this node includes that increment, with False after `timeout`
        seconds without it, with `Refused` where too many wait. `counter`: the one that is to be
        read, if that is known."""
        token, answer, now = next(self._tokens), self._loop.create_future(), time.monotonic()
        self._wait(token, answer, now)
        until = now + timeout
        self._perform(self._node.await_included(token, stream, seq, counter, until, now))
        return answer

    def do(self, effect: Of) -> None:
        """Perform one effect."""
        answer, _ = self._waiting.pop(effect.token)
        if answer.done():
            return
        match effect:
            case Copies(_, held):
                answer.set_result(held)
            case Included(_, included):
                answer.set_result(included)
            case TooManyReads():
                detail = f"{WAITS_MAX:,} reads wait for increments already"
                answer.set_exception(Refused(Why.UNAVAILABLE, detail, RETRY_AFTER))

    def stop(self) -> None:
        """Nothing more will arrive: what is known is the answer."""
        self._perform(self._node.stop_waiting(time.monotonic()))

    def _wait(self, token: int, answer: asyncio.Future[Any], now: float) -> None:
        self._waiting[token] = answer, now
        answer.add_done_callback(partial(self._give_up, token))

    def _give_up(self, token: int, _: asyncio.Future[Any]) -> None:
        """Its future has ended; where the core does not know why, nobody waits any more."""
        if self._waiting.pop(token, None) is not None:
            self._node.give_up(token)
