"""Key records and doubles in the log: what the fingerprint and values make of them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from random import Random

import pytest

from gossipd.core import (
    Correction,
    Double,
    KeyedEvent,
    KeyRecord,
    StreamSnapshot,
)
from gossipd.core.hashing import MASK, MASK_64, fingerprint_of, hash64, wide_hash
from gossipd.core.identity import BY_MAX
from gossipd.core.log.doubles import REACHED_AT_ONCE, hash_of
from gossipd.core.log.keys import EVENTS_MAX
from gossipd.core.log.log import Log
from gossipd.core.log.registers import Advance
from tests.inside import left_out_of
from tests.simulation.checkers.doubles import hash_of_doubles, is_left_out
from tests.unit.core.parts import new_key

A, B, C, D = (bytes(9) + bytes((n,)) for n in (1, 2, 3, 4))
K, L, M, N = (bytes((n,)) * 16 for n in (1, 2, 3, 4))


def record(key: bytes, seq: int, by: int = 1, counter: str = "x") -> KeyRecord:
    return KeyRecord(key, seq, counter, by, 0)


def check_books(log: Log) -> None:
    """Everything incremental equals what is computed anew (I7, I9)."""
    fingerprint = 0
    values: dict[str, int] = {}
    for stream in log.streams:
        version, digest = log.version(stream), 0
        for name, seq, total in log.by_name(stream, 0, ""):
            digest += wide_hash("r", stream, name, seq, total)
            values[name] = values.get(name, 0) + total
        for each in log.keys.oldest_first(stream, version, 0.0):
            digest += hash64("k", stream, *each.said)
        digest += hash_of_doubles(log.doubles, stream, partial(is_left_out, log))
        assert log.leaf(stream) == (stream, version, digest & MASK)
        fingerprint += digest + (wide_hash("v", stream, version) if version else 0)
    assert log.fingerprint == fingerprint_of(fingerprint & MASK), "I9"
    for name in values:
        assert log.value(name) == values[name] - left_out_of(log.doubles)[name], "I7"


def test_a_record_above_the_version_is_in_the_fingerprint_and_one_below_is_not() -> None:
    log = Log()
    log.merge(A, [("x", 5, 5)])
    before = log.sums_below(0, 0)[0]
    assert log.merge_keys(A, [record(K, 4)], 0.0) == (1, [])
    assert log.sums_below(0, 0)[0] == (before + hash64("k", A, K, 4, "x", 1)) & MASK
    log.claim(A, 4)
    assert log.sums_below(0, 0)[0] == (before + wide_hash("v", A, 4)) & MASK
    log.merge_keys(A, [record(L, 3)], 0.0)
    assert log.sums_below(0, 0)[0] == (before + wide_hash("v", A, 4)) & MASK


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


def test_a_smaller_event_of_a_key_is_what_all_others_have_lost_to() -> None:
    log = Log()
    for stream in (A, B, C):
        log.merge(stream, [("x", 1, 5)])
    for stream in (B, C):
        log.merge_keys(stream, [record(K, 1, 5)._replace(age=70)], 10.0)
    assert list(log.doubles.of(C, 0, 11.0)) == [Double("x", 1, 5, B, 1, 80)]
    assert log.merge_keys(A, [record(K, 1, 5)], 11.0)[1][-1] == Advance(C, "x", 1, -5, 5)
    assert list(log.doubles.of(C, 0, 11.0)) == [Double("x", 1, 5, A, 1, 80)]
    assert list(log.doubles.of(B, 0, 11.0)) == [Double("x", 1, 5, A, 1, 80)]
    assert list(log.doubles.of(A, 0, 11.0)) == []
    check_books(log)


def test_a_double_is_as_old_as_its_record_or_as_the_oldest_of_its_key_where_it_has_none() -> None:
    log = Log()
    for stream in (A, B, C, D):
        log.merge(stream, [("x", 1, 5)])
    for stream, age in (A, 300), (B, 700), (C, 20):
        log.merge_keys(stream, [record(K, 1, 5)._replace(age=age)], 0.0)
    log.find_doubles({K: [KeyedEvent(D, 1, "x", 5)]}, 0.0)
    ages = {stream: [each.age for each in log.doubles.of(stream, 0, 0.0)] for stream in (B, C, D)}
    assert ages == {B: [700], C: [20], D: [700]}
    check_books(log)


def test_a_double_whose_register_comes_later_is_left_out_then() -> None:
    log = Log()
    log.merge(A, [("x", 1, 5)])
    double = Double("x", 4, 5, A, 1, 0)
    assert log.enter(B, [double], 0.0) == (1, [])
    assert log.enter(B, [double], 0.0) == (0, [])
    check_books(log)
    assert log.merge(B, [("x", 6, 12)]) == [
        Advance(B, "x", 6, 12, 17),
        Advance(B, "x", 4, -5, 12),
    ]
    check_books(log)


def test_doubles_that_peers_tell_and_that_find_no_room_are_left_out() -> None:
    log = Log(streams_max=2, doubles_max=2)
    doubles = [Double("x", seq, 1, A, seq, 0) for seq in range(1, 5)]
    assert log.enter(B, doubles, 0.0, told=True) == (2, [])
    assert [double.seq for double in log.doubles.of(B, 0, 0.0)] == [1, 2]
    log.fold(B, 2, 0.0)
    assert log.enter(C, doubles[:1], 0.0, told=True) == (1, [])
    assert log.enter(D, doubles[:1], 0.0, told=True) == (0, []), "a stream more"
    check_books(log)


def test_doubles_that_are_found_here_are_entered_however_many_there_are() -> None:
    """Or what is folded would lack one of a smaller seq, which then came too late."""
    log = Log(doubles_max=1)
    for stream in (A, B):
        log.merge(stream, [("x", 9, 9)])
        for seq, key in ((3, M), (1, K), (2, L)):
            log.merge_keys(stream, [record(key, seq)], 0.0)
    assert (log.value("x"), len(log.doubles)) == (15, 3)
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


def test_events_above_versions_push_covered_ones_out_and_not_the_other_way_round() -> None:
    """Only those above are repaired, so they must not depend on what not everybody holds."""
    log = Log()
    log.merge(A, [("x", EVENTS_MAX + 1, 90)])
    log.merge_keys(A, [record(K, seq) for seq in range(1, EVENTS_MAX + 1)], 0.0)
    log.claim(A, EVENTS_MAX + 1)
    assert log.merge_keys(A, [record(K, EVENTS_MAX + 1)], 0.0)[0] == 0, "the largest covered one"
    assert log.merge_keys(D, [record(K, seq) for seq in range(1, 4)], 0.0)[0] == 3
    held = sorted(event.seq for event in log.events(K) if event.stream == A)
    assert held == list(range(1, EVENTS_MAX - 2))
    assert log.merge_keys(D, [record(K, seq) for seq in range(4, 20)], 0.0)[0] == EVENTS_MAX - 3
    assert log.merge_keys(A, [record(K, 1)], 0.0)[0] == 0, "all that are held are above versions"
    assert {event.stream for event in log.events(K)} == {D}
    check_books(log)


def test_a_covered_event_pushes_out_a_larger_one_that_is_covered_too() -> None:
    log = Log()
    log.merge(A, [("x", EVENTS_MAX + 1, 90)])
    log.claim(A, EVENTS_MAX + 1)
    log.merge_keys(A, [record(K, seq) for seq in range(2, EVENTS_MAX + 2)], 0.0)
    assert log.merge_keys(A, [record(K, 1)], 0.0)[0] == 1
    assert sorted(event.seq for event in log.events(K)) == list(range(1, EVENTS_MAX + 1))
    check_books(log)


def test_the_next_life_takes_a_correction_that_is_above_its_register() -> None:
    """A double was dropped when it was folded, as its event never came. What was folded before
    that was lost at a restart then, and its retries counted again."""
    log, again = Log(), Log()
    log.merge(A, [("x", 1, 1)])
    log.merge(B, [("x", 2, 5)])
    log.enter(B, [Double("x", 2, 1, A, 1, 0), Double("x", 9, 1, A, 1, 0)], 0.0)
    log.fold(B, 2, 0.0)
    (correction,) = log.doubles.corrections(B)
    assert correction[1:4] == (9, 1, 1)
    kept = [
        StreamSnapshot(A, 0, (("x", 1, 1),)),
        StreamSnapshot(B, 0, (("x", 2, 5),), corrections=(correction,)),
        StreamSnapshot(C, 0, (), corrections=(correction._replace(lost=0, out=0, digest=0),)),
        StreamSnapshot(D, 0, (), corrections=(correction,)),
    ]
    again.load(kept, 0.0, 0.0)
    assert again.fingerprint == log.fingerprint
    assert again.value("x") == log.value("x") == 5
    assert not list(again.doubles.corrections(D)), "there is nothing that it could take off"


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


def test_a_log_that_is_full_of_keys_takes_no_more() -> None:
    log = Log(streams_max=1, keys_max=3)
    log.merge_keys(A, [record(K, 1)], 0.0)
    log.enter(A, [Double("x", seq, 1, A, 1, 0) for seq in range(2, 9)], 0.0)
    assert not log.has_room_for_keys(B, [record(L, 1)]), "a stream more"
    new = [record(L, 2), record(M, 3), record(N, 4)]
    assert log.has_room_for_keys(A, new[:2])
    assert not log.has_room_for_keys(A, new)
    assert log.has_room_for_keys(A, [record(K, 1), *new[:2]]), "one is held"
    was_crowded = log.is_crowded
    log.merge_keys(A, new[:2], 0.0)
    assert (was_crowded, log.is_crowded) == (False, True)
    assert log.has_room_for_keys(A, [record(K, 1)])
    kept = StreamSnapshot(A, 3, (("x", 3, 3),), (record(L, 2), record(M, 3), record(N, 4)))
    log.load([kept], 0.0, 0.0)
    assert len(log.keys) == 4


def test_streams_are_loaded_with_their_records_and_doubles() -> None:
    """A double may wait for a register of a stream that is loaded later."""
    log = Log()
    log.keeps_marks = True
    log.merge(A, [("x", 1, 5)])
    log.merge_keys(A, [record(K, 1, 5)], 0.0)
    folded = Correction("y", 2, 1, 7, 3)
    beyond = Correction("z", 2, 1, 7, 3)  # of a register that did not come to the disk
    kept = (
        StreamSnapshot(
            B,
            4,
            (("x", 4, 9), ("y", 3, 8)),
            (record(K, 4, 5),),
            archived=3,
            corrections=(folded, beyond),
        ),
        StreamSnapshot(C, 0, (), doubles=(Double("x", 2, 4, B, 2, 0),)),
        StreamSnapshot(D, 7, (("x", 7, 4),), doubles=(Double("x", 7, 4, B, 3, 0),)),
    )
    log.load(kept, 100.0, 150.0)
    assert log.value("x") == 9, "the twin showed when it was loaded"
    assert log.value("y") == 1
    assert (log.archived(B, 149.0), log.archived(B, 150.0)) == (3, 0)
    assert (log.version(B), log.durable(B)) == (4, 4)
    assert (log.doubles.left_out, len(log.doubles)) == (3, 3)
    check_books(log)
    log.load([StreamSnapshot(C, 2, (("x", 2, 4),))], 100.0, 150.0)
    assert (log.value("x"), log.doubles.left_out) == (9, 4)
    check_books(log)


# --- folding -------------------------------------------------------------------------------------


def two_logs() -> tuple[Log, Log]:
    """With doubles in B of what A has counted, on two counters."""
    logs = Log(), Log()
    for log in logs:
        log.keeps_marks = True
        for stream in (A, B):
            log.merge(stream, [("x", 9, 20), ("y", 8, 3)])
        log.enter(B, [Double("x", seq, 2, A, seq, 50) for seq in (1, 2, 3)], 0.0)
        log.enter(B, [Double("y", 4, 1, A, 8, 50)], 0.0)
    return logs


def test_folding_moves_no_value_and_no_fingerprint() -> None:
    log, other = two_logs()
    before = log.values
    assert log.fold(B, 3, 0.0) == []
    assert (log.values, log.fingerprint) == (before, other.fingerprint)
    assert list(log.changed.corrections) == [(B, "x")]
    check_books(log)


def test_a_correction_that_a_peer_tells_is_joined() -> None:
    log, other = two_logs()
    log.enter(B, [Double("x", 5, 2, A, 5, 50)], 0.0)
    log.fold(B, 5, 0.0)
    told = log.doubles.correction(B, "x")
    assert told is not None
    assert other.correct(B, told, 50, 0.0) == [Advance(B, "x", 5, -2, 32)]
    assert list(other.changed.corrections) == [(B, "x")]
    assert (other.values, other.fingerprint) == (log.values, log.fingerprint)
    assert other.correct(B, told, 50, 0.0) == []
    check_books(other)


def test_a_correction_of_what_is_not_here_or_is_young_is_not_used() -> None:
    log = Log()
    folded = Correction("x", 3, 1, 2, 7)
    assert log.correct(B, folded, 50, 0.0) == []
    log.merge(B, [("x", 2, 9)])
    assert log.correct(B, folded, 50, 0.0) == []
    log.merge(B, [("x", 5, 9)])
    log.merge_keys(B, [record(K, 2, 1)], 0.0)
    assert log.correct(B, folded, 50, 4.9) == []
    assert log.correct(B, folded, 50, 5.0) == [Advance(B, "x", 3, -2, 7)]


def test_a_stream_of_key_records_alone_is_loaded_with_its_version() -> None:
    log = Log()
    log.merge_keys(A, [record(K, 2)], 0.0)
    assert log.claim(A, 3)
    again = Log()
    again.load([StreamSnapshot(A, 3, (), tuple(log.keys.oldest_first(A, 0, 0.0)))], 0.0, 0.0)
    assert again.fingerprint == log.fingerprint


@pytest.mark.untraced
@pytest.mark.parametrize("seed", range(20))
def test_the_books_are_right_after_anything(seed: int) -> None:
    """Merges, claims, records above and below versions, replaced and dropped ones, doubles."""
    rng = Random(seed)
    log = Log()
    keys = [new_key(rng) for _ in range(6)]
    for _ in range(80):
        stream, seq = rng.choice((A, B, C)), rng.randrange(1, 9)
        counter, by = rng.choice("xy"), rng.choice((1, 2))
        match rng.randrange(7):
            case 0:
                log.merge(stream, [(counter, seq, seq)])
            case 1:
                log.claim(stream, seq)
            case 2 | 3:
                said = record(rng.choice(keys), seq, by, counter)
                log.merge_keys(stream, [said], 0.0)
            case 4:
                winner = rng.choice((A, B))
                log.enter(stream, [Double(counter, seq, by, winner, rng.randrange(1, 9), 0)], 0.0)
            case 5:
                log.fold(stream, log.doubles.old(stream, 0, rng.randrange(3), 0.0), 0.0)
            case _:
                held = list(log.keys.oldest_first(stream, 0, 0.0))[: rng.randrange(3)]
                if held:
                    log.drop_keys(stream, held, 0.0)
        check_books(log)


def test_a_key_record_that_took_the_place_of_a_committed_one_is_still_to_be_stored() -> None:
    """A live copy of this process gave the seq to another key, and that one stays."""
    stream = bytes(9) + b"\x05"
    mine, other = KeyRecord(b"\x02" * 16, 1, "c", 1, 0), KeyRecord(b"\x01" * 16, 1, "c", 1, 0)
    for told in ([], [mine], [other]):
        log = Log()
        log.keeps_marks = True
        log.merge(stream, [("c", 1, 1)])
        log.merge_keys(stream, [mine], 0.0, committed=True)
        log.merge_keys(stream, told, 0.0)
        assert list(log.changed.keys) == [(stream, 1)] * (told == [other])
        log.merge_keys(stream, [mine], 0.0, committed=True)
        assert list(log.changed.keys) == [(stream, 1)] * (told == [other])


def test_a_node_without_a_disk_does_not_remember_what_is_to_be_stored() -> None:
    log, stream = Log(), bytes(9) + b"\x05"
    log.merge(stream, [("c", 2, 2)])
    for first in (b"\x02", b"\x01"):
        log.merge_keys(stream, [KeyRecord(first * 16, 1, "c", 1, 0)], 0.0)
    assert log.keys.has(stream, 1)
    assert not log.changed.keys
    assert not log.changed.registers


def test_a_claim_hashes_nothing_that_it_covers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is claimed, the sum over it is known block by block."""
    log = Log()
    log.merge(A, [("x", 5_000, 90)])
    records = [KeyRecord(n.to_bytes(16, "big"), n, "x", 1, 0) for n in range(1, 5_001)]
    log.merge_keys(A, records, 0.0)
    hashed: list[object] = []

    for sound in (hash64, wide_hash):

        def counting(*fields: object, sound: Callable[..., int] = sound) -> int:
            hashed.append(fields)
            return sound(*fields)

        monkeypatch.setattr(f"gossipd.core.log.log.{sound.__name__}", counting)
    for version in (1_700, 4_900, 5_000):
        hashed.clear()
        assert log.claim(A, version)
        assert len(hashed) <= 2, "the version before and after"
    bare = Log()
    bare.merge(A, [("x", 5_000, 90)])
    bare.claim(A, 5_000)
    assert log.fingerprint == bare.fingerprint


