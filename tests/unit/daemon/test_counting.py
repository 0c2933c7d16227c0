"""Group commit: together, in order, exposed only when committed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise
from typing import Any
from uuid import uuid4

import pytest

from gossipd.core import (
    BY_MAX,
    RETRY_AFTER,
    TOTAL_MAX,
    Batch,
    Counted,
    Incremented,
    Item,
    Put,
    Refused,
    Stored,
    StreamSnapshot,
    Why,
)
from gossipd.core.durability.batch_size import ALONE_COST, COST_MAX, COUNTER_COST
from gossipd.core.log.dedup import Dedup
from gossipd.core.log.log import Log
from gossipd.core.settings import KEYS_MAX
from gossipd.daemon.counting import KEYS_RETRY_AFTER, TOLD_MAX, Counting
from gossipd.daemon.keeping import Keeping
from gossipd.daemon.numbers import Numbers
from gossipd.store import BrokenError, MemoryStore, NoSpaceError
from tests.deadline import DEADLINE
from tests.unit.asking import increment
from tests.unit.counter import Counter
from tests.unit.daemon.waiting import until
from tests.unit.pair import SETTINGS, Pair

EACH_ON_ITS_OWN = COST_MAX // (1 + COUNTER_COST + ALONE_COST)
"""Increments that come alone, on a counter each."""

PART = COST_MAX - COUNTER_COST
"""Increments of a batch on one counter that go together."""

LIMIT = 0.1
"""Seconds for which the disk of a node that is to be seen hanging may be silent."""

PATIENT = 60.0
"""The same of all others, whatever else this machine does."""


class SlowStore(MemoryStore):
    """Commits when it is told to, or fails."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []
        self.failure: Exception | None = None
        self.abandoned: list[Batch] = []
        self.may_commit = asyncio.Event()
        self.may_commit.set()

    def commit(self, batch: Batch) -> Awaitable[None] | None:
        self.batches.append(batch)
        return self._commit()

    async def _commit(self) -> None:
        await self.may_commit.wait()
        if self.failure is not None:
            failure, self.failure = self.failure, None
            raise failure

    def abandon(self, batch: Batch, _exposed: StreamSnapshot) -> None:
        self.abandoned.append(batch)


class Bench(Counter):
    store: SlowStore

    def __init__(
        self, key_limit: int = KEYS_MAX, limit: float = PATIENT, *, durable: bool = False
    ) -> None:
        self.pair = Pair(replace(SETTINGS, key_limit=key_limit), limit, durable=durable)
        super().__init__(self.pair.node, SlowStore(), limit, self.pair.perform)


@pytest.fixture
async def bench() -> Bench:
    return Bench()


@pytest.fixture
async def hasty() -> Bench:
    return Bench(limit=LIMIT)


async def taken(bench: Bench) -> Counted:
    """The answer to an increment, asked again for as long as it is refused."""
    async with asyncio.timeout(DEADLINE):
        while True:
            with suppress(Refused):
                return await increment(bench.counting, "a", 1)
            await asyncio.sleep(0.001)


async def refusal(
    asked: asyncio.Future[Any] | Callable[[], asyncio.Future[Any]],
) -> tuple[Why, str]:
    """Why something is refused, at once or later."""
    with pytest.raises(Refused) as caught:
        async with asyncio.timeout(DEADLINE):
            await (asked if isinstance(asked, asyncio.Future) else asked())
    return caught.value.why, caught.value.detail


async def test_what_waits_is_committed_together_and_answered_in_order(bench: Bench) -> None:
    futures = [
        increment(bench.counting, counter, by) for counter, by in (("a", 1), ("b", 5), ("a", -3))
    ]
    answers = await asyncio.gather(*futures)
    assert [(answer.counter, answer.by, answer.value) for answer in answers] == [
        ("a", 1, 1),
        ("b", 5, 5),
        ("a", -3, -2),
    ]
    assert [str(answer.id)[-1] for answer in answers] == ["1", "2", "3"]
    assert len(bench.store.batches) == 1


