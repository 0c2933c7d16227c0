"""Group commit: increments that wait are committed together, then exposed, then answered.

While one batch is being committed the next one collects. Nothing leaves the process before its
commit: the future of an increment ends after the batch was exposed to the core.

While the disk hangs everybody is refused. The batch that it holds is kept all the same: whether it
was committed is known when the disk answers, and then it is exposed or abandoned as ever. So its
stream has one history, and nothing else is committed meanwhile.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import NamedTuple, TypeAlias, TypeVar, assert_never
from uuid import UUID

from gossipd.core import (
    RETRY_AFTER,
    Accepted,
    Batch,
    CatchingUp,
    Counted,
    Duplicate,
    Effect,
    Incremented,
    Item,
    KeyExpired,
    KeyReused,
    KeysFull,
    LogFull,
    Node,
    OutOfRange,
    Put,
    PutConflicts,
    PutRefused,
    PutTaken,
    Refused,
    Stored,
    StreamImage,
    Why,
    increment_id,
)
from gossipd.core.settings import KEYS_MAX
from gossipd.diskwatch import DiskWatch, HangsError
from gossipd.parts import Part
from gossipd.spans import span
from gossipd.store import BrokenError, Store

log = logging.getLogger(__name__)

T = TypeVar("T")

Answer: TypeAlias = Callable[[Counted | Refused], None]
"""Who is told what became of an increment."""

PUTS_MAX = 200
"""Sources that are put together at most."""

BATCH_KEYS = 0.8
"""Share of the table of keys that batches may fill. The rest is for increments that come alone:
whoever sends a million lines must not stop everybody else's for the whole window."""

_SHARE_FULL = "not counted: batches have filled their share of the keys in the window"

KEYS_RETRY_AFTER = 10
"""Seconds after which a batch that found its share full is worth sending again."""

RETRY_MIN, RETRY_MAX = 0.1, 5.0
"""Seconds for which a disk that takes nothing is not tried again; doubles at each failure."""


class _Waiting(NamedTuple):
    """An increment that is not committed yet."""

    counter: str
    by: int
    key: bytes | None
    answer: Answer
    in_batch: bool = False


_WaitingPut: TypeAlias = tuple[Put, "asyncio.Future[tuple[PutTaken, int]]"]


