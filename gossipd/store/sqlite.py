"""One SQLite file and the one who writes it: every method blocks whoever runs it, but in turns.

A batch of own increments is one transaction. What others told is written in slices, each a
transaction of a few milliseconds, between which others have their turn: so a batch that comes
meanwhile goes first. All registers and keys are written before any version, so that a version on
the disk never covers what is not there (I3), wherever the power goes. Keys are looked up some at a
time. A batch whose commit failed is taken back before anything else is written, should it be
there.

`full` syncs every commit (`synchronous=FULL`); `normal` survives the end of the process, however
it ends, but a power cut or a crash of the system may take back the last commits.

While it is open nothing else in this process may open the file: closing it would give up the
locks that SQLite holds on it (POSIX locks belong to the process).
"""

from __future__ import annotations

import errno
import sqlite3
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from itertools import chain, groupby, islice, starmap
from operator import itemgetter
from pathlib import Path
from types import coroutine
from typing import TypeAlias, TypeVar, TypeVarTuple

from gossipd.core import (
    Batch,
    Changes,
    KeyedEvent,
    KeyRecord,
    Snapshot,
    Stored,
    Stream,
    StreamSnapshot,
    key_time,
)
from gossipd.core.settings import KEYS_MAX

from . import double_rows as doubles
from .abandoned import Abandoned, taking_back
from .aging import Expiry, Lifetimes
from .clock import FileClock
from .connection import Connection, Durability
from .failures import NoSpaceError, ask
from .key_rows import batch_run, changes_writes, find, find_twins, parts, read
from .lock import Lock
from .names import FILE_NAME
from .recovery import clear_errors, make_directory, open_image
from .rows import (
    PUT_REGISTER,
    PUT_VERSION,
    Value,
    Write,
    generation_of,
    put_meta,
    register_row,
    version_row,
    writes_of,
)

_Run: TypeAlias = tuple[str, list[tuple[Value, ...]]]
"""A statement and the parameters of some executions in a row."""

_Given = TypeVarTuple("_Given")
_Result = TypeVar("_Result")

SLICE_SECONDS = 0.004
"""A slice takes no more rows after so long; with its sync a batch waits some ms at most."""

RUN_MAX = 20
"""Rows between two looks at the clock."""

FOUND_AT_ONCE = 500
"""Keys that are looked up at a time, a millisecond or two."""

EXPIRED_AT_ONCE = 20_000
"""Key records that have expired and are removed at a time: some tenths of a second."""