async def test_some_in_a_row_have_one_answer_or_one_each(bench: Bench) -> None:
    told: list[Any] = []
    whole = TOTAL_MAX // BY_MAX
    bench.counting.increment("a", BY_MAX, told.append, count=whole - 1)
    bench.counting.increment("a", BY_MAX, told.append, count=2)
    bench.counting.increment("a", BY_MAX, told.append, count=2)
    await until(lambda: len(told) == 3)
    all_of_them, (last, refused), none = told
    assert (all_of_them.times, all_of_them.value) == (whole - 1, TOTAL_MAX - BY_MAX)
    assert (last.times, last.value, str(last.id)[-3:]) == (1, TOTAL_MAX, f"{whole:x}")
    assert refused.why is none.why is Why.CONFLICT
    assert sum(isinstance(effect, Incremented) for effect in bench.pair.effects) == 1


async def test_nothing_is_exposed_before_its_commit_and_the_next_batch_collects(
    bench: Bench,
) -> None:
    bench.store.may_commit.clear()
    first = increment(bench.counting, "a", 1)
    await until(lambda: bench.store.batches)
    others = [increment(bench.counting, "a", 1) for _ in range(5)]
    await asyncio.sleep(0)
    assert not first.done()
    assert bench.node.log.value("a") == 0
    bench.store.may_commit.set()
    assert (await first).value == 1
    assert [answer.value for answer in await asyncio.gather(*others)] == [2, 3, 4, 5, 6]
    assert len(bench.store.batches) == 2


async def test_a_commit_that_fails_is_answered_and_its_stream_ends(bench: Bench) -> None:
    await increment(bench.counting, "a", 1)
    stream = bench.node.stream
    bench.store.failure = NoSpaceError(28, "No space left on device")
    status, detail = await refusal(lambda: increment(bench.counting, "a", 1))
    assert status is Why.UNCERTAIN
    assert "may have been counted" in detail
    assert not bench.broken
    answer = await taken(bench)
    assert answer.value == 2
    assert bench.node.stream != stream


async def test_a_disk_that_takes_nothing_is_left_alone_for_a_moment(bench: Bench) -> None:
    bench.store.failure = NoSpaceError(28, "No space left on device")
    await refusal(lambda: increment(bench.counting, "a", 1))
    refused = await refusal(lambda: increment(bench.counting, "a", 1))
    assert refused == (Why.DISK, "not counted: cannot write to the disk")
    assert len(bench.store.batches) == 1
    assert (await taken(bench)).value == 1


async def test_a_disk_that_is_broken_is_told(bench: Bench) -> None:
    bench.store.failure = failure = BrokenError(5, "Input/output error")
    await refusal(lambda: increment(bench.counting, "a", 1))
    assert bench.broken == [str(failure)]


async def test_a_mistake_is_answered_and_told_and_the_next_batch_counts(bench: Bench) -> None:
    heard: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: heard.append(context))
    await increment(bench.counting, "a", 1)
    stream = bench.node.stream
    bench.store.may_commit.clear()
    bench.store.failure = RuntimeError("a bug")
    first = increment(bench.counting, "a", 1)
    await until(lambda: len(bench.store.batches) == 2)
    second = increment(bench.counting, "a", 1)
    bench.store.may_commit.set()
    status, detail = await refusal(first)
    assert (status, "may have been counted" in detail) == (Why.UNCERTAIN, True)
    async with asyncio.timeout(DEADLINE):
        assert (await second).value == 2
        assert (await increment(bench.counting, "a", 1)).value == 3
    assert bench.store.abandoned == [bench.store.batches[1]]
    assert bench.node.stream != stream
    await until(lambda: heard)
    assert str(heard[0]["exception"]) == "a bug"


