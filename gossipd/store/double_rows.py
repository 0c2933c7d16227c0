"""Doubles and corrections as rows (see the core's `doubles`), joined like all the rest.

A double stands under the event that lost. When it was found is kept by the file's clock (`clock`),
so that it ages while the node is down. A correction takes the place of the doubles in it: it is
written first, and what a crash leaves of them is known by its seq to be in it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import TypeAlias

from gossipd.core import Changes, Correction, Double, Stream
from gossipd.core.wire.records import AGE_WANTED_MAX

from . import schema
from .key_rows import TICK_MS, sound
from .rows import DamagedError, Value, Write, checksum

Found: TypeAlias = list[tuple[Stream, Double]]

_PUT_LOSER = """INSERT INTO losers VALUES (?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (stream, seq) DO UPDATE
    SET counter = excluded.counter, by = excluded.by, winner = excluded.winner,
        winner_seq = excluded.winner_seq, at = excluded.at, sum = excluded.sum
    WHERE (excluded.counter, excluded.by, excluded.winner, excluded.winner_seq)
        < (counter, by, winner, winner_seq)"""
_PUT_CORRECTION = """INSERT INTO corrections VALUES (?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (stream, counter) DO UPDATE
    SET seq = excluded.seq, lost = excluded.lost, out = excluded.out, digest = excluded.digest,
        sum = excluded.sum
    WHERE (excluded.seq, excluded.lost, abs(excluded.out), excluded.out, excluded.digest)
        > (seq, lost, abs(out), out, digest)"""
_REMOVE_LOSERS = "DELETE FROM losers WHERE stream = ? AND seq <= ? AND counter = ?"

_TWINS = """WITH several AS (
        SELECT key FROM keys LEFT JOIN losers USING (stream, seq)
        GROUP BY key HAVING count(*) > 1 AND count(losers.seq) < count(*) - 1),
    twins AS (
        SELECT *, first_value(stream) OVER event AS winner, first_value(seq) OVER event AS first
        FROM keys WHERE key IN several
        WINDOW event AS (PARTITION BY key, counter, by ORDER BY stream, seq))
    SELECT * FROM twins
    WHERE (stream, seq) <> (winner, first)
        AND NOT EXISTS (SELECT * FROM losers
            WHERE losers.stream = twins.stream AND losers.seq = twins.seq)
        AND NOT EXISTS (SELECT * FROM corrections
            WHERE corrections.stream = twins.stream AND corrections.counter = twins.counter
                AND corrections.seq >= twins.seq)"""
"""Key records of what was counted before under the same key, and nobody has noted that."""


# --- writing ---------------------------------------------------------------------------------


def put_double(stream: Stream, double: Double, now: float) -> Write:
    """Join one double, with the age that it has `now`."""
    counter, seq, by, winner, winner_seq, age = double
    fields = (stream, seq, counter, by, winner, winner_seq, int(1000 * now) - TICK_MS * age)
    return _PUT_LOSER, (*fields, checksum(*fields))


def put_correction(stream: Stream, correction: Correction) -> Iterator[Write]:
    """Join one correction; the doubles in it go."""
    counter, seq, lost, out, digest = correction
    fields: tuple[Value, ...] = (stream, counter, seq, lost, out, digest.to_bytes(8, "big"))
    yield _PUT_CORRECTION, (*fields, checksum(*fields))
    yield _REMOVE_LOSERS, (stream, seq, counter)


def changes_writes(changes: Changes, now: float) -> Iterator[Write]:
    """All that concerns doubles."""
    for stream, double in changes.doubles:
        yield put_double(stream, double, now)
    for stream, correction in changes.corrections:
        yield from put_correction(stream, correction)


# --- reading ---------------------------------------------------------------------------------


def doubles_of(connection: sqlite3.Connection, now: float) -> Iterator[tuple[Stream, Double]]:
    """All doubles in the order of streams, then seqs, with the age that they have `now`. Raises
    `DamagedError`."""
    until = int(1000 * now)
    if schema.version_of(connection) < schema.WITH_LOSERS:
        _check_old(connection)
        found = connection.execute(f"{schema.OLD_LOSERS} ORDER BY stream, seq")
    else:
        found = connection.execute("SELECT * FROM losers ORDER BY stream, seq")
    for *fields, kept in found:
        if kept is not None and checksum(*fields) != kept:
            raise DamagedError(f"the double {fields[1]} in stream {fields[0].hex()}")
        stream, seq, counter, by, winner, winner_seq, at = fields
        age = min(max(0, until - at) // TICK_MS, AGE_WANTED_MAX)
        yield stream, Double(counter, seq, by, winner, winner_seq, age)


def corrections_of(connection: sqlite3.Connection) -> Iterator[tuple[Stream, Correction]]:
    """All corrections in the order of streams, then counters. Raises `DamagedError`."""
    if schema.version_of(connection) < schema.WITH_LOSERS:
        return
    query = "SELECT * FROM corrections ORDER BY stream, counter"
    for *fields, kept in connection.execute(query):
        stream, counter, seq, lost, out, digest = fields
        if checksum(*fields) != kept:
            raise DamagedError(f"the correction of {counter!r} in stream {stream.hex()}")
        yield stream, Correction(counter, seq, lost, out, int.from_bytes(digest, "big"))


def unknown_doubles(connection: sqlite3.Connection) -> Found:
    """The doubles among stored records that are not stored: twins that both came to the disk,
    where only one of them may have been in memory. Raises `DamagedError`."""
    if schema.version_of(connection) < schema.WITH_LOSERS:
        return []  # they show once it is migrated
    rows = connection.execute(_TWINS).fetchall()
    losers = sound(row[:7] for row in rows)
    return [
        (stream, Double(counter, seq, by, winner, winner_seq, 0))
        for (stream, seq, _, counter, by, _), (*_, winner, winner_seq) in zip(
            losers, rows, strict=True
        )
    ]


def _check_old(connection: sqlite3.Connection) -> None:
    for *fields, kept in connection.execute("SELECT * FROM doubles"):
        if checksum(*fields) != kept:
            raise DamagedError(f"the double {fields[1]} in stream {fields[0].hex()}")
