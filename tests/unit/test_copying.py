"""Futures around the copies that the core waits for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import pytest

from gossipd.copying import WISHES_MAX, Copying
from gossipd.core import Copies, Effect, Stream
from tests.commits import prepared
from tests.unit.pair import Pair


class Bench:
    """A node without peers, and its wishes."""

    def __init__(self) -> None:
        self.pair = Pair()
        self.copying = Copying(self.pair.node, self.perform)

    def perform(self, effects: Sequence[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, Copies):
                self.copying.done(effect)

    def increment(self) -> tuple[Stream, int]:
        node, now = self.pair.node, time.monotonic()
        batch = prepared(node, [("a", 1)], now, time.time())
        node.committed(batch, now)
        return batch.stream, batch.version


@pytest.fixture
async def bench() -> Bench:
    return Bench()


async def test_a_wish_that_is_granted_at_once_is_answered_at_once(bench: Bench) -> None:
    answer = bench.copying.wait(*bench.increment(), copies=1, memory=True, timeout=5)
    assert answer.done()
    assert await answer == 1


async def test_a_wish_is_answered_when_the_core_tells_of_it(bench: Bench) -> None:
    event = bench.increment()
    first = bench.copying.wait(*event, copies=2, memory=True, timeout=5)
    second = bench.copying.wait(*event, copies=3, memory=True, timeout=0.01)
    assert not first.done()
    bench.perform(bench.pair.node.handle_timeout(time.monotonic() + 1))
    assert await second == 1
    assert not first.done()
    bench.copying.done(Copies(1, 2, True))
    assert await first == 2


async def test_who_has_gone_is_not_answered(bench: Bench) -> None:
    answer = bench.copying.wait(*bench.increment(), copies=2, memory=True, timeout=5)
    answer.cancel()
    bench.copying.done(Copies(1, 2, True))
    assert answer.cancelled()


async def test_a_wish_ends_with_its_client(bench: Bench) -> None:
    event = bench.increment()
    gone = bench.copying.wait(*event, copies=2, memory=True, timeout=5)
    stays = bench.copying.wait(*event, copies=2, memory=True, timeout=5)
    gone.cancel()
    await asyncio.wait([gone])
    ended = bench.pair.node.handle_timeout(time.monotonic() + 6)
    assert [effect for effect in ended if isinstance(effect, Copies)] == [Copies(2, 1, False)]
    bench.perform(ended)
    assert await stays == 1


async def test_beyond_the_bound_what_is_known_is_the_answer_at_once(bench: Bench) -> None:
    event = bench.increment()
    answers = [
        bench.copying.wait(*event, copies=2, memory=True, timeout=60) for _ in range(WISHES_MAX)
    ]
    assert not any(answer.done() for answer in answers)
    beyond = [
        bench.copying.wait(*event, copies=2, memory=memory, timeout=60) for memory in (False, True)
    ]
    assert all(answer.done() for answer in beyond)
    assert [await answer for answer in beyond] == [0, 1]
    granted = bench.copying.wait(*event, copies=1, memory=True, timeout=60)
    assert granted.done()
    answers[0].cancel()
    await asyncio.wait([answers[0]])
    assert not bench.copying.wait(*event, copies=2, memory=True, timeout=60).done()
    bench.copying.stop()


async def test_at_the_end_what_is_known_is_the_answer(bench: Bench) -> None:
    event = bench.increment()
    durable = bench.copying.wait(*event, copies=2, memory=False, timeout=5)
    any_copy = bench.copying.wait(*event, copies=2, memory=True, timeout=5)
    bench.copying.stop()
    assert (await durable, await any_copy) == (0, 1)


async def test_what_the_core_tells_after_the_end_is_passed_over(bench: Bench) -> None:
    answer = bench.copying.wait(*bench.increment(), copies=2, memory=True, timeout=5)
    bench.copying.stop()
    bench.copying.done(Copies(1, 2, True))
    assert await answer == 1
