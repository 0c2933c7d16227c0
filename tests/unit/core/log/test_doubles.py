"""Events of one key that were counted more than once, and what values leave out for them."""

from __future__ import annotations

from itertools import permutations

import pytest

from gossipd.core.identity import BY_MAX, TOTAL_MAX
from gossipd.core.log.doubles import (
    FOLDED_AT_ONCE,
    REACHED_AT_ONCE,
    Doubles,
    LeftOut,
)
from gossipd.core.wire.records import Correction, Double
from tests.inside import left_out_of
from tests.simulation.checkers.doubles import hash_of_doubles
from tests.simulation.tables import walk

A, B, C = (bytes(9) + bytes((n,)) for n in (1, 2, 3))


class Registers:
    """How far the registers of a log have come."""

    def __init__(self) -> None:
        self.seqs: dict[tuple[bytes, str], int] = {}
        self.doubles = Doubles(lambda stream, counter: self.seqs.get((stream, counter), 0))
        self.sums = dict.fromkeys((A, B, C), 0)
        self.out: dict[str, int] = {}

    def reach(self, stream: bytes, seq: int, counter: str = "x") -> list[LeftOut]:
        self.seqs[stream, counter] = seq
        return self._leave_out(self.doubles.reached(stream, counter, seq))

    def all_reached(self) -> Registers:
        for stream in (A, B, C):
            for counter in ("x", "y"):
                self.reach(stream, 10**6, counter)
        return self

    def catch_up(self) -> list[LeftOut]:
        return self._leave_out(self.doubles.catch_up())

    def add(
        self,
        stream: bytes,
        seq: int,
        winner: tuple[bytes, int] = (A, 1),
        by: int = 5,
        counter: str = "x",
        age: int = 0,
    ) -> list[LeftOut] | None:
        double = Double(counter, seq, by, *winner, age)
        change = self.doubles.add(stream, double, 0.0)
        if change is None:
            return None
        self._sum()
        assert change.corrected == []
        return self._leave_out(change.left_out)

    def fold(self, stream: bytes, count: int) -> tuple[list[LeftOut], list[str]]:
        change = self.doubles.fold(stream, count, 0.0)
        self._sum()
        return self._leave_out(change.left_out), change.corrected

    def correct(self, stream: bytes, correction: Correction) -> list[LeftOut] | None:
        change = self.doubles.correct(stream, correction, 0.0)
        if change is None:
            return None
        self._sum()
        return self._leave_out(change.left_out)

    def held(self, stream: bytes) -> list[tuple[str, int, int]]:
        return [(d.counter, d.seq, d.by) for d in self.doubles.of(stream, 0, 0.0)]

    def check(self) -> None:
        """The sums that are kept are those that are computed anew."""
        self._sum()
        for stream in (A, B, C):
            assert self.sums[stream] == hash_of_doubles(self.doubles, stream, self._is_out)
        for counter in ("x", "y"):
            assert left_out_of(self.doubles)[counter] == self.out.get(counter, 0)

    def _is_out(self, stream: bytes, double: Double) -> bool:
        return self.doubles._waits_for(stream, double) is None

    def _sum(self) -> None:
        for stream, delta in self.doubles.moves():
            self.sums[stream] += delta

    def _leave_out(self, events: list[LeftOut]) -> list[LeftOut]:
        for event in events:
            self.out[event.counter] = self.out.get(event.counter, 0) + event.by
        return events


def test_nothing_is_left_out_where_nothing_was_counted_twice() -> None:
    doubles = Registers().doubles
    assert len(doubles) == doubles.left_out == left_out_of(doubles)["x"] == 0
    assert not doubles.has(A, 1)
    assert doubles.at(A, 1, 0.0) is None
    assert doubles.correction(A, "x") is None
    assert [*doubles.of(A, 0, 0.0), *doubles.corrections(A), *doubles.streams] == []


