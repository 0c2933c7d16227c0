from __future__ import annotations

from time import process_time

import pytest

from gossipd.core.hashing import MASK, answer_of, fingerprint_of, wide_hash
from gossipd.core.identity import Stream
from gossipd.core.log.log import Log
from gossipd.core.log.marks import Marks
from gossipd.core.log.registers import Advance
from gossipd.core.snapshot import StreamSnapshot
from gossipd.core.wire.records import Double, Leaf

A, B = b"\x00" * 9 + b"a", b"\x01" + b"\x00" * 8 + b"b"


def _merged(*registers: tuple[str, int, int]) -> Log:
    log = Log()
    for register in registers:
        assert log.merge(A, [register]) is not None
    return log


def test_an_empty_log_counts_nothing() -> None:
    log = Log()
    assert log.fingerprint == 0
    assert log.value("x") == log.version(A) == log.newest(A) == 0
    assert log.newest_at_or_below(A, 9) == 0
    assert log.register(A, "x") == (0, 0)
    assert list(log.newest_first(A, 0)) == list(log.by_name(A, 0, "")) == []
    assert log.leaf(A) == Leaf(A, 0, 0)
    assert (log.register_count, log.counter_count, log.stream_count) == (0, 0, 0)
    assert log.merge(A, []) == []
    assert log.streams == ()


def test_a_stream_is_held_once_anything_of_it_is() -> None:
    log = Log()
    assert not log.holds(bytes(10))
    log.enter(bytes(10), [Double("hits", 1, 1, bytes(10), 0, 0)], 0.0)
    assert log.holds(bytes(10))
    assert log.version(bytes(10)) == 0


def test_a_value_is_the_sum_of_totals_over_streams() -> None:
    log = Log()
    assert log.merge(A, [("x", 2, 5), ("y", 3, -1)]) == [
        Advance(A, "x", 2, 5, 5),
        Advance(A, "y", 3, -1, -1),
    ]
    assert log.merge(B, [("x", 1, 10)]) == [Advance(B, "x", 1, 10, 15)]
    assert log.merge(A, [("x", 4, 4)]) == [Advance(A, "x", 4, -1, 14)]
    assert log.values == {"x": 14, "y": -1}
    assert (log.register_count, log.counter_count, log.stream_count) == (3, 2, 2)
    assert set(log.streams) == {A, B}


def test_a_register_with_a_larger_seq_wins() -> None:
    log = _merged(("x", 2, 5))
    fingerprint = log.fingerprint
    assert log.merge(A, [("x", 1, 900), ("x", 2, 5), ("x", 2, 4)]) == []
    assert log.register(A, "x") == (2, 5)
    assert log.fingerprint == fingerprint


def test_of_two_contents_of_one_event_the_larger_total_wins() -> None:
    log = _merged(("x", 2, 5), ("x", 2, 6), ("x", 2, 5))
    assert log.register(A, "x") == (2, 6)
    assert log.value("x") == 6
    assert list(log.newest_first(A, 0)) == [("x", 2, 6)]


def test_the_fingerprint_is_the_sum_of_hashes_of_registers_and_versions() -> None:
    log = _merged(("x", 1, 1), ("x", 2, 3))
    assert log.claim(A, 1)
    assert log.claim(A, 2)
    register = wide_hash("r", A, "x", 2, 3)
    total = (register + wide_hash("v", A, 2)) & MASK
    assert log.fingerprint == fingerprint_of(total)
    assert log.leaf(A) == Leaf(A, 2, register)
    assert log.sums_below(0, 0)[0] == log.sums_below(5, 0)[0] == total
    assert log.leaf_shown(A, 9) == Leaf(A, 2, answer_of(register, 9))
    assert log.sums_shown(5, 0, 9) == (answer_of(total, 9), *[0] * 63)
    assert log.leaves_below(2, 0) == [A]
    assert log.has_few_below(2, 0, 1)


