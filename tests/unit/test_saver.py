"""What the core has learned is stored lazily, at once when asked, and again after a failure."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator
from functools import partial

import pytest
import pytest_asyncio

from gossipd.core import (
    Changes,
    Effect,
    MemberView,
    Node,
    Settings,
    Status,
    Stored,
    TagFrame,
)
from gossipd.diskwatch import DiskWatch
from gossipd.saver import PART_MAX, Saver
from gossipd.store import BrokenError, MemoryStore, NoSpaceError
from gossipd.troubles import Troubles
from tests.unit.waiting import until

STREAM = bytes(9) + b"\x07"

LIMIT = 0.1
"""Seconds for which the disk may be silent here."""


class Shelf(MemoryStore):
    """Keeps the parts that it was given, or fails."""

    def __init__(self) -> None:
        self.parts: list[Changes] = []
        self.failures: list[Exception] = []
        self.expiries = 0
        self.expiry_failures: list[OSError] = []
        self.answers = asyncio.Event()
        self.answers.set()
        self.probes = 0
        self.probe_failures: list[OSError] = []

    async def save(self, changes: Changes) -> Stored:
        await self.answers.wait()
        if self.failures:
            raise self.failures.pop(0)
        self.parts.append(changes)
        return {}

    async def probe(self) -> None:
        self.probes += 1
        if self.probe_failures:
            raise self.probe_failures.pop(0)

    async def expire(self) -> None:
        self.expiries += 1
        if self.expiry_failures:
            raise self.expiry_failures.pop(0)

    def has_failed(self, left: int) -> bool:
        """Whether so many failures are left."""
        return len(self.failures) == left

    @property
    def versions(self) -> list[int]:
        return [version for part in self.parts for _, version in part.versions]


class Bench:
    def __init__(self) -> None:
        own = MemberView("here", ("10.0.0.1", 1), 1, 0, Status.ALIVE)
        now = time.monotonic()
        self.node = Node(own, Settings(), TagFrame("c"), random.Random(1), now, durable=True)
        self.shelf = Shelf()
        self.effects: list[Effect] = []
        self.broken: list[OSError] = []
        self.troubles = Troubles()
        self.watch = DiskWatch(LIMIT, self.troubles)
        self.saver = Saver(
            self.node, self.shelf, self.effects.extend, self.watch, self.broken.append
        )

    def learn(self, seq: int, count: int = 1) -> None:
        """Registers reach the log."""
        registers = [(f"c{number}", seq + number, 1) for number in range(count)]
        self.node.log.merge(STREAM, registers)
        self.node.log.claim(STREAM, seq + count - 1)


@pytest_asyncio.fixture
async def bench() -> AsyncIterator[Bench]:
    made = Bench()
    made.saver.start()
    yield made
    await made.saver.drain(10)


async def test_what_was_learned_is_stored_soon_and_once(bench: Bench) -> None:
    bench.learn(1)
    await until(lambda: bench.shelf.versions == [1])
    await bench.saver.drain(10)
    assert bench.shelf.versions == [1]
    assert bench.node.log.durable(STREAM) == 1


async def test_who_waits_does_not_wait_for_the_interval(bench: Bench) -> None:
    await asyncio.sleep(0)
    began = time.monotonic()
    for version in range(1, 21):
        bench.learn(version)
        bench.saver.want()
        await until(lambda: bench.node.log.durable(STREAM) == bench.node.log.version(STREAM))
    assert time.monotonic() - began < 15, "twenty intervals"


async def test_much_is_stored_in_parts_with_the_version_in_the_last_one(bench: Bench) -> None:
    bench.learn(1, count=2 * PART_MAX + 1)
    bench.saver.want()
    await until(lambda: bench.shelf.versions)
    sizes = [len(part.registers) for part in bench.shelf.parts]
    assert sizes == [PART_MAX, PART_MAX, 1]
    assert [bool(part.versions) for part in bench.shelf.parts] == [False, False, True]


async def test_what_could_not_be_stored_is_stored_later(bench: Bench) -> None:
    bench.shelf.failures = [NoSpaceError(28, "full"), NoSpaceError(28, "full")]
    bench.learn(1)
    for left in (1, 0):
        bench.saver.want()
        await until(partial(bench.shelf.has_failed, left))
    bench.saver.want()
    await until(lambda: bench.shelf.versions == [1])
    assert not bench.broken


async def test_after_a_mistake_it_is_told_and_stored_all_the_same(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.shelf.failures = [RuntimeError("a bug")]
    bench.learn(1)
    bench.saver.want()
    await until(partial(bench.shelf.has_failed, 0))
    bench.saver.want()
    await until(lambda: bench.shelf.versions == [1])
    assert bench.shelf.parts[0].registers == ((STREAM, "c0", 1, 1),)
    (told,) = caplog.records
    assert (told.levelname, "internal error" in told.message) == ("ERROR", True)


async def test_a_broken_disk_is_told_and_not_tried_again(bench: Bench) -> None:
    failure = BrokenError(5, "Input/output error")
    bench.shelf.failures = [failure]
    bench.learn(1)
    bench.saver.want()
    await until(lambda: bench.broken)
    assert bench.broken == [failure]
    await bench.saver.drain(10)
    assert not bench.shelf.parts


async def test_a_drain_stores_what_there_is(bench: Bench) -> None:
    bench.learn(5)
    await bench.saver.drain(10)
    assert bench.shelf.versions == [5]


async def test_what_has_expired_is_removed_again_and_again_though_nothing_changes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gossipd.saver.EXPIRE_INTERVAL", 0.0)
    monkeypatch.setattr("gossipd.saver.SAVE_INTERVAL", 0.001)
    bench = Bench()
    bench.saver.start()
    await until(lambda: bench.shelf.expiries >= 3)
    await bench.saver.drain(10)
    assert not bench.shelf.parts


async def test_who_waits_for_a_save_does_not_have_all_looked_through(bench: Bench) -> None:
    await until(lambda: bench.shelf.expiries)
    for version in range(1, 4):
        bench.learn(version)
        bench.saver.want()
        await until(lambda: bench.node.log.durable(STREAM) == bench.node.log.version(STREAM))
    assert bench.shelf.expiries < 3


async def test_an_expiry_that_failed_takes_back_nothing_that_was_stored() -> None:
    bench = Bench()
    bench.shelf.expiry_failures = [NoSpaceError(28, "full")]
    bench.learn(1)
    bench.saver.start()
    await until(lambda: bench.shelf.expiries)
    assert bench.node.log.durable(STREAM) == 1
    bench.learn(2)
    await bench.saver.drain(10)
    assert bench.shelf.versions == [1, 2]
    assert not bench.broken


async def test_an_expiry_that_shows_a_broken_disk_is_told() -> None:
    bench = Bench()
    bench.shelf.expiry_failures = [failure := BrokenError(5, "Input/output error")]
    bench.saver.start()
    await until(lambda: bench.broken)
    assert bench.broken == [failure]


async def test_a_disk_that_takes_nothing_is_told_and_tried_until_it_does(bench: Bench) -> None:
    """Though nobody has anything to store any more."""
    bench.shelf.failures = [NoSpaceError(28, "full")]
    bench.shelf.probe_failures = [NoSpaceError(28, "full")]
    bench.learn(1)
    bench.saver.want()
    await until(lambda: bench.watch.refuses)
    bench.saver.want()
    await until(lambda: bench.shelf.versions == [1] and bench.shelf.probes == 1)
    assert bench.troubles.texts, "one write says little"
    bench.saver.want()
    await until(lambda: not bench.troubles.texts)
    bench.saver.want()
    await asyncio.sleep(0.01)
    assert bench.shelf.probes == 2, "a disk that takes what it is given is left alone"


async def test_a_disk_that_hangs_is_told_though_nobody_counts(bench: Bench) -> None:
    bench.shelf.answers.clear()
    bench.learn(1)
    bench.saver.want()
    await until(lambda: bench.troubles.not_serving)
    bench.shelf.answers.set()
    await until(lambda: not bench.watch.hangs)
    assert bench.shelf.versions == [1]


async def test_a_drain_waits_no_longer_than_it_is_told(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.shelf.answers.clear()
    bench.learn(1)
    async with asyncio.timeout(5):
        await bench.saver.drain(0.01)
    assert not bench.shelf.versions
    assert "this disk is too slow" in caplog.text
