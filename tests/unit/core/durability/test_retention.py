"""How long key records are held: in memory for the window, on a disk for the retention."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from random import Random
from typing import NoReturn

import pytest

from gossipd.core import (
    Correction,
    Double,
    KeyedEvent,
    KeyRecord,
    Learned,
    Settings,
)
from gossipd.core.durability.retention import (
    CORRECTED_AT_ONCE,
    DROPPED_AT_ONCE,
    KEY_STREAMS_AT_ONCE,
    PAUSE,
    STREAMS_AT_ONCE,
    YOUNG,
    Retention,
)
from gossipd.core.identity import key_time
from gossipd.core.log.dedup import held_longer
from gossipd.core.log.doubles import FOLDED_AT_ONCE, REACHED_AT_ONCE, Doubles
from gossipd.core.log.log import Log
from gossipd.core.log.order import Order
from gossipd.core.state import State
from gossipd.core.timers import Timer
from gossipd.core.wire.records import AGE_WANTED_MAX
from tests.unit.core.parts import new_key, state_of

A, B = bytes(9) + b"\x01", bytes(9) + b"\x02"
WINDOW, RETENTION = 600.0, 3600.0
SETTINGS = Settings(key_window=WINDOW, key_retention=RETENTION)
RNG = Random(5)
WALL = 1_700_000_000.0


def record(seq: int, age: float = 0.0, key: bytes | None = None) -> KeyRecord:
    """A record of an age in seconds."""
    return KeyRecord(key or new_key(RNG), seq, "hits", 1, int(10 * age))


class Bench:
    """A node's state that holds records, and its retention."""

    def __init__(self, durable: bool, settings: Settings = SETTINGS) -> None:
        self.state: State = state_of(settings=settings, durable=durable)
        self.retention = Retention(
            self.state.means, self.state.log, self.state.dedup, self.state.write_behind
        )

    def hold(self, stream: bytes, *records: KeyRecord, version: int = 0, now: float = 0.0) -> None:
        log = self.state.log
        log.merge(stream, [("hits", records[-1].seq, records[-1].seq)])
        log.claim(stream, version)
        log.set_durable(stream, version)
        log.merge_keys(stream, records, now)

    def save(self, now: float = 0.0) -> None:
        while changes := self.state.write_behind.take(10_000, now):
            self.state.write_behind.stored(changes)

    def drop(self, now: float) -> float:
        """When it looks again."""
        self.retention.drop(self.state.turn(now))
        due = self.state.means.timers.next
        assert due is not None
        assert self.state.means.timers.pop(due) == (Timer.KEYS, "")
        return due - now

    def seqs(self, stream: bytes = A) -> list[int]:
        return [each.seq for each in self.state.log.keys.oldest_first(stream, 0, 0.0)]


def test_it_begins_to_look_soon() -> None:
    bench = Bench(False)
    bench.retention.start(bench.state.turn(100.0))
    assert bench.state.means.timers.next == 105.0


def test_a_short_window_is_looked_at_often() -> None:
    bench = Bench(False, Settings(key_window=10.0))
    assert bench.drop(0.0) == pytest.approx(0.5)


def test_in_memory_a_record_is_held_for_the_window() -> None:
    bench = Bench(False)
    bench.hold(A, record(1, age=10), record(2), version=2)
    assert bench.drop(589.8) == 5.0
    assert bench.seqs() == [1, 2]
    bench.drop(590.0)
    assert bench.seqs() == [2]
    bench.drop(600.0)
    assert bench.seqs() == []
    assert bench.state.log.archived(A, 600.0) == 0, "it is nowhere any more"


@pytest.mark.parametrize("durable", [False, True])
@pytest.mark.parametrize("ahead", [61.0, 900.0, 1e8])
def test_a_record_whose_key_is_ahead_of_the_clock_stays_longer_in_memory_alone(
    durable: bool, ahead: float
) -> None:
    bench = Bench(durable)
    bench.state.dedup.see_clocks(0.0, WALL)
    key = int(1000 * (WALL + ahead)).to_bytes(6, "big") + b"\x70" + bytes((0, 128, *bytes(7)))
    bench.hold(A, record(1, key=key), version=1)
    bench.save()
    goes = WINDOW if durable else min(WINDOW + ahead - 60, 2 * WINDOW + 60)
    bench.drop(goes - 0.2)
    assert bench.seqs() == [1]
    bench.drop(goes + 0.2)
    assert bench.seqs() == []


