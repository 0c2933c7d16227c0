from __future__ import annotations

from collections.abc import Iterable, Iterator
from random import Random

import pytest

from gossipd.core.identity import BY_MAX, SEQ_MAX, TOTAL_MAX
from gossipd.core.log.dedup import Dedup
from gossipd.core.log.log import Log
from gossipd.core.log.registers import Advance
from gossipd.core.log.writer import (
    CLOCKS_PART_MAX,
    Accepted,
    LogFull,
    Mixed,
    OutOfRange,
    Result,
    Writer,
)
from gossipd.core.settings import Settings
from gossipd.core.wire.records import Double


def _writer(log: Log | None = None) -> tuple[Writer, Log]:
    log = log or Log()
    return Writer(log, Dedup(log, Settings(), lambda: True), Random(1)), log


def test_nothing_is_visible_until_a_batch_is_exposed() -> None:
    writer, log = _writer()
    batch = writer.prepare([("x", 2), ("y", 1), ("x", -5)], 1.0, 1.0)
    assert log.fingerprint == 0
    assert batch.rows == (("x", 3, -3), ("y", 2, 1))
    assert batch.version == 3
    assert batch.results == (Accepted(1, "x", 2), Accepted(2, "y", 1), Accepted(3, "x", -5))
    stream = batch.stream
    assert writer.expose(batch, 1.0).made == [
        Advance(stream, "x", 1, 2, 2),
        Advance(stream, "y", 2, 1, 1),
        Advance(stream, "x", 3, -5, -3),
    ]
    assert log.values == {"x": -3, "y": 1}
    assert log.version(stream) == 3


def test_batches_of_one_stream_go_on_where_the_last_ended() -> None:
    writer, log = _writer()
    first = writer.prepare([("x", 2)], 1.0, 1.0)
    writer.expose(first, 1.0)
    second = writer.prepare([("x", 3)], 2.0, 2.0)
    writer.expose(second, 1.0)
    assert second.stream == first.stream == writer.stream
    assert second.rows == (("x", 2, 5),)
    assert log.value("x") == 5


def test_a_batch_of_nothing_changes_nothing() -> None:
    writer, log = _writer()
    assert writer.expose(writer.prepare([], 1.0, 1.0), 1.0) == ([], [])
    assert log.fingerprint == 0


def test_an_abandoned_batch_ends_its_stream() -> None:
    writer, log = _writer()
    first = writer.prepare([("x", 2)], 1.0, 1.0)
    writer.abandon(first)
    assert writer.stream is None
    second = writer.prepare([("x", 2)], 1.0, 1.0)
    assert second.stream != first.stream
    writer.expose(second, 1.0)
    assert log.value("x") == 2


def test_a_stream_ends_when_the_clocks_part() -> None:
    writer, _ = _writer()
    first = writer.prepare([("x", 1)], 1.0, 1001.0)
    writer.expose(first, 1.0)
    same = writer.prepare([("x", 1)], 50.0, 1050.0 + CLOCKS_PART_MAX)
    writer.expose(same, 1.0)
    assert same.stream == first.stream
    for wall in (1102.1, 1100.0):
        resumed = writer.prepare([("x", 1)], 100.0, wall)
        writer.expose(resumed, 1.0)
        assert resumed.stream != first.stream
        assert resumed.rows[0][1] == 1
        first = resumed


def test_a_stream_ends_when_somebody_knows_more_of_it() -> None:
    writer, _ = _writer()
    batch = writer.prepare([("x", 1)], 1.0, 1.0)
    writer.expose(batch, 1.0)
    writer.heard_more_of(b"another123")
    batch = writer.prepare([("x", 1)], 1.0, 1.0)
    assert batch.results == (Accepted(2, "x", 1),)
    writer.heard_more_of(batch.stream)
    assert writer.stream is None
    writer.expose(batch, 1.0)
    assert writer.prepare([("x", 1)], 1.0, 1.0).stream != batch.stream


