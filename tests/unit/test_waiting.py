"""Reads that wait: exact, and no later than what they wait for."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence

import pytest

from gossipd.core import Accepted, Batch, Effect, Learned, Node, Refused, SaveWanted, Stream
from gossipd.core.identity import STREAM_BYTES, new_stream
from gossipd.core.log import Log
from gossipd.waiting import READS_MAX, Waiting
from tests.unit.pair import Pair


class Reader:
    """`node` of a pair, whose reads wait for increments of `other`."""

    def __init__(self) -> None:
        self.pair = Pair()
        self.waiting = Waiting(self.pair.node)

    def count(self, node: Node, *counters: str) -> tuple[Stream, list[int]]:
        """Increments that are committed and exposed; nobody hears of them yet."""
        batch, effects = self._increment(node, counters)
        if node is self.pair.node:
            self.waiting.look(effects)
        return batch.stream, [done.seq for done in batch.results if isinstance(done, Accepted)]

    def increment(self, counter: str) -> list[Effect]:
        """An increment of `node`, at which nobody has looked yet."""
        return self._increment(self.pair.node, (counter,))[1]

    def _increment(self, node: Node, counters: Sequence[str]) -> tuple[Batch, list[Effect]]:
        batch = node.prepare([(name, 1) for name in counters], time.monotonic(), time.time())
        return batch, node.expose(batch, time.monotonic())

    def merge(self, stream: Stream, counter: str, seq: int, total: int) -> None:
        """One register comes without its version, as by a datagram after a lost one."""
        advances = self.pair.node.log.merge(stream, [(counter, seq, total)])
        self.waiting.look([SaveWanted(), Learned(tuple(advances or ()))])


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
    other = reader.waiting.wait(bytes(STREAM_BYTES), seqs[1], None, 5)
    reader.merge(stream, "b", seqs[1], 1)
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


async def test_an_increment_that_something_later_overtook_is_included_with_it(
    reader: Reader,
) -> None:
    stream, seqs = reader.count(reader.pair.other, "a", "a", "a", "a")
    answers = [reader.waiting.wait(stream, seq, "a", 5) for seq in seqs]
    reader.merge(stream, "a", seqs[2], 3)
    assert [answer.done() for answer in answers] == [True, True, True, False]
    assert all([await answer for answer in answers[:3]])
    late = reader.waiting.wait(stream, seqs[3], "a", 5)
    reader.merge(stream, "a", seqs[3], 4)
    assert [await answers[3], await late] == [True, True]


async def test_a_version_covers_the_reads_up_to_it_alone(reader: Reader) -> None:
    stream, seqs = reader.count(reader.pair.other, "a", "b", "c")
    answers = [reader.waiting.wait(stream, seq, None, 5) for seq in reversed(seqs)]
    log = reader.pair.node.log
    log.merge(stream, [("a", seqs[0], 1), ("b", seqs[1], 1)])
    log.claim(stream, seqs[1])
    reader.waiting.look([])
    assert [answer.done() for answer in answers] == [False, True, True]
    log.merge(stream, [("c", seqs[2], 1)])
    log.claim(stream, seqs[2])
    reader.waiting.look([])
    assert await answers[0]


async def test_reads_of_a_stream_that_comes_up_between_two_looks_stay_together(
    reader: Reader,
) -> None:
    stream, seqs = reader.count(reader.pair.other, "a", "b")
    first = reader.waiting.wait(stream, seqs[1], None, 5)
    log = reader.pair.node.log
    log.merge(stream, [("a", seqs[0], 1)])
    second = reader.waiting.wait(stream, seqs[1], None, 5)
    log.merge(stream, [("b", seqs[1], 1)])
    log.claim(stream, seqs[1])
    reader.waiting.look([])
    assert [first.done(), second.done()] == [True, True]


async def test_a_look_costs_what_has_moved_however_many_wait(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream, [seq] = reader.count(reader.pair.node, "a")
    rng = random.Random(1)
    for number in range(1, 1001):
        reader.waiting.wait(new_stream(rng), 1, "a", 60)
        reader.waiting.wait(stream, seq + 1 + number, rng.choice("ab"), 60)
    asked: list[Stream] = []
    version = Log.version

    def counted(log: Log, stream: Stream) -> int:
        asked.append(stream)
        return version(log, stream)

    made = reader.increment("a")
    monkeypatch.setattr(Log, "version", counted)
    reader.waiting.look(made)
    assert asked == [stream]
    reader.waiting.look([SaveWanted()])
    assert asked == [stream], "nothing has moved"
    reader.waiting.stop()


async def test_a_stream_is_not_looked_at_when_nobody_waits_for_it_any_more(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream, seqs = reader.count(reader.pair.other, "a", "b")
    reader.merge(stream, "a", seqs[0], 1)
    gone = reader.waiting.wait(stream, seqs[1], "b", 60)
    stays = reader.waiting.wait(bytes(STREAM_BYTES), 1, "b", 60)
    gone.cancel()
    await asyncio.wait([gone])
    made = reader.increment("a")
    asked: list[Stream] = []
    monkeypatch.setattr(Log, "version", lambda _, stream: asked.append(stream))
    reader.waiting.look(made)
    assert not asked
    assert not stays.done()
    reader.waiting.stop()


async def test_reads_end_with_the_very_input_that_brings_what_they_wait_for(
    reader: Reader,
) -> None:
    rng = random.Random(2)
    log = reader.pair.node.log
    streams = [new_stream(rng) for _ in range(5)]
    reads: list[tuple[Stream, int, str | None, asyncio.Future[bool]]] = []
    merged: set[tuple[Stream, int]] = set()
    for _ in range(2000):
        stream, seq, counter = rng.choice(streams), rng.randrange(1, 100), rng.choice("abc")
        name = rng.choice((counter, None))
        if not (reader.pair.node.counted(stream, seq, name) or (stream, seq) in merged):
            reads.append((stream, seq, name, reader.waiting.wait(stream, seq, name, 60)))
        stream, seq = rng.choice(streams), rng.randrange(1, 100)
        if rng.random() < 0.3:
            if log.register(stream, counter)[0] < seq:
                merged.add((stream, seq))
                reader.merge(stream, counter, seq, seq)
        elif rng.random() < 0.1:
            log.claim(stream, min(100, log.version(stream) + rng.randrange(1, 5)))
            reader.waiting.look([])
        if rng.random() < 0.1:
            await asyncio.sleep(0)
        for of, at, name, answer in reads:
            by_name = name is not None and log.register(of, name)[0] >= at
            assert answer.done() == (by_name or log.version(of) >= at or (of, at) in merged)
    reader.waiting.stop()


async def test_one_read_too_many_is_refused_and_there_is_room_when_another_ends(
    reader: Reader,
) -> None:
    rng = random.Random(1)
    waits = [reader.waiting.wait(new_stream(rng), 1, "a", 60) for _ in range(READS_MAX)]
    with pytest.raises(Refused, match="10,000 reads wait"):
        reader.waiting.wait(bytes(STREAM_BYTES), 1, "a", 60)
    stream, [seq] = reader.count(reader.pair.node, "a")
    assert await reader.waiting.wait(stream, seq, "a", 60), "nothing is to be waited for"
    waits[0].cancel()
    await asyncio.wait([waits[0]])
    assert not reader.waiting.wait(bytes(STREAM_BYTES), 1, "a", 60).done()
    reader.waiting.stop()


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