def test_what_is_above_a_version_goes_in_time_whoever_stays_before_it() -> None:
    """It is part of the fingerprint, and a node that came later has nothing before it."""
    settings = Settings(key_window=WINDOW, key_retention=WINDOW)
    early, late = Bench(False, settings), Bench(False, settings)
    ahead = int(1000 * (WALL + 1e8)).to_bytes(6, "big") + b"\x70" + bytes((0, 128, *bytes(7)))
    timed = int(1000 * WALL).to_bytes(6, "big") + b"\x70" + bytes((0, 129, *bytes(7)))
    others = [record(3, key=timed), record(4), record(5, age=-9), record(6)]
    for bench in (early, late):
        bench.state.dedup.see_clocks(0.0, WALL)
    early.hold(A, record(1, key=ahead), *others, version=1)
    late.hold(A, *others, version=1)
    assert early.state.log.fingerprint == late.state.log.fingerprint
    early.state.dedup.under_way = {others[1].key}
    early.drop(WINDOW - 0.2)
    assert early.seqs() == [1, 3, 4, 5, 6]
    early.drop(WINDOW)
    assert early.seqs() == [1, 4, 5, 6]
    assert early.state.dedup.horizon == key_time(timed)
    early.state.dedup.under_way = ()
    for bench in (early, late):
        bench.drop(WINDOW)
    assert (early.seqs(), late.seqs()) == ([1, 5, 6], [5, 6])
    assert early.state.log.fingerprint == late.state.log.fingerprint
    for bench in (early, late):
        bench.drop(WINDOW + 9)
    assert (early.seqs(), late.seqs()) == ([1], [])
    assert early.state.log.fingerprint == late.state.log.fingerprint


def test_what_is_dropped_raises_the_horizon() -> None:
    bench = Bench(False)
    key = (1_700_000_000_000).to_bytes(6, "big") + b"\x70" + bytes(9)
    bench.hold(A, record(1, key=key), version=1)
    bench.drop(599.0)
    assert bench.state.dedup.horizon == 0
    bench.drop(600.0)
    assert bench.state.dedup.horizon == key_time(key) == 1_700_000_000_000


def test_what_is_stored_and_covered_leaves_memory_for_the_disk_until_it_expires() -> None:
    bench = Bench(True)
    bench.hold(A, record(1, age=10), record(2), record(3), version=2)
    bench.save()
    bench.drop(600.0)
    assert bench.seqs() == [3], "it is above the version, so the fingerprint has it"
    log = bench.state.log
    assert log.archived(A, 600.0) == log.archived(A, 3599.0) == 2
    assert log.archived(A, 3600.0) == 0
    bench.drop(3599.0)
    assert bench.seqs() == [3]
    bench.drop(3600.0)
    assert bench.seqs() == []


@pytest.mark.parametrize(("durable", "kept"), [(True, [7]), (False, [1, 2, 3, 4, 5, 6, 7])])
def test_what_is_stored_and_not_covered_leaves_a_memory_that_is_crowded(
    durable: bool, kept: list[int]
) -> None:
    """Who catches up holds all that it is told above its version until it has everything."""
    bench = Bench(durable, replace(SETTINGS, key_limit=2))
    old = [record(seq, age=WINDOW) for seq in range(1, 7)]
    bench.hold(A, *old)
    bench.save()
    bench.drop(0.0)
    assert bench.seqs() == [1, 2, 3, 4, 5, 6], "three quarters of the room"
    bench.hold(A, record(7))
    bench.drop(0.0)
    assert bench.seqs() == kept
    assert bench.state.log.archived(A, 1.0) == (6 if durable else 0)


def test_room_is_made_soon() -> None:
    bench = Bench(True)
    bench.retention.start(bench.state.turn(0.0))
    turn = bench.state.turn(1.0)
    bench.retention.make_room(turn)
    assert turn.save_wanted
    assert bench.state.means.timers.next == 1.0 + PAUSE


def test_what_is_known_of_a_key_in_a_batch_stays_until_that_is_exposed() -> None:
    bench = Bench(True)
    first, key = record(1), new_key(RNG)
    bench.hold(A, first, record(2, key=key), record(3), version=3)
    bench.save()
    bench.state.dedup.under_way = {key}
    bench.drop(700.0)
    assert bench.seqs() == [2, 3], "of a stream the oldest goes first"
    bench.state.dedup.under_way = ()
    bench.drop(700.0)
    assert bench.seqs() == []