def test_a_stream_ends_before_its_seqs_are_used_up() -> None:
    writer, log = _writer()
    batch = writer.prepare([("x", 1)], 1.0, 1.0)
    writer.expose(batch, 1.0)
    log.claim(batch.stream, SEQ_MAX - 1)
    last = writer.prepare([("x", 1)], 1.0, 1.0)
    assert last.results == (Accepted(SEQ_MAX, "x", 1),)
    writer.expose(last, 1.0)
    assert writer.prepare([("x", 1)], 1.0, 1.0).stream != batch.stream


@pytest.mark.parametrize(("times", "goes_on"), [(2, True), (3, False)])
def test_some_in_a_row_do_not_go_beyond_the_seqs_of_a_stream(times: int, goes_on: bool) -> None:
    writer, log = _writer()
    first = writer.prepare([("x", 1)], 1.0, 1.0)
    writer.expose(first, 1.0)
    log.claim(first.stream, SEQ_MAX - 5)
    second = writer.prepare([("x", 1), ("y", 1)], 1.0, 1.0, counts=(3, times))
    assert (second.stream == first.stream) is goes_on


def test_an_increment_beyond_the_range_is_not_done_and_the_others_are() -> None:
    writer, log = _writer()
    big = TOTAL_MAX
    batch = writer.prepare([("x", big), ("x", 1), ("y", 1), ("x", -1), ("x", 1)], 1.0, 1.0)
    assert batch.results == (
        Accepted(1, "x", big),
        OutOfRange("x", 1),
        Accepted(2, "y", 1),
        Accepted(3, "x", -1),
        Accepted(4, "x", 1),
    )
    writer.expose(batch, 1.0)
    assert log.value("x") == big


def each_alone(results: Iterable[Result]) -> Iterator[Result]:
    for result in results:
        match result:
            case Accepted(seq, counter, by, times):
                yield from (Accepted(seq + at, counter, by) for at in range(times))
            case Mixed(inner):
                yield from each_alone(inner)
            case _:
                yield result


@pytest.mark.parametrize("seed", range(40))
def test_some_in_a_row_are_counted_as_each_of_them_alone(seed: int) -> None:
    rng = Random(seed)
    ends = [rng.choice((0, 1, -1)) * TOTAL_MAX + rng.randint(-9, 9) for _ in range(2)]
    others = [(counter, 1, end) for counter, end in zip("ab", ends, strict=True)]
    rows, single = (_writer(Log(registers_max=6)) for _ in range(2))
    for _, log in (rows, single):
        log.merge(b"another123", others)
        log.merge(b"another456", others[: seed % 3])
    for now in (1.0, 2.0, 3.0):
        asked = [(rng.choice("abcde"), rng.choice((1, -1, 3, -3))) for _ in range(6)]
        counts = [rng.choice((1, 1, 2, 7)) for _ in asked]
        batch = rows[0].prepare(asked, now, now, counts=counts)
        flat = [one for one, count in zip(asked, counts, strict=True) for _ in range(count)]
        alone = single[0].prepare(flat, now, now)
        told = list(each_alone(batch.results))
        for place, count in enumerate(counts):
            result = batch.results[place]
            if isinstance(result, OutOfRange | LogFull):
                at = sum(counts[:place])
                told[at : at + 1] = [result] * count
        assert told == list(alone.results)
        assert batch._replace(results=()) == alone._replace(results=())
        assert rows[0].expose(batch, now) == single[0].expose(alone, now)
    assert rows[1].fingerprint == single[1].fingerprint


