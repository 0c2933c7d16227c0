"""What is said of a disk that is late, and of one that takes nothing."""

from __future__ import annotations

import asyncio
import gc
import time
import weakref

import pytest

from gossipd.daemon.diskwatch import DiskWatch, HangsError
from gossipd.daemon.troubles import Troubles
from gossipd.store import NoSpaceError
from tests.unit.daemon.waiting import until

LIMIT = 0.05


class Bench:
    def __init__(self, limit: float = LIMIT) -> None:
        self.troubles = Troubles()
        self.watch = DiskWatch(limit, self.troubles, self.changed)
        self.changes: list[bool] = []
        self.told: list[str] = []
        self.answers = asyncio.Event()
        """Set when the disk answers."""
        self.asked = 0

    async def call(self, name: str) -> None:
        """A call that is waited for."""
        wait = self.watch.begin(lambda: self.told.append(name))
        await self.answers.wait()
        self.watch.end(wait)

    def changed(self) -> None:
        self.changes.append(self.watch.hangs)

    async def read(self) -> int:
        self.asked += 1
        await self.answers.wait()
        return 7


@pytest.fixture
async def bench() -> Bench:
    return Bench()


async def test_from_the_limit_on_it_hangs_until_it_answers(bench: Bench) -> None:
    call = asyncio.create_task(bench.call("a"))
    await asyncio.sleep(0)
    assert not bench.told
    await until(lambda: bench.told)
    assert bench.watch.hangs
    assert bench.troubles.not_serving == "the disk hangs: the disk has not answered for 0.05 s"
    bench.answers.set()
    await call
    await until(lambda: not bench.watch.hangs)
    assert bench.troubles.texts == []
    assert bench.told == ["a"], "once"
    assert bench.changes == [True, False]


async def test_whoever_waits_or_begins_to_wait_is_told_with_the_first_one(bench: Bench) -> None:
    calls = [asyncio.create_task(bench.call("old"))]
    await asyncio.sleep(LIMIT / 2)
    calls.append(asyncio.create_task(bench.call("young")))
    await until(lambda: len(bench.told) == 2)
    assert bench.told == ["old", "young"]
    calls.append(asyncio.create_task(bench.call("late")))
    await asyncio.sleep(0)
    assert bench.told == ["old", "young", "late"]
    bench.answers.set()
    await asyncio.gather(*calls)
    assert not bench.watch.hangs


async def test_a_disk_that_answers_in_time_is_blamed_for_nothing_however_much_it_does() -> None:
    bench = Bench(1.0)
    until_then = time.monotonic() + 1.3
    while time.monotonic() < until_then:
        wait = bench.watch.begin()
        await asyncio.sleep(0.001)
        bench.watch.end(wait)
    assert not bench.changes
    slow = asyncio.create_task(bench.call("slow"))
    await until(lambda: bench.told)
    bench.answers.set()
    await slow


async def test_who_is_cancelled_does_not_make_the_disk_answer(bench: Bench) -> None:
    call = asyncio.create_task(bench.call("a"))
    await until(lambda: bench.watch.hangs)
    call.cancel()
    await asyncio.wait([call])
    assert bench.watch.hangs


async def test_who_reads_is_told_at_the_limit_and_the_next_ones_at_once(bench: Bench) -> None:
    with pytest.raises(HangsError, match="not answered for"):
        await bench.watch.answer(bench.read)
    with pytest.raises(HangsError):
        await bench.watch.answer(bench.read)
    assert bench.asked == 1
    bench.answers.set()
    await until(lambda: not bench.watch.hangs)
    assert await bench.watch.answer(bench.read) == 7


async def test_a_read_that_fails_in_time_fails_as_it_does(bench: Bench) -> None:
    async def fail() -> None:
        raise NoSpaceError("a lock")

    with pytest.raises(NoSpaceError):
        await bench.watch.answer(fail)
    assert not bench.watch.hangs


async def test_a_read_that_nobody_waits_for_any_more_leaves_nothing_when_it_ends(
    bench: Bench,
) -> None:
    """Neither an error of its own nor a cycle that only Python's collector finds."""
    wrong: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: wrong.append(context))
    gc.collect()
    gc.disable()
    try:
        reader = asyncio.create_task(bench.watch.answer(bench.read))
        await until(lambda: bench.asked)
        reader.cancel()
        left = weakref.ref(reader)
        del reader
        await until(lambda: bench.watch.hangs)
        bench.answers.set()
        await until(lambda: not bench.watch.hangs)
        await until(lambda: left() is None)
    finally:
        gc.enable()
    assert not wrong
