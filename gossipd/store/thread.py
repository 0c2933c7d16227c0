"""One thread for work that blocks, done in the order in which it was handed over.

It does what an executor with one thread does, for half the price: each increment that comes alone
goes there and back, and an executor's futures bring locks of their own.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from typing import TypeAlias, TypeVar, TypeVarTuple

_Given = TypeVarTuple("_Given")
_Result = TypeVar("_Result")
_Job: TypeAlias = Callable[[], None]


class WorkThread:
    """A thread that ends with `close`, or with the process."""

    def __init__(self, name: str) -> None:
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def call(self, work: Callable[[*_Given], _Result], *given: *_Given) -> asyncio.Future[_Result]:
        """Do `work` in the thread; the future ends as it does. Cancelling that stops nothing.

        Raises `RuntimeError` after `close`.
        """
        if self._closed:
            raise RuntimeError("this thread was closed")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[_Result] = loop.create_future()
        self._jobs.put(partial(_do, loop, future, partial(work, *given)))
        return future

    def close(self) -> None:
        """Return when all that was handed over is done; blocks."""
        self._closed = True
        self._jobs.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()
            del job  # and with it what it was given, while this waits for the next one


def _do(
    loop: asyncio.AbstractEventLoop, future: asyncio.Future[_Result], work: Callable[[], _Result]
) -> None:
    try:
        end = partial(_end, future, work())
    except BaseException as error:
        end = partial(_fail, future, error)
    with suppress(RuntimeError):  # the loop was closed, so nobody waits any more
        loop.call_soon_threadsafe(end)


def _end(future: asyncio.Future[_Result], result: _Result) -> None:
    if not future.done():
        future.set_result(result)


def _fail(future: asyncio.Future[_Result], error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)
