"""Reads that wait: exact, and no later than what they wait for."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from gossipd.core import (
    Accepted,
    Copies,
    Effect,
    Included,
    Learned,
    Node,
    SaveWanted,
    Stream,
    TooManyReads,
)
from gossipd.core.durability.read_barrier import Reads
from gossipd.core.durability.waiters import ENDS_MAX, GO_ON_AFTER, WAITS_MAX
from gossipd.core.identity import STREAM_BYTES, new_stream
from gossipd.core.log.log import Log
from gossipd.core.turn import Turn
from tests.commits import prepared
from tests.effort import effort
from tests.unit.core.parts import state_of
from tests.unit.core.talk import WALL, Talk


class Answer:
    """What a read was told."""

    def __init__(self, reader: Reader, token: int) -> None:
        self._told = reader.told
        self._token = token

    def done(self) -> bool:
        return self._token in self._told

    @property
    def included(self) -> bool | None:
        """None: it was refused."""
        return self._told[self._token]


class Reader:
    """The reads of a node, which wait for its increments and for those of another one."""

    def __init__(self) -> None:
        self.node = Talk().node
        self.other = Talk(name="other", seed=2).node
        self.state = state_of()
        self.log = self.node.log
        self.reads = Reads(self.node.log, self.state.recent, self.state.means.timers)
        self.told: dict[int, bool | None] = {}
        self.token = 0

    def count(self, node: Node, *counters: str) -> tuple[Stream, list[int]]:
        """Increments that are committed and exposed; nobody hears of them yet."""
        batch = prepared(node, [(name, 1) for name in counters], 100.0, WALL)
        effects = node.committed(batch, 100.0)
        if node is self.node:
            self.look(effects)
        return batch.stream, [done.seq for done in batch.results if isinstance(done, Accepted)]

    def increment(self, counter: str) -> list[Effect]:
        """An increment of the node, at which nobody has looked yet."""
        return self.node.committed(prepared(self.node, [(counter, 1)], 100.0, WALL), 100.0)

    def merge(self, stream: Stream, counter: str, seq: int, total: int) -> None:
        """One register comes without its version, as by a datagram after a lost one."""
        advances = self.log.merge(stream, [(counter, seq, total)])
        self.look([SaveWanted(), Learned(tuple(advances or ()))])

    def wait(self, stream: Stream, seq: int, counter: str | None, seconds: float = 5.0) -> Answer:
        self.token += 1
        turn = self.state.turn(0.0)
        self.reads.want(self.token, stream, seq, counter, seconds, turn)
        self.note(turn)
        return Answer(self, self.token)

    def look(self, effects: Sequence[Effect]) -> None:
        turn = self.state.turn(0.0)
        turn.effects += effects
        self.reads.look(turn)
        self.note(turn)

    def expire(self, now: float) -> None:
        """Let time pass."""
        turn = self.state.turn(now)
        while key := self.state.means.timers.pop(now):
            self.reads.expired(int(key[1]), turn)
        self.note(turn)

    def stop(self) -> None:
        turn = self.state.turn(0.0)
        self.reads.stop(turn)
        self.note(turn)

    def note(self, turn: Turn) -> None:
        for effect in turn.effects:
            if isinstance(effect, Included | TooManyReads):
                assert effect.token not in self.told, "once"
                included = effect.included if isinstance(effect, Included) else None
                self.told[effect.token] = included


@pytest.fixture
def reader() -> Reader:
    return Reader()


def test_what_is_included_already_is_not_waited_for(reader: Reader) -> None:
    stream, [seq] = reader.count(reader.node, "a")
    answer = reader.wait(stream, seq, "a", 5)
    assert answer.done()
    assert answer.included


def test_a_read_ends_in_the_moment_in_which_the_increment_comes(reader: Reader) -> None:
    stream, [seq] = reader.count(reader.node, "a")
    answer = reader.wait(stream, seq + 1, None, 5)
    assert not answer.done()
    reader.count(reader.node, "b")
    assert answer.done()
    assert answer.included


def test_a_later_register_of_the_counter_is_proof(reader: Reader) -> None:
    stream, seqs = reader.count(reader.other, "a", "b", "a")
    answers = [reader.wait(stream, seqs[0], name, 5) for name in ("a", "b", None)]
    reader.merge(stream, "a", seqs[2], 2)
    assert [answer.done() for answer in answers] == [True, False, False]
    reader.merge(stream, "b", seqs[1], 1)
    assert answers[1].done(), "b has nothing older that could be missing"
    assert not answers[2].done(), "it might be of a third counter"


def test_a_version_that_is_claimed_without_a_register_is_proof(reader: Reader) -> None:
    stream, seqs = reader.count(reader.other, "a", "b")
    answer = reader.wait(stream, seqs[0], None, 5)
    reader.merge(stream, "b", seqs[1], 1)
    assert not answer.done()
    reader.log.claim(stream, seqs[1])
    reader.look([])
    assert answer.included


def test_the_increment_itself_is_proof_without_a_version(reader: Reader) -> None:
    stream, seqs = reader.count(reader.other, "a", "b")
    answers = [reader.wait(stream, seq, None, 5) for seq in seqs]
    other = reader.wait(bytes(STREAM_BYTES), seqs[1], None, 5)
    reader.merge(stream, "b", seqs[1], 1)
    assert [answer.done() for answer in (*answers, other)] == [False, True, False]
    reader.stop()
    assert [answer.included for answer in (*answers, other)] == [False, True, False]


def test_a_read_ends_without_the_increment_when_its_time_is_over(reader: Reader) -> None:
    stream, seqs = reader.count(reader.other, "a")
    answer = reader.wait(stream, seqs[0], None, 0.01)
    reader.expire(0.01)
    assert answer.included is False
    reader.look([])


def test_a_reader_that_has_gone_is_not_answered(reader: Reader) -> None:
    stream, seqs = reader.count(reader.other, "a")
    gone = reader.wait(stream, seqs[0], "a", 5)
    stays = reader.wait(stream, seqs[0], "a", 5)
    reader.reads.give_up(1)
    reader.merge(stream, "a", seqs[0], 1)
    assert not gone.done()
    assert stays.included


def test_an_increment_that_something_later_overtook_is_included_with_it(
    reader: Reader,
) -> None:
    stream, seqs = reader.count(reader.other, "a", "a", "a", "a")
    answers = [reader.wait(stream, seq, "a", 5) for seq in seqs]
    reader.merge(stream, "a", seqs[2], 3)
    assert [answer.done() for answer in answers] == [True, True, True, False]
    assert all(answer.included for answer in answers[:3])
    late = reader.wait(stream, seqs[3], "a", 5)
    reader.merge(stream, "a", seqs[3], 4)
    assert [answers[3].included, late.included] == [True, True]


def test_a_version_covers_the_reads_up_to_it_alone(reader: Reader) -> None:
    stream, seqs = reader.count(reader.other, "a", "b", "c")
    answers = [reader.wait(stream, seq, None, 5) for seq in reversed(seqs)]
    log = reader.log
    log.merge(stream, [("a", seqs[0], 1), ("b", seqs[1], 1)])
    log.claim(stream, seqs[1])
    reader.look([])
    assert [answer.done() for answer in answers] == [False, True, True]
    log.merge(stream, [("c", seqs[2], 1)])
    log.claim(stream, seqs[2])
    reader.look([])
    assert answers[0].included


def test_reads_of_a_stream_that_comes_up_between_two_looks_stay_together(
    reader: Reader,
) -> None:
    stream, seqs = reader.count(reader.other, "a", "b")
    first = reader.wait(stream, seqs[1], None, 5)
    log = reader.log
    log.merge(stream, [("a", seqs[0], 1)])
    second = reader.wait(stream, seqs[1], None, 5)
    log.merge(stream, [("b", seqs[1], 1)])
    log.claim(stream, seqs[1])
    reader.look([])
    assert [first.done(), second.done()] == [True, True]


def test_a_look_costs_what_has_moved_however_many_wait(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream, [seq] = reader.count(reader.node, "a")
    rng = random.Random(1)
    for number in range(1, 1001):
        reader.wait(new_stream(rng), 1, "a", 60)
        reader.wait(stream, seq + 1 + number, rng.choice("ab"), 60)
    asked: list[Stream] = []
    version = Log.version

    def counted(log: Log, stream: Stream) -> int:
        asked.append(stream)
        return version(log, stream)

    made = reader.increment("a")
    monkeypatch.setattr(Log, "version", counted)
    reader.look(made)
    assert asked == [stream]
    reader.look([SaveWanted()])
    assert asked == [stream], "nothing has moved"


def test_a_stream_is_not_looked_at_when_nobody_waits_for_it_any_more(
    reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream, seqs = reader.count(reader.other, "a", "b")
    reader.merge(stream, "a", seqs[0], 1)
    gone = reader.wait(stream, seqs[1], "b", 60)
    stays = reader.wait(bytes(STREAM_BYTES), 1, "b", 60)
    reader.reads.give_up(1)
    assert not gone.done()
    made = reader.increment("a")
    asked: list[Stream] = []
    monkeypatch.setattr(Log, "version", lambda _, stream: asked.append(stream))
    reader.look(made)
    assert not asked
    assert not stays.done()


def test_reads_end_with_the_very_input_that_brings_what_they_wait_for(
    reader: Reader,
) -> None:
    rng = random.Random(2)
    log = reader.log
    streams = [new_stream(rng) for _ in range(5)]
    reads: list[tuple[Stream, int, str | None, Answer]] = []
    merged: set[tuple[Stream, int]] = set()
    for _ in range(effort(700, 2000)):
        stream, seq, counter = rng.choice(streams), rng.randrange(1, 100), rng.choice("abc")
        name = rng.choice((counter, None))
        if not (reader.node.counted(stream, seq, name) or (stream, seq) in merged):
            reads.append((stream, seq, name, reader.wait(stream, seq, name, 60)))
        stream, seq = rng.choice(streams), rng.randrange(1, 100)
        if rng.random() < 0.3:
            if log.register(stream, counter)[0] < seq:
                merged.add((stream, seq))
                reader.merge(stream, counter, seq, seq)
        elif rng.random() < 0.1:
            log.claim(stream, min(100, log.version(stream) + rng.randrange(1, 5)))
            reader.look([])
        for of, at, name, answer in reads:
            by_name = name is not None and log.register(of, name)[0] >= at
            assert answer.done() == (by_name or log.version(of) >= at or (of, at) in merged)


def test_one_read_too_many_is_refused_and_there_is_room_when_another_ends(
    reader: Reader,
) -> None:
    rng = random.Random(1)
    waits = [reader.wait(new_stream(rng), 1, "a", 60) for _ in range(WAITS_MAX)]
    assert reader.wait(bytes(STREAM_BYTES), 1, "a", 60).included is None
    stream, [seq] = reader.count(reader.node, "a")
    assert reader.wait(stream, seq, "a", 60).included, "nothing is to be waited for"
    assert not waits[0].done()
    reader.reads.give_up(1)
    assert not reader.wait(bytes(STREAM_BYTES), 1, "a", 60).done()


@pytest.mark.untraced
def test_thousands_of_reads_never_end_without_their_increment(reader: Reader) -> None:
    """Events come in any order, some as newer registers of their counter, some by a version."""
    rng = random.Random(1)
    log = reader.log
    for _ in range(effort(30, 100)):
        names = [rng.choice("abc") for _ in range(100)]
        stream, seqs = reader.count(reader.other, *names)
        first = seqs[0] - 1
        answers: dict[int, Answer] = {
            seq: reader.wait(stream, seq, rng.choice((name, None)), 60)
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
        reader.look([])
        assert all(answer.done() and answer.included for answer in answers.values())


# --- at the node ---------------------------------------------------------------------------------


def test_a_node_tells_of_reads_and_copies_in_time_at_their_end_and_at_its_own() -> None:
    talk = Talk(peers=1)
    talk.increment()
    stream = talk.node.stream
    assert stream is not None
    wait = talk.node.await_included
    assert wait(1, stream, 1, "hits", talk.now + 5, talk.now) == [Included(1, True)]
    assert wait(2, stream, 2, "hits", talk.now + 5, talk.now) == []
    assert talk.increment().of(Included) == [Included(2, True)]
    for token, seconds in ((3, 1.0), (4, 60.0), (5, 60.0)):
        assert wait(token, stream, 9, None, talk.now + seconds, talk.now) == []
    talk.node.await_copies(6, stream, 9, 3, until=talk.now + 60, now=talk.now, memory=True)
    assert talk.wait(1.0).of(Included) == [Included(3, False)]
    talk.node.give_up(4)
    talk.node.give_up(4)
    ended = talk.node.stop_waiting(talk.now)
    assert ended == [Copies(6, 0, False), Included(5, False)]
    assert talk.node.stop_waiting(talk.now) == []


def test_of_very_many_reads_that_end_together_some_end_a_moment_later() -> None:
    talk = Talk(peers=1)
    talk.increment()
    stream = talk.node.stream
    assert stream is not None
    count = 2 * ENDS_MAX + 3
    for token in range(count):
        until = talk.now + (GO_ON_AFTER / 2 if token == count - 1 else 60)
        assert talk.node.await_included(token, stream, 2, "hits", until, talk.now) == []
    assert len(talk.increment().of(Included)) == ENDS_MAX
    talk.node.give_up(count - 2)
    in_time, *told = talk.wait(3 * GO_ON_AFTER).of(Included)
    assert in_time == Included(count - 1, True)
    assert told == [Included(token, True) for token in range(ENDS_MAX, count - 2)]


@pytest.mark.untraced
def test_one_wish_for_copies_too_many_is_told_what_is_known_at_once() -> None:
    talk = Talk()
    talk.increment()
    stream = talk.node.stream
    assert stream is not None
    for token in range(WAITS_MAX + 1):
        until = talk.now + 60
        told = talk.node.await_copies(token, stream, 1, 2, until=until, now=talk.now, memory=True)
        assert told == ([Copies(token, 1, False)] if token == WAITS_MAX else [])
    granted = talk.node.await_copies(-1, stream, 1, 1, until=until, now=talk.now, memory=True)
    assert granted == [Copies(-1, 1, True)]
