"""The tables, and how a file of an older version becomes one of this version.

A file is ours by its application id; its version is the number of migrations it has seen. One
migration is one transaction with the version in it, so a crash leaves the old file or the new one.
A register is found by stream, then counter, which is the order in which all are read at a start;
stream and counter are spelled out in every row, since the tables that numbers for them would need
cost more than they save where streams hold few counters.

Triggers keep, beside the version of a stream, the sum of the checksums of all its rows. So pages
of two moments, as in a copy of a file and its log that were read one after the other, are found
(see `contents`), however sound each of them is.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from itertools import chain

from .rows import checksum

APPLICATION_ID = 0x676F7370
"""`gosp`, at offset 68 of the file."""

Migration = tuple[str, ...]


def _triggers(table: str) -> Migration:
    """What keeps the sums of streams when rows of `table` come, change and go."""
    return (
        f"""CREATE TRIGGER {table}_added AFTER INSERT ON {table} BEGIN
            INSERT INTO streams VALUES (NEW.stream, 0, 0, NEW.sum)
            ON CONFLICT (stream) DO UPDATE SET content = content + excluded.content; END""",
        f"""CREATE TRIGGER {table}_changed AFTER UPDATE ON {table} BEGIN
            UPDATE streams SET content = content + NEW.sum - OLD.sum WHERE stream = NEW.stream;
            END""",
        f"""CREATE TRIGGER {table}_removed AFTER DELETE ON {table} BEGIN
            UPDATE streams SET content = content - OLD.sum WHERE stream = OLD.stream; END""",
    )


def _sum(table: str) -> str:
    return f"coalesce((SELECT sum(sum) FROM {table} WHERE stream = streams.stream), 0)"


def _content(tables: Iterable[str]) -> str:
    """What `content` of a row of `streams` should be."""
    return " + ".join(map(_sum, tables))


_OLD_OF_STREAMS = ("registers", "keys", "doubles")

OF_STREAMS = ("registers", "keys", "losers", "corrections")
"""The tables whose rows belong to streams."""


def of_streams(version: int) -> tuple[str, ...]:
    """The same in a file of a version."""
    return OF_STREAMS if version >= WITH_LOSERS else _OLD_OF_STREAMS


def content(version: int) -> str:
    """What `content` of a row of `streams` should be."""
    return _content(of_streams(version))


OLD_LOSERS = """SELECT * FROM (
        SELECT stream, seq, counter, by, first_value(stream) OVER event AS winner,
            first_value(seq) OVER event AS winner_seq,
            (SELECT coalesce(max(at), 0) FROM keys) AS at, NULL AS sum
        FROM doubles WINDOW event AS (PARTITION BY key, counter, by ORDER BY stream, seq))
    WHERE (stream, seq) <> (winner, winner_seq)"""
"""What earlier versions have as events of one key: all but the smallest, as if found when the
last key record was accepted."""

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
        "ALTER TABLE streams ADD COLUMN content INTEGER NOT NULL DEFAULT 0",
        *(
            f"INSERT OR IGNORE INTO streams SELECT DISTINCT stream, 0, 0, 0 FROM {table}"
            for table in _OLD_OF_STREAMS
        ),
        f"UPDATE streams SET content = {_content(_OLD_OF_STREAMS)}",
        *chain.from_iterable(map(_triggers, _OLD_OF_STREAMS)),
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
        f"UPDATE streams SET content = {_content(OF_STREAMS)}",
        *chain.from_iterable(map(_triggers, ("losers", "corrections"))),
    ),
)

WITH_KEYS = 2
"""The first version with tables for idempotency keys."""

WITH_CONTENTS = 3
"""The first version with the sums of streams."""

WITH_LOSERS = 4
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


def check(connection: sqlite3.Connection) -> str | None:
    """What is not as the migrations make it, nothing more and nothing less; None if all is."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as fresh:
        migrate(fresh, version_of(connection))
        strange = sorted(_made(connection) ^ _made(fresh), key=repr)  # some may be no text
    if not strange:
        return None
    kind, name, _ = strange[0]
    return f"its tables are not as they were made: {kind} {name!r}"


def _made(connection: sqlite3.Connection) -> set[tuple[object, object, object]]:
    """But for what SQLite notes for itself, should somebody have asked it to (`ANALYZE`)."""
    query = "SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite!_%' ESCAPE '!'"
    return set(connection.execute(query))


def _number(connection: sqlite3.Connection, query: str) -> int:
    (number,) = connection.execute(query).fetchone()
    return int(number)