def test_when_all_is_loaded_no_double_waits_for_its_turn() -> None:
    log, count = Log(), 3 * REACHED_AT_ONCE
    log.merge(B, [("x", count, count)])
    log.enter(B, [Double("x", seq, 1, A, seq, 0) for seq in range(1, count + 1)], 0.0)
    log.load([StreamSnapshot(A, count, (("x", count, count),))], 0.0, 0.0)
    assert log.doubles.left_out == count
    check_books(log)
    assert log.value("x") == count


@pytest.mark.parametrize("kind", [hash64, wide_hash])
def test_a_correction_that_is_made_up_hides_no_register(kind: Callable[..., int]) -> None:
    """It carries a digest that nobody can check."""
    whole, lacking = Log(), Log()
    for log in (whole, lacking):
        log.merge(B, [("y", 1, 1)])
    whole.merge(A, [("x", 1, 1)])
    digest = (kind("r", A, "x", 1, 1)) & MASK_64
    lacking.correct(B, Correction("y", 1, 0, 0, digest), 0, 0.0)
    assert lacking.doubles.correction(B, "y")
    assert whole.fingerprint != lacking.fingerprint
    assert whole.sums_shown(0, 0, 9) != lacking.sums_shown(0, 0, 9)


def test_corrections_that_are_made_up_hide_no_difference_of_values() -> None:
    """Of two logs one leaves something out, and all sums over all streams are the same."""
    out, kept = Log(), Log()
    for log, counter in ((out, "x"), (kept, "y")):
        log.merge(A, [("x", 9, 9), ("y", 9, 9)])
        assert log.correct(A, Correction(counter, 9, 1, 5, 77), 0, 0.0)
    assert out.values != kept.values
    assert out.fingerprint != kept.fingerprint