def test_an_event_that_has_lost_is_left_out_once_both_are_present() -> None:
    world = Registers()
    assert world.add(B, 2) == []
    assert world.reach(B, 1) == []
    assert world.reach(B, 2) == []
    assert left_out_of(world.doubles)["x"] == 0
    assert world.reach(A, 1) == [LeftOut(B, 2, "x", 5)]
    assert world.reach(A, 9) == []
    assert (len(world.doubles), world.doubles.left_out) == (1, 1)
    assert world.doubles.has(B, 2)
    assert not world.doubles.has(B, 1)
    assert world.doubles.streams == [B]
    world.check()


MANY = 3 * REACHED_AT_ONCE + 10


def test_where_many_wait_for_one_register_they_are_looked_at_in_parts() -> None:
    world = Registers()
    world.reach(B, MANY)
    for seq in range(1, MANY + 1):
        world.add(B, seq, winner=(A, seq % 7 + 1))
    assert len(world.reach(A, 3)) <= REACHED_AT_ONCE
    counts = [len(world.reach(A, 9))]
    world.check()
    while world.doubles.behind:
        counts.append(len(world.catch_up()))
        world.check()
    assert max(counts) == REACHED_AT_ONCE
    assert world.doubles.left_out == MANY
    assert world.catch_up() == []


def test_what_changes_while_some_still_wait_for_their_turn_counts_once() -> None:
    world = Registers()
    world.reach(B, MANY)
    for seq in range(1, MANY + 1):
        world.add(B, seq, winner=(A, 2), by=5)
    world.reach(A, 2)
    assert world.doubles.left_out == REACHED_AT_ONCE
    world.add(B, 1, winner=(A, 1), by=5)
    world.add(B, MANY, winner=(A, 1), by=5)
    world.check()
    world.reach(C, 1)
    world.add(C, 1, winner=(A, 2), by=7)
    world.check()
    while world.doubles.behind:
        world.catch_up()
        world.check()
    assert world.doubles.left_out == MANY + 1
    assert world.out == {"x": 5 * MANY + 7}


def test_nothing_is_behind_where_the_last_ones_that_waited_have_another_winner() -> None:
    world = Registers()
    for seq in range(1, REACHED_AT_ONCE + 2):
        world.add(B, seq, winner=(A, 2))
    world.reach(B, REACHED_AT_ONCE + 1)
    behind = [bool(world.doubles.behind)]
    world.add(B, REACHED_AT_ONCE + 1, winner=(A, 1))
    assert [*behind, bool(world.doubles.behind)] == [True, False]
    world.check()
    world.reach(A, 2)
    while world.doubles.behind:
        world.catch_up()
    world.check()
    assert world.doubles.left_out == REACHED_AT_ONCE + 1


def test_a_double_is_entered_once() -> None:
    world = Registers().all_reached()
    assert world.add(B, 7) == [LeftOut(B, 7, "x", 5)]
    assert world.add(B, 7) is None
    assert len(world.doubles) == 1


def test_a_register_may_reach_several_events_at_once() -> None:
    world = Registers()
    world.reach(A, 1)
    for seq in (2, 4, 6):
        world.add(B, seq)
    assert world.reach(B, 5) == [LeftOut(B, 2, "x", 5), LeftOut(B, 4, "x", 5)]
    assert world.reach(B, 6) == [LeftOut(B, 6, "x", 5)]


def test_a_negative_double_raises_the_value() -> None:
    world = Registers().all_reached()
    assert world.add(B, 1, by=-3) == [LeftOut(B, 1, "x", -3)]
    assert left_out_of(world.doubles)["x"] == -3


def test_doubles_of_a_stream_are_listed_by_seq_with_their_age() -> None:
    doubles = Doubles(lambda *_: 9)
    for seq in (5, 2, 9):
        doubles.add(B, Double("x", seq, 1, A, seq, 7), 0.0)
    assert [d.seq for d in doubles.of(B, 0, 0.0)] == [2, 5, 9]
    assert [d.seq for d in doubles.of(B, 2, 0.0)] == [5, 9]
    assert list(doubles.of(B, 9, 0.0)) == []
    assert doubles.at(B, 5, 1.0) == Double("x", 5, 1, A, 5, 17)
    assert doubles.at(B, 4, 1.0) is None