def test_a_version_only_rises_and_only_where_something_is_held() -> None:
    log = _merged(("x", 3, 3))
    assert not log.claim(B, 3)
    assert log.version(B) == 0
    assert log.claim(A, 3)
    assert not log.claim(A, 3)
    assert not log.claim(A, 2)
    assert log.version(A) == 3


def test_registers_are_listed_newest_first_without_superseded_ones() -> None:
    log = _merged(("x", 1, 1), ("y", 2, 1), ("x", 5, 2), ("z", 4, 1), ("y", 3, 2))
    assert list(log.newest_first(A, 0)) == [("x", 5, 2), ("z", 4, 1), ("y", 3, 2)]
    assert list(log.newest_first(A, 3)) == [("x", 5, 2), ("z", 4, 1)]
    assert list(log.newest_first(A, 3, 4)) == [("z", 4, 1)]
    assert list(log.newest_first(A, 0, 2)) == []
    assert log.newest(A) == 5


def test_many_superseded_events_of_a_stream_are_compacted_away() -> None:
    log = Log()
    for seq in range(1, 500):
        log.merge(A, [("x" if seq % 2 else "y", seq, seq)])
    assert list(log.newest_first(A, 0)) == [("x", 499, 499), ("y", 498, 498)]


def test_what_one_counter_leaves_behind_lies_in_nobodys_way() -> None:
    """Many counters allow for many entries that one of them has superseded, all in a row."""
    log = Log()
    log.merge(A, [(f"c{seq}", seq, 1) for seq in range(1, 201)])
    for seq in range(201, 401):
        log.merge(A, [("hot", seq, seq)])
    held = log._streams[A]
    seqs = held._by_seq
    assert seqs is not None
    assert len(seqs) == 201
    assert list(seqs.descending((400, ""))) == [(seq, f"c{seq}") for seq in range(200, 0, -1)]
    assert log.newest_at_or_below(A, 399) == 200


@pytest.mark.parametrize("size", [32, 33, 200])
def test_a_stream_is_listed_alike_however_large_it_is(size: int) -> None:
    log, held = Log(), {}
    for seq in range(1, 6 * size):
        counter = f"{seq * 7 % size:03}"
        held[counter] = (seq, seq)
        assert log.merge(A, [(counter, seq, seq)]) is not None
    rows = [(counter, *register) for counter, register in held.items()]
    newest = sorted(rows, key=lambda row: -row[1])
    assert list(log.newest_first(A, 0)) == newest
    assert list(log.newest_first(A, 5 * size, 5 * size + 20)) == [
        row for row in newest if 5 * size < row[1] <= 5 * size + 20
    ]
    assert list(log.by_name(A, 0, "")) == sorted(rows)
    assert list(log.by_name(A, 6 * size - 3, "")) == sorted(newest[:2])
    assert log.newest(A) == newest[0][1]
    assert log.newest_at_or_below(A, 5 * size - 1) == 0


def test_counters_are_listed_from_a_name_on() -> None:
    log = _merged(("b", 1, 1), ("a", 2, 1))
    log.load([StreamSnapshot(B, 9, (("c", 1, 1), ("a", 2, 2)))], 0.0, 0.0)
    assert log.counters_from("") == ["a", "b", "c"]
    assert log.counters_from("b") == ["b", "c"]
    assert log.counters_from("d") == []
    assert log.counters_behind(0, 2) == ["a", "b"]
    assert log.counters_behind(2, 2) == ["c"]
    assert log.counters_behind(3, 2) == []
    assert [log.find(name) for name in ("a", "d")] == [3, None]


def test_a_small_stream_that_is_loaded_beside_many_counters_adds_its_names() -> None:
    log = Log()
    log.load([StreamSnapshot(A, 99, tuple((f"{n:02}", n + 1, 1) for n in range(50)))], 0.0, 0.0)
    log.load([StreamSnapshot(B, 9, (("05x", 1, 1), ("06", 2, 1)))], 0.0, 0.0)
    assert log.counters_from("05") == ["05", "05x", *(f"{n:02}" for n in range(6, 50))]
    assert log.value("06") == 2


