"""The log as JSON lines: out of a file, into another one.

The first line is about the file, then come the registers of each stream with its version behind
them, then key records, doubles and corrections, and the last line says how many lines there were:
what was cut off is not taken in. A line is what its fields say, and one with others is refused.
Reading in is one transaction of joins, so lines may be given twice, to any node, in any order of
files. Members are not part of it; they are learned by joining. When keys were accepted and doubles
found (`at`) is told by the clock of the file that they come from, and the first line says what
time it was there (`now`): they go on with the age that they had then.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TypeAlias
from uuid import UUID

from gossipd.core import AGE_TICK, Correction, Double, Stream
from gossipd.core.hashing import MASK_64
from gossipd.core.identity import (
    BY_MAX,
    COUNTER_BYTES_MAX,
    GENERATION_MAX,
    SEQ_MAX,
    STREAM_BYTES,
    TOTAL_MAX,
    is_text,
)

from .clock import FileClock
from .contents import check_contents
from .double_rows import corrections_of, doubles_of, put_correction, put_double
from .key_rows import are_kept, put_horizon, put_keys, records_of
from .lock import Lock
from .names import FILE_NAME
from .recovery import (
    clear_errors,
    clock_of,
    connect,
    database_path,
    make_directory,
    open_image,
    reading,
)
from .rows import Write, meta_of, put_meta, put_register, put_version, registers_of, versions_of

_FORMAT = "gossipd log 2"
_OLD_FORMAT = "gossipd log 1"
_Line: TypeAlias = dict[str, object]

_TIME_MAX = 2**48 - 1
"""The last ms since 1970 that a UUID of version 7 can tell."""

_REGISTER = {"stream", "counter", "seq", "total"}
_VERSION = {"stream", "version"}
_KEY = {"key", "stream", "seq", "counter", "by", "at"}
_DOUBLE = {"stream", "seq", "counter", "by", "winner", "winner_seq", "at"}
_CORRECTION = {"stream", "counter", "seq", "lost", "out", "digest"}
_OLD_DOUBLE = {"double", "stream", "seq", "counter", "by"}
"""One of all events of a key, its winner included."""

_Groups: TypeAlias = dict[tuple[bytes, str, int], set[tuple[Stream, int]]]


class LineError(Exception):
    """A line cannot be taken in; the text says which and why."""


def export_lines(path: Path) -> Iterator[str]:
    """The log of a data directory or backup as it is at this moment. Raises `StoreError`."""
    with reading(database_path(path)) as connection:
        check_contents(connection)  # or a version might go out without what it covers
        count = 0
        for line in _lines(connection):
            yield json.dumps(line)
            count += 1
        yield json.dumps({"lines": count})


def _lines(connection: sqlite3.Connection) -> Iterator[_Line]:
    facts = meta_of(connection)
    facts.pop("clock", None)  # of this file on this machine
    now = int(1000 * clock_of(connection, time.time()).now())
    yield {"format": _FORMAT, **facts, "now": now}
    versions = dict(versions_of(connection))
    for stream, registers in registers_of(connection):
        for counter, seq, total in registers:
            yield {"stream": stream.hex(), "counter": counter, "seq": seq, "total": total}
        if stream in versions:
            yield {"stream": stream.hex(), "version": versions[stream]}
    if are_kept(connection):
        yield from _key_lines(connection, now)


def _key_lines(connection: sqlite3.Connection, now: int) -> Iterator[_Line]:
    for stream, seq, bits, counter, by, at in records_of(connection):
        event = {"stream": stream.hex(), "seq": seq, "counter": counter, "by": by}
        yield {"key": str(UUID(bytes=bits)), **event, "at": at}
    for stream, (counter, seq, by, winner, winner_seq, age) in doubles_of(connection, now / 1000):
        event = {"stream": stream.hex(), "seq": seq, "counter": counter, "by": by}
        at = now - round(1000 * AGE_TICK) * age
        yield {**event, "winner": winner.hex(), "winner_seq": winner_seq, "at": at}
    for stream, correction in corrections_of(connection):
        yield {"stream": stream.hex(), **correction._asdict()}


def import_lines(directory: Path, lines: Iterable[bytes]) -> int:
    """Join exported lines into a directory that no node is using; how many there were.

    All or nothing. Raises `StoreError` and `LineError`.
    """
    make_directory(directory)
    with clear_errors(directory):
        lock = Lock(directory)
    try:
        path = directory / FILE_NAME
        _, clock = open_image(directory, time.time())
        with clear_errors(path), closing(connect(path)) as connection:
            return _import(connection, lines, clock)
    finally:
        lock.release()


def _import(connection: sqlite3.Connection, lines: Iterable[bytes], clock: FileClock) -> int:
    connection.execute("BEGIN IMMEDIATE")
    connection.execute(*put_meta("clock", clock.mark()))
    count, generation, ended = 0, meta_of(connection).get("generation", 0), False
    now = since = int(1000 * clock.now())
    groups: _Groups = {}
    for number, text in enumerate(lines, 1):
        try:
            line = _parse(text)
            if ended or (number == 1) != ("format" in line):
                raise ValueError("not in its place")
            if number == 1:
                given = _integer(line.get("generation", 0), 0, GENERATION_MAX)
                connection.execute(*put_meta("generation", max(int(generation), given)))
                horizon = _integer(line.get("horizon", 0), 0, _TIME_MAX)
                connection.execute(*put_horizon(horizon))
                since = _integer(line.get("now", now), 0, _TIME_MAX)
            elif "lines" in line:
                ended = line["lines"] == number - 1
                if not ended:
                    raise ValueError("lines are missing before it")
            elif line.keys() == _OLD_DOUBLE:
                group = (_key(line["double"]), _counter(line), _by(line))
                groups.setdefault(group, set()).add((_stream(line), _seq(line)))
            else:
                for write in _writes_of(line, since, now):
                    connection.execute(*write)
        except (ValueError, RecursionError) as error:
            raise LineError(f"line {number}: {error}") from None
        count = number
    if not ended:
        raise LineError(f"the end is missing behind line {count}")
    for stream, double in _doubles_of(groups):
        connection.execute(*put_double(stream, double, now / 1000))
    connection.execute("COMMIT")
    return count


def _doubles_of(groups: _Groups) -> Iterator[tuple[Stream, Double]]:
    for (_, counter, by), events in groups.items():
        winner, *losers = sorted(events)
        for stream, seq in losers:
            yield stream, Double(counter, seq, by, *winner, 0)


def _parse(text: bytes) -> _Line:
    try:
        line = json.loads(text)
    except ValueError:  # it tells of lines, too, and means another one
        line = None
    if not isinstance(line, dict):
        raise ValueError("not a JSON object")
    if line.get("format", _FORMAT) not in (_FORMAT, _OLD_FORMAT):
        raise ValueError(f"its format is not {_FORMAT!r}")
    return line


def _writes_of(line: _Line, since: int, now: int) -> Iterator[Write]:
    """`since`: what the clock that the line is by said when the clock of the file says `now`, in
    milliseconds."""
    fields = line.keys()
    if fields == _VERSION:
        yield put_version(_stream(line), _integer(line["version"], 0, SEQ_MAX))
    elif fields == _REGISTER:
        total = _integer(line["total"], -TOTAL_MAX, TOTAL_MAX)
        yield put_register(_stream(line), _counter(line), _seq(line), total)
    elif fields == _KEY:
        # A key may be older than the beginning of 1970 by the clock of this file.
        at = _integer(line["at"], -_TIME_MAX, _TIME_MAX) + now - since
        at = max(-_TIME_MAX, min(at, _TIME_MAX))
        event = (_stream(line), _seq(line), _key(line["key"]), _counter(line), _by(line))
        yield from put_keys([(*event, at)])
    elif fields == _DOUBLE:
        age = max(0, since - _integer(line["at"], -_TIME_MAX, _TIME_MAX)) // round(1000 * AGE_TICK)
        winner = _stream(line, "winner"), _integer(line["winner_seq"], 1, SEQ_MAX)
        double = Double(_counter(line), _seq(line), _by(line), *winner, age)
        yield put_double(_stream(line), double, now / 1000)
    elif fields == _CORRECTION:
        yield from put_correction(_stream(line), _correction(line))
    else:
        raise ValueError(f"neither a register nor a version, key or double: {', '.join(line)}")


def _correction(line: _Line) -> Correction:
    return Correction(
        _counter(line),
        _seq(line),
        _integer(line["lost"], 0, _seq(line)),
        _integer(line["out"], -TOTAL_MAX, TOTAL_MAX),
        _integer(line["digest"], 0, MASK_64),
    )


def _stream(line: _Line, field: str = "stream") -> Stream:
    text = line[field]
    stream = bytes.fromhex(text) if isinstance(text, str) else b""
    if len(stream) != STREAM_BYTES or stream[0] >> 2:
        raise ValueError(f"not a stream: {text!r}")
    return stream


def _counter(line: _Line) -> str:
    counter = line["counter"]
    if not isinstance(counter, str) or not is_text(counter, COUNTER_BYTES_MAX):
        raise ValueError(f"not the name of a counter: {counter!r}")
    return counter


def _seq(line: _Line) -> int:
    return _integer(line["seq"], 1, SEQ_MAX)


def _by(line: _Line) -> int:
    by = _integer(line["by"], -BY_MAX, BY_MAX)
    if not by:
        raise ValueError("it adds nothing")
    return by


def _key(text: object) -> bytes:
    """A UUID as the command line and HTTP take it, too."""
    if not isinstance(text, str):
        raise ValueError(f"not a UUID: {text!r}")
    return UUID(text).bytes


def _integer(value: object, low: int, high: int) -> int:
    if type(value) is not int or not low <= value <= high:
        raise ValueError(f"not an integer from {low} to {high}: {value!r}")
    return value