def test_of_two_winners_the_smaller_one_stays() -> None:
    world = Registers()
    world.reach(C, 1)
    world.reach(B, 1)
    assert world.add(C, 1, winner=(B, 1)) == [LeftOut(C, 1, "x", 5)]
    assert world.add(C, 1, winner=(B, 2)) is None
    assert world.add(C, 1, winner=(A, 4)) == [LeftOut(C, 1, "x", -5)]
    world.check()
    assert world.add(C, 1, winner=(A, 3)) == [], "a double that waits is replaced, too"
    assert world.reach(A, 3) == [LeftOut(C, 1, "x", 5)]
    assert len(world.doubles) == world.doubles.left_out == 1
    world.check()


def test_of_two_that_wait_for_one_register_one_is_replaced() -> None:
    world = Registers()
    world.reach(C, 9)
    world.add(C, 1, winner=(B, 4))
    world.add(C, 2, winner=(B, 4))
    assert world.add(C, 1, winner=(A, 1)) == []
    assert world.reach(B, 4) == [LeftOut(C, 2, "x", 5)]


_STEPS = (("b", B), ("c", C), ("c2", C), ("reach", A), ("reach", B), ("reach", C))
_SAYS = {"b": (B, (A, 1)), "c": (C, (A, 1)), "c2": (C, (B, 1))}


@pytest.mark.parametrize("first", range(6))
def test_whatever_comes_first_all_but_the_smallest_are_left_out(first: int) -> None:
    for steps in permutations(_STEPS):
        if steps[0] != _STEPS[first]:
            continue
        world = Registers()
        for what, stream in steps:
            if what == "reach":
                world.reach(stream, 1)
            else:
                loser, winner = _SAYS[what]
                world.add(loser, 1, winner)
            world.check()
        assert world.out["x"] == 10


# --- folding -------------------------------------------------------------------------------------


def test_folding_changes_neither_values_nor_the_fingerprint() -> None:
    world = Registers().all_reached()
    for seq, counter in ((1, "x"), (2, "y"), (3, "x"), (4, "x")):
        world.add(B, seq, by=seq, counter=counter)
    sums = dict(world.sums)
    left_out, corrected = world.fold(B, 3)
    assert (left_out, sorted(corrected)) == ([], ["x", "y"])
    assert (world.sums, world.held(B)) == (sums, [("x", 4, 4)])
    folded = world.doubles.correction(B, "x")
    assert folded is not None
    assert folded[:4] == ("x", 3, 2, 4)
    assert [c[:4] for c in world.doubles.corrections(B)] == [("x", 3, 2, 4), ("y", 2, 1, 2)]
    assert [c.counter for c in world.doubles.corrections(B, "x")] == ["y"]
    assert (len(world.doubles), world.doubles.left_out) == (1, 4)
    world.check()
    assert world.fold(B, 1) == ([], ["x"])
    assert world.doubles.streams == []
    assert world.fold(B, 0) == ([], [])
    world.check()


def test_what_was_folded_is_not_entered_again() -> None:
    world = Registers().all_reached()
    world.add(B, 5)
    world.fold(B, 1)
    assert world.add(B, 5) is None
    assert world.add(B, 4) is None, "too late"
    assert world.add(B, 4, counter="y") is not None
    assert world.add(B, 6) is not None
    world.check()


def test_what_still_waits_is_dropped_by_folding() -> None:
    world = Registers()
    world.reach(B, 9)
    world.add(B, 1)
    world.add(B, 2, winner=(C, 1))
    world.reach(A, 1)
    assert world.fold(B, 2) == ([], ["x"])
    assert [c[1:4] for c in world.doubles.corrections(B)] == [(2, 1, 5)]
    assert world.reach(C, 1) == [], "nothing waits for it any more"
    assert (world.doubles.left_out, world.out) == (1, {"x": 5})
    world.check()


def test_a_sum_beyond_all_bounds_is_not_folded() -> None:
    world = Registers().all_reached()
    count = TOTAL_MAX // BY_MAX
    for seq in range(1, count + 2):
        world.add(B, seq, by=BY_MAX)
    assert world.fold(B, count + 1) == ([LeftOut(B, 1, "x", -BY_MAX)], ["x"])
    assert world.out["x"] == TOTAL_MAX
    world.check()


