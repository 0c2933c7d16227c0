"""Waiting inside a loop: a poll with a deadline."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from tests.deadline import DEADLINE


async def until(condition: Callable[[], object]) -> None:
    """Return when the condition holds. Raises `TimeoutError` where it does not."""
    async with asyncio.timeout(DEADLINE):
        while not condition():  # noqa: ASYNC110  it waits for things that know no event
            await asyncio.sleep(0.001)
