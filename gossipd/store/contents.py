"""Whether the rows of a file are those of one moment.

A copy of a file and its write-ahead log that were read one after the other holds pages of several
moments. Each of them may be sound, and each row in them, and yet a version covers a register that
is not there, which would never be asked for again. So beside its version each stream has the sum
of the checksums of its rows, kept by triggers in the transaction that changes them (see `schema`).
Whether an index belongs to its table, and rows lie where they are looked for, SQLite checks.
"""

from __future__ import annotations

import sqlite3

from . import schema
from .rows import DamagedError, shown

_SUMMED = "SELECT coalesce(sum(content), 0) FROM streams"
"""Over all streams, for that is one way through each table: that two streams are wrong by the same
is as likely as that one checksum fits by chance."""

_HINT = "as in a copy of a file and its log that were not read at one moment"


def check_contents(connection: sqlite3.Connection) -> None:
    """Raises `DamagedError`. A file of an older version cannot tell."""
    version = schema.version_of(connection)
    if version < schema.WITH_CONTENTS:
        return
    sums = (f"coalesce((SELECT sum(sum) FROM {each}), 0)" for each in schema.of_streams(version))
    held = connection.execute("SELECT " + " + ".join(sums)).fetchone()
    if connection.execute(_SUMMED).fetchone() == held:
        return
    query = f"SELECT stream FROM streams WHERE content != {schema.content(version)} LIMIT 1"
    wrong = connection.execute(query).fetchone()
    what = f"stream {shown(wrong[0])}" if wrong else "a stream that is not among the others"
    raise DamagedError(f"what is kept of {what} does not belong together, {_HINT}")
