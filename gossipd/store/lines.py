"""The log as JSON lines: out of a file, into another one.

The first line is about the file, then come the registers of each stream with its version behind
them, and the last line says how many lines there were: what was cut off is not taken in. Reading
in is one transaction of joins, so lines may be given twice, to any node, in any order of files.
Members are not part of it; they are learned by joining.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TypeAlias

from gossipd.core import Stream
from gossipd.core.identity import (
    COUNTER_BYTES_MAX,
    GENERATION_MAX,
    SEQ_MAX,
    STREAM_BYTES,
    TOTAL_MAX,
    is_text,
)

from .lock import Lock
from .opening import (
    FILE_NAME,
    clear_errors,
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


class LineError(Exception):
    """A line cannot be taken in; the text says which and why."""


def export_lines(path: Path) -> Iterator[str]:
    """The log of a data directory or backup as it is at this moment. Raises `StoreError`."""
    with reading(database_path(path)) as connection:
        count = 0
        for line in _lines(connection):
            yield json.dumps(line)
            count += 1
        yield json.dumps({"lines": count})


def _lines(connection: sqlite3.Connection) -> Iterator[_Line]:
    yield {"format": _FORMAT, **meta_of(connection)}
    versions = dict(versions_of(connection))
    for stream, registers in registers_of(connection):
        for counter, seq, total in registers:
            yield {"stream": stream.hex(), "counter": counter, "seq": seq, "total": total}
        if stream in versions:
            yield {"stream": stream.hex(), "version": versions[stream]}


def import_lines(directory: Path, lines: Iterable[bytes]) -> int:
    """Join exported lines into a directory that no node is using; how many there were.

    All or nothing. Raises `StoreError` and `LineError`.
    """
    make_directory(directory)
    with clear_errors(directory):
        lock = Lock(directory)
    try:
        path = directory / FILE_NAME
        open_image(directory, time.time())
        with clear_errors(path), closing(connect(path)) as connection:
            return _import(connection, lines)
    finally:
        lock.release()


def _import(connection: sqlite3.Connection, lines: Iterable[bytes]) -> int:
    connection.execute("BEGIN IMMEDIATE")
    count, generation, ended = 0, meta_of(connection).get("generation", 0), False
    for number, text in enumerate(lines, 1):
        try:
            line = _parse(text)
            if ended or (number == 1) != ("format" in line):
                raise ValueError("not in its place")
            if number == 1:
                given = _integer(line.get("generation", 0), 0, GENERATION_MAX)
                connection.execute(*put_meta("generation", max(int(generation), given)))
            elif "lines" in line:
                ended = line["lines"] == number - 1
                if not ended:
                    raise ValueError("lines are missing before it")
            else:
                connection.execute(*_write_of(line))
        except (ValueError, RecursionError) as error:
            raise LineError(f"line {number}: {error}") from None
        count = number
    if not ended:
        raise LineError(f"the end is missing behind line {count}")
    connection.execute("COMMIT")
    return count


def _parse(text: bytes) -> _Line:
    line = json.loads(text)
    if not isinstance(line, dict):
        raise ValueError("not a JSON object")
    if line.get("format", _FORMAT) != _FORMAT:
        raise ValueError(f"its format is not {_FORMAT!r}")
    return line


def _write_of(line: _Line) -> Write:
    stream = _stream(line.get("stream"))
    if "version" in line:
        return put_version(stream, _integer(line["version"], 0, SEQ_MAX))
    counter = line.get("counter")
    if not isinstance(counter, str) or not is_text(counter, COUNTER_BYTES_MAX):
        raise ValueError(f"not the name of a counter: {counter!r}")
    seq = _integer(line.get("seq"), 1, SEQ_MAX)
    return put_register(stream, counter, seq, _integer(line.get("total"), -TOTAL_MAX, TOTAL_MAX))


def _stream(text: object) -> Stream:
    stream = bytes.fromhex(text) if isinstance(text, str) else b""
    if len(stream) != STREAM_BYTES or stream[0] >> 2:
        raise ValueError(f"not a stream: {text!r}")
    return stream


def _integer(value: object, low: int, high: int) -> int:
    if type(value) is not int or not low <= value <= high:
        raise ValueError(f"not an integer from {low} to {high}: {value!r}")
    return value
