"""What two streams have counted, so that any snapshot of a store can be held against it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from random import Random

from gossipd.core import (
    Batch,
    Changes,
    Snapshot,
    Stream,
)
from gossipd.core.wire.records import Register
from gossipd.store import DiskStore
from tests.unit.store.parts import OTHER, STREAM


@dataclass(slots=True)
class History:
    """What happened in each stream, by 1 each, and up to where the store has said it keeps it."""

    counters: int = 12
    """On how many it happens."""
    events: dict[Stream, list[str]] = field(default_factory=lambda: defaultdict(list))
    told: dict[Stream, int] = field(default_factory=lambda: {STREAM: 0, OTHER: 0})
    generation: int = 0

    def happen(self, stream: Stream, rng: Random) -> dict[str, Register]:
        """A few more events; the registers that they have changed, by counter."""
        changed = {}
        for _ in range(rng.randrange(1, 6)):
            counter = f"c{rng.randrange(self.counters)}"
            self.events[stream].append(counter)
            seq, total = len(self.events[stream]), self.events[stream].count(counter)
            changed[counter] = (counter, seq, total)
        return changed

    async def step(self, store: DiskStore, rng: Random) -> None:
        """A batch of own increments, or something that others told."""
        await (self.commit if rng.random() < 0.9 else self.save)(store, rng)

    async def commit(self, store: DiskStore, rng: Random) -> None:
        rows = tuple(self.happen(STREAM, rng).values())
        version = len(self.events[STREAM])
        await store.commit(Batch(STREAM, version, rows, ()))
        self.told[STREAM] = version

    async def save(self, store: DiskStore, rng: Random) -> None:
        changed: dict[str, Register] = {}
        for _ in range(10):
            changed |= self.happen(OTHER, rng)
        version = len(self.events[OTHER])
        registers = tuple((OTHER, *register) for register in changed.values())
        await store.save(Changes(registers, ((OTHER, version),), (), ()))
        self.told[OTHER] = version

    def check(self, snapshot: Snapshot) -> dict[Stream, int]:
        """Every register as it was once, none missing that a version covers; the versions."""
        for kept in snapshot.streams:
            events = self.events[kept.stream]
            seqs = {counter: seq for counter, seq, _ in kept.registers}
            for counter, seq, total in kept.registers:
                assert events[seq - 1] == counter
                assert events[:seq].count(counter) == total
            for seq, counter in enumerate(events[: kept.version], 1):
                assert seqs[counter] >= seq, f"{kept.version} covers {counter} at {seq}"
        return {kept.stream: kept.version for kept in snapshot.streams}
