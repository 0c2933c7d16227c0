"""Clients that wait for copies, and for increments, and are answered by what the core tells."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import get_args

import pytest

from gossipd.core import (
    Copies,
    Effect,
    Included,
    Refused,
    Stream,
    Why,
)
from gossipd.core.durability.waiters import WAITS_MAX
from gossipd.daemon.waits import Of, Waits
from tests.commits import prepared
from tests.unit.pair import Pair


class Bench:
    """A node without peers, and its wishes."""

    def __init__(self) -> None:
        self.pair = Pair()
        self.waits = Waits(self.pair.node, self.perform)

    def perform(self, effects: Sequence[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, get_args(Of)):
                self.waits.do(effect)

    def increment(self) -> tuple[Stream, int]:
        node, now = self.pair.node, time.monotonic()
        batch = prepared(node, [("a", 1)], now, time.time())
        node.committed(batch, now)
        return batch.stream, batch.version


@pytest.fixture
async def bench() -> Bench:
    return Bench()


async def test_a_wish_that_is_granted_at_once_is_answered_at_once(bench: Bench) -> None:
    answer = bench.waits.held(*bench.increment(), copies=1, memory=True, timeout=5)
    assert answer.done()
    assert await answer == 1


async def test_a_wish_is_answered_when_the_core_tells_of_it(bench: Bench) -> None:
    event = bench.increment()
    first = bench.waits.held(*event, copies=2, memory=True, timeout=5)
    second = bench.waits.held(*event, copies=3, memory=True, timeout=0.01)
    assert not first.done()
    bench.perform(bench.pair.node.handle_timeout(time.monotonic() + 1))
    assert await second == 1
    assert not first.done()
    bench.waits.do(Copies(1, 2, True))
    assert await first == 2


async def test_who_has_gone_is_not_answered(bench: Bench) -> None:
    answer = bench.waits.held(*bench.increment(), copies=2, memory=True, timeout=5)
    answer.cancel()
    bench.waits.do(Copies(1, 2, True))
    assert answer.cancelled()


async def test_a_wish_ends_with_its_client(bench: Bench) -> None:
    event = bench.increment()
    gone = bench.waits.held(*event, copies=2, memory=True, timeout=5)
    stays = bench.waits.held(*event, copies=2, memory=True, timeout=5)
    gone.cancel()
    await asyncio.wait([gone])
    ended = bench.pair.node.handle_timeout(time.monotonic() + 6)
    assert [effect for effect in ended if isinstance(effect, Copies)] == [Copies(2, 1, False)]
    bench.perform(ended)
    assert await stays == 1


async def test_beyond_the_bound_what_is_known_is_the_answer_at_once(bench: Bench) -> None:
    event = bench.increment()
    answers = [
        bench.waits.held(*event, copies=2, memory=True, timeout=60) for _ in range(WAITS_MAX)
    ]
    assert not any(answer.done() for answer in answers)
    beyond = [
        bench.waits.held(*event, copies=2, memory=memory, timeout=60) for memory in (False, True)
    ]
    assert all(answer.done() for answer in beyond)
    assert [await answer for answer in beyond] == [0, 1]
    granted = bench.waits.held(*event, copies=1, memory=True, timeout=60)
    assert granted.done()
    answers[0].cancel()
    await asyncio.wait([answers[0]])
    assert not bench.waits.held(*event, copies=2, memory=True, timeout=60).done()
    bench.waits.stop()


async def test_at_the_end_what_is_known_is_the_answer(bench: Bench) -> None:
    event = bench.increment()
    durable = bench.waits.held(*event, copies=2, memory=False, timeout=5)
    any_copy = bench.waits.held(*event, copies=2, memory=True, timeout=5)
    bench.waits.stop()
    assert (await durable, await any_copy) == (0, 1)


async def test_a_read_ends_with_its_increment_or_its_time(bench: Bench) -> None:
    stream, seq = bench.increment()
    assert await bench.waits.included(stream, seq, None, 5)
    late = bench.waits.included(stream, seq + 1, "a", 0.01)
    in_time = bench.waits.included(stream, seq + 1, "a", 60)
    bench.perform(bench.pair.node.handle_timeout(time.monotonic() + 1))
    assert not await late
    assert not in_time.done()
    bench.waits.do(Included(3, True))
    assert await in_time


async def test_one_read_too_many_is_refused_and_all_end_with_the_node(bench: Bench) -> None:
    stream, seq = bench.increment()
    reads = [bench.waits.included(stream, seq + 1, "a", 60) for _ in range(WAITS_MAX)]
    with pytest.raises(Refused, match="10,000 reads wait for increments already") as caught:
        await bench.waits.included(stream, seq + 1, "a", 60)
    assert caught.value.why is Why.UNAVAILABLE
    reads[0].cancel()
    await asyncio.wait([reads[0]])
    assert not bench.waits.included(stream, seq + 1, "a", 60).done()
    bench.waits.stop()
    assert not any(await asyncio.gather(*reads[1:]))
