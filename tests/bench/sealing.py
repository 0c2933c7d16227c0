"""What it costs that datagrams are sealed.

    python -m tests.bench.sealing [--parts packets,simulated,speed] [--seeds 10] [--quick] [--json]

Plain and sealed in turn, with all else equal:

- `packets`: CPU to make a datagram and to take one in, by the size of what it carries: the frame
  alone, the smallest of many short rounds.
- `simulated`: how long twenty nodes take until all hold a killed one as failed, and until all have
  counted an increment.
- `speed`: what an increment takes through the side port of a node with two peers, of two clusters
  in turn. On a machine that others use its CPU tells something, its time does not.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from random import Random
from statistics import median
from typing import NamedTuple

from gossipd.core import Frame, Status, TagFrame
from gossipd.sealing.frame import SealedFrame
from gossipd.sealing.keyring import Keyring, Secret
from tests.bench.program import Row, chosen, options, report, spread, with_parts
from tests.e2e.cluster import Cluster
from tests.e2e.node import Node, gossipd
from tests.simulation.faulty.world import World

ADDED_MAX = 5.0
"""Microseconds of CPU for each datagram."""

SLOWER_MAX = 1.03
"""Times as long for an increment through the side port."""

LONGER_MAX = 1.1
"""Times as long until all know."""

PAIRS, REQUESTS = 15, 10_000
SIZES = (60, 400, 1100)
ROUND, ROUNDS = 500, 40
NODES = 20
CLUSTER = "bench"


# --- the frame alone -----------------------------------------------------------------------------


def packets(wanted: Namespace) -> Iterator[Row]:
    """Making and taking in."""
    rounds = 3 if wanted.quick else ROUNDS
    ring = Keyring((Secret.fresh(),))
    for size in SIZES:
        body = Random(size).randbytes(size)
        for what in ("made", "taken in"):
            found = {True: [0.0], False: [0.0]}
            for _ in range(rounds):
                for is_sealed, spent in found.items():
                    frame = SealedFrame(CLUSTER, ring) if is_sealed else TagFrame(CLUSTER)
                    spent.append(_round(frame, frame, body, what == "made"))
            plain, sealed = (min(found[is_sealed][1:]) for is_sealed in (False, True))
            note = f"plain {plain:.2f}, sealed {sealed:.2f}"
            yield Row(f"{size} bytes {what}: more by", sealed - plain, ADDED_MAX, "us", note=note)


def _round(maker: Frame, taker: Frame, body: bytes, makes: bool) -> float:
    """Microseconds of CPU for each of many."""
    bodies = [body] * ROUND
    began = time.process_time()
    made = list(map(maker.close, bodies))
    if not makes:
        began = time.process_time()
        for data in made:
            taker.open(data)
    return 1e6 * (time.process_time() - began) / ROUND


# --- simulated -----------------------------------------------------------------------------------


class Ask(NamedTuple):
    seed: int
    is_sealed: bool


class Took(NamedTuple):
    """Seconds."""

    found: float
    spread: float


def took(task: Ask) -> Took:
    """One cluster: a kill, and an increment."""
    world = World(task.seed)
    if task.is_sealed:
        salts = Random(task.seed)  # not the world's: all else is to be the same
        ring = Keyring((Secret(salts.randbytes(32)),))
        world.frames = lambda: SealedFrame("sim", ring, salts.randbytes)
    for host in world.formed(NODES):
        host.seeds = []
    world.run(5 + world.rng.random())
    names = list(world.running)
    world.increment(names[1], "counter")
    spread_in = _until(world, lambda: all(n.log.value("counter") for n in world.running.values()))
    world.crash(names[-1])
    found_in = _until(
        world,
        lambda: all(n.state_counts[Status.FAILED] == 1 for n in world.running.values()),
    )
    return Took(found_in, spread_in)


def _until(world: World, is_done: Callable[[], bool]) -> float:
    began = world.now
    while not is_done():
        assert world.now < began + 60
        world.run(0.001)
    return world.now - began


def simulated(wanted: Namespace) -> Iterator[Row]:
    """Medians over seeds."""
    seeds = 2 if wanted.quick else wanted.seeds
    tasks = [Ask(seed, is_sealed) for is_sealed in (False, True) for seed in range(seeds)]
    times = list(spread(took, tasks, wanted.jobs))
    for what, name in (("a killed node is found", "found"), ("an increment is known", "spread")):
        plain, sealed = (
            median(getattr(each, name) for each in part) for part in (times[:seeds], times[seeds:])
        )
        note = f"plain {plain:.3f} s, sealed {sealed:.3f} s, {seeds} seeds of {NODES} nodes"
        yield Row(f"{what} by all: times", sealed / plain, LONGER_MAX, "x", note=note)


# --- the side port -------------------------------------------------------------------------------


class Speed(NamedTuple):
    """Of one node, for a moment."""

    seconds: float
    """For each increment, as clients see it."""
    cpu: float
    """Of the node, for each increment."""


def speed(wanted: Namespace) -> Iterator[Row]:
    """In pairs, each in another order than the one before."""
    pairs, requests = (1, 500) if wanted.quick else (PAIRS, REQUESTS)
    found: dict[bool, list[Speed]] = {False: [], True: []}
    with ExitStack() as stack:
        nodes: dict[bool, Node] = {}
        for is_sealed in found:
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            secret = Secret.fresh() if is_sealed else None
            cluster = stack.enter_context(Cluster(directory, secret))
            nodes[is_sealed] = cluster.start(3, "--in-memory")[0]
        for number in range(pairs):
            for is_sealed in (False, True) if number % 2 else (True, False):
                found[is_sealed].append(_speed(nodes[is_sealed], requests))
    for what, name in (("seconds", "seconds"), ("CPU", "cpu")):
        plain, sealed = ([getattr(each, name) for each in found[key]] for key in (False, True))
        ratio = median(s / p for s, p in zip(sealed, plain, strict=True))
        note = f"plain {1e6 * median(plain):.1f} us, sealed {1e6 * median(sealed):.1f} us"
        of = f"medians of {pairs} pairs of {requests:,}"
        yield Row(f"{what} of an increment: times", ratio, SLOWER_MAX, "x", note=f"{note}, {of}")


def _speed(node: Node, requests: int) -> Speed:
    host, port = node.api
    before = node.cpu
    done = gossipd(
        *("bench", "--api", f"{host}:{port}", "--requests", str(requests), "--json"),
        *("--clients", "16", "--counters", "10"),
    )
    assert done.returncode == 0, done.stderr
    return Speed(1 / float(json.loads(done.stdout)["rate"]), (node.cpu - before) / requests)


PARTS = {"packets": packets, "simulated": simulated, "speed": speed}


def measure(wanted: Namespace) -> Iterator[Row]:
    """The chosen parts."""
    return chosen(PARTS, wanted.parts, wanted)


def main(arguments: list[str]) -> int:
    """The program."""
    parser = with_parts(options(__doc__), PARTS)
    parser.add_argument("--seeds", type=int, default=10)
    wanted = parser.parse_args(arguments)
    return report(measure(wanted), wanted.json)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
