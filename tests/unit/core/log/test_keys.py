"""The records of idempotency keys: what they say, in which order, how old they are."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gossipd.core.log.keys import KeyedEvent, Keys, Numbered
from gossipd.core.wire.records import AGE_TICK, AGE_WANTED_MAX, KeyRecord
from tests.simulation.tables import walk

A, B = bytes(9) + b"\x01", bytes(9) + b"\x02"
K, L, M = (bytes((n,)) * 16 for n in (1, 2, 3))


def record(key: bytes, seq: int, by: int = 1, counter: str = "hits", age: int = 0) -> KeyRecord:
    return KeyRecord(key, seq, counter, by, age)


def held(*records: KeyRecord) -> Keys:
    """These records of one stream."""
    keys = Keys()
    for each in records:
        assert keys.add(A, each, 0.0) is None
    return keys


@pytest.mark.parametrize("seconds", [0.0, 1.0, 3600.0, 10.0**8])
def test_what_is_as_old_as_can_be_said_grows_no_younger(seconds: float) -> None:
    old = record(K, 5, age=AGE_WANTED_MAX)
    keys = held(old)
    assert keys.at(A, 5, seconds) == old


def test_what_is_looked_at_by_an_earlier_time_is_new() -> None:
    keys = Keys()
    keys.add(A, record(K, 5), 1000.0)
    assert keys.at(A, 5, 900.0) == record(K, 5)
    assert keys.at(A, 5, 1000.0 + 7 * AGE_TICK) == record(K, 5, age=7)


def test_nothing_is_known_of_a_key_that_was_not_added() -> None:
    keys = Keys()
    assert len(keys) == 0
    assert K not in keys
    assert keys.events(K) == []
    assert not keys.is_shared(K)
    assert keys.at(A, 1, 0.0) is None
    assert list(keys.newest_first(A, 0, 9, 0.0)) == list(keys.oldest_first(A, 0, 0.0)) == []
    assert keys.newest_at_or_below(A, 9) == 0
    assert keys.streams == []
    assert keys.old([A], 9, lambda stream, record: True, 0.0) == []


def test_a_record_says_what_was_counted_under_its_key() -> None:
    keys = held(record(K, 3, -(2**53), "a b"))
    assert keys.events(K) == [KeyedEvent(A, 3, "a b", -(2**53))]
    assert keys.at(A, 3, 0.0) == record(K, 3, -(2**53), "a b")
    assert keys.at(A, 2, 0.0) is None
    assert K in keys
    assert len(keys) == 1


def test_one_key_may_name_events_of_several_streams() -> None:
    keys = held(record(K, 3))
    assert not keys.is_shared(K)
    assert keys.add(B, record(K, 1), 0.0) is None
    assert keys.add(B, record(K, 2), 0.0) is None
    assert keys.is_shared(K)
    assert keys.events(K) == [KeyedEvent(s, n, "hits", 1) for s, n in ((A, 3), (B, 1), (B, 2))]
    assert keys.at(B, 2, 0.0) == record(K, 2)
    assert len(keys) == 3


@pytest.mark.parametrize("order", [(1, 4, 9), (9, 4, 1), (4, 9, 1)])
def test_records_are_listed_by_seq_whatever_the_order_they_came_in(order: tuple[int, ...]) -> None:
    keys = held(*(record(bytes((seq,)) * 16, seq) for seq in order))
    assert [r.seq for r in keys.oldest_first(A, 0, 0.0)] == [1, 4, 9]
    assert [r.seq for r in keys.oldest_first(A, 1, 0.0)] == [4, 9]
    assert [r.seq for r in keys.newest_first(A, 1, 9, 0.0)] == [9, 4]
    assert [r.seq for r in keys.newest_first(A, 0, 8, 0.0)] == [4, 1]
    assert [keys.newest_at_or_below(A, seq) for seq in (0, 1, 3, 4, 8, 9, 99)] == [
        0, 1, 1, 4, 4, 9, 9
    ]  # fmt: skip


def test_the_same_record_again_changes_nothing_not_even_its_age() -> None:
    keys = held(record(K, 3, age=50))
    again = record(K, 3, age=7)
    assert keys.add(A, again, 0.0) is again
    assert keys.at(A, 3, 0.0) == record(K, 3, age=50)
    assert len(keys) == 1


def test_of_two_keys_of_one_event_everybody_keeps_the_smaller() -> None:
    first, second = held(record(L, 3)), held(record(K, 3))
    assert first.add(A, record(K, 3), 0.0) == record(L, 3)
    larger = record(L, 3)
    assert second.add(A, larger, 0.0) is larger
    for keys in (first, second):
        assert list(keys.oldest_first(A, 0, 0.0)) == [record(K, 3)]
        assert keys.events(L) == []
        assert len(keys) == 1


def test_ages_grow_with_time_in_tenths_of_a_second() -> None:
    keys = Keys()
    keys.add(A, record(K, 1, age=7), 100.0)
    keys.add(A, record(L, 2), 101.04)
    assert [r.age for r in keys.oldest_first(A, 0, 101.04)] == [17, 0]
    assert [r.age for r in keys.newest_first(A, 0, 2, 160.0)] == [590, 607]


@pytest.mark.parametrize("began", [0.0, 2.0**31, 2.0**33])
def test_the_clock_may_have_run_for_any_time(began: float) -> None:
    """Ages are right on a host that has been up for years, too."""
    keys = Keys()
    keys.add(A, record(K, 1, age=9000), began)
    keys.add(A, record(L, 2), began + 1)
    assert [r.age for r in keys.oldest_first(A, 0, began + 600)] == [15_000, 5_990]


def test_a_record_that_is_younger_than_the_time_asked_by_has_no_age() -> None:
    """An answer in slices goes on by the time at which it began."""
    keys = Keys()
    keys.add(A, record(K, 1), 10.0)
    assert [r.age for r in keys.oldest_first(A, 0, 9.0)] == [0]


# --- dropping ------------------------------------------------------------------------------------


def test_the_oldest_records_are_listed_for_dropping_up_to_the_first_that_may_not_go() -> None:
    keys = held(*(record(bytes((seq,)) * 16, seq) for seq in (1, 2, 3, 4)))
    keys.add(B, record(K, 8), 0.0)
    found = keys.old(keys.streams[::-1], 9, lambda stream, each: each.seq not in (3, 8), 0.0)
    assert [(stream, [r.seq for r in records]) for stream, records in found] == [(A, [1, 2])]
    everything = keys.old(keys.streams[::-1], 9, lambda stream, each: True, 0.0)
    assert [len(records) for _, records in everything] == [4, 1]
    some = keys.old(keys.streams[::-1], 3, lambda stream, each: True, 0.0)
    assert [len(records) for _, records in some] == [3]


def test_what_is_dropped_is_not_known_any_more_and_the_rest_is() -> None:
    keys = held(record(K, 1), record(L, 2), record(M, 3))
    keys.drop_oldest(A, 2)
    assert keys.events(K) == keys.events(L) == []
    assert keys.events(M) == [KeyedEvent(A, 3, "hits", 1)]
    assert [r.seq for r in keys.oldest_first(A, 0, 0.0)] == [3]
    keys.drop_oldest(A, 1)
    assert len(keys) == 0
    assert list(keys.oldest_first(A, 0, 0.0)) == []


@pytest.mark.parametrize("count", [1, 2, 3])
def test_dropping_one_event_of_a_key_keeps_the_others(count: int) -> None:
    keys = held(record(K, 1), record(K, 2), record(K, 3))
    keys.add(B, record(K, 5), 0.0)
    keys.drop_oldest(A, count)
    left = [KeyedEvent(A, seq, "hits", 1) for seq in range(count + 1, 4)]
    assert sorted(keys.events(K)) == [*left, KeyedEvent(B, 5, "hits", 1)]
    assert keys.is_shared(K) is (count < 3)
    assert keys.at(B, 5, 0.0) == record(K, 5)


def test_what_records_name_leaves_with_the_last_of_them() -> None:
    """Else a peer that makes names up would fill the memory, however few records are held."""
    keys = Keys()
    for number in range(1000):
        stream = number.to_bytes(10, "big")
        each = [record(bytes((n,)) * 16, n, counter=f"c{number} {n % 2}") for n in (1, 2, 3)]
        assert keys.extend(stream, each[:1], [0], 0.0) == 1
        assert keys.add(stream, each[1], 0.0) is None
        assert keys.add(stream, each[2], 0.0) is None
        assert [event.counter for event in keys.events(K)] == [f"c{number} 1"]
        assert keys.extend(bytes(10), each[:1], [0], 0.0) == 0, "its key is known"
        keys.remove(stream, 2)
        keys.drop_oldest(stream, 2)
    assert {path: size for path, size in sizes_of(keys) if size > 3} == {}


def test_a_value_keeps_its_number_while_it_stands_anywhere() -> None:
    numbered: Numbered[str] = Numbered()
    one, two = numbered.use("one"), numbered.use("two")
    assert numbered.use("one") == one == numbered.number("one")
    numbered.release(one)
    assert numbered[one] == "one"
    numbered.release(one)
    assert numbered.use("three") == one
    assert (numbered[one], numbered[two]) == ("three", "two")


def sizes_of(thing: object) -> Iterator[tuple[str, int]]:
    return walk(thing, "", set())
