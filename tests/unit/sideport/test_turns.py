"""Long work of many: each in its turn, and the loop comes round between any two slices."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import pytest

from gossipd.sideport.pipeline import Pipeline
from gossipd.sideport.turns import SLICE_TIME, Slice, Turns

from .fake import until

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


def busy(name: str, done: list[str]) -> Iterator[bytes]:
    """Pieces of which each takes a slice of time."""
    for _ in range(PIECES):
        until = time.perf_counter() + SLICE_TIME
        while time.perf_counter() < until:
            pass
        done.append(name)
        yield b"x"


@pytest.mark.parametrize("clients", [1, 3])
async def test_each_slice_of_an_answer_has_a_round_of_the_loop_of_its_own(clients: int) -> None:
    turns, done, written, ended = Turns(), list[str](), list[bytes](), list[bool]()
    loop, rounds = Loop(), list[int]()

    def connection(name: str) -> None:
        pipeline: Pipeline

        def progressed() -> None:
            rounds.append(loop.rounds)
            pipeline.advance(Slice())

        def never(*_: object) -> asyncio.Future[object]:
            raise AssertionError

        pipeline = Pipeline(never, written.append, progressed, ended.append, turns)  # type: ignore[arg-type]
        pipeline.add(lambda: busy(name, done))
        pipeline.end()
        pipeline.advance(Slice())

    for number in range(clients):
        connection(str(number))
    await until(lambda: len(ended) == clients)
    loop.stop()
    assert b"".join(written) == b"x" * PIECES * clients
    assert len(set(rounds)) == len(rounds) >= (PIECES - 1) * clients
    assert done[clients : 2 * clients] == [str(number) for number in range(clients)]


async def test_who_is_gone_before_his_turn_holds_up_nobody() -> None:
    turns = Turns()
    gone = asyncio.create_task(turns.wait())
    stays = asyncio.create_task(turns.wait())
    await asyncio.sleep(0)
    gone.cancel()
    async with asyncio.timeout(5):
        assert not (await stays).over
        assert not (await turns.wait()).over
