"""The connection to a SQLite file: made when it is needed, anew after an error, or never again.

What fails is for now or for good (see `failures`); after the latter nothing is done any more. The
write-ahead log is folded into the file here, and the index of that log has its room before SQLite
maps it.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Literal, TypeAlias

from . import recovery, schema
from .failures import BrokenError, NoSpaceError, classify
from .lock import Lock
from .names import index_path, log_path
from .places import Identity, check_place, identity
from .recovery import connect, reserve
from .rows import DamagedError

Durability: TypeAlias = Literal["full", "normal"]

FOLD_AFTER = 500
"""Transactions after which the write-ahead log is folded at the latest. That costs the next one
four syncs, and a log that is short and overwritten syncs faster than one that grows."""


class Connection:
    """The one to a file that is there, for one writer."""

    def __init__(self, path: Path, durability: Durability, lock: Lock) -> None:
        """`lock`: that of its directory, without which nothing is done either."""
        self._path = path
        self._durability = durability
        self._connection: sqlite3.Connection | None = None
        self._index: int | None = None
        """The index of its log, opened once more. To close it while there is a connection would
        take that its locks (fcntl(2)), and the next reader would cut the index under it."""
        self._lasting = {path: identity(path), lock.path: lock.identity}
        """What lies where for as long as this is used, ..."""
        self._passing: dict[Path, Identity] = {}
        """... and for as long as there is a connection: SQLite keeps its log and the index."""
        self._folded = 0
        """Rows written by the connection when the log was folded last."""
        self._logged = 0
        """Transactions since then."""
        self._broken: BrokenError | None = None

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """To be read; raises as all of these do."""
        self._check_usable()
        with self._classified():
            yield self.connected()

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction, which is on the disk at the end. Raises `NoSpaceError` (it may be
        written later) or `BrokenError` (never again)."""
        with self.reading() as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")

    def connected(self) -> sqlite3.Connection:
        """SQLite's own; without `reading` whoever asks sees its errors."""
        connection = self._connection
        if connection is None:
            connection = self._connect()
            connection.execute("PRAGMA wal_autocheckpoint = 0")
            self._folded = 0
        return connection

    def probe(self) -> None:
        """Write what is there already."""
        with self.reading() as connection:
            _begin_anew(connection)

    def fold(self) -> None:
        """Now and then fold the write-ahead log into the file.

        SQLite would do it by itself, and tell nobody when it fails. What was committed is safe in
        the log all the same, so a failure concerns only what follows.

        The log begins anew with the next write, so one is made at once. Until then its pages are
        older than those in the file, and if it were damaged a crash would leave the pages before
        the damage on top of newer ones: a version might cover what is not there.
        """
        connection = self.connected()
        self._logged += 1
        rows = connection.total_changes - self._folded
        # A key record is three pages at most (itself, its key, its stream) and two changed rows.
        if self._logged < FOLD_AFTER and rows < recovery.LOG_PAGES * 2 // 3:
            return
        self._folded, self._logged = connection.total_changes, 0
        try:
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
            _begin_anew(connection)
        except sqlite3.Error as error:
            self._failed(classify(error, self._path.parent))

    def close(self) -> None:
        """Fold the write-ahead log into the file, and close it."""
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self._connection.close()
            self._forget()

    # --- the connection ----------------------------------------------------------------------

    @contextmanager
    def _classified(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, UnicodeError, DamagedError) as error:
            raise self._failed(classify(error, self._path.parent)) from error
        except BaseException:
            self._disconnect()  # or what was begun would stop all that follows
            raise

    def _connect(self) -> sqlite3.Connection:
        """Only where there is room for the index of its log, which is made anew."""
        try:
            self._try_to_reserve()
            connection = self._connection = connect(self._path, self._durability)
            schema.version_of(connection)  # to read makes the index, if it is not there yet
            self._index = os.open(index_path(self._path), os.O_RDWR | os.O_CLOEXEC)
            reserve(self._index)
            self._passing = {
                each: identity(each) for each in (log_path(self._path), index_path(self._path))
            }
        except NoSpaceError as error:
            raise NoSpaceError(f"{self._path.parent}: {error.strerror}") from error
        return connection

    def _try_to_reserve(self) -> None:
        from tempfile import TemporaryFile  # which a node does not need

        with ExitStack() as stack:
            try:
                trial = stack.enter_context(TemporaryFile(dir=self._path.parent))
            except OSError:
                return  # a disk that takes no file at all is SQLite's to judge
            reserve(trial.fileno())

    def _check_usable(self) -> None:
        """Where it is not so for now the connection stays: nothing of it has failed."""
        if self._broken is not None:
            raise self._broken
        try:
            for path, known in (self._lasting | self._passing).items():
                check_place(path, known)
        except BrokenError as problem:
            raise self._failed(problem) from None

    def _failed(self, problem: NoSpaceError | BrokenError) -> OSError:
        """Begin with a new connection next time, if there is one."""
        if isinstance(problem, BrokenError):
            self._broken = problem
        self._disconnect()
        return problem

    def _disconnect(self) -> None:
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.rollback()
            with suppress(sqlite3.Error):
                self._connection.close()
            self._forget()

    def _forget(self) -> None:
        """The connection is closed, and with it go its log and the index."""
        self._connection = None
        self._passing = {}
        if self._index is not None:
            os.close(self._index)
            self._index = None


def _begin_anew(connection: sqlite3.Connection) -> None:
    """Write what is there already; nothing smaller can be written."""
    connection.execute(f"PRAGMA user_version = {schema.version_of(connection)}")
