"""Group commit: increments that wait are committed together, then exposed, then answered.

While one batch is being committed the next one collects. Nothing leaves the process before its
commit: the future of an increment ends after the batch was exposed to the core.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from typing import assert_never

from gossipd.core import (
    Accepted,
    Batch,
    Effect,
    Incremented,
    LogFull,
    Node,
    OutOfRange,
    increment_id,
)
from gossipd.sideport.backend import Incremented as Answer
from gossipd.sideport.backend import Refused
from gossipd.store import BrokenError, Store

log = logging.getLogger(__name__)

BATCH_MAX = 10_000
"""Increments committed together at most, so that one batch does not hold the loop for long."""

RETRY_MIN, RETRY_MAX = 0.1, 5.0
"""Seconds for which a disk that takes nothing is not tried again; doubles at each failure."""

_Waiting = tuple[str, int, "asyncio.Future[Answer]"]


class Counting:
    """Takes increments one by one and commits them in batches."""

    def __init__(
        self,
        node: Node,
        store: Store,
        perform: Callable[[Sequence[Effect]], None],
        broken: Callable[[OSError], None],
    ) -> None:
        """`broken` is told of a commit that failed for good."""
        self._node = node
        self._store = store
        self._perform = perform
        self._broken = broken
        self._pause = 0.0
        self._closed_until = float("-inf")
        self._waiting: list[_Waiting] = []
        self._writer: asyncio.Task[None] | None = None
        self._draining = False

    def increment(self, counter: str, by: int) -> asyncio.Future[Answer]:
        """Count `by` on `counter`; the future ends when that is committed, or with `Refused`."""
        if self._draining or self._node.leaving:
            raise Refused(503, "Service Unavailable", "this node is leaving the cluster")
        if time.monotonic() < self._closed_until:
            raise Refused(503, "Service Unavailable", "the disk takes nothing: not counted")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer] = loop.create_future()
        self._waiting.append((counter, by, future))
        if self._writer is None:
            self._writer = loop.create_task(self._write())
        return future

    async def drain(self) -> None:
        """Take no more increments; return when those that were taken are answered."""
        self._draining = True
        while self._writer is not None:
            await asyncio.wait([self._writer])

    async def _write(self) -> None:
        try:
            while self._waiting:
                taken = self._waiting[:BATCH_MAX]
                del self._waiting[:BATCH_MAX]
                try:
                    await self._commit(taken)
                except Exception:
                    _refuse_all(taken, "the daemon made a mistake: it may have been counted")
                    raise
        finally:
            # After a mistake nobody else would wake those who came meanwhile.
            loop = asyncio.get_running_loop()
            self._writer = loop.create_task(self._write()) if self._waiting else None

    async def _commit(self, taken: list[_Waiting]) -> None:
        increments = [(counter, by) for counter, by, _ in taken]
        try:
            batch = self._node.prepare(increments, time.monotonic(), time.time())
        except ValueError as error:  # a leave began in between
            _refuse_all(taken, f"not counted: {error}")
            return
        try:
            await self._store.commit(batch)
        except OSError as error:
            log.error("cannot commit %d increments: %s", len(taken), error)
            self._node.abandon(batch)
            _refuse_all(taken, f"it may have been counted: {error}")
            if isinstance(error, BrokenError):
                self._broken(error)
            self._pause = min(max(RETRY_MIN, 2 * self._pause), RETRY_MAX)
            self._closed_until = time.monotonic() + self._pause
            return
        self._pause = 0.0
        effects = self._node.expose(batch, time.monotonic())
        counts = [
            advance.value
            for effect in effects
            if isinstance(effect, Incremented)
            for advance in effect.advances
        ]
        _answer_all(taken, batch, counts)
        self._perform(effects)


def _refuse_all(taken: list[_Waiting], detail: str) -> None:
    for _, _, future in taken:
        if not future.done():
            future.set_exception(Refused(503, "Service Unavailable", detail))


def _answer_all(taken: list[_Waiting], batch: Batch, counts: list[int]) -> None:
    counted = iter(counts)
    for (counter, by, future), result in zip(taken, batch.results, strict=True):
        match result:
            case Accepted(seq):
                count = next(counted)
                if not future.done():
                    uuid = increment_id(batch.stream, seq)
                    future.set_result(Answer(uuid, counter, by, count, False))
            case OutOfRange():
                _refuse(future, 409, "Conflict", f"{by} would take {counter!r} beyond +-2^62")
            case LogFull():
                _refuse(future, 503, "Service Unavailable", "the log holds no more counters")
            case _:
                assert_never(result)


def _refuse(future: asyncio.Future[Answer], status: int, title: str, detail: str) -> None:
    if not future.done():
        future.set_exception(Refused(status, title, detail))
