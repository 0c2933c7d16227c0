"""Key records and doubles in the log: what the fingerprint and values make of them."""

from __future__ import annotations

from random import Random

import pytest

from gossipd.core import Double, KeyedEvent, KeyRecord, StreamImage
from gossipd.core.hashing import MASK, hash64
from gossipd.core.keys import EVENTS_MAX
from gossipd.core.log import Advance, Log

from .parts import new_key

A, B, C = (bytes(9) + bytes((n,)) for n in (1, 2, 3))
K, L, M = (bytes((n,)) * 16 for n in (1, 2, 3))


def record(key: bytes, seq: int, by: int = 1, counter: str = "x") -> KeyRecord:
    return KeyRecord(key, seq, counter, by, 0)


def check_books(log: Log) -> None:
    """Everything incremental equals what is computed anew (I7, I9)."""
    fingerprint = 0
    values: dict[str, int] = {}
    for stream in log.streams:
        version, digest = log.version(stream), 0
        for name, seq, total in log.by_name(stream, 0, ""):
            digest += hash64("r", stream, name, seq, total)
            values[name] = values.get(name, 0) + total
        for each in log.keys.oldest_first(stream, version, 0.0):
            digest += hash64("k", stream, *each.said)
        for double in log.doubles.of(stream):
            digest += hash64("c", stream, *double)
        assert log.leaf(stream) == (stream, version, digest & MASK)
        fingerprint += digest + (hash64("v", stream, version) if version else 0)
    assert log.fingerprint == fingerprint & MASK, "I9"
    for name in values:
        assert log.value(name) == values[name] - log.doubles.left_out_of(name), "I7"


def test_a_record_above_the_version_is_in_the_fingerprint_and_one_below_is_not() -> None:
    log = Log()
    log.merge(A, [("x", 5, 5)])
    before = log.fingerprint
    assert log.merge_keys(A, [record(K, 4)], 0.0) == (1, [])
    assert log.fingerprint == (before + hash64("k", A, K, 4, "x", 1)) & MASK
    log.claim(A, 4)
    assert log.fingerprint == (before + hash64("v", A, 4)) & MASK
    log.merge_keys(A, [record(L, 3)], 0.0)
    assert log.fingerprint == (before + hash64("v", A, 4)) & MASK


def test_ages_are_not_in_the_fingerprint() -> None:
    first, second = Log(), Log()
    for log, age in ((first, 0), (second, 70)):
        log.merge_keys(A, [record(K, 4)._replace(age=age)], 0.0)
    assert first.fingerprint == second.fingerprint != 0


def test_a_record_that_is_held_is_not_new() -> None:
    log = Log()
    assert log.merge_keys(A, [record(K, 4), record(L, 5), record(K, 4)], 0.0) == (2, [])
    assert log.merge_keys(A, [record(L, 5)], 9.0) == (0, [])
    check_books(log)


@pytest.mark.parametrize("order", [(K, L), (L, K)])
@pytest.mark.parametrize("version", [0, 3])
def test_of_two_keys_of_one_event_the_fingerprint_has_the_smaller(
    order: tuple[bytes, bytes], version: int
) -> None:
    log = Log()
    log.merge(A, [("x", 3, 1)])
    log.claim(A, version)
    for key in order:
        log.merge_keys(A, [record(key, 3)], 0.0)
    assert [each.key for each in log.keys.oldest_first(A, 0, 0.0)] == [K]
    check_books(log)


@pytest.mark.parametrize("version", [0, 2, 3])
def test_what_is_dropped_leaves_the_fingerprint(version: int) -> None:
    log = Log()
    log.merge(A, [("x", 3, 3)])
    log.claim(A, version)
    records = [record(K, 1), record(L, 2), record(M, 3)]
    log.merge_keys(A, records, 0.0)
    log.drop_keys(A, records[:2], 50.0)
    check_books(log)
    assert [each.seq for each in log.keys.oldest_first(A, 0, 0.0)] == [3]
    assert (log.archived(A, 49.0), log.archived(A, 50.0), log.archived(B, 0.0)) == (2, 0, 0)


def test_a_later_drop_of_an_earlier_record_does_not_lower_what_is_on_the_disk_only() -> None:
    log = Log()
    log.merge_keys(A, [record(K, 5)], 0.0)
    log.drop_keys(A, [record(K, 5)], 50.0)
    log.merge_keys(A, [record(L, 2)], 0.0)
    log.drop_keys(A, [record(L, 2)], 90.0)
    assert (log.archived(A, 49.0), log.archived(A, 60.0)) == (5, 0)


