"""Rows to store, stores to put them in, and what a directory holds."""

from __future__ import annotations

import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path

from gossipd.core import (
    Batch,
    Changes,
    MemberView,
    Snapshot,
    Status,
)
from gossipd.core.settings import KEYS_MAX
from gossipd.store import DiskStore, Durability, schema

STREAM = bytes(9) + b"\x07"
OTHER = bytes(9) + b"\x09"
ROOT = Path(__file__).parents[3]
WINDOW = 600.0
RETENTION = 6 * 3600.0
NOTHING = Changes((), (), (), ())


def batch(seq: int, counter: str = "default", by: int = 1) -> Batch:
    """The increment `seq` of a stream that only adds `by` to one counter."""
    return Batch(STREAM, seq, ((counter, seq, seq * by),), ())


def member(
    name: str, generation: int = 5, status: Status = Status.ALIVE, age: int = 0
) -> MemberView:
    return MemberView(
        name, ("10.0.0.2", 7946), generation, 1, status, (("zone", "b"),), age, ("accuser",)
    )


@asynccontextmanager
async def opened(
    directory: Path,
    durability: Durability = "normal",
    node: str = "here",
    cluster: str = "ours",
    window: float = WINDOW,
    retention: float = RETENTION,
    keys_max: int = KEYS_MAX,
) -> AsyncIterator[DiskStore]:
    """A store that is closed at the end."""
    store = DiskStore.open(
        directory,
        durability=durability,
        node=node,
        cluster=cluster,
        key_window=window,
        keys_max=keys_max,
        key_retention=retention,
    )
    try:
        yield store
    finally:
        await store.close()


async def stored(directory: Path, keys_max: int = KEYS_MAX) -> Snapshot:
    """What the next life finds."""
    async with opened(directory, keys_max=keys_max) as store:
        return store.load()


async def filled(directory: Path) -> Path:
    """A directory with two streams, two members and a life behind it; its file."""
    async with opened(directory) as store:
        await store.begin_life(time.time())
        for seq in range(1, 200):
            await store.commit(batch(seq, f"counter {seq % 40}"))
        registers = tuple((OTHER, f"other é {seq}", seq, -seq) for seq in range(1, 200))
        gone = member("gone", status=Status.FAILED)
        await store.save(Changes(registers, ((OTHER, 199),), (member("there"), gone), ()))
    return directory / "gossipd.db"


def as_of(file: Path, version: int) -> None:
    """Make a file one of an older version; it is not in use."""
    made = file.with_name("older.db")
    with closing(sqlite3.connect(made, isolation_level=None)) as connection:
        schema.migrate(connection, version)
        connection.execute("ATTACH ? AS newer", (str(file),))
        query = """SELECT name FROM main.sqlite_master WHERE type = 'table'
            AND name IN (SELECT name FROM newer.sqlite_master)"""
        for (table,) in connection.execute(query).fetchall():
            names = [
                name for _, name, *_ in connection.execute(f"PRAGMA main.table_info({table})")
            ]
            columns = ", ".join(names)
            connection.execute(f"INSERT INTO main.{table} SELECT {columns} FROM newer.{table}")
        connection.execute("PRAGMA main.journal_mode = WAL")
    made.replace(file)


def contents(directory: Path) -> dict[str, bytes]:
    """The bytes of every file that holds something; the index of the log is made afresh."""
    files = {path.name: path.read_bytes() for path in directory.iterdir() if path.is_file()}
    return {
        name: data for name, data in files.items() if data and not name.endswith(("-shm", ".lock"))
    }


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def set_mode(path: Path, mode: int) -> None:
    path.chmod(mode)


def names_in(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


WRITER = """
import asyncio, sys
from itertools import count
from pathlib import Path
from gossipd.store import DiskStore
from tests.unit.store.parts import batch

async def main():
    store = DiskStore.open(
        Path(sys.argv[1]), durability=sys.argv[2], node="here", cluster="",
        key_window=600, key_retention=3600
    )
    for seq in count(1):
        await store.commit(batch(seq, f"c{seq % 7}"))
        print(seq, flush=True)

asyncio.run(main())
"""


@contextmanager
def writer(directory: Path, durability: str) -> Iterator[subprocess.Popen[str]]:
    """A process that commits one increment after another and says each seq."""
    command = [sys.executable, "-c", WRITER, str(directory), durability]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            yield process
        finally:
            process.kill()
