"""Idempotency keys as rows: records of keyed events; joined like all the rest.

An event has one key: of two records of one (stream, seq) the smaller (key, counter, by) stays, as
in memory. A record is found by its stream in the order of seqs, which is how records expire and
are told, and by its key, which is how a retry is known. When it was accepted first is kept by the
file's clock (`clock`), so that it ages while the node is down.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias

import msgpack

from gossipd.core import AGE_TICK, Batch, Changes, KeyedEvent, KeyRecord, Stream, key_time
from gossipd.core.log.keys import EVENTS_MAX
from gossipd.core.wire.records import AGE_WANTED_MAX

from . import schema
from .rows import DamagedError, Value, Write, checksum

Kept: TypeAlias = tuple[Stream, int, bytes, str, int, int]
"""(stream, seq, key, counter, by, at) of a record; `at` is ms by the file's clock."""

TICK_MS = round(1000 * AGE_TICK)
"""Milliseconds in which an age is counted."""

_PUT_KEY = """INSERT INTO keys VALUES (?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (stream, seq) DO UPDATE
    SET key = excluded.key, counter = excluded.counter, by = excluded.by, at = excluded.at,
        sum = excluded.sum
    WHERE (excluded.key, excluded.counter, excluded.by) < (key, counter, by)"""
_PUT_HORIZON = """INSERT INTO meta VALUES ('horizon', ?, ?)
    ON CONFLICT (name) DO UPDATE SET value = excluded.value, sum = excluded.sum
    WHERE excluded.value > value"""


def are_kept(connection: sqlite3.Connection) -> bool:
    """Whether a file is new enough to have tables for keys."""
    return schema.version_of(connection) >= schema.WITH_KEYS


# --- writing ---------------------------------------------------------------------------------


def put_keys(records: Iterable[Kept]) -> Iterator[Write]:
    """Join key records; when a record was accepted is as it was told first."""
    crc32, pack = zlib.crc32, msgpack.Packer().pack
    for fields in records:
        yield _PUT_KEY, (*fields, crc32(pack(fields)))


def put_horizon(horizon: int) -> Write:
    """Raise the horizon, if it is above the stored one."""
    return _PUT_HORIZON, (horizon, checksum("horizon", horizon))


def batch_run(batch: Batch, now: float) -> tuple[str, list[tuple[Value, ...]]]:
    """The key records of a batch that is committed `now`: a statement and the parameters of all
    its rows."""
    crc32, pack, stream, at = zlib.crc32, msgpack.Packer().pack, batch.stream, int(1000 * now)
    rows: list[tuple[Value, ...]] = []
    for key, seq, counter, by, _ in batch.keys:
        fields = (stream, seq, key, counter, by, at)
        rows.append((*fields, crc32(pack(fields))))
    return _PUT_KEY, rows


def changes_writes(changes: Changes, now: float) -> Iterator[Write]:
    """All that concerns keys; to be written before any version."""
    yield from put_keys(_kept(changes.keys, now))
    if changes.horizon:
        yield put_horizon(changes.horizon)


def _kept(records: Iterable[tuple[Stream, KeyRecord]], now: float) -> Iterator[Kept]:
    at = int(1000 * now)
    for stream, (key, seq, counter, by, age) in records:
        yield stream, seq, key, counter, by, at - TICK_MS * age


# --- reading ---------------------------------------------------------------------------------


def sound(rows: Iterable[tuple[Stream, int, bytes, str, int, int, int]]) -> Iterator[Kept]:
    """Rows of key records without their checksums. Raises `DamagedError`."""
    crc32, pack = zlib.crc32, msgpack.Packer().pack
    for stream, seq, key, counter, by, at, kept in rows:
        fields = (stream, seq, key, counter, by, at)
        if crc32(pack(fields)) != kept:
            raise DamagedError(f"the key record of event {seq} in stream {stream.hex()}")
        yield fields


def records_of(connection: sqlite3.Connection) -> Iterator[Kept]:
    """All key records in the order of streams, then seqs. Raises `DamagedError`."""
    return sound(connection.execute("SELECT * FROM keys ORDER BY stream, seq"))


def read(
    connection: sqlite3.Connection, stream: Stream, above: int, upto: int, limit: int, now: float
) -> list[KeyRecord]:
    """The records of a stream with `above` < seq <= `upto`, oldest first, at most `limit`, with
    the age that they have `now`."""
    query = "SELECT * FROM keys WHERE stream = ? AND seq > ? AND seq <= ? ORDER BY seq LIMIT ?"
    return aged(sound(connection.execute(query, (stream, above, upto, limit))), now)


def aged(records: Iterable[Kept], now: float) -> list[KeyRecord]:
    """Records with the age that they have `now`."""
    until = int(1000 * now)
    names: dict[str, str] = {}
    return [
        KeyRecord(
            key,
            seq,
            names.setdefault(counter, counter),
            by,
            min(max(0, until - at) // TICK_MS, AGE_WANTED_MAX),
        )
        for _, seq, key, counter, by, at in records
    ]


def find(connection: sqlite3.Connection, keys: Sequence[bytes]) -> dict[bytes, list[KeyedEvent]]:
    """What is stored of some keys; those of which there is nothing are left out."""
    query = f"SELECT * FROM keys WHERE key IN ({_marks(keys)})"
    found: dict[bytes, list[KeyedEvent]] = {}
    for stream, seq, key, counter, by, _ in sound(connection.execute(query, keys)):
        found.setdefault(key, []).append(KeyedEvent(stream, seq, counter, by))
    return found


def find_twins(
    connection: sqlite3.Connection, keys: Sequence[bytes]
) -> dict[bytes, list[KeyedEvent]]:
    """What is stored of those of some keys that have several events."""
    query = f"""SELECT key FROM keys WHERE key IN ({_marks(keys)})
        GROUP BY key HAVING count(*) > 1"""
    return find_smallest(connection, [key for (key,) in connection.execute(query, keys)])


def find_smallest(
    connection: sqlite3.Connection, keys: Sequence[bytes]
) -> dict[bytes, list[KeyedEvent]]:
    """What is stored of some keys, but of each no more than the events that it may name."""
    query = "SELECT * FROM keys WHERE key = ? ORDER BY stream, seq LIMIT ?"
    found: dict[bytes, list[KeyedEvent]] = {}
    for key in keys:
        for stream, seq, _, counter, by, _ in sound(connection.execute(query, (key, EVENTS_MAX))):
            found.setdefault(key, []).append(KeyedEvent(stream, seq, counter, by))
    return found


def newest_time(keys: Iterable[bytes]) -> int:
    """The largest time, ms since 1970, in keys that tell theirs; 0 where none does."""
    return max((key_time(key) or 0 for key in keys), default=0)


def parts(keys: Sequence[bytes], size: int) -> Iterator[Sequence[bytes]]:
    """Some keys at a time."""
    return (keys[start : start + size] for start in range(0, len(keys), size))


def _marks(keys: Sequence[bytes]) -> str:
    return ", ".join("?" * len(keys))
