"""The log as JSON lines: out of a file, into another one.

The first line is about the file, then come the registers of each stream with its version behind
them, then key records and doubles, and the last line says how many lines there were: what was cut
off is not taken in. A line is what its fields say, and one with others is refused. Reading in is
one transaction of joins, so lines may be given twice, to any node, in any order of files.
Members are not part of it; they are learned by joining. When keys were accepted (`at`) is told by
the clock of the file that they come from, and the first line says what time it was there (`now`):
they go on with the age that they had then.
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

from gossipd.core import Double, Stream
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
from .keys import are_kept, doubles_of, put_double, put_horizon, put_keys, records_of
from .lock import Lock
from .opening import (
    FILE_NAME,
    clear_errors,
    clock_of,
    connect,
    database_path,
    make_directory,
    open_image,
    reading,
)
from .rows import (
    Write,
    meta_of,
    put_meta,
    put_register,
    put_version,
    registers_of,
    versions_of,
)

_FORMAT = "gossipd log 1"
_Line: TypeAlias = dict[str, object]

_TIME_MAX = 2**48 - 1
"""The last ms since 1970 that a UUID of version 7 can tell."""

_REGISTER = {"stream", "counter", "seq", "total"}
_VERSION = {"stream", "version"}
_KEY = {"key", "stream", "seq", "counter", "by", "at"}
_DOUBLE = {"double", "stream", "seq", "counter", "by"}


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
        yield from _key_lines(connection)


def _key_lines(connection: sqlite3.Connection) -> Iterator[_Line]:
    for stream, seq, bits, counter, by, at in records_of(connection):
        event = {"stream": stream.hex(), "seq": seq, "counter": counter, "by": by}
        yield {"key": str(UUID(bytes=bits)), **event, "at": at}
    for stream, (bits, seq, counter, by) in doubles_of(connection):
        event = {"stream": stream.hex(), "seq": seq, "counter": counter, "by": by}
        yield {"double": str(UUID(bytes=bits)), **event}


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
            else:
                connection.execute(*_write_of(line, now - since))
        except (ValueError, RecursionError) as error:
            raise LineError(f"line {number}: {error}") from None
        count = number
    if not ended:
        raise LineError(f"the end is missing behind line {count}")
    connection.execute("COMMIT")
    return count


def _parse(text: bytes) -> _Line:
    try:
        line = json.loads(text)
    except ValueError:  # it tells of lines, too, and means another one
        line = None
    if not isinstance(line, dict):
        raise ValueError("not a JSON object")
    if line.get("format", _FORMAT) != _FORMAT:
        raise ValueError(f"its format is not {_FORMAT!r}")
    return line


def _write_of(line: _Line, later: int) -> Write:
    """`later`: milliseconds that the clock of the file is ahead of the one that the line is by."""
    fields = line.keys()
    if fields == _VERSION:
        return put_version(_stream(line), _integer(line["version"], 0, SEQ_MAX))
    if fields == _REGISTER:
        total = _integer(line["total"], -TOTAL_MAX, TOTAL_MAX)
        return put_register(_stream(line), _counter(line), _seq(line), total)
    if fields == _KEY:
        at = _integer(line["at"], 0, _TIME_MAX) + later
        event = (_stream(line), _seq(line), _key(line["key"]), _counter(line), _by(line))
        return next(put_keys([(*event, at)]))
    if fields == _DOUBLE:
        double = Double(_key(line["double"]), _seq(line), _counter(line), _by(line))
        return put_double(_stream(line), double)
    raise ValueError(f"neither a register nor a version, key or double: {', '.join(line)}")


def _stream(line: _Line) -> Stream:
    text = line["stream"]
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
