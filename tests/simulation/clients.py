"""Clients with keys, that retry anywhere, and clients that own their registers.

One logical operation has one key and is sent up to four times: at once or much later, to any node,
on any side of a cut, to processes that have crashed in between. Some keys tell no time, or a wrong
one, some are used again for something else, and some come twice in one batch.
"""

from __future__ import annotations

from heapq import heappop, heappush
from random import Random
from typing import NamedTuple

from tests.simulation.faulty.world import EPOCH, Increment, World

TRIES_MAX = 4

SOURCES = 3
"""Clients that own a register."""


class Retry(NamedTuple):
    """A try that is to come; the number makes the order of equal times that of their making."""

    at: float
    number: int
    operation: Increment


def time_key(rng: Random, seconds: float) -> bytes:
    """A UUIDv7 (RFC 9562, 5.7) of a moment of the world."""
    data = bytearray(int(1000 * (EPOCH + seconds)).to_bytes(6, "big") + rng.randbytes(10))
    data[6] = data[6] & 0x0F | 0x70
    data[8] = data[8] & 0x3F | 0x80
    return bytes(data)


def random_key(rng: Random) -> bytes:
    """A UUIDv4, which tells no time."""
    data = bytearray(rng.randbytes(16))
    data[6] = data[6] & 0x0F | 0x40
    data[8] = data[8] & 0x3F | 0x80
    return bytes(data)


class Clients:
    """All clients of one world that do not count blindly."""

    def __init__(self, world: World, rng: Random, load: float) -> None:
        """`load`: operations per second and node."""
        self._world = world
        self._rng = rng
        self._load = load
        self._retries: list[Retry] = []
        self._operations: list[Increment] = []
        self._number = 0
        self._seqs = [0] * SOURCES
        self._totals = [0] * SOURCES

    def act(self, names: list[str], seconds: float) -> None:
        """Let clients send what they send in so many seconds, to these nodes, of which one may
        end with any of it, as its disk breaks."""
        rng = self._rng
        while self._retries and self._retries[0].at <= self._world.now:
            operation = heappop(self._retries).operation
            if names := self._left(names):
                self._world.increment(rng.choice(names), *operation)
        for _ in range(int(self._load * len(names) * seconds + rng.random())):
            if names := self._left(names):
                self._begin(names)
        if (names := self._left(names)) and rng.random() < self._load * seconds:
            self._put(names)

    def unanswered(self) -> Increment:
        """A new operation, the first try of which is up to somebody else."""
        operation = self._operation()
        self._retry_later(operation)
        return operation

    def _left(self, names: list[str]) -> list[str]:
        return [name for name in names if name in self._world.running]

    def _operation(self) -> Increment:
        rng = self._rng
        by = rng.choice((1, 1, 1, 3, -2))
        operation = (f"keyed {rng.randrange(3)}", by, self._key())
        self._operations.append(operation)
        return operation

    def _begin(self, names: list[str]) -> None:
        rng, world = self._rng, self._world
        if self._operations and rng.random() < 0.05:
            counter, by, key = rng.choice(self._operations[-20:])
            world.increment(rng.choice(names), counter, by + 1, key)
            return
        operation = self._operation()
        self._retry_later(operation)
        if rng.random() < 0.1:
            world.batch(rng.choice(names), [operation, ("keyed 0", 2, None), operation], count=3)
        else:
            world.increment(rng.choice(names), *operation)

    def _retry_later(self, operation: Increment) -> None:
        for _ in range(self._rng.randint(0, TRIES_MAX - 1)):
            self._number += 1
            wait = self._rng.choice((0.0, 0.2, 2.0, 15.0)) * self._rng.random()
            heappush(self._retries, Retry(self._world.now + wait, self._number, operation))

    def _key(self) -> bytes:
        rng, now = self._rng, self._world.now
        window = self._world.settings.key_window
        kind = rng.random()
        if kind < 0.2:
            return random_key(rng)
        if kind < 0.25:
            return time_key(rng, now - window - 60 * rng.random())
        if kind < 0.3:
            return time_key(rng, now + 90 * rng.random())
        return time_key(rng, now)

    def _put(self, names: list[str]) -> None:
        """The next total of a source, or an old one once more; some clients number two alike."""
        rng = self._rng
        client = rng.randrange(SOURCES)
        if rng.random() < 0.7:
            self._seqs[client] += rng.randint(1, 3)
            self._totals[client] += rng.choice((1, 5, -2))
        seq = rng.randint(max(1, self._seqs[client] - 2), max(1, self._seqs[client]))
        total = self._totals[client] + (rng.random() < 0.1)
        for name in rng.sample(names, min(len(names), rng.randint(1, 2))):
            self._world.put(name, f"client {client}", "owned", seq, total)
