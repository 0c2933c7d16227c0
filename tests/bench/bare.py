"""The least that a server of counters can be in Python: what `tests.bench.speed` measures against.

    python -m tests.bench.bare HOST:PORT [DIRECTORY]

An uvloop protocol that parses with httptools, counts in a dict, renders the JSON of `POST
/increment` and `GET /count` as gossipd does, and writes once for each read. It checks nothing, has
no limits and no cluster. With a directory it has a file of gossipd's store there: what came in one
turn of the loop is one commit, with the statements and settings of that store, and is answered
after it.
"""

from __future__ import annotations

import asyncio
import sqlite3
import sys
from email.utils import formatdate
from pathlib import Path
from random import Random
from typing import cast

import httptools
import uvloop

from gossipd.core import Settings
from gossipd.core.identity import increment_id, new_stream
from gossipd.store import DiskStore
from gossipd.store.names import FILE_NAME
from gossipd.store.recovery import connect
from gossipd.store.rows import PUT_REGISTER, PUT_VERSION, register_row, version_row

_FOLD_AFTER = 500
"""Commits after which the write-ahead log is folded, as in gossipd's store."""

_STREAM = new_stream(Random(1))
_ID_PREFIX = str(increment_id(_STREAM, 1))[:24]


def _file(directory: Path) -> sqlite3.Connection:
    """A new file of the store."""
    kept = Settings()
    store = DiskStore.open(
        directory,
        durability="full",
        node="bare",
        cluster="bare",
        key_window=kept.key_window,
        key_retention=kept.key_retention,
    )
    asyncio.run(store.begin_life(0.0))
    asyncio.run(store.close())
    connection = connect(directory / FILE_NAME)
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    return connection


class Counts:
    """All counts, and the answers that wait for the commit at the end of a turn."""

    def __init__(self, disk: sqlite3.Connection | None) -> None:
        self._disk = disk
        self._commits = 0
        self._seq = 0
        self._touched: dict[str, int] = {}
        self._waiting: list[tuple[asyncio.Transport, bytes]] = []
        self._counts: dict[str, int] = {}

    def increment(self, counter: str) -> bytes:
        self._seq += 1
        count = self._counts[counter] = self._counts.get(counter, 0) + 1
        self._touched[counter] = self._seq
        return _answer(
            f'{{"id": "{_ID_PREFIX}{self._seq:012x}", "counter": "{counter}", "by": 1, '
            f'"count": {count}, "duplicate": false}}\n'
        )

    def count(self, counter: str) -> bytes:
        return _answer(f'{{"counter": "{counter}", "count": {self._counts.get(counter, 0)}}}\n')

    def write(self, transport: asyncio.Transport, answers: bytes) -> None:
        if self._disk is None:
            transport.write(answers)
            return
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._commit, self._disk)
        self._waiting.append((transport, answers))

    def _commit(self, disk: sqlite3.Connection) -> None:
        touched, self._touched = self._touched, {}
        waiting, self._waiting = self._waiting, []
        if touched:
            rows = [
                register_row(_STREAM, name, seq, self._counts[name])
                for name, seq in touched.items()
            ]
            disk.execute("BEGIN IMMEDIATE")
            disk.executemany(PUT_REGISTER, rows)
            disk.execute(PUT_VERSION, version_row(_STREAM, self._seq))
            disk.execute("COMMIT")
            self._commits += 1
            if not self._commits % _FOLD_AFTER:
                disk.execute("PRAGMA wal_checkpoint(PASSIVE)")
        for transport, answers in waiting:
            transport.write(answers)


_date = (0.0, "")


def _answer(body: str) -> bytes:
    global _date
    now = asyncio.get_running_loop().time()
    if now - _date[0] > 1 or not _date[1]:
        _date = (now, formatdate(usegmt=True))
    return (
        f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nDate: {_date[1]}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


class Connection(asyncio.Protocol):
    """One client; also what httptools calls."""

    def __init__(self, counts: Counts) -> None:
        self._counts = counts
        self._answers: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is not a subclass
        self._parser = httptools.HttpRequestParser(self)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)
        answers = b"".join(self._answers)
        self._answers.clear()
        self._counts.write(self._transport, answers)

    def on_url(self, url: bytes) -> None:
        self._url = url

    def on_message_complete(self) -> None:
        counter = self._url.partition(b"?counter=")[2].decode() or "default"
        posted = self._parser.get_method() == b"POST"
        answer = self._counts.increment if posted else self._counts.count
        self._answers.append(answer(counter))


async def _serve(address: str, counts: Counts) -> None:
    host, _, port = address.rpartition(":")
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(counts), host, int(port), backlog=1024)
    await server.serve_forever()


def main(arguments: list[str]) -> None:
    address, *directory = arguments
    disk = _file(Path(directory[0])) if directory else None
    uvloop.run(_serve(address, Counts(disk)))


if __name__ == "__main__":
    main(sys.argv[1:])
