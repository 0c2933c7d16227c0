"""Doubles and corrections on a disk, and how those of an older file come along."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from gossipd.core import (
    AGE_TICK,
    Changes,
    Correction,
    Double,
    Stream,
)
from gossipd.core.log.log import Log
from gossipd.store import StoreError, schema
from gossipd.store.checking import check
from gossipd.store.export import export_lines, import_lines
from gossipd.store.rows import checksum

from .keyed import (
    doubles_in,
    plain_key,
    record,
    told,
)
from .parts import (
    NOTHING,
    OTHER,
    STREAM,
    filled,
    opened,
    stored,
)

FIRST = bytes(10)
DOUBLE = Double("a", 4, 1, FIRST, 7, 0)


def found(*doubles: Double, stream: Stream = OTHER) -> Changes:
    return NOTHING._replace(doubles=tuple((stream, double) for double in doubles))


def corrected(*corrections: Correction, stream: Stream = OTHER) -> Changes:
    return NOTHING._replace(corrections=tuple((stream, each) for each in corrections))


async def test_of_doubles_of_one_event_the_smaller_is_kept(tmp_path: Path) -> None:
    smaller = DOUBLE._replace(winner_seq=3)
    async with opened(tmp_path) as store:
        for double in (DOUBLE, smaller, DOUBLE, DOUBLE._replace(seq=5)):
            await store.save(found(double))
        await store.save(found(DOUBLE, stream=STREAM))
    kept = {(OTHER, smaller), (OTHER, DOUBLE._replace(seq=5)), (STREAM, DOUBLE)}
    assert doubles_in(await stored(tmp_path)) == kept


async def test_doubles_age_on_the_disk(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await store.save(found(DOUBLE._replace(age=6000)))
    (snapshot,) = (await stored(tmp_path)).streams
    (double,) = snapshot.doubles
    assert 600 <= double.age * AGE_TICK < 660


async def test_a_correction_takes_the_place_of_its_doubles(tmp_path: Path) -> None:
    doubles = [DOUBLE._replace(seq=seq) for seq in (4, 5, 6)]
    other = DOUBLE._replace(seq=3, counter="b")
    folded = Correction("a", 5, 2, 2, 2**64 - 1)
    async with opened(tmp_path) as store:
        await store.save(found(*doubles, other))
        await store.save(corrected(folded))
    snapshot = await stored(tmp_path)
    assert doubles_in(snapshot) == {(OTHER, doubles[2]), (OTHER, other)}
    (held,) = snapshot.streams
    assert held.corrections == (folded,)


async def test_a_correction_only_rises(tmp_path: Path) -> None:
    rising = [
        Correction("a", 5, 2, 2, 7),
        Correction("a", 5, 2, 2, 8),
        Correction("a", 5, 2, -3, 1),
        Correction("a", 5, 2, 3, 1),
        Correction("a", 5, 3, 1, 1),
        Correction("a", 6, 1, 1, 1),
    ]
    async with opened(tmp_path) as store:
        for place, correction in enumerate(rising):
            for earlier in (correction, *rising[:place]):
                await store.save(corrected(earlier))
    (held,) = (await stored(tmp_path)).streams
    assert held.corrections == (rising[-1],)


async def test_twins_that_were_folded_are_not_found_again(tmp_path: Path) -> None:
    key = plain_key(1)
    async with opened(tmp_path) as store:
        await store.save(told(record(3, key), version=3))
        await store.save(told(record(5, key), stream=OTHER, version=5))
        await store.save(corrected(Correction("default", 5, 1, 1, 9)))
    assert doubles_in(await stored(tmp_path)) == set()
    assert check(tmp_path).problems == ()


async def test_what_a_crash_left_of_folded_doubles_counts_once(tmp_path: Path) -> None:
    await filled(tmp_path)
    async with opened(tmp_path) as store:
        await store.save(corrected(Correction("other \u00e9 5", 5, 1, -5, 9)))
        await store.save(found(Double("other \u00e9 5", 5, -5, STREAM, 1, 0)))
    finding = check(tmp_path)
    assert (finding.problems, finding.doubles) == ((), 0)


async def test_what_is_damaged_among_corrections_is_told(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await store.save(corrected(Correction("a", 5, 1, 1, 9)))
    change(tmp_path, "UPDATE corrections SET lost = 2")
    with pytest.raises(StoreError, match="the correction of 'a' in stream"):
        await stored(tmp_path)


# --- an older file -------------------------------------------------------------------------------


def change(directory: Path, *statements: str) -> None:
    with closing(sqlite3.connect(directory / "gossipd.db", isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


OLD = (
    # (stream, seq, key, counter, by): all events of a key, and one of which nothing else is known
    (STREAM, 1, plain_key(1), "default", 1),
    (OTHER, 2, plain_key(1), "default", 1),
    (OTHER, 4, plain_key(1), "default", 1),
    (OTHER, 5, plain_key(1), "default", 2),
    (STREAM, 2, plain_key(2), "default", 1),
)
LOST = {(OTHER, Double("default", seq, 1, STREAM, 1, 0)) for seq in (2, 4)}


async def filled_before(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of version 2."""
    with monkeypatch.context() as patch:
        patch.setattr(schema, "MIGRATIONS", schema.MIGRATIONS[:2])
        patch.setattr("gossipd.store.recovery.add_keys", lambda _, snapshot, *__: (snapshot, []))
        async with opened(directory) as store:
            await store.begin_life(1.0)
    with closing(sqlite3.connect(directory / "gossipd.db", isolation_level=None)) as connection:
        for stream in (STREAM, OTHER):
            fields = (stream, "default", 9, 90)
            row = (*fields, checksum(*fields))
            connection.execute("INSERT INTO registers VALUES (?, ?, ?, ?, ?)", row)
        for event in OLD:
            connection.execute(
                "INSERT INTO doubles VALUES (?, ?, ?, ?, ?, ?)", (*event, checksum(*event))
            )