def test_who_leaves_a_double_out_does_not_look_like_who_waits_for_its_winner() -> None:
    """Though the correction that somebody made up of it has the sum of its hash."""
    waits, told = Log(), Log()
    double = Double("x", 4, 1, A, 1, 0)
    for log in (waits, told):
        log.merge(B, [("x", 4, 4)])
    waits.enter(B, (double,), 0.0)
    told.correct(B, Correction("x", 4, 1, 1, hash_of(B, double)), 0, 0.0)
    assert waits.value("x") == told.value("x") + 1
    assert waits.fingerprint != told.fingerprint
    for log in (waits, told):
        log.merge(A, [("x", 1, 1)])
        check_books(log)
    assert (waits.values, waits.fingerprint) == (told.values, told.fingerprint)


@pytest.mark.parametrize("sign", [1, -1])
def test_doubles_may_leave_out_more_than_64_bits_hold(sign: int) -> None:
    """Somebody may make up as many as are held, each as large as may be."""
    log, count = Log(), 2**11 + 1
    log.merge(A, [("x", count, 1)])
    log.merge(B, [("x", count, 1)])
    doubles = [Double("x", seq, sign * BY_MAX, A, seq, 0) for seq in range(1, count + 1)]
    new, _ = log.enter(B, doubles, 0.0)
    assert new == count
    assert log.value("x") == 2 - sign * count * BY_MAX
    check_books(log)