def test_events_of_one_key_are_doubles_when_the_second_record_comes() -> None:
    log = Log()
    log.merge(A, [("x", 1, 5)])
    log.merge(B, [("x", 4, 9)])
    assert log.merge_keys(B, [record(K, 4, 5)], 0.0) == (1, [])
    assert log.merge_keys(A, [record(K, 1, 5)], 0.0) == (1, [Advance(B, "x", 4, -5, 9)])
    assert log.value("x") == 9
    assert log.events(K) == {KeyedEvent(A, 1, "x", 5), KeyedEvent(B, 4, "x", 5)}
    check_books(log)
    assert log.merge(C, [("x", 2, 5)]) == [Advance(C, "x", 2, 5, 14)]
    assert log.merge_keys(C, [record(K, 2, 5)], 0.0) == (1, [Advance(C, "x", 2, -5, 9)])
    check_books(log)


def test_a_double_whose_register_comes_later_is_left_out_then() -> None:
    log = Log()
    log.merge(A, [("x", 1, 5)])
    assert log.enter(A, Double(K, 1, "x", 5)) == []
    assert log.enter(B, Double(K, 4, "x", 5)) == []
    assert log.enter(B, Double(K, 4, "x", 5)) is None
    check_books(log)
    assert log.merge(B, [("x", 6, 12)]) == [
        Advance(B, "x", 6, 12, 17),
        Advance(B, "x", 4, -5, 12),
    ]
    check_books(log)


def test_a_record_shows_a_double_of_an_event_that_is_known_by_its_entry_only() -> None:
    log = Log()
    for stream in (A, B, C):
        log.merge(stream, [("x", 1, 5)])
    for stream in (B, C):
        log.enter(stream, Double(K, 1, "x", 5))
    assert log.value("x") == 10
    assert log.merge_keys(A, [record(K, 1, 5)], 0.0) == (1, [Advance(B, "x", 1, -5, 5)])
    check_books(log)


def test_an_entry_shows_a_double_of_an_event_that_is_known_by_its_record_only() -> None:
    """Whichever of the two comes first."""
    log = Log()
    for stream in (A, B):
        log.merge(stream, [("x", 1, 5)])
    log.merge_keys(A, [record(K, 1, 5)], 0.0)
    assert log.enter(B, Double(K, 1, "x", 5)) == [Advance(B, "x", 1, -5, 5)]
    assert log.doubles.of(A) == log.doubles.of(B) == [Double(K, 1, "x", 5)]
    check_books(log)


def test_a_key_that_was_used_for_two_things_makes_no_doubles() -> None:
    log = Log()
    for stream, by in ((A, 5), (B, 6)):
        log.merge(stream, [("x", 1, by)])
        log.merge_keys(stream, [record(K, 1, by)], 0.0)
    assert log.value("x") == 11
    assert len(log.doubles) == 0


@pytest.mark.parametrize("seed", range(4))
def test_of_too_many_events_of_a_key_the_smallest_are_held_in_whatever_order_they_came(
    seed: int,
) -> None:
    """So that a record costs no more than a few, and logs become equal all the same."""
    rng = Random(seed)
    events = [(stream, seq) for stream in (A, B, C) for seq in range(1, EVENTS_MAX)]
    logs = []
    for _ in range(2):
        log = Log()
        log.keeps_marks = True
        log.merge(A, [("x", EVENTS_MAX, 90)])
        rng.shuffle(events)
        for stream, seq in events:
            log.merge_keys(stream, [record(K, seq)], 0.0)
            check_books(log)
        logs.append(log)
    for log in logs:
        held = sorted((event.stream, event.seq) for event in log.keys.events(K))
        assert held == sorted(events)[:EVENTS_MAX]
        assert log.merge_keys(A, [record(K, 1)], 0.0) == (0, [])
        assert log.merge_keys(C, [record(K, 1), record(L, 1)], 0.0)[0] == 1
        assert log.merge_keys(C, [record(M, EVENTS_MAX)], 0.0)[0] == 1
    assert logs[0].value("x") <= 90