def test_the_newest_register_at_or_below_a_seq_is_one_that_is_held() -> None:
    log = _merged(("x", 1, 1), ("y", 2, 1), ("x", 5, 2))
    assert [log.newest_at_or_below(A, seq) for seq in range(7)] == [0, 0, 2, 2, 2, 5, 5]


def test_no_name_of_a_counter_hides_its_register() -> None:
    log = _merged(("x", 1, 1), ("\U0010ffff\U0010ffff", 2, 1))
    assert log.newest_at_or_below(A, 2) == 2


def test_registers_are_listed_by_name_whatever_their_order() -> None:
    log = _merged(("b", 1, 1), ("c", 2, 1), ("a", 3, 1), ("d", 4, 1))
    assert [r[0] for r in log.by_name(A, 0, "")] == ["a", "b", "c", "d"]
    assert [r[0] for r in log.by_name(A, 1, "a")] == ["c", "d"]
    log.merge(A, [("bb", 5, 1)])
    assert [r[0] for r in log.by_name(A, 0, "b")] == ["bb", "c", "d"]


@pytest.mark.parametrize("above", [0, 50, 150, 190, 200])
def test_few_and_many_registers_above_a_seq_are_listed_alike(above: int) -> None:
    log = Log()
    for seq in range(1, 201):
        log.merge(A, [(f"c{seq * 37 % 120:03}", seq, seq)])
    for after in ("", "c060", "c119"):
        expected = sorted(r for r in log.newest_first(A, above) if r[0] > after)
        assert list(log.by_name(A, above, after)) == expected


@pytest.mark.untraced
def test_a_few_registers_of_many_are_listed_at_little_cost() -> None:
    log = Log()
    log.merge(A, [(f"c{seq:06}", seq, 1) for seq in range(1, 20_001)])
    began_at = process_time()
    for _ in range(20):
        assert len(list(log.by_name(A, 0, ""))) == 20_000
    all_took = process_time() - began_at
    began_at = process_time()
    for _ in range(200):
        assert len(list(log.by_name(A, 19_990, ""))) == 10
    assert process_time() - began_at < all_took


@pytest.mark.parametrize("room", [1, 2])
def test_a_full_log_refuses_new_registers_whole_and_takes_known_ones(room: int) -> None:
    log = Log(registers_max=2 + room)
    log.merge(A, [("x", 1, 1), ("y", 2, 1)])
    news = [(f"n{n}", 3 + n, 1) for n in range(room + 1)]
    assert log.merge(A, news) is None
    assert log.register_count == 2
    known = [("x", 10, 2), ("y", 11, 2), ("x", 12, 3)]
    advances = log.merge(A, [*known, *news[:room]])
    assert advances is not None
    assert len(advances) == 3 + room
    assert not log.has_room(A, "more")
    assert log.has_room(A, "x")
    assert log.merge(A, [("more", 20, 1)]) is None
    assert log.merge(B, [("x", 20, 1)]) is None
    assert log.register_count == 2 + room


def test_what_an_earlier_life_stored_is_taken_in_as_if_it_had_been_merged() -> None:
    stored = [("b", 3, 7), ("a", 5, -2), ("c", 1, 1)]
    merged, loaded = Log(), Log()
    merged.merge(A, stored)
    merged.claim(A, 5)
    loaded.keeps_marks = True
    loaded.load([StreamSnapshot(A, 5, tuple(stored))], 0.0, 0.0)
    for log in (merged, loaded):
        assert (log.leaf(A), log.values) == (merged.leaf(A), {"a": -2, "b": 7, "c": 1})
        assert log.fingerprint == fingerprint_of(log.sums_below(0, 0)[0]) == merged.fingerprint
        assert log.leaves_below(0, 0) == [A]
        assert (log.newest(A), log.version(A), log.durable(A)) == (5, 5, 5)
        assert log.newest_at_or_below(A, 4) == 3
        assert list(log.newest_first(A, 1)) == [("a", 5, -2), ("b", 3, 7)]
        assert list(log.by_name(A, 0, "")) == sorted(stored)
        assert (log.register_count, log.counter_count) == (3, 3)
    assert _taken(loaded) == ({}, {})


