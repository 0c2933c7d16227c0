"""Increments that a test waits for."""

from __future__ import annotations

import asyncio

from gossipd.core import Counted, Refused
from gossipd.daemon.counting import Counting
from gossipd.daemon.service import Service


def increment(
    asked: Counting | Service, counter: str, by: int, key: bytes | None = None
) -> asyncio.Future[Counted]:
    """Ends with what was counted, or with `Refused`, which it raises where it is told at once."""
    future: asyncio.Future[Counted] = asyncio.get_running_loop().create_future()

    def answer(told: Counted | Refused) -> None:
        if future.done():
            return
        if isinstance(told, Refused):
            future.set_exception(told)
        else:
            future.set_result(told)

    asked.increment(counter, by, answer, key)
    return future