async def test_doubles_of_an_older_file_lose_to_the_smallest_of_their_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await filled_before(tmp_path, monkeypatch)
    before = check(tmp_path)
    assert (before.problems, before.doubles) == ((), 2)
    snapshot = await stored(tmp_path)
    assert doubles_in(snapshot) == LOST
    log = Log()
    log.load(snapshot.streams, 0.0, 0.0)
    assert log.value("default") == 178
    assert check(tmp_path) == before
    assert doubles_in(await stored(tmp_path)) == LOST


async def test_doubles_of_an_older_file_go_out_as_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await filled_before(tmp_path / "old", monkeypatch)
    lines = [f"{line}\n".encode() for line in export_lines(tmp_path / "old")]
    import_lines(tmp_path / "new", lines)
    assert doubles_in(await stored(tmp_path / "new")) == LOST


async def test_lines_of_an_older_version_come_in(tmp_path: Path) -> None:
    rows = ['{"format": "gossipd log 1"}']
    for stream, seq, key, counter, by in OLD:
        event = f'"stream": "{stream.hex()}", "seq": {seq}, "counter": "{counter}", "by": {by}'
        rows.append(f'{{"double": "{key.hex()}", {event}}}')
    rows.append(f'{{"lines": {len(rows)}}}')
    import_lines(tmp_path, [f"{row}\n".encode() for row in rows])
    assert doubles_in(await stored(tmp_path)) == LOST


async def test_an_older_file_with_a_damaged_double_is_left_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await filled_before(tmp_path, monkeypatch)
    change(tmp_path, "UPDATE doubles SET by = 7 WHERE seq = 4")
    with pytest.raises(StoreError, match="is damaged: the double 4 in stream"):
        await stored(tmp_path)
    with closing(sqlite3.connect(tmp_path / "gossipd.db")) as connection:
        assert schema.version_of(connection) == 2