def test_what_is_not_stored_yet_stays_until_it_is_or_expires() -> None:
    bench = Bench(True)
    bench.hold(A, record(1), version=1)
    bench.drop(700.0)
    assert bench.seqs() == [1]
    changes = bench.state.write_behind.take(10, 700.0)
    assert changes is not None
    bench.drop(700.0)
    assert bench.seqs() == [1], "on its way"
    bench.state.write_behind.stored(changes)
    bench.drop(700.0)
    assert bench.seqs() == []


def test_what_expires_before_it_could_be_stored_goes() -> None:
    bench = Bench(True)
    bench.hold(A, record(1), version=1)
    bench.drop(3600.0)
    assert bench.seqs() == []
    changes = bench.state.write_behind.take(10, 3600.0)
    assert changes is not None
    assert changes.keys == ()
    assert changes.last


def test_many_records_are_dropped_in_several_turns() -> None:
    bench = Bench(False)
    bench.hold(A, *map(record, range(1, DROPPED_AT_ONCE + 2)), version=DROPPED_AT_ONCE + 1)
    assert bench.drop(600.0) == pytest.approx(PAUSE)
    assert bench.seqs() == [DROPPED_AT_ONCE + 1]
    assert bench.drop(601.0) == 5.0
    assert bench.seqs() == []


def test_many_records_that_may_not_go_yet_hold_up_nothing_and_cost_nothing() -> None:
    bench = Bench(True)
    bench.hold(A, *map(record, range(1, DROPPED_AT_ONCE + 2)))
    bench.hold(B, record(1), version=1)
    bench.save()
    assert bench.drop(600.0) == 5.0
    assert bench.seqs(B) == []
    assert len(bench.seqs(A)) == DROPPED_AT_ONCE + 1


# --- accepting -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("durable", "longest"), [(False, WINDOW), (True, RETENTION)])
def test_records_that_have_expired_are_not_accepted_and_raise_the_horizon(
    durable: bool, longest: float
) -> None:
    bench = Bench(durable)
    key = (1_700_000_000_000).to_bytes(6, "big") + b"\x70" + bytes(9)
    young, old = record(1, longest - 0.1), record(2, longest, key)
    bench.state.log.merge(A, [("hits", 2, 2)])
    bench.state.log.claim(A, 2)
    assert bench.retention.accepted(A, (young,), 0.0) == (young,)
    assert bench.state.dedup.horizon == 0
    assert bench.retention.accepted(A, (young, old), 0.0) == (young,)
    assert bench.state.dedup.horizon == 1_700_000_000_000
    assert bench.retention.age_wanted == 10 * longest


@pytest.mark.parametrize(("ahead", "raised"), [(30.0, True), (90.0, False)])
def test_a_record_that_is_older_than_its_key_can_be_raises_no_horizon(
    ahead: float, raised: bool
) -> None:
    """It was never held here, and is made up: it would refuse the keys of others."""
    bench = Bench(False)
    bench.state.dedup.see_clocks(1000.0, 1_700_000_000.0)
    time = int(1000 * (1_700_000_000.0 - WINDOW + ahead))
    old = record(2, WINDOW, time.to_bytes(6, "big") + b"\x70" + bytes(9))
    bench.state.log.merge(A, [("hits", 2, 2)])
    bench.state.log.claim(A, 2)
    assert bench.retention.accepted(A, (old,), 1000.0) == ()
    assert bench.state.dedup.horizon == (time if raised else 0)


def test_no_age_is_asked_for_that_the_wire_does_not_carry() -> None:
    assert Bench(True, Settings(key_retention=1e12)).retention.age_wanted == AGE_WANTED_MAX


# --- doubles -------------------------------------------------------------------------------------

FOLDED_AFTER = RETENTION + held_longer(WINDOW)


def find(bench: Bench, stream: bytes, count: int, age: float = 0.0) -> None:
    """Enter doubles of an age in seconds."""
    doubles = (Double("hits", n, 1, A, n, int(10 * age)) for n in range(1, count + 1))
    bench.state.log.enter(stream, doubles, 0.0)


