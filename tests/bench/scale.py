"""What a thousand nodes, and two thousand, cost the simulator: one core, its memory, per datagram.

    python -m tests.bench.scale [--nodes 1000 2000] [--seconds 60] [--profile] [--quick] [--json]

Each size runs for a simulated minute in which one node is killed and one increment a second is
made, in a process of its own. CPU is that of the process while the minute runs; forming the
cluster is told apart. `--profile` runs the first size under cProfile, which slows it several
times, and prints the functions that took most.

About 4 minutes. Sizes run one after the other unless `--jobs` says otherwise, as two processes on
one machine slow each other down.
"""

from __future__ import annotations

import cProfile
import pstats
import resource
import sys
import time
from argparse import Namespace
from collections.abc import Iterator
from typing import NamedTuple

from gossipd.simulator.measures import Measures
from tests.bench.program import (
    OURS,
    Row,
    options,
    quiet_cluster,
    report,
    spread,
)

CPU_BOUNDS = {1000: 120.0}
"""Seconds of one core for `MINUTE`, by the number of nodes."""
MINUTE = 60.0
KNOWN_BOUND = 5.0
"""Seconds within which all must know of the one kill: it worked, at this size."""

KILL_AFTER = 10.0
RATE = 1.0
"""Increments per second in the whole cluster."""

SHOWN = 25
"""Functions in a profile."""

QUICK_NODES, QUICK_SECONDS = (100,), 20.0


class Ask(NamedTuple):
    nodes: int
    seconds: float


class Scale(NamedTuple):
    forming_cpu: float
    cpu: float
    packets: int
    packets_per_node_second: float
    bytes_per_node_second: float
    known_after: float | None
    unfinished: int
    rss: float
    """The most memory that the process has held, MiB."""


def scale(task: Ask) -> Scale:
    """Run one cluster."""
    began = time.process_time()
    world = quiet_cluster(1, OURS, task.nodes)
    formed = time.process_time()
    measures = Measures(world)
    names = list(world.running)
    victim = world.rng.choice(names)
    names.remove(victim)
    for number in range(round(task.seconds * RATE)):
        if number == round(KILL_AFTER * RATE):
            measures.kill(victim)
        world.increment(world.rng.choice(names))
        measures.run(1 / RATE)
    cpu = time.process_time() - formed
    traffic, (detection,) = measures.traffic, measures.verdicts.detections
    return Scale(
        formed - began,
        cpu,
        traffic.packets,
        traffic.packets_per_node_second,
        traffic.bytes_per_node_second,
        detection.known_after,
        measures.spread.unfinished,
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    )


def measure(wanted: Namespace) -> Iterator[Row]:
    sizes = QUICK_NODES if wanted.quick else wanted.nodes
    seconds = QUICK_SECONDS if wanted.quick else wanted.seconds
    found = spread(scale, [Ask(nodes, seconds) for nodes in sizes], wanted.jobs)
    for nodes, one in zip(sizes, found, strict=True):
        bound = CPU_BOUNDS[nodes] * seconds / MINUTE if nodes in CPU_BOUNDS else None
        yield Row(f"N = {nodes:,}, {seconds:g} simulated s: CPU of one core", one.cpu, bound)
        yield Row("  forming the cluster", one.forming_cpu)
        note = f"{one.packets:,} datagrams"
        yield Row("  per datagram", 1e6 * one.cpu / one.packets, None, "µs", note=note)
        yield Row("  peak memory", one.rss, None, "MiB")
        yield Row("  the kill is known to all others", one.known_after, KNOWN_BOUND)
        yield Row("  increments not on all nodes in the end", one.unfinished, 1, "")
        yield Row("  sent per node", one.packets_per_node_second, None, "packets/s")
        yield Row("  ... bytes", one.bytes_per_node_second, None, "bytes/s")


def profile(wanted: Namespace) -> None:
    """Print where the time goes."""
    nodes = (QUICK_NODES if wanted.quick else wanted.nodes)[0]
    profiler = cProfile.Profile()
    profiler.enable()
    scale(Ask(nodes, QUICK_SECONDS if wanted.quick else wanted.seconds))
    profiler.disable()
    pstats.Stats(profiler).sort_stats("tottime").print_stats(SHOWN)


def main(arguments: list[str]) -> int:
    """Measure and print; 1 when a bound was missed."""
    parser = options(__doc__)
    parser.set_defaults(jobs=1)
    parser.add_argument("--nodes", type=int, nargs="+", default=[1000, 2000], help="sizes")
    parser.add_argument("--seconds", type=float, default=MINUTE, help="simulated seconds (60)")
    parser.add_argument("--profile", action="store_true", help="where the time goes")
    wanted = parser.parse_args(arguments)
    if wanted.profile:
        profile(wanted)
        return 0
    return report(measure(wanted), wanted.json)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
