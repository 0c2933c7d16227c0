"""Registers that clients own: idempotent on any node, for ever."""

from __future__ import annotations

from random import Random

import pytest

from gossipd.core import KeyRecord
from gossipd.core.identity import SOURCE_BIT, STREAM_BITS, TOTAL_MAX
from gossipd.core.log.dedup import Dedup
from gossipd.core.log.log import Log
from gossipd.core.log.sources import (
    Put,
    PutConflicts,
    PutRefused,
    PutResult,
    PutTaken,
    source_stream,
)
from gossipd.core.log.writer import Writer
from gossipd.core.settings import Settings

STREAM = source_stream("till-7", "sales")


def put(log: Log, *puts: Put) -> tuple[PutResult, ...]:
    """What becomes of some puts in one batch."""
    writer = Writer(log, Dedup(log, Settings(), lambda: True), Random(1))
    batch = writer.prepare([], 0.0, 0.0, puts=puts)
    writer.expose(batch, 0.0)
    return batch.put_results


def test_a_source_is_found_by_names_and_is_of_the_second_kind() -> None:
    assert source_stream("till-7", "sales") == STREAM
    others = {source_stream("till-7", "sale"), source_stream("till-7s", "ales")}
    assert STREAM not in others
    for stream in (STREAM, *others):
        assert stream[0] & SOURCE_BIT
        assert int.from_bytes(stream, "big") < 2**STREAM_BITS


def test_a_put_sets_the_total_and_its_version_is_its_seq() -> None:
    log = Log()
    assert put(log, Put(STREAM, "sales", 5, 12)) == (PutTaken(5, 12),)
    assert log.value("sales") == 12
    assert log.version(STREAM) == 5


def test_a_put_that_is_repeated_or_late_changes_nothing_and_tells_what_is_held() -> None:
    log = Log()
    put(log, Put(STREAM, "sales", 5, 12))
    before = log.fingerprint
    assert put(log, Put(STREAM, "sales", 5, 12), Put(STREAM, "sales", 4, 99)) == (
        PutTaken(5, 12),
        PutTaken(5, 12),
    )
    assert log.fingerprint == before


def test_another_total_under_the_same_seq_is_a_conflict() -> None:
    log = Log()
    put(log, Put(STREAM, "sales", 5, 12))
    assert put(log, Put(STREAM, "sales", 5, 13)) == (PutConflicts(12),)
    assert log.value("sales") == 12


def test_puts_in_one_batch_are_judged_one_after_the_other() -> None:
    log = Log()
    results = put(
        log,
        Put(STREAM, "sales", 1, 10),
        Put(STREAM, "sales", 2, 7),
        Put(STREAM, "sales", 2, 8),
        Put(STREAM, "sales", 1, 10),
    )
    assert results == (PutTaken(1, 10), PutTaken(2, 7), PutConflicts(7), PutTaken(2, 7))
    assert log.value("sales") == 7


def test_totals_that_met_later_join_to_the_larger_one() -> None:
    one, other = Log(), Log()
    put(one, Put(STREAM, "sales", 5, 12))
    put(other, Put(STREAM, "sales", 5, 13))
    one.merge(STREAM, [("sales", 5, 13)])
    other.merge(STREAM, [("sales", 5, 12)])
    assert one.value("sales") == other.value("sales") == 13
    assert one.fingerprint == other.fingerprint


def test_a_put_beyond_the_range_is_refused() -> None:
    log = Log()
    put(log, Put(STREAM, "sales", 1, TOTAL_MAX))
    other = source_stream("till-8", "sales")
    assert put(log, Put(other, "sales", 1, 1)) == (PutRefused(full=False),)
    assert put(log, Put(STREAM, "sales", 2, 5)) == (PutTaken(2, 5),)


def test_a_put_brings_a_value_beyond_the_range_nearer_and_no_further() -> None:
    log = Log()
    put(log, Put(STREAM, "sales", 1, TOTAL_MAX))
    log.merge(b"another123", [("sales", 1, 9)])
    assert put(log, Put(source_stream("b", "sales"), "sales", 1, 1)) == (PutRefused(full=False),)
    assert put(log, Put(source_stream("b", "sales"), "sales", 1, -1)) == (PutTaken(1, -1),)
    assert put(log, Put(STREAM, "sales", 2, 5)) == (PutTaken(2, 5),)
    assert log.value("sales") == 13


@pytest.mark.parametrize("room", [Log(registers_max=1), Log(streams_max=1)])
def test_a_full_log_takes_puts_of_known_sources_only(room: Log) -> None:
    put(room, Put(STREAM, "sales", 1, 1))
    other = source_stream("till-8", "sales")
    assert put(room, Put(other, "sales", 1, 1)) == (PutRefused(full=True),)
    assert put(room, Put(STREAM, "sales", 2, 5)) == (PutTaken(2, 5),)


def test_new_sources_of_one_batch_have_room_for_all_of_them_or_are_refused() -> None:
    log = Log(streams_max=2)
    streams = [source_stream(f"till-{number}", "sales") for number in range(3)]
    results = put(log, *(Put(stream, "sales", 1, 1) for stream in streams))
    assert results == (PutTaken(1, 1), PutTaken(1, 1), PutRefused(full=True))
    assert log.value("sales") == log.stream_count == 2


def test_increments_of_the_same_batch_take_room_from_new_sources() -> None:
    log = Log(streams_max=2, registers_max=3)
    writer = Writer(log, Dedup(log, Settings(), lambda: True), Random(1))
    streams = [source_stream(f"till-{number}", "sales") for number in range(2)]
    puts = [Put(stream, "sales", 1, 1) for stream in streams]
    batch = writer.prepare([("a", 1), ("b", 1)], 0.0, 0.0, puts=puts)
    writer.expose(batch, 0.0)
    assert batch.put_results == (PutTaken(1, 1), PutRefused(full=True))
    assert (log.stream_count, log.register_count) == (2, 3)


def test_puts_and_increments_of_one_batch_stay_in_range_together() -> None:
    log = Log()
    writer = Writer(log, Dedup(log, Settings(), lambda: True), Random(1))
    puts = [
        Put(source_stream("till-1", "x"), "x", 1, TOTAL_MAX - 5),
        Put(source_stream("till-2", "x"), "x", 1, 1),
        Put(source_stream("till-1", "x"), "x", 2, 0),
        Put(source_stream("till-2", "x"), "x", 1, 1),
    ]
    batch = writer.prepare([("x", 5)], 0.0, 0.0, puts=puts)
    assert batch.put_results == (
        PutTaken(1, TOTAL_MAX - 5),
        PutRefused(full=False),
        PutTaken(2, 0),
        PutTaken(1, 1),
    )
    writer.expose(batch, 0.0)
    assert log.value("x") == 6


def test_a_key_record_in_a_source_s_stream_moves_no_version() -> None:
    """A source has one register, which shows its version, and no keys."""
    log = Log()
    log.merge_keys(STREAM, [KeyRecord(bytes(16), 900, "sales", 1, 0)], 0.0)
    log.merge(STREAM, [("sales", 5, 7)])
    assert log.version(STREAM) == 5