class DiskStore:
    """The store in a directory, locked while it is open."""

    def __init__(
        self,
        directory: Path,
        lock: Lock,
        snapshot: Snapshot,
        connection: Connection,
        node: str,
        cluster: str,
        lifetimes: Lifetimes,
        clock: FileClock,
        port: int,
    ) -> None:
        """Made by `open`."""
        self._directory = directory
        self._lock = lock
        self._snapshot: Snapshot | None = snapshot
        self._connection = connection
        self._node = node
        self._cluster = cluster
        self._lifetimes = lifetimes
        self._clock = clock
        self._port = port
        self._horizon = snapshot.horizon
        """The largest time in keys whose records may be here only."""
        self._abandoned: Abandoned | None = None

    @classmethod
    def open(
        cls,
        directory: Path,
        *,
        durability: Durability,
        node: str,
        cluster: str,
        key_window: float,
        key_retention: float,
        keys_max: int = KEYS_MAX,
        port: int = 0,
        holder: int | None = None,
    ) -> DiskStore:
        """Lock a directory and read what it holds; blocks. Made if it is not there.

        Key records younger than `key_window` seconds, but no more than `keys_max`, are for memory;
        those older than
        `key_retention` are removed in time. Raises `StoreError`, also when it belongs to another
        cluster; what was there is then as it was. It belongs to `cluster` from `begin_life` on.
        `port`: that of a node that is named after its host, else 0.
        `holder`: the process that others are told to hold it, this one unless given.
        """
        make_directory(directory)
        with clear_errors(directory):
            lock = Lock(directory, holder)
        try:
            lifetimes = Lifetimes(key_window, key_retention, keys_max)
            snapshot, clock = open_image(directory, time.time(), lifetimes, cluster)
            connection = Connection(directory / FILE_NAME, durability, lock)
            return cls(
                directory, lock, snapshot, connection, node, cluster, lifetimes, clock, port
            )
        except BaseException:
            lock.release()
            raise

    def load(self) -> Snapshot:
        """What was stored when it was opened; given away once, for it may be large."""
        assert self._snapshot is not None, "load only once"
        snapshot, self._snapshot = self._snapshot, None
        return snapshot

    async def begin_life(self, wall: float) -> int:
        """The generation of this life: `wall` in ms, above any stored; committed.

        Stored are those of earlier lives, adopted ones included, and that of a member with this
        node's name. Where one is the largest that there is, so is this life's. Raises `OSError`
        as `commit` does.
        """
        return await self._do(self._begin_life, wall)

    async def commit(self, batch: Batch) -> None:
        """Return when the registers of a batch, its keys and its version are on the disk.

        Raises `NoSpaceError` (it may be written later) or `BrokenError` (never again). Either
        way the batch may be on the disk; `abandon` it then.
        """
        if batch.rows or batch.sources:
            await self._do(self._write, _runs_of(batch, self._clock.now()))

    def abandon(self, batch: Batch, exposed: StreamSnapshot) -> None:
        """A commit failed: should the batch be on the disk, take it back before the next write
        and before keys are looked up. `exposed`: the version of its stream, and the registers of
        the counters in it, as far as there are any."""
        # While one is not taken back nothing is written, so none after it can be on the disk.
        if self._abandoned is None:
            self._abandoned = Abandoned(batch, exposed)

    async def save(self, changes: Changes) -> Stored:
        """Return when all changes are on the disk; batches go first. Raises as `commit` does.

        What it returns are the events stored of those keys in it that have several: as many as a
        key may name, the smallest.
        After an error some of it may be stored; the same may be saved again.
        """
        now = self._clock.now()
        records, others = changes_writes(changes, now), writes_of(changes, time.time())
        await self._write_in_slices(chain(records, doubles.changes_writes(changes, now), others))
        self._horizon = max(self._horizon, changes.horizon)
        keys = [record.key for _, record in changes.keys if self._may_have_old_twin(record)]
        return await self._look_up(find_twins, keys)

    def _may_have_old_twin(self, record: KeyRecord) -> bool:
        """Whether another event of its key may be on the disk only; while that one is in memory
        still, the node itself sees that they have one key."""
        time_ms = key_time(record.key)
        return time_ms is None or time_ms <= self._horizon

    async def expire(self) -> float:
        """Remove some key records that have expired; batches go first. For how many seconds no
        other one expires, unless one comes that is old. Raises as `commit` does."""
        now, wall = self._clock.now(), time.time()
        expiry = Expiry(self._connection.connected, now, wall, self._lifetimes)
        await self._write_in_slices(expiry.writes(EXPIRED_AT_ONCE))
        return expiry.wait

    async def probe(self) -> None:
        """Return when there is room for a batch and one could be written. Raises as `commit`
        does."""
        await self._do(self._probe)

    async def find_keys(self, keys: Sequence[bytes]) -> Stored:
        """What is stored of some keys; those of which there is nothing are left out. Raises as
        `commit` does."""
        await self._do(self._take_back)
        return await self._look_up(find, keys)

    async def read_keys(
        self, stream: Stream, above: int, upto: int, limit: int
    ) -> Sequence[KeyRecord]:
        """The key records of a stream with `above` < seq <= `upto`, oldest first, at most `limit`.
        Raises as `commit` does."""
        now = self._clock.now()
        return await self._do(self._read, read, stream, above, upto, limit, now)

    async def close(self) -> None:
        """Fold the write-ahead log into the file, close and unlock it."""
        await self._do(self._connection.close)
        self._lock.release()

    async def _do(self, work: Callable[[*_Given], _Result], *given: *_Given) -> _Result:
        """Do `work`, which blocks, once all had their turn who came before."""
        await _turn()
        return work(*given)

    async def _write_in_slices(self, writes: Iterator[Write]) -> None:
        runs = _in_runs(writes)
        while not await self._do(self._write, runs, SLICE_SECONDS):
            pass

    async def _look_up(
        self,
        query: Callable[[sqlite3.Connection, Sequence[bytes]], dict[bytes, list[KeyedEvent]]],
        of: Sequence[bytes],
    ) -> Stored:
        found: dict[bytes, list[KeyedEvent]] = {}
        for some in parts(of, FOUND_AT_ONCE):
            found |= await self._do(self._read, query, some)
        return found

    # --- what blocks -------------------------------------------------------------------------

    def _begin_life(self, wall: float) -> int:
        with self._connection.reading() as connection:
            stored = generation_of(connection, self._node, wall)
        generation = max(int(1000 * wall), stored + 1)
        facts: dict[str, Value] = {"generation": generation, "node": self._node}
        facts |= {"cluster": self._cluster, "port": self._port}
        self._write(_in_runs(starmap(put_meta, facts.items())))
        return generation

    def _write(self, runs: Iterable[_Run], seconds: float | None = None) -> bool:
        """One transaction, ended after `seconds`; True when it was the last one."""
        self._take_back()
        with self._connection.writing() as connection:
            done = _execute(connection, runs, seconds)
            marks = self._clock.is_to_be_marked
            if marks:
                connection.execute(*put_meta("clock", self._clock.mark()))
        if marks:
            self._clock.marked()
        self._connection.fold()
        return done

    def _probe(self) -> None:
        """A small write alone would say little: the log is overwritten, which needs no room."""
        refusal = ask(self._directory)
        if refusal is not None:
            if refusal.errno == errno.EFBIG:
                self._connection.close()  # the log may be what is too large: then it goes
            raise NoSpaceError(f"{self._directory}: {refusal.strerror}")
        self._take_back()
        self._connection.probe()

    def _read(
        self, query: Callable[[sqlite3.Connection, *_Given], _Result], *given: *_Given
    ) -> _Result:
        with self._connection.reading() as connection:
            return query(connection, *given)

    def _take_back(self) -> None:
        if self._abandoned is None:
            return
        with self._connection.writing() as connection:
            _execute(connection, _in_runs(taking_back(self._abandoned)))
        self._abandoned = None


