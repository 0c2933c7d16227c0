"""Whether a file holds what was written, and what that amounts to, by two ways of counting.

SQLite checks its pages, each row its own checksum, each stream the sum of these; the log is
rebuilt as a node would and its values are compared with sums that SQLite makes of the same rows,
doubles left out (I7).
"""

from __future__ import annotations

import sqlite3
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from gossipd.core.log import Log

from . import schema
from .aging import FOREVER, add_keys
from .contents import check_contents
from .keys import are_kept, records_of
from .opening import database_path, reading
from .rows import DamagedError, generation_of, image_of

_SUMS = """SELECT counter, sum(total >> 32), sum(total & 4294967295)
    FROM registers GROUP BY counter"""
"""In two halves, for the sum of totals may be beyond 64 bits."""

_PRESENT_DOUBLES = """WITH shared AS (
        SELECT key FROM keys GROUP BY key HAVING count(*) > 1 UNION SELECT key FROM doubles),
    events AS (
        SELECT key, stream, seq, counter, by FROM keys WHERE key IN shared
        UNION SELECT key, stream, seq, counter, by FROM doubles)
    SELECT counter, by, count(*) - 1
    FROM events JOIN registers USING (stream, counter) WHERE registers.seq >= events.seq
    GROUP BY key, counter, by HAVING count(*) > 1"""
"""For each key under which the same was counted several times, how many times too many."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a sound file holds, or what is wrong with it."""

    problems: tuple[str, ...]
    streams: int = 0
    registers: int = 0
    counters: int = 0
    members: int = 0
    keys: int = 0
    """Records of idempotency keys, expired ones included until they are removed."""
    doubles: int = 0
    """Events of keys under which the same was counted several times."""
    generation: int = 0
    fingerprint: int = 0
    """As the `status` of a node that holds just this log shows it."""


def check(path: Path) -> Finding:
    """Check a data directory or a backup; a node may be using it.

    Raises `StoreError` for what cannot be read at all.
    """
    with reading(database_path(path)) as connection:
        found = [text for (text,) in connection.execute("PRAGMA integrity_check")]
        if found != ["ok"]:
            return Finding(tuple(" ".join(text.split()) for text in found))
        if problem := schema.check(connection):
            return Finding((problem,))
        try:
            check_contents(connection)
            return _count(connection)
        except DamagedError as error:
            return Finding((f"damaged: {error}",))


def _count(connection: sqlite3.Connection) -> Finding:
    log = Log()
    image, _ = add_keys(connection, image_of(connection, 0.0), time.time(), FOREVER)
    problems = [
        f"stream {kept.stream.hex()} is more than a node holds"
        for kept in image.streams
        if not log.load(kept, 0.0, 0.0)
    ]
    sums = Counter({name: (high << 32) + low for name, high, low in connection.execute(_SUMS)})
    key_count = 0
    if are_kept(connection):
        key_count = sum(1 for _ in records_of(connection))
        for counter, by, times in connection.execute(_PRESENT_DOUBLES):
            sums[counter] -= by * times
    problems += [
        f"{counter!r} is {value} by its registers and {sums[counter]} by SQL"
        for counter, value in log.values.items()
        if value != sums[counter]
    ]
    return Finding(
        tuple(problems),
        log.stream_count,
        log.register_count,
        log.counter_count,
        len(image.members),
        key_count,
        len(log.doubles),
        generation_of(connection, "", time.time()),
        log.fingerprint,
    )
