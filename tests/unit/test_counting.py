"""Group commit: together, in order, exposed only when committed."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import Any

import pytest

from gossipd.core import Batch, Incremented
from gossipd.counting import Counting
from gossipd.diskwatch import DiskWatch
from gossipd.sideport.backend import Incremented as Answer
from gossipd.sideport.backend import Refused
from gossipd.store import BrokenError, MemoryStore, NoSpaceError
from gossipd.troubles import Troubles
from tests.unit.pair import Pair
from tests.unit.waiting import until

LIMIT = 0.1
"""Seconds for which the disk may be silent here."""


class SlowStore(MemoryStore):
    """Commits when it is told to, or fails."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []
        self.failure: Exception | None = None
        self.may_commit = asyncio.Event()
        self.may_commit.set()

    async def commit(self, batch: Batch) -> None:
        self.batches.append(batch)
        await self.may_commit.wait()
        if self.failure is not None:
            failure, self.failure = self.failure, None
            raise failure


class Bench:
    def __init__(self) -> None:
        self.pair = Pair()
        self.node = self.pair.node
        self.store = SlowStore()
        self.broken: list[OSError] = []
        self.troubles = Troubles()
        self.watch = DiskWatch(LIMIT, self.troubles)
        self.counting = Counting(
            self.node, self.store, self.pair.perform, self.watch, self.broken.append
        )


@pytest.fixture
async def bench() -> Bench:
    return Bench()


async def taken(bench: Bench) -> Answer:
    """The answer to an increment, asked again for as long as it is refused."""
    futures: list[asyncio.Future[Answer]] = []

    def asked() -> bool:
        with suppress(Refused):
            futures.append(bench.counting.increment("a", 1))
        return bool(futures)

    await until(asked)
    return await futures[0]


async def refusal(future: asyncio.Future[Any]) -> tuple[int, str]:
    with pytest.raises(Refused) as caught:
        await future
    return caught.value.status, caught.value.detail


async def test_what_waits_is_committed_together_and_answered_in_order(bench: Bench) -> None:
    futures = [
        bench.counting.increment(counter, by) for counter, by in (("a", 1), ("b", 5), ("a", -3))
    ]
    answers = await asyncio.gather(*futures)
    assert [(answer.counter, answer.by, answer.count) for answer in answers] == [
        ("a", 1, 1),
        ("b", 5, 5),
        ("a", -3, -2),
    ]
    assert [str(answer.id)[-1] for answer in answers] == ["1", "2", "3"]
    assert len(bench.store.batches) == 1
    assert sum(isinstance(effect, Incremented) for effect in bench.pair.effects) == 1


async def test_nothing_is_exposed_before_its_commit_and_the_next_batch_collects(
    bench: Bench,
) -> None:
    bench.store.may_commit.clear()
    first = bench.counting.increment("a", 1)
    await until(lambda: bench.store.batches)
    others = [bench.counting.increment("a", 1) for _ in range(5)]
    await asyncio.sleep(0)
    assert not first.done()
    assert bench.node.log.value("a") == 0
    bench.store.may_commit.set()
    assert (await first).count == 1
    assert [answer.count for answer in await asyncio.gather(*others)] == [2, 3, 4, 5, 6]
    assert len(bench.store.batches) == 2


async def test_a_commit_that_fails_is_answered_and_its_stream_ends(bench: Bench) -> None:
    await bench.counting.increment("a", 1)
    stream = bench.node.stream
    bench.store.failure = NoSpaceError(28, "No space left on device")
    status, detail = await refusal(bench.counting.increment("a", 1))
    assert status == 503
    assert "may have been counted" in detail
    assert not bench.broken
    answer = await taken(bench)
    assert answer.count == 2
    assert bench.node.stream != stream


async def test_a_disk_that_takes_nothing_is_left_alone_for_a_moment(bench: Bench) -> None:
    bench.store.failure = NoSpaceError(28, "No space left on device")
    await refusal(bench.counting.increment("a", 1))
    with pytest.raises(Refused, match="not counted") as caught:
        bench.counting.increment("a", 1)
    assert caught.value.status == 503
    assert len(bench.store.batches) == 1
    assert (await taken(bench)).count == 1


async def test_a_disk_that_is_broken_is_told(bench: Bench) -> None:
    bench.store.failure = failure = BrokenError(5, "Input/output error")
    await refusal(bench.counting.increment("a", 1))
    assert bench.broken == [failure]


async def test_a_mistake_is_answered_and_nobody_waits_for_ever(bench: Bench) -> None:
    heard: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: heard.append(context))
    bench.store.may_commit.clear()
    bench.store.failure = RuntimeError("a bug")
    first = bench.counting.increment("a", 1)
    await until(lambda: bench.store.batches)
    second = bench.counting.increment("a", 1)
    bench.store.may_commit.set()
    async with asyncio.timeout(5):
        assert (await refusal(first))[0] == 503
        assert (await refusal(second))[0] == 503
        await bench.counting.drain(10)


async def test_what_would_leave_the_range_is_a_conflict_and_the_rest_counts(bench: Bench) -> None:
    await asyncio.gather(*(bench.counting.increment("a", 2**53) for _ in range(512)))
    over, fine = bench.counting.increment("a", 2**53), bench.counting.increment("b", 1)
    status, detail = await refusal(over)
    assert (status, "2^62" in detail) == (409, True)
    assert (await fine).count == 1


async def test_a_client_that_went_away_is_counted_all_the_same(bench: Bench) -> None:
    gone, stays = bench.counting.increment("a", 1), bench.counting.increment("a", 1)
    gone.cancel()
    assert (await stays).count == 2


async def test_a_leaving_node_takes_nothing_more(bench: Bench) -> None:
    bench.pair.start()
    waiting = bench.counting.increment("a", 1)
    bench.pair.perform(bench.node.leave(time.monotonic()))
    status, detail = await refusal(waiting)
    assert (status, "not counted" in detail) == (503, True)
    with pytest.raises(Refused, match="leaving"):
        bench.counting.increment("a", 1)


async def test_a_drain_waits_for_all_that_was_taken(bench: Bench) -> None:
    futures = [bench.counting.increment("a", 1) for _ in range(25_000)]
    await bench.counting.drain(10)
    assert all(future.done() for future in futures)
    assert bench.node.log.value("a") == 25_000
    assert len(bench.store.batches) == 3


async def test_who_drains_takes_no_more_so_that_clients_in_a_loop_cannot_delay_it(
    bench: Bench,
) -> None:
    bench.store.may_commit.clear()
    before = bench.counting.increment("a", 1)
    await until(lambda: bench.store.batches)
    draining = asyncio.create_task(bench.counting.drain(10))
    await asyncio.sleep(0)
    with pytest.raises(Refused, match="leaving"):
        bench.counting.increment("a", 1)
    bench.store.may_commit.set()
    await draining
    assert (await before).count == 1