def test_key_records_of_many_streams_are_looked_at_some_streams_at_a_time() -> None:
    bench = Bench(False)
    streams = [bytes(8) + n.to_bytes(2, "big") for n in range(2 * KEY_STREAMS_AT_ONCE + 5)]
    for stream in streams:
        bench.hold(stream, record(1), version=1)
    held, after = [], WINDOW + 1000.0
    for _ in range(3):
        pause = bench.drop(after)
        held.append(len(bench.state.log.keys))
    assert held == [KEY_STREAMS_AT_ONCE + 5, 5, 0]
    assert pause == 5.0


def test_doubles_are_held_until_no_record_of_their_key_can_be_anywhere() -> None:
    bench = Bench(True)
    find(bench, B, 3, age=10.0)
    bench.drop(FOLDED_AFTER - 10.1)
    assert len(bench.state.log.doubles) == 3
    assert bench.drop(FOLDED_AFTER - 10.0) == 5.0
    assert len(bench.state.log.doubles) == 0


def test_many_doubles_are_folded_some_at_a_time() -> None:
    bench = Bench(True)
    find(bench, B, FOLDED_AT_ONCE + 5)
    assert bench.drop(FOLDED_AFTER) == pytest.approx(PAUSE)
    assert len(bench.state.log.doubles) == 5
    assert bench.drop(FOLDED_AFTER) == 5.0
    assert len(bench.state.log.doubles) == 0


def test_doubles_that_only_wait_for_their_turn_are_not_folded_as_lost() -> None:
    bench = Bench(True)
    log, count = bench.state.log, 2 * REACHED_AT_ONCE
    log.merge(B, [("hits", count, count)])
    log.enter(B, [Double("hits", seq, 1, A, seq, 0) for seq in range(1, count + 1)], 0.0)
    log.merge(A, [("hits", count, count)])
    assert log.doubles.left_out == REACHED_AT_ONCE
    assert bench.drop(FOLDED_AFTER) == pytest.approx(PAUSE)
    assert len(log.doubles) == count
    while log.doubles.behind:
        log.catch_up()
    bench.drop(FOLDED_AFTER)
    assert len(log.doubles) == 0
    assert log.value("hits") == count, "each was left out, and is for ever"


def test_streams_are_looked_at_some_at_a_time() -> None:
    bench = Bench(True)
    streams = [bytes(8) + n.to_bytes(2, "big") for n in range(STREAMS_AT_ONCE + 5)]
    for stream in streams:
        find(bench, stream, 1, age=FOLDED_AFTER if stream == streams[-1] else 0.0)
    assert bench.drop(0.0) == pytest.approx(PAUSE)
    assert len(bench.state.log.doubles) == len(streams)
    assert bench.drop(0.0) == 5.0
    assert len(bench.state.log.doubles) == len(streams) - 1


