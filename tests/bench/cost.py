"""What a cluster sends when nothing happens, and what one failure adds to it.

    python -m tests.bench.cost [--seeds 3] [--jobs 2] [--quick] [--json]

Per node and second, headers of IPv4 and UDP included: at rest, at rest with 5,000 registers held
(the traffic must not grow with what is held), and in the 20 s after a kill, in which the members
notice it, tell each other and begin to contact the dead one. Bounds at rest are what Serf sends.
The same seeds run with the classic settings.

One failure may add at most, per node that remains (`extra_packets_max`):

    (1 + confirmations + 1) x transmissions(N)  +  pings / (N - 1)
    pings = (corroborators + 1) x suspicion / timeout
            + ceil((patience + suspicion) / interval) x (patience / timeout + 3 x relays)
            + seconds after / contact_interval

The news are the suspicion, each further accuser until it is as short as it gets, and the verdict;
who learns one sends it `transmissions(N)` times, here taken as a packet of its own. Corroborators
and the accuser ping until the suspicion ends: it is as short as it gets once they agree. A probe
that fails pings until its patience is over and has each relay asked, who pings and says no; in
each interval until the verdict one of the members begins one. The rest are contacts.

About 3 minutes with two jobs, nearly all of them for 1,000 nodes.
"""

from __future__ import annotations

import math
import sys
from argparse import Namespace
from collections.abc import Iterator
from statistics import fmean
from typing import NamedTuple

from gossipd.core import Settings
from gossipd.core.gossip.queues import transmissions
from gossipd.simulator.traffic import Traffic
from tests.bench.program import (
    OURS,
    RULES,
    Row,
    options,
    quiet_cluster,
    report,
    spread,
)
from tests.simulation.faulty.world import World

SIZES = (20, 100, 1000)
LARGE = 1000
"""From this size on one seed is enough."""
PACKETS_MAX, BYTES_MAX = 2.1, 270.0
"""Per node and second at rest; Serf 0.9.4 sends 2.0 packets and 267 bytes over UDP."""

REST = 20.0
"""Seconds of rest that are measured."""
AFTER = 20.0
"""Seconds after a kill that are measured."""

REGISTERS = 5000
REGISTERS_NODES = 20
COUNTERS = 250
SETTLE = 60.0

QUICK_SIZES = (20, 100)


class Ask(NamedTuple):
    seed: int
    settings: Settings
    nodes: int
    registers: int = 0


class Cost(NamedTuple):
    packets: float
    """Per node and second at rest."""
    bytes: float
    extra_packets: float
    """Per remaining node, in all, because of one kill."""
    extra_bytes: float


def extra_packets_max(settings: Settings, nodes: int) -> float:
    """What one failure may add, per remaining node: see above."""
    timeout, patience = settings.probe_timeout_min, settings.probe_patience
    patience *= settings.probe_interval
    growth = math.pow(max(1.0, math.log10(nodes)), settings.suspicion_growth)
    shortest = settings.suspicion_mult * growth * settings.probe_interval
    agreeing = settings.corroboration_delay + settings.corroboration_pings * timeout
    suspicion = agreeing + shortest
    probes = math.ceil((patience + suspicion) / settings.probe_interval)
    pings = (
        (min(settings.corroborators, nodes - 2) + 1) * suspicion / timeout
        + probes * (patience / timeout + 3 * settings.indirect_probes)
        + AFTER / settings.contact_interval
    )
    news = settings.confirmations + 2
    return news * transmissions(settings.retransmit_mult, nodes) + pings / (nodes - 1)


def cost(task: Ask) -> Cost:
    """Measure a cluster at rest, then kill a random node."""
    world = quiet_cluster(task.seed, task.settings, task.nodes)
    if task.registers:
        _fill(world, task.registers)
    rest = _traffic(world, REST)
    world.crash(world.rng.choice(list(world.running)))
    after = _traffic(world, AFTER)
    return Cost(
        rest.packets_per_node_second,
        rest.bytes_per_node_second,
        AFTER * (after.packets_per_node_second - rest.packets_per_node_second),
        AFTER * (after.bytes_per_node_second - rest.bytes_per_node_second),
    )


def _fill(world: World, registers: int) -> None:
    """Let all nodes hold registers: every node touches some counters."""
    names = list(world.running)
    for number in range(registers):
        world.increment(names[number // COUNTERS % len(names)], f"counter-{number % COUNTERS}")
    world.made.clear()
    world.run(SETTLE)
    assert world.settled(), "the logs are not equal"
    assert {node.log.register_count for node in world.running.values()} == {registers}


def _traffic(world: World, seconds: float) -> Traffic:
    traffic = Traffic(world)
    world.run(seconds)
    traffic.read(len(world.running))
    world.effects.clear()
    return traffic


def measure(wanted: Namespace) -> Iterator[Row]:
    asked = [
        (nodes, registers)
        for nodes in (QUICK_SIZES if wanted.quick else SIZES)
        for registers in ((0, REGISTERS) if nodes == REGISTERS_NODES else (0,))
    ]
    for nodes, registers in asked:
        seeds = 1 if wanted.quick or nodes >= LARGE else wanted.seeds
        tasks = [Ask(seed, rule, nodes, registers) for rule in RULES for seed in range(seeds)]
        found = list(spread(cost, tasks, wanted.jobs))
        yield from _rows(nodes, registers, _mean(found[:seeds]), _mean(found[seeds:]))


def _mean(found: list[Cost]) -> Cost:
    return Cost(*(fmean(figures) for figures in zip(*found, strict=True)))


def _rows(nodes: int, registers: int, ours: Cost, classic: Cost) -> Iterator[Row]:
    held = f", {registers:,} registers" if registers else ""
    what = f"N = {nodes:,}{held}: sent at rest, per node"
    yield Row(what, ours.packets, PACKETS_MAX, "packets/s", classic.packets)
    yield Row("  bytes, headers included", ours.bytes, BYTES_MAX, "bytes/s", classic.bytes)
    note = f"{AFTER:g} s; at rest it sends {AFTER * ours.packets:.0f}"
    what = "  one failure adds, per node"
    most = round(extra_packets_max(OURS, nodes), 1)
    yield Row(what, ours.extra_packets, most, "packets", classic.extra_packets, note)
    yield Row("  ... bytes", ours.extra_bytes, None, "bytes", classic.extra_bytes)


def main(arguments: list[str]) -> int:
    """Measure and print; 1 when a bound was missed."""
    parser = options(__doc__)
    parser.add_argument("--seeds", type=int, default=3, help="clusters per size below 1,000 (3)")
    wanted = parser.parse_args(arguments)
    return report(measure(wanted), wanted.json)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
