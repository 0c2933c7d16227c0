"""Whether a file holds what was written, and what that amounts to, by two ways of counting.

SQLite checks its pages, each row its own checksum, each stream the sum of these; the log is
rebuilt as a node would and its values are compared with sums that SQLite makes of the same rows,
doubles left out (I7).
"""

from __future__ import annotations

import sqlite3
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gossipd.core.log.log import Log

from . import schema
from .aging import FOREVER, add_keys
from .contents import check_contents
from .double_rows import Found, corrections_of
from .key_rows import are_kept, records_of
from .recovery import database_path, reading
from .rows import DamagedError, generation_of, snapshot_of

_SUMS = """SELECT counter, sum(total >> 32), sum(total & 4294967295)
    FROM registers GROUP BY counter"""
"""In two halves, for the sum of totals may be beyond 64 bits."""

_LEFT_OUT = """SELECT losers.counter, losers.by, count(*)
    FROM ({losers}) AS losers
    JOIN registers AS own ON own.stream = losers.stream AND own.counter = losers.counter
    JOIN registers AS first ON first.stream = winner AND first.counter = losers.counter
    WHERE own.seq >= losers.seq AND first.seq >= winner_seq
    GROUP BY losers.counter, losers.by"""
"""How often events are left out of each counter, by what they added."""

_NOT_FOLDED = """SELECT * FROM losers WHERE NOT EXISTS (SELECT * FROM corrections AS folded
    WHERE folded.stream = losers.stream AND folded.counter = losers.counter
        AND folded.seq >= losers.seq)"""


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
    """Events that were counted before under their keys, and that are held one by one."""
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
    now = time.time()
    snapshot, found = add_keys(connection, snapshot_of(connection, 0.0), now, FOREVER)
    log.load(snapshot.streams, 0.0, 0.0)
    sums = Counter({name: (high << 32) + low for name, high, low in connection.execute(_SUMS)})
    key_count = 0
    if are_kept(connection):
        key_count = sum(1 for _ in records_of(connection))
        for counter, out in _left_out(connection, found, log):
            sums[counter] -= out
    problems = [
        f"{counter!r} is {value} by its registers and {sums[counter]} by SQL"
        for counter, value in log.values.items()
        if value != sums[counter]
    ]
    return Finding(
        tuple(problems),
        log.stream_count,
        log.register_count,
        log.counter_count,
        len(snapshot.members),
        key_count,
        len(log.doubles),
        generation_of(connection, "", time.time()),
        log.fingerprint,
    )


def _left_out(connection: sqlite3.Connection, found: Found, log: Log) -> Iterator[tuple[str, int]]:
    """What is left out of counters: (counter, sum), several times for each. `found`: doubles that
    are not stored."""
    folded = schema.version_of(connection) >= schema.WITH_LOSERS
    losers = _NOT_FOLDED if folded else schema.OLD_LOSERS
    for counter, by, times in connection.execute(_LEFT_OUT.format(losers=losers)):
        yield counter, by * times
    for stream, correction in corrections_of(connection):
        if log.register(stream, correction.counter)[0]:  # as the log loads it
            yield correction.counter, correction.out
    for stream, (counter, seq, by, winner, winner_seq, _) in found:
        reached = log.register(stream, counter)[0] >= seq
        if reached and log.register(winner, counter)[0] >= winner_seq:
            yield counter, by
