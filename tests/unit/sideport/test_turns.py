"""Long work of many: each in its turn, and the loop comes round between any two slices."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from itertools import pairwise

import pytest

from gossipd.sideport.pipeline import Pipeline
from gossipd.sideport.turns import CANCELLED_MAX, SLICE_TIME, Turns
from tests.deadline import DEADLINE

from .conftest import Connect
from .fake import FakeBackend, until

PIECES = 20


class Loop:
    """Counts how often the loop comes round."""

    def __init__(self) -> None:
        self.rounds = 0
        self._go_on()

    def _go_on(self) -> None:
        self.rounds += 1
        self._handle = asyncio.get_running_loop().call_soon(self._go_on)

    def stop(self) -> None:
        self._handle.cancel()


@pytest.mark.parametrize("clients", [1, 3])
async def test_each_slice_of_an_answer_has_a_round_of_the_loop_of_its_own(clients: int) -> None:
    turns, done, written, ended = Turns(), list[str](), list[bytes](), list[bool]()
    loop, rounds = Loop(), list[int]()

    def busy(name: str) -> Iterator[bytes]:
        """Pieces of which each takes a slice of time."""
        for _ in range(PIECES):
            until = time.perf_counter() + SLICE_TIME
            while time.perf_counter() < until:
                pass
            done.append(name)
            rounds.append(loop.rounds)
            yield b"x"

    def connection(name: str) -> None:
        pipeline: Pipeline

        def go_on() -> None:
            pipeline.resting = False
            pipeline.advance(turns.slice())

        pipeline = Pipeline(written.append, go_on, ended.append, turns)
        pipeline.add(lambda: busy(name), lambda pieces: pieces)
        pipeline.end()
        pipeline.rest(is_new=True)

    for number in range(clients):
        connection(str(number))
    await until(lambda: len(ended) == clients)
    loop.stop()
    assert b"".join(written) == b"x" * PIECES * clients
    assert len(rounds) == PIECES * clients
    assert max(map(rounds.count, rounds)) <= 2, "one who is new, and one who goes on"
    for end in range(len(done)):
        given = [done[:end].count(str(number)) for number in range(clients)]
        assert max(given) - min(given) <= 3


async def test_what_many_ask_at_once_is_done_in_many_rounds_of_the_loop(
    connect: Connect, backend: FakeBackend
) -> None:
    """Each increment takes a third of a slice: a round has some of them, whoever asks."""
    rounds = list[int]()
    clients = [await connect() for _ in range(20)]
    loop = Loop()

    def busy() -> None:
        until = time.perf_counter() + SLICE_TIME / 3
        while time.perf_counter() < until:
            pass
        rounds.append(loop.rounds)

    backend.starting = busy
    for client in clients:
        client.writer.write(b"increment\nincrement b\n" * 5)  # none in a row
    for client in clients:
        assert [await client.line() for _ in range(10)]
    loop.stop()
    assert len(rounds) == 200
    assert max(map(rounds.count, rounds)) < 20


@pytest.mark.usefixtures("unhurried")
async def test_short_work_of_many_shares_the_time_of_a_round() -> None:
    turns, loop, rounds = Turns(), Loop(), list[int]()
    for _ in range(100):
        turns.add(lambda: rounds.append(loop.rounds))
    await until(lambda: len(rounds) == 100)
    assert len(set(rounds)) == 1
    turns.slice().spend()
    turns.add(lambda: rounds.append(loop.rounds))
    assert len(rounds) == 100
    await until(lambda: len(rounds) == 101)
    loop.stop()


async def test_who_has_just_come_goes_before_those_with_long_work() -> None:
    turns, done = Turns(), list[str]()

    def work(name: str) -> None:
        done.append(name)
        while not turns.slice().over:
            pass
        if len(done) == 5:
            turns.add(lambda: done.append("short"), is_new=True)
        if done.count(name) < 5:
            turns.add(lambda: work(name))

    for number in range(10):
        turns.add(lambda name=str(number): work(name))  # type: ignore[misc]
    await until(lambda: len(done) == 51)
    assert done.index("short") <= 6


async def test_who_has_long_work_goes_on_however_many_come() -> None:
    turns, done = Turns(), list[str]()

    def come() -> None:
        done.append("new")
        while not turns.slice().over:
            pass
        if "long" not in done:
            turns.add(come, is_new=True)

    turns.add(come, is_new=True)
    turns.add(lambda: done.append("long"))
    await until(lambda: "long" in done)
    assert done.count("new") <= 2


@pytest.mark.usefixtures("unhurried")
async def test_who_waits_for_a_turn_has_it_alone() -> None:
    turns, loop, rounds = Turns(), Loop(), list[int]()

    async def work() -> None:
        time = await turns.wait()
        rounds.append(loop.rounds)
        assert not time.over

    await asyncio.gather(*(work() for _ in range(10)))
    loop.stop()
    assert len(set(rounds)) == 10


@pytest.mark.usefixtures("unhurried")
async def test_who_is_gone_before_his_turn_holds_up_nobody() -> None:
    turns = Turns()
    gone = asyncio.create_task(turns.wait())
    stays = asyncio.create_task(turns.wait())
    await asyncio.sleep(0)
    gone.cancel()
    async with asyncio.timeout(DEADLINE):
        assert not (await stays).over
        assert not (await turns.wait()).over


async def test_of_many_whose_clients_go_at_once_some_are_cancelled_in_each_round() -> None:
    turns, loop = Turns(), asyncio.get_running_loop()
    commands = [loop.create_future() for _ in range(3 * CANCELLED_MAX + 1)]
    for command in commands:
        turns.forsake(command)
    cancelled = [0]
    while cancelled[-1] < len(commands):
        await asyncio.sleep(0)
        cancelled.append(sum(command.cancelled() for command in commands))
    assert max(after - before for before, after in pairwise(cancelled)) == CANCELLED_MAX
    turns.forsake(late := loop.create_future())
    await asyncio.wait([late], timeout=5)
    assert late.cancelled()
