"""Hostile datagrams against a node in a small cluster, and against nodes in every state:

    python -m tests.fuzz.receive_datagram --runs 100000 --seed 1

Whatever arrives, nothing is raised, effects are effects, no datagram is above its limit and the
books are right. What is not validly framed changes neither the members nor the counts. A datagram
that breaks something is written into the corpus.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from random import Random
from typing import Protocol, TypeGuard, get_args

import msgpack

from gossipd.core import (
    Address,
    Drop,
    Dropped,
    Effect,
    MemberView,
    Node,
    Send,
    TagFrame,
)
from tests.property.books import Books
from tests.simulation.faulty.network import Network
from tests.simulation.faulty.world import World

from .make_corpus import CLUSTER, CORPUS, corpus
from .mutator import mutated_bytes, mutated_tree
from .states import STATES

_FRAME = TagFrame(CLUSTER)
_RUNS_PER_SUBJECT = 400
_STRANGER = ("192.0.2.1", 7946)


class FuzzError(Exception):
    """A contract was broken; the text tells how to see it again."""

    def __init__(self, text: str, data: bytes = b"") -> None:
        super().__init__(text)
        self.data = data


class Subject(Protocol):
    """A node that is thrown at, under an oracle that raises."""

    sources: list[Address]
    datagrams: list[bytes]
    """What hostile datagrams are made of."""

    def receive(self, data: bytes, source: Address) -> list[Effect]:
        """Hand a datagram to the node and check the contract."""

    def wait(self, seconds: float) -> None:
        """Let time pass, timers included."""


class _Recorder(Network):
    """Keeps what the nodes really say to each other."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[bytes] = []

    def arrivals(
        self, data: bytes, source: Address, to: Address, rng: Random
    ) -> list[tuple[float, bytes]]:
        self.seen.append(data)
        return super().arrivals(data, source, to, rng)


class Target:
    """One node that has members and counts, and knows what was said to it before."""

    def __init__(self, seed: int) -> None:
        world = World(seed, cluster=CLUSTER)
        recorder = _Recorder()
        world.network = recorder
        world.cluster(4)
        world.run(2.0)
        world.crash("n3")
        for number in range(12):
            world.increment(f"n{number % 3}", f"counter {number % 5}")
            world.run(0.4)
        self.node: Node = world.node("n0")
        self.now = world.now
        self.sources = [host.address for host in world.hosts.values()] + [_STRANGER]
        self.datagrams = [*corpus().values(), *recorder.seen[-300:]]
        self._books = Books(world.settings)
        self._limit = world.settings.datagram_size

    def receive(self, data: bytes, source: Address) -> list[Effect]:
        """Hand a datagram to the node and check the contract."""
        before = self._state()
        effects = self.node.receive_datagram(data, source, self.now)
        self._check(effects)
        self._books.check(self.node, self.now)
        if isinstance(_FRAME.open(data), Drop):
            plain = data.strip() == b"ping"
            if self._state() != before or not (plain or _is_dropped(effects, source)):
                raise FuzzError("a datagram that is not validly framed had an effect")
        return effects

    def wait(self, seconds: float) -> None:
        """Let time pass, timers included."""
        until = self.now + seconds
        while (at := self.node.next_timeout) is not None and at <= until:
            self.now = max(self.now, at)
            self._check(self.node.handle_timeout(self.now))
        self.now = until

    def _state(self) -> tuple[list[MemberView], int, int, dict[str, int]]:
        node = self.node
        return node.members, node.members_fingerprint, node.log.fingerprint, node.log.values

    def _check(self, effects: list[Effect]) -> None:
        for effect in effects:
            if not isinstance(effect, get_args(Effect)):
                raise FuzzError(f"not an effect: {effect!r}")
            if isinstance(effect, Send) and len(effect.data) > self._limit:
                raise FuzzError(f"a datagram of {len(effect.data)} bytes: {effect.data.hex()}")


def _is_dropped(effects: list[Effect], source: Address) -> bool:
    return len(effects) == 1 and isinstance(effects[0], Dropped) and effects[0].source == source


def hostile(datagrams: list[bytes], trees: list[bytes], rng: Random) -> bytes:
    """One datagram: damaged as a whole, or validly framed around a damaged body."""
    if rng.random() < 0.2:
        return mutated_bytes(rng.choice(datagrams), datagrams, rng)
    mutate = mutated_tree if rng.random() < 0.8 else mutated_bytes
    return _FRAME.close(mutate(rng.choice(trees), trees, rng))


def is_tree(body: bytes | Drop) -> TypeGuard[bytes]:
    """Whether it is msgpack that can be taken apart and put together again."""
    try:
        msgpack.packb(msgpack.unpackb(body, strict_map_key=False))
    except (ValueError, TypeError, msgpack.UnpackException):
        return False
    return True


def throw(subject: Subject, runs: int, rng: Random) -> int:
    """Throw `runs` datagrams at one node; how many were used."""
    trees = [body for body in map(_FRAME.open, subject.datagrams) if is_tree(body)]
    used = 0
    for run in range(runs):
        data, source = hostile(subject.datagrams, trees, rng), rng.choice(subject.sources)
        try:
            used += not _is_dropped(subject.receive(data, source), source)
            subject.wait(rng.choice((0.0, 0.001, 0.05, 1.0)))
        except Exception as error:
            raise FuzzError(f"datagram {run}, from {source}: {data.hex()}", data) from error
    return used


def fuzz(runs: int, seed: int) -> int:
    """Throw `runs` datagrams at nodes in a cluster and in every state by turns; how many were
    used. A `FuzzError` holds the one that broke it."""
    rng = Random(seed)
    used = 0
    for number, first in enumerate(range(0, runs, _RUNS_PER_SUBJECT)):
        state = rng.choice(list(STATES))
        subject = STATES[state]() if number % 2 else Target(rng.getrandbits(32))
        try:
            used += throw(subject, min(_RUNS_PER_SUBJECT, runs - first), rng)
        except FuzzError as error:
            where = state if number % 2 else "in a cluster"
            raise FuzzError(
                f"seed {seed}, node {number} ({where}): {error}", error.data
            ) from error
    return used


def main(arguments: Sequence[str] | None = None) -> int:
    """The program."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    try:
        used = fuzz(options.runs, options.seed)
    except FuzzError as error:
        (CORPUS / f"failed-with-seed-{options.seed}.bin").write_bytes(error.data)
        raise
    print(f"{options.runs} datagrams, {used} of them used, nothing broken")
    return 0


if __name__ == "__main__":
    sys.exit(main())
