"""Values as rows and back; every write is a join, so a late or repeated one does no harm.

Every row ends in a checksum of its other fields. SQLite has none of its own, and one flipped bit
in a total would be gossiped and never go away again.

Verdicts are kept as wall time, so that they age while the node is down.
"""

from __future__ import annotations

import json
import math
import sqlite3
import zlib
from collections.abc import Callable, Iterator
from typing import TypeAlias

import msgpack

from gossipd.core import Changes, MemberView, Snapshot, Status, Stream, StreamSnapshot
from gossipd.core.swim.plausible import Plausible, Word
from gossipd.core.wire.messages import AGE_MAX
from gossipd.core.wire.records import Register

Value: TypeAlias = int | str | bytes
Write: TypeAlias = tuple[str, tuple[Value, ...]]
"""A statement and its parameters."""

PUT_REGISTER = """INSERT INTO registers VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (stream, counter) DO UPDATE
    SET seq = excluded.seq, total = excluded.total, sum = excluded.sum
    WHERE (excluded.seq, excluded.total) > (seq, total)"""
"""Joins one register."""

PUT_VERSION = """INSERT INTO streams VALUES (?, ?, ?, 0)
    ON CONFLICT (stream) DO UPDATE SET version = excluded.version, sum = excluded.sum
    WHERE excluded.version > version"""
"""Joins one version: every register that it covers is written before. Triggers count what the
stream holds."""

_PUT_MEMBER = """INSERT INTO members VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (name) DO UPDATE
    SET host = excluded.host, port = excluded.port, generation = excluded.generation,
        incarnation = excluded.incarnation, status = excluded.status, tags = excluded.tags,
        verdict = excluded.verdict, accusers = excluded.accusers, sum = excluded.sum
    WHERE (excluded.generation, excluded.host, excluded.port, excluded.incarnation,
           excluded.status) >= (generation, host, port, incarnation, status)"""
_REMOVE_MEMBER = "DELETE FROM members WHERE name = ?"
_PUT_META = """INSERT INTO meta VALUES (?, ?, ?)
    ON CONFLICT (name) DO UPDATE SET value = excluded.value, sum = excluded.sum"""


_pack: Callable[[object], bytes] = msgpack.Packer().pack
"""Of one thread at a time: that of the store, or before it begins, who opens it."""


class DamagedError(Exception):
    """A row is not what was written."""


def checksum(*fields: Value) -> int:
    """CRC-32 of a row's fields."""
    return zlib.crc32(_pack(fields))


def register_row(stream: Stream, counter: str, seq: int, total: int) -> tuple[Value, ...]:
    """A register as `PUT_REGISTER` wants it."""
    return stream, counter, seq, total, checksum(stream, counter, seq, total)


def version_row(stream: Stream, version: int) -> tuple[Value, ...]:
    """A version as `PUT_VERSION` wants it."""
    return stream, version, version_checksum(stream, version)


def version_checksum(stream: Stream, version: int) -> int:
    """That of a row without a version, which triggers make, is 0."""
    return checksum(stream, version) if version else 0


def put_register(stream: Stream, counter: str, seq: int, total: int) -> Write:
    """Join one register."""
    return PUT_REGISTER, register_row(stream, counter, seq, total)


def put_version(stream: Stream, version: int) -> Write:
    """Join the version of a stream."""
    return PUT_VERSION, version_row(stream, version)


def put_meta(name: str, value: Value) -> Write:
    """Set one of the facts about the file itself."""
    return _PUT_META, (name, value, checksum(name, value))


def _put_member(view: MemberView, wall: float) -> Write:
    verdict = int(1000 * (wall - 60 * view.age)) if view.status > Status.SUSPECT else 0
    fields = (
        view.name,
        *view.address,
        view.generation,
        view.incarnation,
        view.status.value,
        json.dumps(view.tags),
        verdict,
        json.dumps(view.accusers),
    )
    return _PUT_MEMBER, (*fields, checksum(*fields))


