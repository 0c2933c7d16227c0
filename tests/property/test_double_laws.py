"""Doubles: whatever finds them, joins them and folds them, each key counts once in the end.

Nodes hold what was made under keys, find doubles by themselves, tell each other pages of what they
hold, and fold when they like. While nobody folds what another one has yet to learn, every value is
exact and all merges commute. Otherwise all agree in the end, all the same.
"""

from __future__ import annotations

from collections import defaultdict
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from gossipd.core import KeyRecord, Stream, StreamSnapshot
from gossipd.core.log.log import Log
from tests.effort import examples
from tests.inside import left_out_of

STREAMS = tuple(bytes(9) + bytes((n,)) for n in (1, 2, 3))
_Event = tuple[Stream, int, str, int, bytes]
_seeds = st.integers(0, 2**32)
"""Not shrunk much, but quick."""


def _events(rng: Random) -> list[_Event]:
    """What was made in each stream: (stream, seq, counter, by, key)."""
    events: list[_Event] = []
    for stream in STREAMS:
        for seq in range(1, rng.randrange(1, 13) + 1):
            key = bytes((rng.randrange(8),)) * 16
            events.append((stream, seq, "ab"[key[0] % 2], 1 + key[0] % 3, key))
    return events


class World:
    """Nodes with what they hold, and what is true."""

    def __init__(self, events: list[_Event], rng: Random) -> None:
        self.rng = rng
        self.logs = [Log() for _ in range(4)]
        self.registers: dict[Stream, dict[str, tuple[int, int]]] = defaultdict(dict)
        for stream, seq, counter, by, _ in events:
            total = self.registers[stream].get(counter, (0, 0))[1] + by
            self.registers[stream][counter] = (seq, total)
        self.keys: dict[Stream, list[KeyRecord]] = defaultdict(list)
        for stream, seq, counter, by, key in events:
            self.keys[stream].append(KeyRecord(key, seq, counter, by, 0))
        once = {(key, counter): by for *_, counter, by, key in events}
        self.values: dict[str, int] = defaultdict(int)
        for (_, counter), by in once.items():
            self.values[counter] += by

    def learn(self, log: Log, share: float = 1.0) -> None:
        """A node hears of some events."""
        for stream in self.rng.sample(STREAMS, len(STREAMS)):
            rows = [(name, *register) for name, register in self.registers[stream].items()]
            self.rng.shuffle(rows)
            log.merge(stream, rows)
            some = [record for record in self.keys[stream] if self.rng.random() < share]
            self.rng.shuffle(some)
            log.merge_keys(stream, some, 0.0)

    def fold(self, log: Log) -> None:
        """A node folds the first few doubles of some streams."""
        for stream in STREAMS:
            if self.rng.random() < 0.6:
                log.fold(stream, log.doubles.old(stream, 0, self.rng.randrange(6), 0.0), 0.0)

    def tell(self, from_: Log, to: Log) -> None:
        """One node tells another one all doubles and corrections, in any order."""
        for stream in self.rng.sample(STREAMS, len(STREAMS)):
            doubles = list(from_.doubles.of(stream, 0, 0.0))
            corrections = list(from_.doubles.corrections(stream))
            self.rng.shuffle(doubles)
            self.rng.shuffle(corrections)
            if self.rng.random() < 0.5:
                to.enter(stream, doubles, 0.0)
            for correction in corrections:
                to.correct(stream, correction, 0, 0.0)
            to.enter(stream, doubles, 0.0)

    def check(self, log: Log) -> None:
        """I7: a value is a function of registers, doubles and corrections."""
        totals: dict[str, int] = defaultdict(int)
        for stream in log.streams:
            for counter, _, total in log.by_name(stream, 0, ""):
                totals[counter] += total
        for counter, value in log.values.items():
            assert value == totals[counter] - left_out_of(log.doubles)[counter], "I7"
        again = Log()
        again.load([_snapshot(log, stream) for stream in log.streams], 0.0, 0.0)
        assert (again.values, again.fingerprint) == (log.values, log.fingerprint)


def _snapshot(log: Log, stream: Stream) -> StreamSnapshot:
    return StreamSnapshot(
        stream,
        log.version(stream),
        tuple(log.by_name(stream, 0, "")),
        tuple(log.keys.oldest_first(stream, 0, 0.0)),
        tuple(log.doubles.of(stream, 0, 0.0)),
        corrections=tuple(log.doubles.corrections(stream)),
    )


@examples(150)
@given(_seeds, st.integers(3, 15))
def test_who_folds_what_all_know_changes_no_value(seed: int, steps: int) -> None:
    rng = Random(seed)
    world = World(_events(rng), rng)
    *knowing, new = world.logs
    for log in knowing:
        world.learn(log)
    prints = {log.fingerprint for log in knowing}
    assert len(prints) == 1
    for _ in range(steps):
        world.fold(rng.choice(knowing))
        world.tell(*rng.sample(knowing, 2))
        for log in knowing:
            assert log.values == world.values
            assert {log.fingerprint} == prints, "I9: folding does not show"
            world.check(log)
    # Who comes later, and finds no key records any more, holds the same.
    for stream in STREAMS:
        new.merge(stream, [(name, *held) for name, held in world.registers[stream].items()])
        new.claim(stream, 0)
    teacher = rng.choice(knowing)
    world.tell(teacher, new)
    assert new.values == world.values
    assert new.doubles.left_out == teacher.doubles.left_out
    world.check(new)


@examples(150)
@given(_seeds, st.integers(3, 15))
def test_all_agree_in_the_end_whatever_was_folded_by_whom(seed: int, steps: int) -> None:
    """Also where somebody folded what it knew only a part of, as after a long separation."""
    rng = Random(seed)
    world = World(_events(rng), rng)
    for log in world.logs:
        world.learn(log, 0.6)
    for _ in range(steps):
        world.fold(rng.choice(world.logs))
        world.tell(*rng.sample(world.logs, 2))
        for log in world.logs:
            world.check(log)
    for _ in range(6):
        for one in world.logs:
            for other in world.logs:
                if one is not other:
                    world.tell(one, other)
    values = [log.values for log in world.logs]
    assert values.count(values[0]) == len(values)
    left_out = [log.doubles.left_out for log in world.logs]
    assert left_out.count(left_out[0]) == len(left_out)
    for counter, value in values[0].items():
        assert value >= world.values[counter], "Q3: never under"


@examples(100)
@given(_seeds)
def test_doubles_join_in_any_order(seed: int) -> None:
    """I5: idempotent, commutative, associative, while nobody folds."""
    rng = Random(seed)
    world = World(_events(rng), rng)
    first, second, third, all_ = world.logs
    for log in (first, second, third):
        world.learn(log, 0.5)
    teachers = [first, second, third]
    for _ in range(2):
        rng.shuffle(teachers)
        for teacher in teachers:
            world.tell(teacher, all_)
    prints = set()
    for log in (first, second, third):
        for _ in range(2):
            for other in rng.sample([first, second, third, all_], 4):
                world.tell(other, log)
        prints.add(tuple(sorted(d.said for s in STREAMS for d in log.doubles.of(s, 0, 0.0))))
    assert len(prints) == 1
