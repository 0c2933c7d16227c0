"""What a disk of the simulator keeps of keys and sources."""

from __future__ import annotations

import pytest

from gossipd.core import (
    Batch,
    Changes,
    Correction,
    Double,
    KeyedEvent,
    KeyRecord,
    Settings,
    Stream,
    StreamSnapshot,
    source_stream,
)
from tests.simulation.faulty.disk import Disk
from tests.simulation.faulty.rows import Moment

ONE, OTHER = bytes(9) + b"\1", bytes(9) + b"\2"
WALL = 1_700_000_000.0
WINDOW, RETENTION = 60.0, 600.0
SETTINGS = Settings(key_window=WINDOW, key_retention=RETENTION)


def key(seconds: float, end: int = 0) -> bytes:
    """A UUIDv7 of so many seconds after the beginning."""
    time = int(1000 * (WALL + seconds)).to_bytes(6, "big")
    return time + b"\x70" + bytes(8) + bytes((end,))


def at(seconds: float, ahead: float = 0.0) -> Moment:
    """So many seconds after the beginning, on a host whose wall clock is ahead."""
    return Moment(seconds, WALL + seconds + ahead)


def batch(*records: KeyRecord, stream: Stream = ONE) -> Batch:
    last = max(record.seq for record in records)
    return Batch(stream, last, (("a", last, last),), (), records)


def changes(*records: tuple[Stream, KeyRecord], last: bool = True) -> Changes:
    return Changes((), (), (), (), last=last, keys=records)


def record(seq: int, seconds: float = 0.0, age: float = 0.0) -> KeyRecord:
    return KeyRecord(key(seconds), seq, "a", 1, int(age * 10))


def loaded(disk: Disk, seconds: float, stream: Stream = ONE) -> StreamSnapshot:
    snapshot = disk.load(at(seconds), SETTINGS)
    return next(kept for kept in snapshot.streams if kept.stream == stream)


def test_young_records_are_loaded_with_their_age_and_old_ones_are_only_named() -> None:
    disk = Disk()
    disk.commit(batch(record(1)), at(0))
    disk.commit(batch(record(2, 50)), at(50))
    kept = loaded(disk, 70)
    assert kept.keys == (record(2, 50, age=20),)
    assert kept.archived == 1
    assert disk.snapshot(at(70), WINDOW).horizon == int(1000 * WALL)
    assert disk.find([key(0), key(1)]) == {key(0): (KeyedEvent(ONE, 1, "a", 1),)}
    assert disk.read_keys(ONE, 0, 9, 9, at(70)) == [record(1, age=70), record(2, 50, age=20)]
    assert disk.read_keys(ONE, 0, 9, 1, at(70)) == [record(1, age=70)]


def test_old_records_above_the_version_are_loaded_as_the_fingerprint_has_them() -> None:
    disk = Disk()
    disk.store(changes((ONE, record(3))), at(0))
    kept = loaded(disk, 70)
    assert (kept.version, kept.keys, kept.archived) == (0, (record(3, age=70),), 0)


def test_a_record_goes_after_the_retention_and_the_horizon_stays() -> None:
    disk = Disk()
    disk.store(changes((ONE, record(1, age=100))), at(100))
    assert disk.has_key(ONE, 1)
    disk.expire(at(RETENTION + 1), SETTINGS)
    assert not disk.has_key(ONE, 1)
    assert not disk.find([key(0)])
    assert disk.snapshot(at(RETENTION + 1)).horizon == int(1000 * WALL)


@pytest.mark.parametrize("ahead", [86_400.0, -86_400.0, 1e9])
def test_a_step_of_the_wall_clock_ages_no_record(ahead: float) -> None:
    disk = Disk()
    disk.commit(batch(record(1)), at(0))
    snapshot = disk.load(at(30, ahead), SETTINGS)
    assert snapshot.streams[0].keys == (record(1, age=30),)


