"""Reads that wait: exact, and no later than what they wait for."""

from __future__ import annotations

import asyncio
import random
import time

import pytest

from gossipd.core import Accepted, Learned, Node, SaveWanted, Stream
from gossipd.core.log import Advance
from gossipd.waiting import Waiting
from tests.unit.pair import Pair


class Reader:
    """`node` of a pair, whose reads wait for increments of `other`."""

    def __init__(self) -> None:
        self.pair = Pair()
        self.waiting = Waiting(self.pair.node)

    def count(self, node: Node, *counters: str) -> tuple[Stream, list[int]]:
        """Increments that are committed and exposed; nobody hears of them yet."""
        batch = node.prepare([(name, 1) for name in counters], time.monotonic(), time.time())
        effects = node.expose(batch, time.monotonic())
        if node is self.pair.node:
            self.waiting.look(effects)
        return batch.stream, [done.seq for done in batch.results if isinstance(done, Accepted)]

    def merge(self, stream: Stream, counter: str, seq: int, total: int) -> None:
        """One register comes without its version, as by a datagram after a lost one."""
        self.pair.node.log.merge(stream, [(counter, seq, total)])
        self.waiting.look([])


@pytest.fixture
async def reader() -> Reader:
    return Reader()


async def test_what_is_included_already_is_not_waited_for(reader: Reader) -> None:
    stream, [seq] = reader.count(reader.pair.node, "a")
    answer = reader.waiting.wait(stream, seq, "a", 5)
    assert answer.done()
    assert await answer


async def test_a_read_ends_in_the_moment_in_which_the_increment_comes(reader: Reader) -> None:
    stream, [seq] = reader.count(reader.pair.node, "a")
    answer = reader.waiting.wait(stream, seq + 1, None, 5)
    assert not answer.done()
    reader.count(reader.pair.node, "b")
    assert answer.done()
    assert await answer


async def test_a_later_register_of_the_counter_is_proof(reader: Reader) -> None:
    stream, seqs = reader.count(reader.pair.other, "a", "b", "a")
    answers = [reader.waiting.wait(stream, seqs[0], name, 5) for name in ("a", "b", None)]
    reader.merge(stream, "a", seqs[2], 2)
    assert [answer.done() for answer in answers] == [True, False, False]
    reader.merge(stream, "b", seqs[1], 1)
    assert answers[1].done(), "b has nothing older that could be missing"
    assert not answers[2].done(), "it might be of a third counter"
    reader.waiting.stop()


async def test_a_version_that_is_claimed_without_a_register_is_proof(reader: Reader) -> None:
    stream, seqs = reader.count(reader.pair.other, "a", "b")
    answer = reader.waiting.wait(stream, seqs[0], None, 5)
    reader.merge(stream, "b", seqs[1], 1)
    assert not answer.done()
    reader.pair.node.log.claim(stream, seqs[1])
    reader.waiting.look([])
    assert await answer


async def test_the_increment_itself_is_proof_without_a_version(reader: Reader) -> None:
    stream, seqs = reader.count(reader.pair.other, "a", "b")
    answers = [reader.waiting.wait(stream, seq, None, 5) for seq in seqs]
    other = reader.waiting.wait(bytes(10), seqs[1], None, 5)
    reader.pair.node.log.merge(stream, [("b", seqs[1], 1)])
    reader.waiting.look([SaveWanted(), Learned((Advance(stream, "b", seqs[1], 1, 1),))])
    assert [answer.done() for answer in (*answers, other)] == [False, True, False]
    reader.waiting.stop()
    assert [await answer for answer in (*answers, other)] == [False, True, False]


async def test_a_read_ends_without_the_increment_when_its_time_is_over(reader: Reader) -> None:
    stream, seqs = reader.count(reader.pair.other, "a")
    assert not await reader.waiting.wait(stream, seqs[0], None, 0.01)
    reader.waiting.look([])


async def test_a_reader_that_has_gone_is_not_answered(reader: Reader) -> None:
    stream, seqs = reader.count(reader.pair.other, "a")
    gone = reader.waiting.wait(stream, seqs[0], "a", 5)
    stays = reader.waiting.wait(stream, seqs[0], "a", 5)
    gone.cancel()
    reader.merge(stream, "a", seqs[0], 1)
    assert gone.cancelled()
    assert await stays


async def test_ten_thousand_reads_never_end_without_their_increment(reader: Reader) -> None:
    """Events come in any order, some as newer registers of their counter, some by a version."""
    rng = random.Random(1)
    log = reader.pair.node.log
    for _ in range(100):
        names = [rng.choice("abc") for _ in range(100)]
        stream, seqs = reader.count(reader.pair.other, *names)
        first = seqs[0] - 1
        answers: dict[int, asyncio.Future[bool]] = {
            seq: reader.waiting.wait(stream, seq, rng.choice((name, None)), 60)
            for seq, name in zip(seqs, names, strict=True)
        }
        totals = {name: log.register(stream, name)[1] for name in "abc"}
        registers = []
        for seq, name in zip(seqs, names, strict=True):
            totals[name] += 1
            registers.append((name, seq, totals[name]))
        rng.shuffle(registers)
        for register in registers:
            reader.merge(stream, *register)
            for seq, answer in answers.items():
                name = names[seq - first - 1]
                assert not answer.done() or log.register(stream, name)[0] >= seq
        log.claim(stream, seqs[-1])
        reader.waiting.look([])
        assert all(answer.done() and answer.result() for answer in answers.values())
