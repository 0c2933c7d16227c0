"""The tables, and how a file of an older version becomes one of this version.

A file is ours by its application id; its version is the number of migrations it has seen. One
migration is one transaction with the version in it, so a crash leaves the old file or the new one.
A register is found by stream, then counter, which is the order in which all are read at a start;
stream and counter are spelled out in every row, since the tables that numbers for them would need
cost more than they save where streams hold few counters.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing

from .rows import checksum

APPLICATION_ID = 0x676F7370
"""`gosp`, at offset 68 of the file."""

Migration = tuple[str, ...]

OLD_LOSERS = """SELECT * FROM (
        SELECT stream, seq, counter, by, first_value(stream) OVER event AS winner,
            first_value(seq) OVER event AS winner_seq,
            (SELECT coalesce(max(at), 0) FROM keys) AS at, NULL AS sum
        FROM doubles WINDOW event AS (PARTITION BY key, counter, by ORDER BY stream, seq))
    WHERE (stream, seq) <> (winner, winner_seq)"""
"""What version 2 has as events of one key: all but the smallest, as if they had been found when
the last key record was accepted."""

MIGRATIONS: tuple[Migration, ...] = (
    (
        """CREATE TABLE registers (
            stream BLOB, counter TEXT, seq INTEGER, total INTEGER, sum INTEGER,
            PRIMARY KEY (stream, counter)) WITHOUT ROWID""",
        """CREATE TABLE streams (
            stream BLOB PRIMARY KEY, version INTEGER, sum INTEGER) WITHOUT ROWID""",
        """CREATE TABLE members (
            name TEXT PRIMARY KEY, host TEXT, port INTEGER, generation INTEGER,
            incarnation INTEGER, status INTEGER, tags TEXT, verdict INTEGER, accusers TEXT,
            sum INTEGER) WITHOUT ROWID""",
        """CREATE TABLE meta (
            name TEXT PRIMARY KEY, value, sum INTEGER) WITHOUT ROWID""",
    ),
    (
        """CREATE TABLE keys (
            stream BLOB, seq INTEGER, key BLOB, counter TEXT, by INTEGER, at INTEGER,
            sum INTEGER, PRIMARY KEY (stream, seq)) WITHOUT ROWID""",
        "CREATE INDEX keys_by_key ON keys (key)",
        """CREATE TABLE doubles (
            stream BLOB, seq INTEGER, key BLOB, counter TEXT, by INTEGER, sum INTEGER,
            PRIMARY KEY (stream, seq, key, counter, by)) WITHOUT ROWID""",
    ),
    (
        """CREATE TABLE losers (
            stream BLOB, seq INTEGER, counter TEXT, by INTEGER, winner BLOB, winner_seq INTEGER,
            at INTEGER, sum INTEGER, PRIMARY KEY (stream, seq)) WITHOUT ROWID""",
        """CREATE TABLE corrections (
            stream BLOB, counter TEXT, seq INTEGER, lost INTEGER, out INTEGER, digest BLOB,
            sum INTEGER, PRIMARY KEY (stream, counter)) WITHOUT ROWID""",
        f"""INSERT OR IGNORE INTO losers
            SELECT stream, seq, counter, by, winner, winner_seq, at,
                checksum(stream, seq, counter, by, winner, winner_seq, at)
            FROM ({OLD_LOSERS})""",
        "DROP TABLE doubles",
    ),
)

WITH_KEYS = 2
"""The first version with tables for idempotency keys."""

WITH_LOSERS = 3
"""The first version that tells of a double to which other event it has lost."""


def application_of(connection: sqlite3.Connection) -> int:
    """Whose file it is."""
    return _number(connection, "PRAGMA application_id")


def version_of(connection: sqlite3.Connection) -> int:
    """How many migrations a file has seen."""
    return _number(connection, "PRAGMA user_version")


def migrate(connection: sqlite3.Connection, to: int | None = None) -> None:
    """Bring a file up to this version (or `to`), one transaction a step. New ones begin at 0."""
    connection.create_function("checksum", -1, checksum, deterministic=True)
    for version in range(version_of(connection), len(MIGRATIONS) if to is None else to):
        connection.execute("BEGIN IMMEDIATE")
        for statement in MIGRATIONS[version]:
            connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {version + 1}")
        connection.execute("COMMIT")


def is_whole(connection: sqlite3.Connection) -> bool:
    """Whether all tables are there as the migrations make them (others may be beside them)."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as fresh:
        migrate(fresh, version_of(connection))
        return _tables(fresh) <= _tables(connection)


def _tables(connection: sqlite3.Connection) -> set[tuple[str, str]]:
    return set(connection.execute("SELECT name, sql FROM sqlite_master"))


def _number(connection: sqlite3.Connection, query: str) -> int:
    (number,) = connection.execute(query).fetchone()
    return int(number)
