"""What a store is, and the one that keeps nothing.

What it commits is in `Batch`: own registers, those of sources, the version and key records. What
others have told comes in parts, as `Changes`.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Sequence
from typing import Protocol

from gossipd.core import Batch, Changes, KeyRecord, Snapshot, Stored, Stream, StreamSnapshot


class Store(Protocol):
    """Commits one batch at a time, and saves one part of the rest at a time."""

    async def begin_life(self, wall: float) -> int:
        """The generation of a process that starts now, above those before it.

        `wall` is seconds since the epoch. Raises `OSError`.
        """

    def load(self) -> Snapshot:
        """What the lives before have kept; once."""

    def commit(self, batch: Batch) -> Awaitable[None] | None:
        """What it returns ends when the batch is as durable as it gets here, with `OSError` if it
        is not; None: it is already."""

    def abandon(self, batch: Batch, exposed: StreamSnapshot) -> None:
        """A commit failed: nothing of the batch may be found later. `exposed`: the version of its
        stream, and the registers of the counters in it, as far as there are any."""

    async def save(self, changes: Changes) -> Stored:
        """Return when all changes are as durable as they get. Raises `OSError` if they are not.

        What it returns are the events stored of those keys in it that have several: as many as a
        key may name, the smallest.
        """
        ...

    async def expire(self) -> float:
        """Remove some of the key records that have expired. For how many seconds no other one
        expires, unless one comes that is old. Raises `OSError`."""
        ...

    async def probe(self) -> None:
        """Return when something was written, though there is nothing to write. Raises `OSError`
        for as long as nothing can be."""

    async def find_keys(self, keys: Sequence[bytes]) -> Stored:
        """What is stored of some keys; those of which there is nothing are left out. Raises
        `OSError`."""
        ...

    async def read_keys(
        self, stream: Stream, above: int, upto: int, limit: int
    ) -> Sequence[KeyRecord]:
        """The key records of a stream with `above` < seq <= `upto`, oldest first, at most `limit`.
        Raises `OSError`."""
        ...

    async def close(self) -> None:
        """Nothing more is to come."""


class MemoryStore:
    """Keeps nothing beside what the core holds, and commits at once."""

    async def begin_life(self, wall: float) -> int:
        """The wall clock in ms: there is nothing that it must be above."""
        return int(1000 * wall)

    def load(self) -> Snapshot:
        """Nothing."""
        return Snapshot((), ())

    def commit(self, _batch: Batch) -> Awaitable[None] | None:
        """Nothing to do."""
        return None

    def abandon(self, _batch: Batch, _exposed: StreamSnapshot) -> None:
        """Nothing to do."""

    async def save(self, _changes: Changes) -> Stored:
        """Nothing to do."""
        return {}

    async def expire(self) -> float:
        """Nothing to do, ever."""
        return math.inf

    async def probe(self) -> None:
        """Nothing to do."""

    async def find_keys(self, _keys: Sequence[bytes]) -> Stored:
        """Nothing."""
        return {}

    async def read_keys(
        self, _stream: Stream, _above: int, _upto: int, _limit: int
    ) -> Sequence[KeyRecord]:
        """Nothing."""
        return ()

    async def close(self) -> None:
        """Nothing to do."""
