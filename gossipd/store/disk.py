"""One SQLite file and the one thread that writes it; the event loop never touches the disk.

A batch of own increments is one transaction. What others told is written in slices, each a
transaction of a few milliseconds that is handed to the thread only when the last one is done: so a
batch that comes meanwhile goes first. All registers are written before any version, so that a
version on the disk never covers what is not there (I3), wherever the power goes.

`full` syncs every commit (`synchronous=FULL`); `normal` survives the end of the process, however
it ends, but a power cut or a crash of the system may take back the last commits.

While it is open nothing else in this process may open the file: closing it would give up the
locks that SQLite holds on it (POSIX locks belong to the process).
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from itertools import starmap
from pathlib import Path
from typing import Literal, TypeAlias, TypeVar, TypeVarTuple

from gossipd.core import Batch, Changes, Image
from gossipd.core.identity import GENERATION_MAX

from . import opening
from .failures import BrokenError, NoSpaceError, classify
from .lock import Lock
from .opening import FILE_NAME, clear_errors, connect, make_directory, open_image
from .rows import (
    DamagedError,
    Write,
    generation_of,
    put_meta,
    put_register,
    put_version,
    writes_of,
)

Durability: TypeAlias = Literal["full", "normal"]
_Given = TypeVarTuple("_Given")
_Result = TypeVar("_Result")

SLICE_SECONDS = 0.004
"""A slice takes no more rows after so long; with its sync a batch waits some ms at most."""


class DiskStore:
    """The store in a directory, locked while it is open."""

    def __init__(
        self,
        directory: Path,
        lock: Lock,
        image: Image,
        durability: Durability,
        node: str,
        cluster: str,
    ) -> None:
        """Made by `open`."""
        self._path = directory / FILE_NAME
        self._lock = lock
        self._image: Image | None = image
        self._durability = durability
        self._node = node
        self._cluster = cluster
        self._thread = ThreadPoolExecutor(1, "store")
        self._connection: sqlite3.Connection | None = None
        self._file = _identity(self._path)
        self._folded = 0
        """Rows written by the connection when the log was folded last."""
        self._broken: BrokenError | None = None

    @classmethod
    def open(
        cls, directory: Path, *, durability: Durability, node: str, cluster: str
    ) -> DiskStore:
        """Lock a directory and read what it holds; blocks. Made if it is not there.

        Raises `StoreError`, also when it belongs to another cluster; what was there is then as it
        was. It belongs to `cluster` from `begin_life` on.
        """
        make_directory(directory)
        with clear_errors(directory):
            lock = Lock(directory)
        try:
            image = open_image(directory, time.time(), cluster)
            return cls(directory, lock, image, durability, node, cluster)
        except BaseException:
            lock.release()
            raise

    def load(self) -> Image:
        """What was stored when it was opened; given away once, for it may be large."""
        assert self._image is not None, "load only once"
        image, self._image = self._image, None
        return image

    def begin_life(self, wall: float) -> int:
        """The generation of this life: `wall` in ms, above any stored; blocks until committed.

        Stored are those of earlier lives, adopted ones included, and that of a member with this
        node's name. Where one is the largest that there is, so is this life's. Raises `OSError`
        as `commit` does.
        """
        return self._thread.submit(self._begin_life, wall).result()

    async def commit(self, batch: Batch) -> None:
        """Return when the registers of a batch and its version are on the disk.

        Raises `NoSpaceError` (it may be written later) or `BrokenError` (never again). Either
        way the batch may be on the disk.
        """
        if batch.rows:
            await self._in_thread(self._write, _writes_of(batch), None)

    async def save(self, changes: Changes) -> None:
        """Return when all changes are on the disk; batches go first. Raises as `commit` does.

        After an error some of it may be stored; the same may be saved again.
        """
        writes = writes_of(changes, time.time())
        while not await self._in_thread(self._write, writes, SLICE_SECONDS):
            pass

    async def close(self) -> None:
        """Fold the write-ahead log into the file, close and unlock it."""
        await self._in_thread(self._close)
        self._thread.shutdown()
        self._lock.release()

    async def _in_thread(self, work: Callable[[*_Given], _Result], *given: *_Given) -> _Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, *given)

    # --- in the thread -----------------------------------------------------------------------

    def _begin_life(self, wall: float) -> int:
        with self._classified():
            stored = generation_of(self._connected(), self._node)
        generation = min(max(int(1000 * wall), stored + 1), GENERATION_MAX)
        facts = {"generation": generation, "node": self._node, "cluster": self._cluster}
        self._write(starmap(put_meta, facts.items()), None)
        return generation

    def _write(self, writes: Iterator[Write], seconds: float | None) -> bool:
        """One transaction, ended after `seconds`; True when it was the last one."""
        if self._broken is not None:
            raise self._broken
        self._check_in_place()
        with self._classified():
            connection = self._connected()
            connection.execute("BEGIN IMMEDIATE")
            done = _execute(connection, writes, seconds)
            connection.execute("COMMIT")
        self._fold(connection)
        return done

    @contextmanager
    def _classified(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, UnicodeError, DamagedError) as error:
            raise self._failed(classify(error, self._path.parent)) from error

    def _fold(self, connection: sqlite3.Connection) -> None:
        """Now and then fold the write-ahead log into the file.

        SQLite would do it by itself, and tell nobody when it fails. What was committed is safe in
        the log all the same, so a failure concerns only what follows.
        """
        if connection.total_changes - self._folded < opening.LOG_PAGES // 2:
            return
        self._folded = connection.total_changes
        try:
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
        except sqlite3.Error as error:
            self._failed(classify(error, self._path.parent))

    def _check_in_place(self) -> None:
        """What is written to a file that was removed would be lost with the process."""
        try:
            moved = _identity(self._path) != self._file
        except OSError:
            moved = True
        if moved:
            problem = BrokenError(f"{self._path} was removed or replaced while in use")
            raise self._failed(problem)

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = connect(self._path, self._durability)
            self._connection.execute("PRAGMA wal_autocheckpoint = 0")
            self._folded = 0
        return self._connection

    def _failed(self, problem: NoSpaceError | BrokenError) -> OSError:
        """Begin with a new connection next time, if there is one."""
        if isinstance(problem, BrokenError):
            self._broken = problem
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.rollback()
            with suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None
        return problem

    def _close(self) -> None:
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self._connection.close()
            self._connection = None


def _writes_of(batch: Batch) -> Iterator[Write]:
    for counter, seq, total in batch.rows:
        yield put_register(batch.stream, counter, seq, total)
    yield put_version(batch.stream, batch.version)


def _execute(
    connection: sqlite3.Connection, writes: Iterator[Write], seconds: float | None
) -> bool:
    until = None if seconds is None else time.monotonic() + seconds
    for statement, fields in writes:
        connection.execute(statement, fields)
        if until is not None and time.monotonic() >= until:
            return False
    return True


def _identity(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino
