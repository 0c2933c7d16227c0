"""How commands end: with a value or with `Refused`, at once or later.

Nothing else gets out of a command. A fault in the daemon costs one answer, not the connection,
and the end of a command whose client has gone is looked at by somebody.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from gossipd.sideport.backend import Refused
from gossipd.sideport.values import refusal

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Later(Generic[T_co]):
    """What a command answers with that takes time: `run` waits for it (and may be cancelled)."""

    run: Callable[[], Awaitable[T_co]]


def attempt(run: Callable[[], T]) -> T | Refused:
    """Run a command."""
    try:
        return run()
    except Refused as refused:
        return refused.bare()
    except Exception as failure:
        return _mistake(failure)


def failed(failure: Exception) -> asyncio.Future[T]:
    """The future of what could not even be started."""
    future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
    future.set_exception(failure)
    return future


def outcome(future: asyncio.Future[T]) -> T | Refused:
    """What became of a command whose future is done."""
    if future.cancelled():
        return refusal(503, "the node is shutting down")
    failure = future.exception()
    if failure is None:
        return future.result()
    return failure.bare() if isinstance(failure, Refused) else _mistake(failure)


async def ended(future: asyncio.Future[T], *, drop: bool = False) -> T:
    """Wait for a future of the daemon; raises `Refused`. Who is cancelled while he waits leaves
    the future to go on, or with `drop` cancels it."""
    future.add_done_callback(look)
    try:
        await asyncio.wait([future])
    finally:
        if drop:
            future.cancel()
    result = outcome(future)
    if isinstance(result, Refused):
        raise result
    return result


def answer_later(later: Later[T], render: Callable[[T | Refused], bytes]) -> asyncio.Future[bytes]:
    """The answer that `render` makes of what `later` ends with. It fails only by being
    cancelled."""
    return asyncio.ensure_future(_answer(later, render))


def look(future: asyncio.Future[T]) -> None:
    """Retrieve a failure nobody waits for, or asyncio would log it as forgotten."""
    if not future.cancelled():
        future.exception()


async def _answer(later: Later[T], render: Callable[[T | Refused], bytes]) -> bytes:
    try:
        result: T | Refused = await later.run()
    except Refused as refused:
        result = refused.bare()
    except Exception as failure:
        result = _mistake(failure)
    return render(result)


def _mistake(failure: BaseException) -> Refused:
    log.error("a command failed", exc_info=failure)
    return refusal(500, "internal error; the log of the node has the details")
