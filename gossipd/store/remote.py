"""The node's end of the process that has its disk (see `store.worker`): a store like any other."""

from __future__ import annotations

import asyncio
import gc
import logging
import socket
from collections.abc import Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any, cast

from gossipd.core import Batch, Changes, KeyRecord, Snapshot, Stored, Stream, StreamSnapshot

from .failures import BrokenError
from .worker import LOGGED, NOBODY, READ_SIZE, Frames, Keeper, frame

log = logging.getLogger(__name__)


class RemoteStore(asyncio.Protocol):
    """Hands every call over, and ends it as the child says; see `Store` and `DiskStore`."""

    def __init__(self, keeper: Keeper, directory: Path) -> None:
        """Made by `open`."""
        self._directory = directory
        self._unread = keeper.socket.dup()
        """What the child has said at last is still read from it when nothing can be written."""
        self._loop = asyncio.get_running_loop()
        self._frames = Frames()
        self._numbers = count(1)
        self._calls: dict[int, asyncio.Future[Any]] = {}
        self._transport: asyncio.WriteTransport | None = None
        self._snapshot: Snapshot | None = None
        self._reason = ""
        """Why the child has failed, if it could say so."""

    @classmethod
    async def open(cls, keeper: Keeper, directory: Path, **options: object) -> RemoteStore:
        """As `DiskStore.open`."""
        store = cls(keeper, directory)
        await store._loop.create_unix_connection(lambda: store, sock=keeper.socket)
        store._snapshot = await store._call("open", directory, options)
        return store

    # --- the socket --------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)  # uvloop's is not a subclass

    def connection_lost(self, _: Exception | None) -> None:
        self._transport = None
        with self._unread as unread, suppress(OSError):
            while words := unread.recv(READ_SIZE, socket.MSG_DONTWAIT):
                self.data_received(words)
        calls = list(self._calls.values())
        self._calls.clear()
        for call in calls:
            if not call.done():
                call.set_exception(self._gone())

    def data_received(self, data: bytes) -> None:
        gc.disable()  # a whole snapshot may come, which stays
        try:
            for number, done, result in self._frames.feed(data):
                if number == LOGGED:
                    log.log(*result)
                elif number == NOBODY and not done:
                    self._reason = f": {result!r}"
                call = self._calls.pop(number, None)
                if call is None or call.done():
                    continue  # nobody waits
                if done:
                    call.set_result(result)
                else:
                    call.set_exception(result)
        finally:
            gc.enable()

    def _call(self, name: str, *given: object) -> asyncio.Future[Any]:
        call = self._loop.create_future()
        if self._transport is None:
            call.set_exception(self._gone())
        else:
            number = next(self._numbers)
            framed = frame((number, name, given))
            self._calls[number] = call
            self._transport.write(framed)
        return call

    def _gone(self) -> BrokenError:
        ended = "the storage process has ended"
        return BrokenError(f"{self._directory}: {ended}{self._reason}")

    # --- the store ---------------------------------------------------------------------------

    def load(self) -> Snapshot:
        """What was stored when it was opened; given away once, for it may be large."""
        assert self._snapshot is not None, "load only once"
        snapshot, self._snapshot = self._snapshot, None
        return snapshot

    async def begin_life(self, wall: float) -> int:
        """As `DiskStore.begin_life`."""
        return cast(int, await self._call("begin_life", wall))

    def commit(self, batch: Batch) -> asyncio.Future[None]:
        """As `DiskStore.commit`. Not a coroutine, which would need a task for each batch."""
        if not batch.rows and not batch.sources:
            done: asyncio.Future[None] = self._loop.create_future()
            done.set_result(None)
            return done
        return self._call("commit", batch._replace(results=(), put_results=(), amends=()))

    def abandon(self, batch: Batch, exposed: StreamSnapshot) -> None:
        """As `DiskStore.abandon`."""
        if self._transport is not None:
            self._transport.write(frame((NOBODY, "abandon", (batch, exposed))))

    async def save(self, changes: Changes) -> Stored:
        """As `DiskStore.save`."""
        return cast(Stored, await self._call("save", changes))

    async def expire(self) -> float:
        """As `DiskStore.expire`."""
        return cast(float, await self._call("expire"))

    async def probe(self) -> None:
        """As `DiskStore.probe`."""
        await self._call("probe")

    async def find_keys(self, keys: Sequence[bytes]) -> Stored:
        """As `DiskStore.find_keys`."""
        return cast(Stored, await self._call("find_keys", keys))

    async def read_keys(
        self, stream: Stream, above: int, upto: int, limit: int
    ) -> Sequence[KeyRecord]:
        """As `DiskStore.read_keys`."""
        given = (stream, above, upto, limit)
        return cast(Sequence[KeyRecord], await self._call("read_keys", *given))

    async def close(self) -> None:
        """As `DiskStore.close`. Whoever is cancelled leaves the child to its disk."""
        try:
            if self._transport is not None:
                await self._call("close")
        finally:
            self._calls.clear()
            self._unread.close()
            if self._transport is not None:
                self._transport.close()
                self._transport = None
