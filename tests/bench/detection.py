"""How fast a killed node is found: first suspicion, and until all others hold it as failed.

    python -m tests.bench.detection [--seeds 60] [--seeds-large 4] [--jobs 2] [--quick] [--json]

Each seed is a cluster on a network with LAN latencies, in which a random node is killed at a
random moment of the probe rounds. The same seeds run with the classic settings. Beside them stand
Serf's medians, measured on real processes on one machine, and SWIM's expected first detection.
Last, half of a cluster of 20 is killed at once, and then 15 of 20.

There are 50 kills and more for each size but 1,000 nodes, where each one takes a quarter of a
minute of CPU or more under each rule; `--seeds-large 50` makes as many of them, in about half an
hour. About 5 minutes with two jobs, nearly half of them for 1,000 nodes.
"""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Iterator
from typing import NamedTuple

from gossipd.core import Settings
from gossipd.simulator import theory
from gossipd.simulator.measures import Measures
from gossipd.simulator.report import Summary
from gossipd.simulator.verdicts import Detection
from tests.bench.program import (
    OURS,
    RULES,
    Row,
    options,
    quiet_cluster,
    report,
    spread,
)

BOUNDS = {2: 4.0, 5: 3.0, 20: 3.0, 100: 3.5, 1000: 4.0}
"""Seconds within which all others know, median, by the size of the cluster."""

P99_BOUNDS = {20: 5.0}

LARGE = 1000
"""From this size on there are fewer seeds than 50, for each one takes long."""

MANY = {10: 12.0, 15: 25.0}
"""Killed at once, and seconds within which all others know of all, median."""

OF_NODES = 20

SERF = {5: (1.8, 5.8), 20: (1.5, 6.9), 100: (1.7, 10.2)}
"""(first suspicion, all others say failed): medians of Serf 0.9.4, LAN defaults, kill -9 of real
processes on loopback, seconds."""

PATIENCE = 90.0
"""Seconds after which a kill counts as not found."""

QUICK_SEEDS = 8
QUICK_SIZES = (2, 5, 20)


class Kill(NamedTuple):
    seed: int
    settings: Settings
    nodes: int
    killed: int = 1
    """How many at once."""


def kill(task: Kill) -> Detection:
    """Kill a random node of a cluster at rest and wait until all others know."""
    (detection,) = kill_at_once(task)
    return detection


def kill_at_once(task: Kill) -> list[Detection]:
    """Kill random nodes of a cluster at rest and wait until all others know of all of them."""
    world = quiet_cluster(task.seed, task.settings, task.nodes)
    measures = Measures(world)
    for victim in world.rng.sample(list(world.running), task.killed):
        measures.kill(victim)
    found = measures.verdicts.detections
    until = world.now + PATIENCE
    while any(kill.known_after is None for kill in found) and world.now < until:
        measures.run(0.5)
    return found


def measure(wanted: Namespace) -> Iterator[Row]:
    for nodes in QUICK_SIZES if wanted.quick else BOUNDS:
        seeds = wanted.seeds_large if nodes >= LARGE else wanted.seeds
        seeds = min(seeds, QUICK_SEEDS) if wanted.quick else seeds
        tasks = [Kill(seed, rule, nodes) for rule in RULES for seed in range(seeds)]
        found = list(spread(kill, tasks, wanted.jobs))
        yield from _rows(nodes, found[:seeds], found[seeds:])
    seeds = min(wanted.seeds, QUICK_SEEDS) if wanted.quick else wanted.seeds
    for count in MANY:
        tasks = [Kill(seed, rule, OF_NODES, count) for rule in RULES for seed in range(seeds)]
        many = list(spread(kill_at_once, tasks, wanted.jobs))
        yield from _rows_of_many(count, _last(many[:seeds]), _last(many[seeds:]))


def _last(found: list[list[Detection]]) -> list[float | None]:
    """For each cluster, when all that remained knew of all that were killed; None: never."""
    return [
        max(kill.known_after or 0.0 for kill in kills)
        if all(kill.known_after is not None for kill in kills)
        else None
        for kills in found
    ]


def _rows_of_many(
    count: int, ours: list[float | None], classic: list[float | None]
) -> Iterator[Row]:
    known, then = Summary.of_all(ours), Summary.of_all(classic)
    what = f"{count} of {OF_NODES} killed at once: all known, median"
    yield Row(what, known.median, MANY[count], "s", then.median, f"{len(ours)} clusters")
    yield Row("  max", known.max, None, "s", then.max)
    missed, classic_missed = ours.count(None), classic.count(None)
    yield Row(f"  not all found in {PATIENCE:g} s", missed, None, "clusters", classic_missed)


def _rows(nodes: int, ours: list[Detection], classic: list[Detection]) -> Iterator[Row]:
    serf = SERF.get(nodes)
    swim = theory.first_detection_periods() * OURS.probe_interval
    first, then_first = (_suspected(found) for found in (ours, classic))
    note = f"SWIM expects {swim:.2f}" + (f"; Serf {serf[0]}" if serf else "")
    what = f"N = {nodes:,}, {len(ours)} kills: first suspicion, median"
    yield Row(what, first.median, classic=then_first.median, note=note)
    known, then = (_known(found) for found in (ours, classic))
    note = f"Serf {serf[1]}" if serf else ""
    yield Row("  all others know: median", known.median, BOUNDS[nodes], "s", then.median, note)
    yield Row("  all others know: p99", known.p99, P99_BOUNDS.get(nodes), "s", then.p99)
    yield Row("  all others know: max", known.max, None, "s", then.max)
    missed, classic_missed = len(ours) - known.count, len(classic) - then.count
    if missed or classic_missed:
        yield Row(f"  not found in {PATIENCE:g} s", missed, 0, "kills", classic_missed)


def _suspected(found: list[Detection]) -> Summary:
    return Summary.of_all(detection.suspected_after for detection in found)


def _known(found: list[Detection]) -> Summary:
    return Summary.of_all(detection.known_after for detection in found)


def main(arguments: list[str]) -> int:
    """Measure and print; 1 when a bound was missed."""
    parser = options(__doc__)
    parser.add_argument("--seeds", type=int, default=60, help="kills per size (60)")
    parser.add_argument("--seeds-large", type=int, default=4, help="kills at N = 1,000 (4)")
    wanted = parser.parse_args(arguments)
    return report(measure(wanted), wanted.json)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