class Counting:
    """Takes increments one by one and commits them in batches."""

    def __init__(
        self,
        node: Node,
        store: Store,
        perform: Callable[[Sequence[Effect]], None],
        watch: DiskWatch,
        broken: Callable[[OSError], None],
        key_limit: float = KEYS_MAX,
    ) -> None:
        """`broken` is told of a commit that failed for good. `key_limit`: keys that the node
        holds at most."""
        self._node = node
        self._key_limit = key_limit
        self._store = store
        self._perform = perform
        self._watch = watch
        self._broken = broken
        self._pause = 0.0
        self._closed_until = float("-inf")
        self._waiting: list[_Waiting] = []
        self._puts: list[_WaitingPut] = []
        self._taken: tuple[list[_Waiting], list[_WaitingPut]] = ([], [])
        """Those that are being committed."""
        self._writer: asyncio.Task[None] | None = None
        self._batches: set[asyncio.Task[list[Counted | Refused]]] = set()
        """Held here, or nobody would while nobody waits for them."""
        self._draining = False

    def increment(self, counter: str, by: int, key: UUID | None, answer: Answer) -> None:
        """Count `by` on `counter`; `answer` is called once that is committed. Raises `Refused`."""
        self._check_open()
        self._wait([_Waiting(counter, by, _bits(key), answer)])

    def increment_all(self, items: Sequence[Item]) -> asyncio.Future[list[Counted | Refused]]:
        """Count all of these, in parts; the future ends with an answer for each, or with `Refused`
        where not one was looked at. Cancelling it stops nothing."""
        self._check_open()
        batch = asyncio.get_running_loop().create_task(self._count_all(items))
        self._batches.add(batch)
        batch.add_done_callback(self._batches.discard)
        return asyncio.shield(batch)

    async def _count_all(self, items: Sequence[Item]) -> list[Counted | Refused]:
        """One part waits at a time, so that increments of others find their place between two."""
        answers: list[Counted | Refused] = []
        while (start := len(answers)) < len(items):
            try:
                self._check_open()
            except Refused as refused:
                if not answers:
                    raise
                return answers + [refused] * (len(items) - start)
            part, end = Part(), start
            while end < len(items) and _fits(part, items[end]):
                end += 1
            answers += await self._count_part(items[start:end])
        return answers

    async def _count_part(self, items: Sequence[Item]) -> list[Counted | Refused]:
        loop = asyncio.get_running_loop()
        answers: list[asyncio.Future[Counted | Refused]] = [loop.create_future() for _ in items]
        self._wait(
            [
                _Waiting(item.counter, item.by, _bits(item.key), partial(_end, answer), True)
                for item, answer in zip(items, answers, strict=True)
            ]
        )
        return [await answer for answer in answers]

    def put(self, put: Put) -> asyncio.Future[tuple[PutTaken, int]]:
        """Set a source; the future ends with what it holds then and the counter's value."""
        self._check_open()
        future: asyncio.Future[tuple[PutTaken, int]]
        future = asyncio.get_running_loop().create_future()
        self._puts.append((put, future))
        self._wait([])
        return future

    async def drain(self, seconds: float) -> None:
        """Take no more increments; return when those that were taken are answered, which is
        after `seconds` at the latest."""
        self._draining = True
        until = time.monotonic() + seconds
        while self._writer is not None and (left := until - time.monotonic()) > 0:
            await asyncio.wait([self._writer], timeout=left)
        if self._writer is not None:
            log.warning(
                "leaving, though the disk has not answered: the last increments may be counted"
            )
            self._let_go()

    def _check_open(self) -> None:
        if self._draining or self._node.leaving:
            raise _unavailable("this node is leaving the cluster")
        if self._watch.hangs:
            raise _unavailable(f"not counted: {self._watch.silence}", RETRY_AFTER)
        if time.monotonic() < self._closed_until:
            raise _unavailable("not counted: cannot write to the disk", RETRY_AFTER)

    def _let_go(self) -> None:
        """The disk hangs: answer everybody, though the truth of what it holds is not known."""
        _refuse_all(*self._taken, f"it may have been counted: {self._watch.silence}")
        waiting, self._waiting = self._waiting, []
        puts, self._puts = self._puts, []
        _refuse_all(waiting, puts, f"not counted: {self._watch.silence}")

    def _wait(self, increments: list[_Waiting]) -> None:
        self._waiting += increments
        if self._writer is None:
            self._writer = asyncio.get_running_loop().create_task(self._write())

    async def _write(self) -> None:
        try:
            while self._waiting or self._puts:
                taken, puts = self._taken = self._take()
                try:
                    await self._commit(taken, puts)
                except Exception:
                    detail = "internal error: it may have been counted"
                    _refuse_all(taken, puts, detail)
                    raise
                await asyncio.sleep(0)  # a store in memory waits for nothing
        finally:
            self._taken = ([], [])
            # After a mistake nobody else would wake those who came meanwhile.
            loop = asyncio.get_running_loop()
            more = self._waiting or self._puts
            self._writer = loop.create_task(self._write()) if more else None

    def _take(self) -> tuple[list[_Waiting], list[_WaitingPut]]:
        part, end = Part(), 0
        while end < len(self._waiting) and _fits(part, self._waiting[end]):
            end += 1
        taken, puts = self._waiting[:end], self._puts[:PUTS_MAX]
        del self._waiting[:end], self._puts[:PUTS_MAX]
        return taken, puts

    async def _commit(self, taken: list[_Waiting], puts: list[_WaitingPut]) -> None:
        try:
            stored = await self._stored(taken)
            taken = self._within_share(taken, stored)
            batch = self._prepare(taken, stored, [put for put, _ in puts])
        except ValueError as error:  # a leave began in between
            _refuse_all(taken, puts, f"not counted: {error}")
            return
        except HangsError as error:
            self._taken = ([], [])
            _refuse_all(taken, puts, f"not counted: {error}")
            self._let_go()
            return
        except OSError as error:
            self._failed(error)
            _refuse_all(taken, puts, f"not counted: {error}")
            return
        try:
            with self._watch.during(self._let_go):
                await self._store.commit(batch)
        except BaseException as error:
            self._node.abandon(batch)  # whatever it was, or no batch could follow
            self._store.abandon(batch, self._exposed(batch))
            if not isinstance(error, OSError):
                raise
            self._failed(error)
            _refuse_all(taken, puts, f"it may have been counted: {error}")
            return
        self._pause = 0.0
        if batch.rows or batch.sources:
            self._watch.succeeded()
        effects = self._node.expose(batch, time.monotonic())
        counts = [
            advance.value
            for effect in effects
            if isinstance(effect, Incremented)
            for advance in effect.advances
        ]
        self._answer_all(taken, batch, counts)
        for (put, settled), result in zip(puts, batch.put_results, strict=True):
            if isinstance(result, PutTaken):
                _settle(settled, (result, self._node.log.value(put.counter)))
            else:
                _settle(settled, _refused_put(result, put))
        self._perform(effects)

    async def _stored(self, taken: list[_Waiting]) -> Stored:
        """What the disk knows of those keys that only it may know."""
        wall = time.time()
        keys = [one.key for one in taken if one.key is not None]
        doubtful = [key for key in keys if self._node.is_doubtful(key, wall)]
        if not doubtful:
            return {}
        return await self._watch.answer(lambda: self._store.find_keys(doubtful))

    def _within_share(self, taken: list[_Waiting], stored: Stored) -> list[_Waiting]:
        """Without those of batches whose new keys are more than their share; they are answered."""
        room = int(BATCH_KEYS * self._key_limit) - len(self._node.log.keys)
        if room >= len(taken):
            return taken
        admitted: list[_Waiting] = []
        for one in taken:
            if one.in_batch and one.key is not None and not self._is_known(one.key, stored):
                room -= 1
                if room < 0:
                    one.answer(Refused(Why.UNAVAILABLE, _SHARE_FULL, KEYS_RETRY_AFTER))
                    continue
            admitted.append(one)
        return admitted

    def _is_known(self, key: bytes, stored: Stored) -> bool:
        return key in self._node.log.keys or bool(self._node.events(key) or stored.get(key))

    def _prepare(self, taken: list[_Waiting], stored: Stored, puts: list[Put]) -> Batch:
        increments = [(one.counter, one.by) for one in taken]
        keys = [one.key for one in taken]
        return self._node.prepare(
            increments, time.monotonic(), time.time(), keys if any(keys) else (), stored, puts
        )

    def _exposed(self, batch: Batch) -> StreamImage:
        """What counts of the stream of a batch, as far as its rows concern it."""
        log, stream = self._node.log, batch.stream
        registers = ((counter, *log.register(stream, counter)) for counter, _, _ in batch.rows)
        held = tuple(register for register in registers if register[1])
        return StreamImage(stream, log.version(stream), held)

    def _failed(self, error: OSError) -> None:
        self._watch.failed(error)
        if isinstance(error, BrokenError):
            self._broken(error)
        self._pause = min(max(RETRY_MIN, 2 * self._pause), RETRY_MAX)
        self._closed_until = time.monotonic() + self._pause

    def _answer_all(self, taken: list[_Waiting], batch: Batch, counts: list[int]) -> None:
        counted = iter(counts)
        for one, result in zip(taken, batch.results, strict=True):
            if isinstance(result, Accepted):
                uuid = increment_id(batch.stream, result.seq)
                one.answer(Counted(uuid, one.counter, one.by, next(counted), False))
            elif isinstance(result, Duplicate):
                uuid = increment_id(result.event.stream, result.event.seq)
                count = self._node.log.value(one.counter)
                one.answer(Counted(uuid, one.counter, one.by, count, True))
            else:
                one.answer(_refusal(result))


