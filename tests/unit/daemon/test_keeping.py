"""The disk does what the core decides, and the core hears how that ended."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
import pytest_asyncio

from gossipd.core import (
    Changes,
    KeyRecord,
    KeysWanted,
    Stored,
    Stream,
)
from gossipd.core.wire.messages import PassAsk
from gossipd.store import BrokenError, MemoryStore, NoSpaceError
from tests.deadline import DEADLINE
from tests.unit.counter import Counter
from tests.unit.daemon.waiting import until
from tests.unit.pair import HERE, Pair

STREAM = bytes(9) + b"\x07"

LIMIT = 0.1
"""Seconds for which the disk of a node that is to be seen hanging may be silent."""

PATIENT = 60.0
"""The same of all others, whatever else this machine does."""


class Shelf(MemoryStore):
    """Keeps the parts that it was given, or fails."""

    def __init__(self) -> None:
        self.parts: list[Changes] = []
        self.failures: list[Exception] = []
        self.answers = asyncio.Event()
        self.answers.set()
        self.expiries = self.probes = self.reads = 0

    async def save(self, changes: Changes) -> Stored:
        await self.answers.wait()
        if self.failures:
            raise self.failures.pop(0)
        self.parts.append(changes)
        return {}

    async def expire(self) -> float:
        self.expiries += 1
        return 0.0

    async def probe(self) -> None:
        self.probes += 1

    async def read_keys(
        self, _stream: Stream, _above: int, _upto: int, _limit: int
    ) -> Sequence[KeyRecord]:
        self.reads += 1
        if self.failures:
            raise self.failures.pop(0)
        return ()

    @property
    def versions(self) -> list[int]:
        return [version for part in self.parts for _, version in part.versions]


class Bench(Counter):
    def __init__(self, limit: float) -> None:
        self.pair = Pair(disk_timeout=limit, durable=True)
        self.shelf = Shelf()
        super().__init__(self.pair.node, self.shelf, limit)

    def learn(self, seq: int) -> None:
        """A register reaches the log."""
        self.node.log.merge(STREAM, [("c", seq, 1)])
        self.node.log.claim(STREAM, seq)


@pytest_asyncio.fixture
async def bench() -> AsyncIterator[Bench]:
    async with running(PATIENT) as made:
        yield made


@pytest_asyncio.fixture
async def hasty() -> AsyncIterator[Bench]:
    async with running(LIMIT) as made:
        yield made


@asynccontextmanager
async def running(limit: float) -> AsyncIterator[Bench]:
    made = Bench(limit)
    made.perform(made.node.start(True, asyncio.get_running_loop().time()))
    yield made
    made.shelf.answers.set()
    await made.keeping.drain(1)


async def test_what_was_learned_is_stored_soon_and_once(bench: Bench) -> None:
    bench.learn(1)
    await until(lambda: bench.shelf.versions == [1])
    await bench.keeping.drain(10)
    assert bench.shelf.versions == [1]
    assert bench.node.log.durable(STREAM) == 1
    assert bench.shelf.expiries == 1


async def test_a_drain_stores_what_there_is(bench: Bench) -> None:
    await until(lambda: bench.shelf.expiries)
    bench.learn(5)
    await bench.keeping.drain(10)
    assert bench.shelf.versions == [5]


async def test_a_disk_that_takes_nothing_is_told_until_it_does(bench: Bench) -> None:
    bench.shelf.failures = [NoSpaceError(28, "full")]
    bench.learn(1)
    await until(lambda: bench.troubles.not_serving)
    assert bench.troubles.texts == ["cannot write to the disk: [Errno 28] full"]
    await until(lambda: not bench.troubles.texts)
    assert (bench.shelf.versions, bench.shelf.probes) == ([1], 1)


async def test_a_broken_disk_is_told(bench: Bench) -> None:
    bench.shelf.failures = [BrokenError(5, "Input/output error")]
    bench.learn(1)
    await until(lambda: bench.broken)
    assert bench.broken == ["[Errno 5] Input/output error"]


async def test_after_a_mistake_it_is_told_and_stored_all_the_same(bench: Bench) -> None:
    heard: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: heard.append(context))
    bench.shelf.failures = [RuntimeError("a bug")]
    bench.learn(1)
    await until(lambda: heard)
    assert str(heard[0]["exception"]) == "a bug"
    assert bench.troubles.texts == []
    await until(lambda: bench.shelf.versions == [1])


async def test_a_disk_that_hangs_is_told_though_nobody_counts(hasty: Bench) -> None:
    await until(lambda: hasty.shelf.expiries)
    hasty.shelf.answers.clear()
    hasty.learn(1)
    await until(lambda: hasty.troubles.not_serving)
    hasty.shelf.answers.set()
    await until(lambda: not hasty.watch.hangs)
    assert hasty.shelf.versions == [1]


async def test_a_mistake_when_it_no_longer_hangs_stops_no_saving(
    hasty: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: float) -> None:
        raise RuntimeError("a bug")

    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    await until(lambda: hasty.shelf.expiries)
    hasty.shelf.answers.clear()
    hasty.learn(1)
    await until(lambda: hasty.watch.hangs)
    monkeypatch.setattr(hasty.node, "disk_answers", fail)
    hasty.shelf.answers.set()
    await until(lambda: not hasty.watch.hangs)
    hasty.learn(2)
    await until(lambda: hasty.shelf.versions == [1, 2])


async def test_a_drain_waits_no_longer_than_it_is_told(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    await until(lambda: bench.shelf.expiries)
    bench.shelf.answers.clear()
    bench.learn(1)
    async with asyncio.timeout(DEADLINE):
        await bench.keeping.drain(0.01)
    assert not bench.shelf.versions
    assert "this disk is too slow" in caplog.text


async def test_keys_that_cannot_be_read_for_a_peer_are_logged(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    await until(lambda: bench.shelf.expiries)
    wanted = KeysWanted(STREAM, 0, 5, 10, PassAsk(1, (), 1, 1200), "ann", HERE)
    bench.shelf.failures = [NoSpaceError(28, "a lock")]
    bench.keeping.do(wanted)
    await until(lambda: caplog.records)
    assert "cannot read idempotency keys for ann: [Errno 28] a lock" in caplog.text