async def test_a_batch_that_cannot_be_exposed_ends_its_stream(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is on the disk, so nothing else may ever have its seqs."""
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    await increment(bench.counting, "a", 1)
    stream = bench.node.stream

    def fail(*_: object) -> None:
        raise RuntimeError("a bug")

    with monkeypatch.context() as patch:
        patch.setattr(Log, "claim", fail)
        assert (
            "may have been counted"
            in (await refusal(lambda: increment(bench.counting, "b", 1)))[1]
        )
    assert (await increment(bench.counting, "b", 1)).value == 2, "its register had been merged"
    assert bench.node.stream != stream
    assert bench.store.abandoned == []


async def test_what_would_leave_the_range_is_a_conflict_and_the_rest_counts(bench: Bench) -> None:
    await asyncio.gather(*(increment(bench.counting, "a", 2**53) for _ in range(512)))
    over, fine = increment(bench.counting, "a", 2**53), increment(bench.counting, "b", 1)
    status, detail = await refusal(over)
    assert (status, "2^62" in detail) == (Why.CONFLICT, True)
    assert (await fine).value == 1


async def test_a_client_that_went_away_is_counted_all_the_same(bench: Bench) -> None:
    gone, stays = increment(bench.counting, "a", 1), increment(bench.counting, "a", 1)
    gone.cancel()
    assert (await stays).value == 2


async def test_a_client_that_cannot_be_told_costs_nobody_else_anything(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_: Counted | Refused) -> None:
        raise RuntimeError("a bug")

    bench.store.may_commit.clear()
    bench.counting.increment("a", 1, broken)
    behind = increment(bench.counting, "a", 1)
    await until(lambda: bench.store.batches)
    later = increment(bench.counting, "a", 1)
    bench.store.may_commit.set()
    async with asyncio.timeout(DEADLINE):
        assert ((await behind).value, (await later).value) == (2, 3)
    assert "a client was not told what became of its increment" in caplog.text
    assert "a bug" in caplog.text


async def test_a_leaving_node_takes_nothing_more(bench: Bench) -> None:
    bench.leave()
    refused = await refusal(lambda: increment(bench.counting, "a", 1))
    assert refused == (Why.UNAVAILABLE, "this node is leaving the cluster")


async def test_a_leave_waits_for_all_that_was_taken() -> None:
    bench = Bench()
    futures = [increment(bench.counting, "a", 1) for _ in range(25_000)]
    bench.leave()
    assert not bench.node.leaving
    await until(lambda: bench.node.leaving)
    assert bench.node.log.value("a") == 25_000
    await until(lambda: all(future.done() for future in futures))  # they are told in turns
    assert len(bench.store.batches) == -(-25_000 // (PART // (1 + ALONE_COST)))


async def test_between_two_commits_the_loop_does_other_work(bench: Bench) -> None:
    """A store in memory does not make anybody wait."""
    for number in range(5 * EACH_ON_ITS_OWN):
        last = increment(bench.counting, f"c{number}", 1)
    commits: list[int] = []
    while not last.done():
        await asyncio.sleep(0)
        commits.append(len(bench.store.batches))
    assert sorted(set(commits)) == [1, 2, 3, 4, 5]


async def test_increments_find_their_place_within_a_large_batch(bench: Bench) -> None:
    bench.store.may_commit.clear()
    batch = bench.counting.increment_all([Item("a", 1)] * 3 * PART)
    await until(lambda: bench.store.batches)
    alone = increment(bench.counting, "a", 1)
    bench.store.may_commit.set()
    assert (await alone).value <= 2 * PART
    counts = [answer.value for answer in await batch if isinstance(answer, Counted)]
    assert sorted([*counts, (await alone).value]) == list(range(1, 3 * PART + 2))


async def test_a_batch_goes_on_though_nobody_waits_for_it(bench: Bench) -> None:
    batch = bench.counting.increment_all([Item("a", 1)] * 3 * PART)
    batch.cancel()
    await until(lambda: bench.node.log.value("a") == 3 * PART)


async def test_what_is_left_of_a_batch_when_the_node_leaves_is_refused(bench: Bench) -> None:
    bench.store.may_commit.clear()
    batch = bench.counting.increment_all([Item("a", 1)] * 3 * PART)
    await until(lambda: bench.store.batches)
    bench.leave()
    bench.store.may_commit.set()
    answers = await batch
    refused = [answer for answer in answers if isinstance(answer, Refused)]
    assert bench.node.log.value("a") == len(answers) - len(refused) == PART
    assert {refusal.detail for refusal in refused} == {"this node is leaving the cluster"}
    assert (await refused_whole(bench)).why is Why.UNAVAILABLE


async def refused_whole(bench: Bench) -> Refused:
    with pytest.raises(Refused) as caught:
        await bench.counting.increment_all([Item("a", 1)])
    return caught.value


async def test_batches_fill_their_share_of_the_keys_and_leave_the_rest_to_others() -> None:
    bench = Bench(key_limit=20)
    bench.node.start(True, time.monotonic())
    items = [Item("a", 1, uuid4().bytes) for _ in range(30)]
    answers = await bench.counting.increment_all(items)
    counted = [answer for answer in answers if isinstance(answer, Counted)]
    assert answers[:16] == counted
    refused = answers[16]
    assert isinstance(refused, Refused)
    assert (refused.why, refused.retry_after) == (Why.UNAVAILABLE, KEYS_RETRY_AFTER)
    assert refused.detail.startswith("not counted: batches have filled their share")
    unkeyed, again, new = await bench.counting.increment_all([Item("a", 1), items[3], items[20]])
    assert isinstance(unkeyed, Counted)
    assert isinstance(again, Counted)
    assert (again.id, again.duplicate) == (counted[3].id, True)
    assert isinstance(new, Refused)
    for _ in range(4):
        assert not (await increment(bench.counting, "a", 1, uuid4().bytes)).duplicate
    with pytest.raises(Refused, match="as many keys as this node keeps") as caught:
        await increment(bench.counting, "a", 1, uuid4().bytes)
    assert (caught.value.why, caught.value.retry_after) == (Why.UNAVAILABLE, KEYS_RETRY_AFTER)


async def test_who_leaves_takes_no_more_so_that_clients_in_a_loop_cannot_delay_it(
    bench: Bench,
) -> None:
    bench.store.may_commit.clear()
    before = increment(bench.counting, "a", 1)
    await until(lambda: bench.store.batches)
    bench.leave()
    assert "leaving" in (await refusal(lambda: increment(bench.counting, "a", 1)))[1]
    bench.store.may_commit.set()
    assert (await before).value == 1
    assert bench.node.leaving


# --- a disk that hangs -----------------------------------------------------------------------


async def hung(bench: Bench) -> asyncio.Future[Counted]:
    """An increment whose commit is under way for too long."""
    bench.store.may_commit.clear()
    future = increment(bench.counting, "a", 1)
    await until(lambda: bench.watch.hangs)
    return future


async def test_who_waits_for_a_disk_that_hangs_is_answered_and_who_comes_then_at_once(
    hasty: Bench,
) -> None:
    hasty.store.may_commit.clear()
    first = increment(hasty.counting, "a", 1)
    await until(lambda: hasty.store.batches)
    second = increment(hasty.counting, "a", 1)
    put = hasty.counting.put(Put(bytes(10), "a", 1, 1))
    assert "it may have been counted" in (await refusal(first))[1]
    assert (await refusal(second))[1].startswith("not counted")
    assert (await refusal(put))[1].startswith("not counted")
    asks: tuple[Callable[[], asyncio.Future[Any]], ...] = (
        lambda: increment(hasty.counting, "a", 1),
        lambda: hasty.counting.put(Put(bytes(10), "a", 1, 1)),
    )
    for ask in asks:
        with pytest.raises(Refused, match="not counted: the disk has not answered") as caught:
            await ask()
        assert (caught.value.why, caught.value.retry_after) == (Why.DISK, RETRY_AFTER)
    assert hasty.troubles.not_serving is not None
    hasty.store.may_commit.set()
    await until(lambda: not hasty.watch.hangs)


async def test_what_a_disk_that_hung_has_committed_counts_when_it_says_so(hasty: Bench) -> None:
    assert (await refusal(await hung(hasty)))[0] is Why.UNCERTAIN
    assert hasty.node.log.value("a") == 0
    stream = hasty.node.stream
    hasty.store.may_commit.set()
    await until(lambda: hasty.node.log.value("a") == 1)
    answer = await increment(hasty.counting, "a", 1)
    assert answer.value == 2
    assert hasty.node.stream == stream
    assert [batch.version for batch in hasty.store.batches] == [1, 2], "one history"


async def test_what_a_disk_that_hung_has_refused_is_abandoned(hasty: Bench) -> None:
    hasty.store.failure = NoSpaceError(28, "No space left on device")
    assert (await refusal(await hung(hasty)))[0] is Why.UNCERTAIN
    stream = hasty.node.stream
    hasty.store.may_commit.set()
    answer = await taken(hasty)
    assert answer.value == 1
    assert hasty.node.stream != stream


async def test_a_whole_batch_of_increments_is_answered_once_and_for_all(hasty: Bench) -> None:
    hasty.store.may_commit.clear()
    future = hasty.counting.increment_all([Item("a", 1), Item("b", 2)])
    answers = await future
    hasty.store.may_commit.set()
    await until(lambda: hasty.node.log.value("b") == 2)
    assert [isinstance(answer, Refused) for answer in answers] == [True, True]


async def test_however_many_wait_for_a_disk_that_hangs_the_loop_does_other_work_between_answers(
    hasty: Bench,
) -> None:
    hasty.store.may_commit.clear()
    told: list[Counted | Refused] = []
    hasty.counting.increment("a", 1, told.append)
    await until(lambda: hasty.store.batches)
    size = 3 * TOLD_MAX
    for _ in range(size - 1):
        hasty.counting.increment("a", 1, told.append)
    batches = [hasty.counting.increment_all([Item("a", 1)] * 100) for _ in range(50)]
    counts = [0]
    async with asyncio.timeout(DEADLINE):
        while len(told) < size or not all(batch.done() for batch in batches):
            await asyncio.sleep(0)
            counts.append(len(told) + sum(100 for batch in batches if batch.done()))
    assert max(after - before for before, after in pairwise(counts)) <= TOLD_MAX + 100
    assert [len(await batch) for batch in batches] == [100] * 50
    assert all(isinstance(answer, Refused) for answer in told)
    hasty.store.may_commit.set()
    await until(lambda: not hasty.watch.hangs)
    assert (await taken(hasty)).value == 2


class Forgetful(Bench):
    """Its keys are on the disk only, which does not answer."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(limit=LIMIT, durable=True)
        self.may_find = asyncio.Event()
        self.failure: Exception | None = None
        """How it fails to find any."""
        monkeypatch.setattr(Dedup, "is_doubtful", lambda *_: True)
        monkeypatch.setattr(self.store, "find_keys", self._find)

    async def _find(self, _keys: Sequence[bytes]) -> Stored:
        await self.may_find.wait()
        if self.failure is not None:
            raise self.failure
        return {}


async def test_who_waits_for_a_key_to_be_looked_up_was_not_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = Forgetful(monkeypatch)
    keyed = increment(bench.counting, "a", 1, uuid4().bytes)
    await asyncio.sleep(0)
    behind = increment(bench.counting, "a", 1)
    assert (await refusal(keyed))[1].startswith("not counted: the disk has not answered")
    assert (await refusal(behind))[1].startswith("not counted: the disk has not answered")
    assert "cannot write" not in str(bench.troubles.texts)
    assert not bench.store.batches
    bench.may_find.set()
    await until(lambda: not bench.watch.hangs)
    assert (await increment(bench.counting, "a", 1)).value == 1


async def test_keys_that_are_looked_up_wrongly_too_late_cost_no_other_batch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    heard: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: heard.append(context))
    bench = Forgetful(monkeypatch)
    assert (await refusal(increment(bench.counting, "a", 1, uuid4().bytes)))[1].startswith(
        "not counted"
    )
    bench.node.disk_answers(time.monotonic())  # which it does to another call
    bench.store.may_commit.clear()
    other = increment(bench.counting, "a", 1)
    await until(lambda: bench.store.batches)
    bench.failure = RuntimeError("a bug")
    bench.may_find.set()
    await until(lambda: heard)
    assert str(heard[0]["exception"]) == "a bug"
    bench.store.may_commit.set()
    assert (await other).value == 1
    assert not bench.store.abandoned