def test_news_includes_key_records_and_what_lies_on_the_disk_bounds_it() -> None:
    log = Log()
    log.merge(A, [("x", 6, 6)])
    log.merge_keys(A, [record(K, 2), record(L, 6), record(M, 8)], 0.0)
    assert [each[1] for each in log.records_newest_first(A, 1, 9, 0.0)] == [8, 6, 6, 2]
    assert [each[1] for each in log.records_newest_first(A, 6, 7, 0.0)] == []
    assert log.newest(A) == 8
    assert [log.newest_at_or_below(A, seq) for seq in (1, 2, 5, 7, 8)] == [0, 2, 2, 6, 8]
    assert [log.has_news(A, *span) for span in ((0, 1), (1, 5), (2, 5), (7, 9))] == [
        False, True, False, True
    ]  # fmt: skip
    assert not log.has_news(B, 0, 9)
    log.drop_keys(A, [record(K, 2)], 50.0)
    assert [log.newest_at_or_below(A, seq) for seq in (1, 2, 5)] == [1, 2, 2]


def test_a_log_that_is_full_of_keys_takes_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gossipd.core.log.KEYS_MAX", 3)
    log = Log(streams_max=1)
    log.merge_keys(A, [record(K, 1)], 0.0)
    assert log.has_room_for_keys(A, 2)
    assert not log.has_room_for_keys(A, 3)
    assert not log.has_room_for_keys(B, 1), "a stream more"
    log.enter(A, Double(L, 2, "x", 1))
    assert not log.has_room_for_keys(A, 2), "doubles never go, so they count"
    kept = StreamImage(A, 3, (("x", 3, 3),), (record(L, 2), record(M, 3)))
    assert not log.load(kept, 0.0, 0.0)
    assert log.value("x") == 0


def test_a_stream_is_loaded_with_its_records_and_doubles() -> None:
    log = Log()
    log.keeps_marks = True
    log.merge(B, [("x", 1, 5)])
    log.merge_keys(B, [record(K, 1, 5)], 0.0)
    kept = StreamImage(
        A, 4, (("x", 4, 9),), (record(K, 4, 5),), (Double(L, 2, "x", 4),), archived=3
    )
    assert log.load(kept, 100.0, 150.0)
    assert log.value("x") == 9, "the twin showed when it was loaded"
    assert (log.archived(A, 149.0), log.archived(A, 150.0)) == (3, 0)
    assert (log.version(A), log.durable(A)) == (4, 4)
    assert {double.key for double in log.doubles.of(A)} == {K, L}
    check_books(log)


def test_a_stream_of_key_records_alone_is_loaded_with_its_version() -> None:
    log = Log()
    log.merge_keys(A, [record(K, 2)], 0.0)
    assert log.claim(A, 3)
    again = Log()
    again.load(StreamImage(A, 3, (), tuple(log.keys.oldest_first(A, 0, 0.0))), 0.0, 0.0)
    assert again.fingerprint == log.fingerprint


@pytest.mark.parametrize("seed", range(20))
def test_the_books_are_right_after_anything(seed: int) -> None:
    """Merges, claims, records above and below versions, replaced and dropped ones, doubles."""
    rng = Random(seed)
    log = Log()
    keys = [new_key(rng) for _ in range(6)]
    for _ in range(80):
        stream, seq = rng.choice((A, B, C)), rng.randrange(1, 9)
        counter, by = rng.choice("xy"), rng.choice((1, 2))
        match rng.randrange(6):
            case 0:
                log.merge(stream, [(counter, seq, seq)])
            case 1:
                log.claim(stream, seq)
            case 2 | 3:
                said = record(rng.choice(keys), seq, by, counter)
                log.merge_keys(stream, [said], 0.0)
            case 4:
                log.enter(stream, Double(rng.choice(keys), seq, counter, by))
            case _:
                held = list(log.keys.oldest_first(stream, 0, 0.0))[: rng.randrange(3)]
                if held:
                    log.drop_keys(stream, held, 0.0)
        check_books(log)


def test_a_key_record_that_took_the_place_of_a_committed_one_is_still_to_be_stored() -> None:
    """A live copy of this process gave the seq to another key, and that one stays."""
    log = Log()
    log.keeps_marks = True
    stream = bytes(9) + b"\x05"
    mine, other = KeyRecord(b"\x02" * 16, 1, "c", 1, 0), KeyRecord(b"\x01" * 16, 1, "c", 1, 0)
    log.merge(stream, [("c", 1, 1)])
    log.merge_keys(stream, [mine, other], 0.0)
    log.set_committed(stream, [("c", 1, 1)], 0, [mine])
    assert list(log.changed.keys) == [(stream, 1)]
    log.set_committed(stream, [("c", 1, 1)], 0, [other])
    assert not log.changed.keys
