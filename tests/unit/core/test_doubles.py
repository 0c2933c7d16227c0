"""Events of one key that were counted more than once, and what values leave out for them."""

from __future__ import annotations

from itertools import permutations

import pytest

from gossipd.core.doubles import Doubles, LeftOut
from gossipd.core.keys import KeyedEvent
from gossipd.core.messages import Double

A, B, C = (bytes(9) + bytes((n,)) for n in (1, 2, 3))
K, L = b"k" * 16, b"l" * 16


class Registers:
    """How far the registers of a log have come."""

    def __init__(self) -> None:
        self.seqs: dict[tuple[bytes, str], int] = {}
        self.doubles = Doubles(lambda stream, counter: self.seqs.get((stream, counter), 0))

    def reach(self, stream: bytes, seq: int, counter: str = "x") -> list[LeftOut]:
        self.seqs[stream, counter] = seq
        return self.doubles.reached(stream, counter, seq)

    def add(
        self, stream: bytes, seq: int, by: int = 5, counter: str = "x", key: bytes = K
    ) -> list[LeftOut] | None:
        return self.doubles.add(stream, Double(key, seq, counter, by))


def test_nothing_is_left_out_where_nothing_was_counted_twice() -> None:
    doubles = Registers().doubles
    assert len(doubles) == doubles.left_out == doubles.left_out_of("x") == 0
    assert K not in doubles
    assert (doubles.events(K), doubles.of(A), doubles.streams()) == ([], [], [])


def test_of_two_present_events_the_larger_is_left_out() -> None:
    world = Registers()
    world.reach(A, 9)
    world.reach(B, 9)
    assert world.add(B, 2) == []
    assert world.add(A, 7) == [LeftOut(B, 2, "x", 5)]
    assert world.doubles.left_out_of("x") == 5
    assert world.doubles.left_out_of("y") == 0
    assert (len(world.doubles), world.doubles.left_out) == (2, 1)
    assert K in world.doubles
    assert sorted(world.doubles.events(K)) == [KeyedEvent(A, 7, "x", 5), KeyedEvent(B, 2, "x", 5)]
    assert world.doubles.streams() == [B, A]


def test_an_entry_is_entered_once() -> None:
    world = Registers()
    assert world.add(A, 7) == []
    assert world.add(A, 7) is None
    assert len(world.doubles) == 1


def test_an_event_that_its_register_has_not_reached_leaves_out_nothing() -> None:
    world = Registers()
    world.add(A, 7)
    world.add(B, 2)
    assert world.doubles.left_out_of("x") == 0
    assert world.reach(B, 1) == []
    assert world.reach(B, 2) == []
    assert world.reach(A, 6) == []
    assert world.reach(A, 8) == [LeftOut(B, 2, "x", 5)]
    assert world.reach(A, 9) == []
    assert world.doubles.left_out_of("x") == 5


def test_a_register_may_reach_several_events_at_once() -> None:
    world = Registers()
    for seq in (2, 4, 6):
        world.add(A, seq)
    assert world.reach(A, 5) == [LeftOut(A, 4, "x", 5)]
    assert world.reach(A, 6) == [LeftOut(A, 6, "x", 5)]


def test_events_that_say_something_else_are_no_doubles_of_each_other() -> None:
    world = Registers()
    for stream in (A, B):
        world.reach(stream, 9)
        world.reach(stream, 9, "y")
    assert world.add(A, 1, by=5) == []
    assert world.add(B, 1, by=6) == []
    assert world.add(B, 2, by=5, counter="y") == []
    assert world.add(B, 3, by=5, key=L) == []
    assert world.doubles.left_out == 0


def test_a_negative_double_raises_the_value() -> None:
    world = Registers()
    world.reach(A, 1)
    world.reach(B, 1)
    world.add(A, 1, by=-3)
    assert world.add(B, 1, by=-3) == [LeftOut(B, 1, "x", -3)]
    assert world.doubles.left_out_of("x") == -3


def test_entries_of_a_stream_are_listed_by_seq() -> None:
    world = Registers()
    for seq, key in ((5, K), (2, K), (5, L), (9, K)):
        world.add(A, seq, key=key)
    assert [(d.seq, d.key) for d in world.doubles.of(A)] == [(2, K), (5, K), (5, L), (9, K)]
    assert [d.seq for d in world.doubles.of(A, 2)] == [5, 5, 9]
    assert world.doubles.of(A, 9) == []


_STEPS = (("add", A), ("add", B), ("add", C), ("reach", A), ("reach", B), ("reach", C))


@pytest.mark.parametrize("first", range(6))
def test_whatever_comes_first_all_but_the_smallest_are_left_out(first: int) -> None:
    for steps in permutations(_STEPS):
        if steps[0] != _STEPS[first]:
            continue
        world = Registers()
        lost: list[LeftOut] = []
        for what, stream in steps:
            lost += (world.add(stream, 1) if what == "add" else world.reach(stream, 1)) or []
            assert sum(event.by for event in lost) == world.doubles.left_out_of("x")
        assert sorted(lost) == [LeftOut(B, 1, "x", 5), LeftOut(C, 1, "x", 5)]