def test_doubles_are_old_from_the_first_one_on() -> None:
    world = Registers()
    for seq, age in ((1, 9), (2, 9), (3, 4), (4, 9)):
        world.add(B, seq, age=age)
    assert world.doubles.old(B, 5, 10, 0.0) == 2
    assert world.doubles.old(B, 5, 1, 0.0) == 1
    assert world.doubles.old(B, 4, 10, 0.0) == 4
    assert world.doubles.old(A, 0, 10, 0.0) == 0


# --- joining corrections -------------------------------------------------------------------------


def both(*doubles: tuple[int, int]) -> tuple[Registers, Registers]:
    """Two nodes with the same doubles (seq, by) of a stream."""
    nodes = Registers().all_reached(), Registers().all_reached()
    for node in nodes:
        for seq, by in doubles:
            node.add(B, seq, by=by)
        node.add(B, 2, by=1, counter="y")
    return nodes


def correction(node: Registers, counter: str = "x") -> Correction:
    found = node.doubles.correction(B, counter)
    assert found is not None
    return found


def test_a_correction_of_the_same_doubles_changes_nothing_but_who_holds_them() -> None:
    first, second = both((1, 3), (3, 4), (5, 5))
    first.fold(B, 3)
    sums = dict(second.sums)
    assert second.correct(B, correction(first)) == []
    assert second.sums == sums
    assert second.held(B) == [("y", 2, 1), ("x", 5, 5)]
    assert correction(second) == correction(first)
    assert second.correct(B, correction(first)) is None
    second.check()


def test_a_correction_that_has_not_come_as_far_is_not_used() -> None:
    first, second = both((1, 3), (3, 4))
    first.fold(B, 1)
    second.fold(B, 3)
    assert second.correct(B, correction(first)) is None
    assert first.correct(B, correction(second)) == []
    assert correction(first) == correction(second)


def test_who_held_nothing_takes_a_correction() -> None:
    first, _ = both((1, 3), (3, 4))
    first.fold(B, 3)
    new = Registers().all_reached()
    assert new.correct(B, correction(first)) == [LeftOut(B, 3, "x", 7)]
    assert new.doubles.left_out == 2
    assert new.add(B, 3) is None
    new.check()


def test_of_two_corrections_the_one_of_more_doubles_stays() -> None:
    more, less = both((1, 3), (4, 4))
    more.add(B, 3, by=9)
    more.add(B, 5, by=1)
    less.fold(B, 3)
    more.correct(B, correction(less))
    assert correction(more)[:4] == ("x", 4, 3, 16), "it has folded up to there"
    assert more.held(B) == [("y", 2, 1), ("x", 5, 1)]
    assert less.correct(B, correction(more)) == [LeftOut(B, 4, "x", 9)]
    assert correction(less) == correction(more)
    more.check()
    less.check()


def test_much_is_folded_some_at_a_time_before_a_correction_is_joined() -> None:
    first, second = both(*((seq, 1) for seq in range(10, 10 + FOLDED_AT_ONCE + 5)))
    first.fold(B, FOLDED_AT_ONCE)
    first.fold(B, 6)
    assert second.correct(B, correction(first)) == []
    assert len(second.doubles) == 6
    assert correction(second) != correction(first)
    assert second.correct(B, correction(first)) == []
    assert correction(second) == correction(first)
    second.check()


def test_what_doubles_name_leaves_with_the_last_of_them() -> None:
    """Else a peer that makes names up would fill the memory, however soon they are folded."""
    doubles = Doubles(lambda *_: 0)
    for number in range(1, 1000):
        winner = number.to_bytes(10, "big")
        doubles.add(A, Double(f"c{number}", number, 5, winner, 9, 0), 0.0)
        doubles.add(A, Double(f"c{number}", number, 5, winner, 8, 0), 0.0)
        doubles.fold(A, 1, 0.0)
        assert [*doubles.moves()] == []
    sizes = dict(walk(doubles, "", set()))
    corrections = [size for path, size in sizes.items() if path.startswith("corrections")]
    assert max(size for path, size in sizes.items() if "corrections" not in path) <= 1, sizes
    assert max(corrections) == 999
