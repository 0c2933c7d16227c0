"""Keyed increments and nodes that make them, for tests of a store."""

from __future__ import annotations

import time
from pathlib import Path
from random import Random

from gossipd.core import (
    Batch,
    Changes,
    Double,
    Expire,
    KeyRecord,
    MemberView,
    Node,
    Save,
    SaveWanted,
    Settings,
    Snapshot,
    Status,
    Stored,
    Stream,
    TagFrame,
)
from gossipd.store import DiskStore
from tests.commits import prepared
from tests.unit.store.parts import STREAM

Doubles = set[tuple[Stream, Double]]
"""As if just found."""


def timed_key(seconds_ago: float, number: int = 0) -> bytes:
    """A UUID of version 7 minted so long ago."""
    bits = int(1000 * (time.time() - seconds_ago)).to_bytes(6, "big")
    return bits + b"\x70\x00\x80" + number.to_bytes(7, "big")


def plain_key(number: int) -> bytes:
    """A UUID of version 4, which does not tell its time."""
    return number.to_bytes(6, "big") + b"\x40\x00\x80" + bytes(7)


def record(
    seq: int, key: bytes | None = None, age: float = 0.0, counter: str = "default", by: int = 1
) -> KeyRecord:
    """What event `seq` was, accepted `age` seconds ago."""
    return KeyRecord(key or plain_key(seq), seq, counter, by, round(10 * age))


def keyed(seq: int, *records: KeyRecord, stream: Stream = STREAM) -> Batch:
    """A batch up to `seq` on one counter with these records."""
    return Batch(stream, seq, (("default", seq, seq),), (), records)


def told(*records: KeyRecord, stream: Stream = STREAM, version: int = 0) -> Changes:
    """Key records of others, with the register of their newest event."""
    newest = max(each.seq for each in records)
    return Changes(
        ((stream, "default", newest, newest),),
        ((stream, version),) if version else (),
        (),
        (),
        keys=tuple((stream, each) for each in records),
    )


def doubles_in(snapshot: Snapshot) -> Doubles:
    return {
        (each.stream, double._replace(age=0))
        for each in snapshot.streams
        for double in each.doubles
    }


def records_in(snapshot: Snapshot) -> dict[Stream, list[int]]:
    """The seqs of the records for memory, by stream."""
    return {each.stream: [key.seq for key in each.keys] for each in snapshot.streams}


def ageless(snapshot: Snapshot) -> list[object]:
    """What does not change while time goes on."""
    return [
        snapshot.horizon,
        *(
            (
                each._replace(keys=(), doubles=()),
                [key.said for key in each.keys],
                [double.said for double in each.doubles],
            )
            for each in snapshot.streams
        ),
    ]


class Life:
    """A node on a store, alone and ready."""

    def __init__(self, store: DiskStore, generation: int, seed: int) -> None:
        self.store = store
        own = MemberView("here", ("10.0.0.1", 7946), generation, 0, Status.ALIVE)
        self.node = Node(
            own,
            Settings(alone_after=0.0),
            TagFrame("c"),
            Random(seed),
            time.monotonic(),
            durable=True,
        )
        self.node.load(store.load(), time.monotonic())
        self.node.start(True, time.monotonic())

    async def prepare(self, key: bytes, by: int = 1) -> Batch:
        """One increment under a key, as the daemon prepares it."""
        wall = time.time()
        doubtful = self.node.is_doubtful(key, wall)
        stored: Stored = await self.store.find_keys([key]) if doubtful else {}
        return prepared(self.node, [("default", by)], time.monotonic(), wall, [key], stored)

    async def increment(self, key: bytes, by: int = 1) -> Batch:
        batch = await self.prepare(key, by)
        await self.store.commit(batch)
        self.node.committed(batch, time.monotonic())
        return batch

    async def save(self) -> None:
        """Store what is not stored."""
        effects = self.node.save(time.monotonic())
        while effects:
            effect = effects.pop(0)
            if isinstance(effect, Save):
                twins = await self.store.save(effect.changes)
                effects += self.node.saved(effect.changes, time.monotonic(), twins)
            elif isinstance(effect, Expire):
                effects += self.node.expired(time.monotonic())
            elif isinstance(effect, SaveWanted):
                effects += self.node.save(time.monotonic())


async def new_life(
    directory: Path, seed: int, window: float = 600.0, retention: float = 21_600.0
) -> Life:
    """Close its store at the end."""
    store = DiskStore.open(
        directory,
        durability="normal",
        node="here",
        cluster="ours",
        key_window=window,
        key_retention=retention,
    )
    return Life(store, await store.begin_life(time.time()), seed)