@pytest.mark.parametrize("asked_before", [True, False])
def test_what_was_loaded_goes_on_as_any_other_stream(asked_before: bool) -> None:
    log = Log()
    log.load([StreamSnapshot(A, 2, (("a", 1, 1), ("b", 2, 1)))], 0.0, 0.0)
    if asked_before:
        assert log.newest(A) == 2
    assert log.merge(A, [("a", 4, 3), ("aa", 3, 1)]) == [
        Advance(A, "a", 4, 2, 3),
        Advance(A, "aa", 3, 1, 1),
    ]
    assert list(log.newest_first(A, 0)) == [("a", 4, 3), ("aa", 3, 1), ("b", 2, 1)]
    assert [counter for counter, _, _ in log.by_name(A, 0, "")] == ["a", "aa", "b"]
    assert log.merge(A, [("a", 3, 9)]) == []


def test_loading_what_is_held_already_joins() -> None:
    log = _merged(("x", 3, 3))
    log.claim(A, 3)
    log.load([StreamSnapshot(A, 2, (("x", 2, 2), ("y", 1, 1)))], 0.0, 0.0)
    assert (log.register(A, "x"), log.register(A, "y"), log.version(A)) == ((3, 3), (1, 1), 3)
    log.load([StreamSnapshot(A, 4, (("x", 4, 5),))], 0.0, 0.0)
    assert (log.value("x"), log.version(A)) == (5, 4)


def test_what_an_earlier_life_stored_is_loaded_although_the_log_is_full() -> None:
    log = Log(streams_max=1, registers_max=2)
    log.load([StreamSnapshot(A, 2, (("x", 1, 1), ("y", 2, 1)))], 0.0, 0.0)
    log.load([StreamSnapshot(B, 2, (("x", 1, 1), ("y", 2, 1)))], 0.0, 0.0)
    log.load([StreamSnapshot(A, 4, (("z", 3, 1),))], 0.0, 0.0)
    assert (log.values, log.version(A)) == ({"x": 2, "y": 2, "z": 1}, 4)
    assert log.merge(B, [("z", 3, 1)]) is None


def test_a_full_log_refuses_new_streams() -> None:
    log = Log(streams_max=1)
    log.merge(A, [("x", 1, 1)])
    assert log.merge(B, [("x", 1, 1)]) is None
    assert not log.has_room(B, "x")
    assert log.streams == (A,)
    assert log.merge(A, [("y", 2, 1)]) is not None


def test_one_register_more_fits_beside_others_until_the_log_is_full() -> None:
    log = Log(registers_max=3)
    log.merge(A, [("x", 1, 1)])
    assert log.has_room(A, "new", 1)
    assert not log.has_room(A, "new", 2)


def _taken(log: Log) -> tuple[dict[tuple[Stream, str], None], dict[Stream, int]]:
    marks, log.changed = log.changed, Marks()
    return marks.registers, marks.versions


def test_a_log_notes_what_is_to_be_stored_only_if_it_is_told_to() -> None:
    log = _merged(("x", 1, 1))
    log.claim(A, 1)
    assert _taken(log) == ({}, {})
    log.keeps_marks = True
    log.merge(A, [("x", 1, 1), ("y", 2, 1)])
    log.claim(A, 1)
    assert _taken(log) == ({(A, "y"): None}, {})
    log.claim(A, 2)
    assert _taken(log) == ({}, {A: 2})
    assert _taken(log) == ({}, {})


def test_the_durable_version_is_the_one_held_where_there_is_no_disk() -> None:
    log = _merged(("x", 1, 1))
    log.claim(A, 1)
    assert (log.durable(A), log.durable(B)) == (1, 0)


def test_a_durable_version_only_rises_and_only_where_something_is_held() -> None:
    log = _merged(("x", 5, 1))
    log.keeps_marks = True
    log.claim(A, 5)
    assert log.durable(A) == 0
    log.set_durable(A, 4)
    log.set_durable(A, 3)
    log.set_durable(B, 3)
    assert (log.durable(A), log.durable(B)) == (4, 0)