def test_a_mistake_with_what_is_too_old_stops_no_later_look(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = Bench(True)
    find(bench, B, 1, age=FOLDED_AFTER)
    with monkeypatch.context() as patch:
        patch.setattr(Log, "fold", mistaken)
        with pytest.raises(RuntimeError):
            bench.drop(0.0)
    assert bench.state.means.timers.next == 5.0
    bench.drop(5.0)
    assert len(bench.state.log.doubles) == 0


def mistaken(*_: object) -> NoReturn:
    raise RuntimeError("a bug")


def test_a_round_passes_over_no_stream_though_others_have_no_doubles_any_more() -> None:
    bench = Bench(True)
    count = 2 * FOLDED_AT_ONCE + 5
    for number in range(count):
        find(bench, bytes(8) + number.to_bytes(2, "big"), 1, age=FOLDED_AFTER)
    left = [count]
    while bench.drop(0.0) == pytest.approx(PAUSE):
        left.append(len(bench.state.log.doubles))
        assert 0 < left[-2] - left[-1] <= FOLDED_AT_ONCE
    assert len(bench.state.log.doubles) == 0


def test_what_a_turn_looks_at_does_not_grow_with_the_streams_that_have_doubles(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = Bench(True)
    for number in range(3 * STREAMS_AT_ONCE):
        find(bench, bytes(8) + number.to_bytes(2, "big"), 1)
    listed = []
    sound = vars(Doubles)["streams"]

    def streams(self: Doubles) -> list[bytes]:
        listed.append(len(self))
        found: list[bytes] = sound.fget(self)
        return found

    monkeypatch.setattr(Doubles, "streams", property(streams))
    while bench.drop(0.0) == pytest.approx(PAUSE):
        pass
    assert listed == [3 * STREAMS_AT_ONCE], "once in a round"


def test_the_fuller_the_table_the_sooner_doubles_are_folded() -> None:
    bench = Bench(True)
    bench.state.log.doubles_max = 400
    find(bench, B, 300)
    bench.drop(FOLDED_AFTER - 0.1)
    assert len(bench.state.log.doubles) == 300, "three quarters are no crowd"
    find(bench, A, 50)
    bench.drop(FOLDED_AFTER / 2 + 0.1)
    assert len(bench.state.log.doubles) == 0
    find(bench, bytes(10), 500)
    bench.drop(YOUNG - 0.1)
    assert len(bench.state.log.doubles) == 500, "others may not know them yet"
    bench.drop(YOUNG)
    assert len(bench.state.log.doubles) == 0


def test_in_a_crowd_doubles_wait_as_long_as_others_are_found_late() -> None:
    """A stream that is behind by more than a minute brings losers below those that are known: what
    was folded meanwhile would count them twice."""
    bench = Bench(True)
    log = bench.state.log
    log.doubles_max = 1
    keys = [new_key(RNG) for _ in range(3)]
    bench.hold(A, *(record(seq + 1, key=key) for seq, key in enumerate(keys)), version=3)
    bench.hold(B, record(3, key=keys[2]), version=3)
    for now, seq in (50.0, 2), (70.0, 1):
        bench.drop(now)
        log.merge_keys(B, [record(seq, age=now, key=keys[seq - 1])], now)
        assert len(log.doubles) == 4 - seq
        assert log.lateness(now) == pytest.approx(now)
    assert log.value("hits") == 3
    bench.drop(90.0)
    assert len(log.doubles) == 3, "as late as that more may come"
    bench.drop(140.0)
    assert len(log.doubles) == 0, "nothing came late for long"
    assert log.value("hits") == 3


def test_in_a_crowd_doubles_wait_as_long_as_something_may_be_missing() -> None:
    """More is known of a stream than everything up to some event, which is so old: losers among
    what is missing would come below what was folded meanwhile."""
    bench = Bench(True)
    log = bench.state.log
    log.doubles_max = 1
    keys = [new_key(RNG) for _ in range(3)]
    bench.hold(A, *(record(seq + 1, key=key) for seq, key in enumerate(keys)), version=3)
    bench.hold(B, *(record(seq + 1, key=key) for seq, key in enumerate(keys)), version=3)
    log.merge_keys(B, [record(5, age=-60.0)], 0.0)
    assert len(log.doubles) == 3
    log._late_until = 0.0
    for now in 60.0, 90.0, 590.0:
        bench.drop(now)
        assert log.lag(B, now) == now
        assert len(log.doubles) == 3
    log.merge(B, [("hits", 5, 5)])
    log.claim(B, 5)
    assert log.lag(B, 590.0) == 590.0, "the disk may know a twin of what is not stored yet"
    log.set_durable(B, 5)
    assert log.lag(B, 590.0) == 0.0
    bench.drop(590.0)
    assert len(log.doubles) == 0


def test_what_is_missing_of_a_stream_without_a_beginning_may_be_of_any_age() -> None:
    bench = Bench(True)
    log = bench.state.log
    log.merge_keys(A, [record(5)], 0.0)
    assert log.lag(A, 0.0) == float("inf")
    assert log.lag(B, 0.0) == 0.0


def test_in_a_crowded_memory_what_is_missing_may_be_of_any_age(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = Bench(True)
    log = bench.state.log
    log.doubles_max = 1
    keys = [new_key(RNG) for _ in range(3)]
    for stream in A, B:
        bench.hold(stream, *(record(n + 1, key=key) for n, key in enumerate(keys)), version=3)
    monkeypatch.setattr(log, "keys_max", 7)
    bench.drop(YOUNG)
    assert len(log.doubles) == 3
    monkeypatch.setattr(log, "keys_max", 100)
    bench.drop(YOUNG)
    bench.drop(YOUNG)
    assert len(log.doubles) == 0


def test_corrections_are_joined_some_at_a_time_once_they_are_not_young() -> None:
    bench = Bench(True)
    log = bench.state.log
    counters = [f"c{n}" for n in range(CORRECTED_AT_ONCE + 5)]
    log.merge(B, [(counter, n + 1, 10) for n, counter in enumerate(counters)])
    found = {(B, counter): Correction(counter, 1, 1, 3, 7) for counter in counters}
    turn = bench.state.turn(1.0)
    bench.retention.start(turn)
    bench.retention.correct({}, turn)
    assert bench.state.means.timers.next == 6.0
    bench.retention.correct(found, turn)
    assert bench.state.means.timers.next == 1.0
    assert bench.drop(1.0) == pytest.approx(PAUSE)
    assert log.doubles.left_out == CORRECTED_AT_ONCE
    turn = bench.state.turn(1.0)
    bench.retention.drop(turn)
    (learned,) = (effect for effect in turn.effects if isinstance(effect, Learned))
    assert {advance.by for advance in learned.advances} == {-3}
    assert set(log.values.values()) == {7}


def test_corrections_of_counters_without_doubles_look_at_few_of_the_others_in_a_turn() -> None:
    bench = Bench(True)
    log, count = bench.state.log, 50
    log.merge(B, [(f"c{number}", 2 * FOLDED_AT_ONCE, 1) for number in range(count)])
    find(bench, B, FOLDED_AT_ONCE)
    told = {
        (B, f"c{number}"): Correction(f"c{number}", FOLDED_AT_ONCE + 1, 1, 1, 5)
        for number in range(count)
    }
    bench.retention.correct(told, bench.state.turn(0.0))
    joined = []
    for turn in range(3):
        looked = log.doubles.looked
        assert bench.drop(turn * PAUSE) == pytest.approx(PAUSE)
        assert log.doubles.looked - looked <= 2 * FOLDED_AT_ONCE
        joined.append(sum(log.doubles.correction(B, counter) is not None for _, counter in told))
    assert joined == [1, 2, 3]


def test_corrections_of_what_was_before_all_doubles_look_at_none_of_these(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = Bench(True)
    log, first = bench.state.log, CORRECTED_AT_ONCE + 1
    counters = [f"c{number}" for number in range(1, first)]
    last = first + FOLDED_AT_ONCE
    for stream in A, B:
        log.merge(stream, [(counter, last, 1) for counter in ["hits", *counters]])
    log.enter(B, [Double("hits", seq, 1, A, seq, 0) for seq in range(first, last)], 0.0)
    told = {
        (B, counter): Correction(counter, seq, 1, 1, 5)
        for seq, counter in enumerate(counters, start=1)
    }
    bench.retention.correct(told, bench.state.turn(0.0))
    looked: list[int] = []
    sound = Order.ascending

    def ascending(self: Order, above: int) -> Iterator[tuple[int, bytes]]:
        for each in sound(self, above):
            looked.append(each[0])
            yield each

    monkeypatch.setattr(Order, "ascending", ascending)
    bench.drop(0.0)
    assert log.doubles.left_out == len(told) + FOLDED_AT_ONCE
    assert len(looked) <= 2 * CORRECTED_AT_ONCE


def test_a_correction_below_which_there_is_much_to_fold_is_joined_in_several_turns() -> None:
    bench = Bench(True)
    log = bench.state.log
    count = 2 * FOLDED_AT_ONCE + 5
    for stream in A, B:
        log.merge(stream, [("hits", count + 1, count + 1)])
    doubles = [Double("hits", seq, 1, A, seq, 0) for seq in range(1, count + 1)]
    log.enter(B, doubles, 0.0)
    told = Correction("hits", count + 1, count + 1, count + 1, 7)
    bench.retention.correct({(B, "hits"): told}, bench.state.turn(0.0))
    assert bench.drop(0.0) == pytest.approx(PAUSE)
    assert len(log.doubles) == count - FOLDED_AT_ONCE
    bench.drop(PAUSE)
    assert bench.drop(2 * PAUSE) > PAUSE, "there is no more"
    assert (len(log.doubles), log.doubles.correction(B, "hits")) == (0, told)
    assert log.value("hits") == count + 1


def test_twins_of_which_one_is_on_the_disk_only_are_as_old_as_the_other() -> None:
    bench = Bench(True)
    log = bench.state.log
    (key,) = (new_key(RNG) for _ in range(1))
    bench.hold(A, record(1, age=70.0, key=key), version=1)
    log.merge(B, [("hits", 1, 1)])
    log.find_doubles({key: [KeyedEvent(B, 1, "hits", 1)]}, 0.0)
    assert log.lateness(0.0) == 70.0
    (double,) = log.doubles.of(B, 0, 0.0)
    assert double.age == 700