def writes_of(changes: Changes, wall: float) -> Iterator[Write]:
    """Everything to be written, all registers before any version. `wall`: seconds since 1970."""
    for register in changes.registers:
        yield put_register(*register)
    for stream, version in changes.versions:
        yield put_version(stream, version)
    for name in changes.gone:
        yield _REMOVE_MEMBER, (name,)
    for view in changes.members:
        yield _put_member(view, wall)
    if changes.generation:
        yield put_meta("generation", changes.generation)


# --- reading ---------------------------------------------------------------------------------


def snapshot_of(connection: sqlite3.Connection, wall: float) -> Snapshot:
    """Everything that is stored; one ordered scan. Raises `DamagedError`."""
    versions = dict(versions_of(connection))
    streams = tuple(
        StreamSnapshot(stream, versions.get(stream, 0), tuple(registers))
        for stream, registers in registers_of(connection)
    )
    return Snapshot(streams, tuple(members_of(connection, wall)))


def registers_of(connection: sqlite3.Connection) -> Iterator[tuple[Stream, list[Register]]]:
    """The registers of each stream, in the order of streams, then counters."""
    names: dict[str, str] = {}
    crc32, pack = zlib.crc32, msgpack.Packer().pack  # a million times: names are looked up once
    query = "SELECT stream, counter, seq, total, sum FROM registers ORDER BY stream, counter"
    current: Stream | None = None
    registers: list[Register] = []
    for stream, counter, seq, total, kept in connection.execute(query):
        if crc32(pack((stream, counter, seq, total))) != kept:
            raise DamagedError(f"the register of {counter!r} in stream {shown(stream)}")
        if stream != current:
            if current is not None:
                yield current, registers
            current, registers = stream, []
        registers.append((names.setdefault(counter, counter), seq, total))
    if current is not None:
        yield current, registers


def versions_of(connection: sqlite3.Connection) -> Iterator[tuple[Stream, int]]:
    """(stream, version) in the order of streams that have one."""
    query = "SELECT stream, version, sum FROM streams ORDER BY stream"
    for stream, version, kept in connection.execute(query):
        if checksum(stream, version) != kept and (version or kept):
            raise DamagedError(f"the version of stream {shown(stream)}")
        if version:
            yield stream, version


def members_of(connection: sqlite3.Connection, wall: float) -> Iterator[MemberView]:
    """All members in the order of names, verdicts with the age that they have by now."""
    for *fields, kept in connection.execute("SELECT * FROM members ORDER BY name"):
        if checksum(*fields) != kept:
            raise DamagedError(f"the member {fields[0]!r}")
        name, host, port, generation, incarnation, status, tags, verdict, accusers = fields
        age = math.ceil(max(0.0, wall - verdict / 1000) / 60) if verdict else 0
        yield MemberView(
            name,
            (host, port),
            generation,
            incarnation,
            Status(status),
            tuple((key, value) for key, value in json.loads(tags)),
            min(age, AGE_MAX),
            tuple(json.loads(accusers)),
        )


def meta_of(connection: sqlite3.Connection) -> dict[str, Value]:
    """The facts about the file: `generation`, `node`, `cluster`, `created` (ms since 1970),
    `clock` (see there), `horizon`, `port` (see `DiskStore.open`)."""
    facts: dict[str, Value] = {}
    for name, value, kept in connection.execute("SELECT * FROM meta ORDER BY name"):
        if checksum(name, value) != kept:
            raise DamagedError(f"the fact {name!r}")
        facts[name] = value
    return facts


def generation_of(connection: sqlite3.Connection, node: str, wall: float) -> int:
    """The largest generation of an earlier life, or of the member `node`; 0 for none. What no
    clock allows, at `wall` seconds since 1970, is what an attack has left, and passed over."""
    known = [int(meta_of(connection).get("generation", 0))]
    query = "SELECT generation FROM members WHERE name = ?"
    known += (row[0] for row in connection.execute(query, (node,)))
    plausible = Plausible(int(1000 * wall))
    return max((at for at in known if not plausible.is_absurd(at, 0, Word.OWN)), default=0)


def shown(stream: object) -> str:
    """A stream as it is told; it may be none."""
    return stream.hex() if isinstance(stream, bytes) else repr(stream)