def _fits(part: Part, one: _Waiting | Item) -> bool:
    in_batch = isinstance(one, Item) or one.in_batch
    return part.takes(one.counter, keyed=one.key is not None, alone=not in_batch)


def _bits(key: UUID | None) -> bytes | None:
    return None if key is None else key.bytes


def _end(future: asyncio.Future[T], result: T) -> None:
    if not future.done():
        future.set_result(result)


def _settle(future: asyncio.Future[T], answer: T | Refused) -> None:
    if future.done():
        return
    if isinstance(answer, Refused):
        future.set_exception(answer)
    else:
        future.set_result(answer)


def _refuse_all(taken: list[_Waiting], puts: list[_WaitingPut], detail: str) -> None:
    for one in taken:
        one.answer(_unavailable(detail, RETRY_AFTER))
    for _, settled in puts:
        _settle(settled, _unavailable(detail, RETRY_AFTER))


def _refused_put(result: PutConflicts | PutRefused, put: Put) -> Refused:
    match result:
        case PutConflicts(total):
            detail = f"seq {put.seq} of this source was put with the total {total}"
            return Refused(Why.CONFLICT, f"{detail}, not {put.total}: not changed")
        case PutRefused(full=True):
            return _unavailable("the log holds no more counters")
        case PutRefused():
            detail = f"{put.total} would take {put.counter!r} beyond +-2^62"
            return Refused(Why.CONFLICT, detail)
        case _:
            assert_never(result)


def _unavailable(detail: str, retry_after: int | None = None) -> Refused:
    return Refused(Why.UNAVAILABLE, detail, retry_after)


def _refusal(
    result: OutOfRange | LogFull | KeyReused | KeyExpired | KeysFull | CatchingUp,
) -> Refused:
    match result:
        case OutOfRange(counter, by):
            return Refused(Why.CONFLICT, f"{by} would take {counter!r} beyond +-2^62")
        case LogFull():
            return _unavailable("the log holds no more counters")
        case KeyReused(event):
            detail = f"the key was used before, to add {event.by} to {event.counter!r}"
            return Refused(Why.KEY, f"not counted: {detail}")
        case KeyExpired(seconds):
            return Refused(Why.KEY, _expired(seconds))
        case KeysFull():
            detail = "not counted: as many keys as this node keeps are in the window"
            return Refused(Why.UNAVAILABLE, detail, KEYS_RETRY_AFTER)
        case CatchingUp():
            detail = "not counted: catching up, so an earlier try may be unknown here"
            return Refused(Why.UNAVAILABLE, detail, RETRY_AFTER)
        case _:
            assert_never(result)


def _expired(seconds: float) -> str:
    """What is wrong with a key that tells a time `seconds` ago, and what to do."""
    clock = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    apart = f"{span(abs(seconds))} {'ahead of' if seconds < 0 else 'behind'} this node's clock"
    earlier = "" if seconds < 0 else ", an earlier one may have been counted"
    return (
        f"expired: the time in the key is {apart}, which says {clock}; this call did nothing"
        f"{earlier}. If the key is new, one of the clocks is wrong"
    )