def test_a_record_from_a_clock_that_was_ahead_stays_longer() -> None:
    disk = Disk()
    disk.commit(batch(record(1, 1e6)), at(0))
    disk.expire(at(RETENTION + 119), SETTINGS)
    assert disk.has_key(ONE, 1)
    disk.expire(at(RETENTION + 121), SETTINGS)
    assert not disk.has_key(ONE, 1)


def test_storing_tells_all_events_of_keys_that_have_several() -> None:
    disk = Disk()
    disk.commit(batch(record(1)), at(0))
    twins = disk.store(changes((OTHER, record(5)), (OTHER, record(6, 1))), at(0))
    events = {KeyedEvent(ONE, 1, "a", 1), KeyedEvent(OTHER, 5, "a", 1)}
    assert {name: set(found) for name, found in twins.items()} == {key(0): events}


def test_twins_that_nobody_has_compared_are_loaded_as_doubles() -> None:
    disk = Disk()
    disk.commit(batch(record(1)), at(0))
    disk.commit(batch(record(1), stream=OTHER), at(0))
    disk.commit(batch(KeyRecord(key(2), 2, "a", 1, 0)), at(0))
    disk.commit(batch(KeyRecord(key(2), 2, "a", 7, 0), stream=OTHER), at(0))
    winner, loser = sorted([ONE, OTHER])
    assert loaded(disk, 1, winner).doubles == ()
    assert loaded(disk, 1, loser).doubles == (Double("a", 1, 1, winner, 1, 0),)


def test_of_two_keys_under_one_seq_the_smaller_one_stays() -> None:
    disk = Disk()
    disk.store(changes((ONE, record(1, 5))), at(0))
    disk.store(changes((ONE, record(1, 2))), at(0))
    disk.store(changes((ONE, record(1, 9))), at(0))
    assert set(disk.find([key(2), key(5), key(9)])) == {key(2)}


def test_a_put_is_on_the_disk_with_its_version_and_never_replaced_by_an_older_one() -> None:
    disk = Disk()
    source = source_stream("client", "a")
    for register in (("a", 4, 40), ("a", 3, 99), ("a", 4, 30)):
        disk.commit(Batch(ONE, 0, (), (), sources=((source, register),)), at(0))
    assert disk.register(source, "a") == (4, 40)
    assert disk.version(source) == 4


def test_a_copy_of_a_disk_goes_its_own_way() -> None:
    disk = Disk()
    disk.commit(batch(record(1)), at(0))
    copy = disk.copy()
    copy.commit(batch(record(2, 1)), at(0))
    copy.store(Changes((), (), (), (), doubles=((ONE, Double("a", 1, 1, OTHER, 1, 0)),)), at(0))
    assert copy.has_key(ONE, 2)
    assert not disk.has_key(ONE, 2)
    assert copy.has_double(ONE, 1)
    assert not disk.has_double(ONE, 1)
    assert not disk.has_double(OTHER, 1)


def test_of_doubles_the_smaller_stays_until_a_correction_has_them() -> None:
    disk = Disk()
    smaller = Double("a", 4, 1, OTHER, 2, 30)
    doubles = (Double("a", 4, 1, OTHER, 3, 0), smaller, Double("a", 4, 1, OTHER, 5, 0))
    others = (Double("b", 3, 1, OTHER, 9, 0), Double("a", 6, 1, OTHER, 8, 0))
    noted = tuple((ONE, double) for double in (*doubles, *others))
    disk.store(Changes((), (), (), (), doubles=noted), at(5))
    assert loaded(disk, 5).doubles == (others[0], smaller, others[1])
    folded = Correction("a", 5, 1, 1, 7)
    disk.store(Changes((), (), (), (), corrections=((ONE, folded),)), at(5))
    disk.store(Changes((), (), (), (), doubles=noted), at(5))
    found = loaded(disk, 5)
    assert (found.doubles, found.corrections) == (others, (folded,))