async def test_a_batch_that_cannot_be_given_to_the_disk_is_answered_and_the_next_one_counts(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Batch) -> None:
        raise RuntimeError("a bug")

    with monkeypatch.context() as patch:
        patch.setattr(bench.store, "commit", fail)
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        assert "may have been counted" in (await refusal(increment(bench.counting, "a", 1)))[1]
    async with asyncio.timeout(DEADLINE):
        assert (await increment(bench.counting, "a", 1)).value == 1


async def test_a_leave_does_not_wait_for_the_disk_for_long_and_answers_everybody() -> None:
    bench = Bench(limit=LIMIT)
    # The core is not told that the disk hangs.
    node, numbers = bench.node, Numbers()
    bench.keeping = Keeping(node, bench.store, bench.perform, bench.troubles, numbers, 60)
    bench.counting = Counting(bench.node, bench.keeping.do)
    bench.store.may_commit.clear()
    taken_first = increment(bench.counting, "a", 1)
    await until(lambda: bench.store.batches)
    behind = increment(bench.counting, "a", 1)
    bench.leave()
    assert "it may have been counted" in (await refusal(taken_first))[1]
    assert (await refusal(behind))[1].startswith("not counted")
    assert bench.node.leaving
    bench.store.may_commit.set()
    await until(lambda: bench.node.log.value("a") == 1)


async def test_a_disk_that_takes_nothing_is_told_until_it_takes_something(bench: Bench) -> None:
    bench.store.failure = NoSpaceError(28, "No space left on device")
    await refusal(lambda: increment(bench.counting, "a", 1))
    assert "cannot write to the disk" in str(bench.troubles.not_serving)
    await taken(bench)
    assert bench.troubles.texts == []