def test_the_total_of_this_node_alone_ends_some_in_a_row_too() -> None:
    writer, log = _writer()
    log.merge(b"another123", [("x", 1, -10)])
    full = TOTAL_MAX // BY_MAX
    asked = [("x", BY_MAX), ("x", -2), ("x", 1)]
    batch = writer.prepare(asked, 1.0, 1.0, counts=(full, 1, 3))
    assert batch.results[0] == Accepted(1, "x", BY_MAX, full)
    own = (Accepted(full + 2, "x", 1), Accepted(full + 3, "x", 1), OutOfRange("x", 1))
    assert batch.results[2] == Mixed(own)
    assert batch.rows == (("x", full + 3, TOTAL_MAX),)


def test_the_value_over_all_streams_stays_in_range_too() -> None:
    writer, log = _writer()
    log.merge(b"another123", [("x", 1, TOTAL_MAX)])
    batch = writer.prepare([("x", 1), ("x", -1)], 1.0, 1.0)
    assert batch.results == (OutOfRange("x", 1), Accepted(1, "x", -1))


def test_a_value_beyond_the_range_is_brought_nearer_and_taken_no_further() -> None:
    """Two puts, or lies, that had not heard of each other."""
    writer, log = _writer()
    log.merge(b"another123", [("x", 1, TOTAL_MAX)])
    log.merge(b"another456", [("x", 1, 3)])
    batch = writer.prepare([("x", 1), ("x", -1), ("x", 1), ("x", -2), ("x", 1)], 1.0, 1.0)
    assert batch.results == (
        OutOfRange("x", 1),
        Accepted(1, "x", -1),
        OutOfRange("x", 1),
        Accepted(2, "x", -2),
        OutOfRange("x", 1),
    )
    writer.expose(batch, 1.0)
    assert log.value("x") == TOTAL_MAX


def test_a_full_log_takes_increments_of_known_counters_only() -> None:
    writer, log = _writer(Log(registers_max=3))
    writer.expose(writer.prepare([("x", 1), ("y", 1)], 1.0, 1.0), 1.0)
    wanted = [("x", 1), ("y", 1), ("z", 1), ("z", 1), ("w", 1), ("x", 1)]
    batch = writer.prepare(wanted, 1.0, 1.0)
    assert batch.results == (
        Accepted(3, "x", 1),
        Accepted(4, "y", 1),
        Accepted(5, "z", 1),
        Accepted(6, "z", 1),
        LogFull("w", 1),
        Accepted(7, "x", 1),
    )
    writer.expose(batch, 1.0)
    assert log.values == {"x": 3, "y": 2, "z": 2}


def test_one_batch_is_under_way_at_a_time() -> None:
    writer, _ = _writer()
    batch = writer.prepare([("x", 1)], 1.0, 1.0)
    with pytest.raises(AssertionError):
        writer.prepare([("x", 1)], 1.0, 1.0)
    writer.expose(batch, 1.0)
    with pytest.raises(AssertionError):
        writer.expose(batch, 1.0)
    with pytest.raises(AssertionError):
        writer.abandon(batch)


def test_what_was_committed_enters_though_the_log_was_filled_meanwhile() -> None:
    writer, log = _writer(Log(registers_max=1))
    batch = writer.prepare([("y", 1)], 1.0, 1.0)
    log.merge(b"\x00" * 9 + b"\x07", [("x", 1, 1)])
    writer.expose(batch, 1.0)
    assert (log.value("y"), log.version(batch.stream)) == (1, 1)


def test_what_a_double_takes_off_that_waited_for_a_batch_is_told() -> None:
    """Somebody has told of it before it was exposed: a liar, as nobody can know."""
    writer, log = _writer()
    log.merge(b"\x00" * 9 + b"\x07", [("x", 1, 5)])
    batch = writer.prepare([("x", 5), ("y", 1), ("x", 2)], 1.0, 1.0)
    log.enter(batch.stream, [Double("x", 1, 5, b"\x00" * 9 + b"\x07", 1, 0)], 1.0)
    made, others = writer.expose(batch, 1.0)
    assert [advance.value for advance in made] == [10, 1, 12]
    assert others == [Advance(batch.stream, "x", 3, -5, 7)]
    assert log.values == {"x": 7, "y": 1}