@coroutine
def _turn() -> Generator[None, None, None]:
    """Let all others go on once: asyncio, or whoever else runs these methods."""
    yield


def _runs_of(batch: Batch, now: float) -> Iterator[_Run]:
    """A run of each kind: keys, registers, and at last the versions, which speak for them."""
    stream, sources = batch.stream, batch.sources
    if batch.keys:
        yield batch_run(batch, now)
    own = [register_row(stream, *register) for register in batch.rows]
    yield PUT_REGISTER, own + [register_row(source, *register) for source, register in sources]
    versions = [version_row(source, seq) for source, (_, seq, _) in sources]
    if batch.rows:
        versions.append(version_row(stream, batch.version))
    yield PUT_VERSION, versions


def _in_runs(writes: Iterator[Write]) -> Iterator[_Run]:
    """Writes with one statement in a row, some at a time."""
    for statement, group in groupby(writes, itemgetter(0)):
        rows = map(itemgetter(1), group)
        while run := list(islice(rows, RUN_MAX)):
            yield statement, run


def _execute(
    connection: sqlite3.Connection, runs: Iterable[_Run], seconds: float | None = None
) -> bool:
    until = None if seconds is None else time.monotonic() + seconds
    for statement, rows in runs:
        connection.executemany(statement, rows)
        if until is not None and time.monotonic() >= until:
            return False
    return True
