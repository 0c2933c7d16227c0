"""Hostile datagrams against a node in a small cluster:

    python -m tests.fuzz.receive_datagram --runs 100000 --seed 1

Whatever arrives, nothing is raised, effects are effects and no datagram is above its limit. What
is not validly framed changes neither the members nor the counts.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import get_args

from gossipd.core import Address, Drop, Dropped, Effect, MemberView, Node, Send, TagFrame
from gossipd.simulator.network import Network
from gossipd.simulator.world import World

from .mutator import mutated_bytes, mutated_tree

CORPUS = Path(__file__).parent / "corpus"
CLUSTER = "golden"
_FRAME = TagFrame(CLUSTER)
_RUNS_PER_WORLD = 400
_STRANGER = ("192.0.2.1", 7946)


class FuzzError(Exception):
    """A contract was broken; the text tells how to see it again."""


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


def corpus() -> list[bytes]:
    """The datagrams in the corpus: a line of hex each."""
    lines = [line for path in sorted(CORPUS.glob("*.hex")) for line in path.read_text().split()]
    return [bytes.fromhex(line) for line in lines]


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
        self.datagrams = corpus() + recorder.seen[-300:]
        opened = (_FRAME.open(data) for data in self.datagrams)
        self.bodies = [body for body in opened if isinstance(body, bytes)]
        self._limit = world.settings.datagram_size

    def receive(self, data: bytes, source: Address) -> list[Effect]:
        """Hand a datagram to the node and check the contract."""
        before = self._state()
        effects = self.node.receive_datagram(data, source, self.now)
        self._check(effects)
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


def hostile(target: Target, rng: Random) -> bytes:
    """One datagram: damaged as a whole, or validly framed around a damaged body."""
    if rng.random() < 0.2:
        return mutated_bytes(rng.choice(target.datagrams), target.datagrams, rng)
    body = rng.choice(target.bodies)
    mutate = mutated_tree if rng.random() < 0.8 else mutated_bytes
    return _FRAME.close(mutate(body, target.bodies, rng))


def fuzz(runs: int, seed: int) -> int:
    """Throw `runs` datagrams; how many were used. A `FuzzError` holds the one that broke it."""
    rng = Random(seed)
    target = Target(seed)
    used = 0
    for run in range(runs):
        if run % _RUNS_PER_WORLD == _RUNS_PER_WORLD - 1:
            target = Target(rng.getrandbits(32))
        data, source = hostile(target, rng), rng.choice(target.sources)
        try:
            used += not _is_dropped(target.receive(data, source), source)
            target.wait(rng.choice((0.0, 0.001, 0.05, 1.0)))
        except Exception as error:
            raise FuzzError(f"run {run} of seed {seed}, from {source}: {data.hex()}") from error
    return used


def main(arguments: Sequence[str] | None = None) -> int:
    """The program."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    used = fuzz(options.runs, options.seed)
    print(f"{options.runs} datagrams, {used} of them used, nothing broken")
    return 0


if __name__ == "__main__":
    sys.exit(main())
