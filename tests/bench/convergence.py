"""How fast increments reach every node, and how many datagrams that takes.

    python -m tests.bench.convergence [--seeds 5] [--jobs 2] [--quick] [--json]

Increments come at random moments (a Poisson process), each on a random node. An increment has
arrived when *every* node holds it. Messages are datagrams of any kind, those of probes included,
over the increments. Percentiles are over the increments of all seeds together. The same seeds run
with the classic settings.

One setting is that of the challenge "efficient broadcast" of the Gossip Glomers: 25 nodes, 100 ms
on every link, 100 operations/s. It counts reads as operations, which cost no message here and are
half of its load, so its messages per operation are half of those per increment shown here. Its
targets are below 30 messages with median < 400 ms and max < 600 ms, or below 20 with < 1 s and
< 2 s.

Beside the medians stands what log N rounds (SWIM, 4.1: an infection that multiplies by fan-out
and one) take at least, where a round is one link. About 10 minutes with two jobs.
"""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from gossipd.core import Settings
from gossipd.simulator import theory
from gossipd.simulator.distribution import Distribution
from gossipd.simulator.measures import Measures
from tests.bench.program import (
    OURS,
    RULES,
    Row,
    options,
    quiet_cluster,
    report,
    spread,
)
from tests.simulation.faulty.link import Constant, Latency, Link

LAN = Link().latency

DRAIN = 10.0
"""Seconds after the last increment in which all must have arrived."""

QUICK_SECONDS = 5.0


class Bounds(NamedTuple):
    """Seconds, and datagrams per increment; None: it is only told."""

    median: float | None = None
    p99: float | None = None
    max: float | None = None
    messages: float | None = None


class Setting(NamedTuple):
    """A cluster under load."""

    name: str
    nodes: int
    rate: float
    """Increments per second in the whole cluster."""
    seconds: float
    bounds: Bounds
    latency: Latency = LAN
    loss: float = 0.0


SETTINGS = (
    Setting("N = 5, 10/s", 5, 10.0, 120.0, Bounds(0.03, 0.1)),
    Setting("N = 20, 10/s", 20, 10.0, 120.0, Bounds(0.03, 0.1)),
    Setting("N = 20, 10/s, 10 % loss", 20, 10.0, 120.0, Bounds(p99=0.5), loss=0.1),
    Setting(
        "Glomers, N = 25, 100/s",
        25,
        100.0,
        20.0,
        Bounds(0.4, 0.6, 1.0, 25.0),
        Constant(0.1),
    ),
)


class Load(NamedTuple):
    seed: int
    settings: Settings
    setting: Setting


class Spreading(NamedTuple):
    """What came of one load, or of several."""

    whole: Distribution
    pairs: Distribution
    made: int
    packets: int
    """Sent while the load lasted."""
    unfinished: int


def load(task: Load) -> Spreading:
    """Run one cluster under load."""
    setting = task.setting
    world = quiet_cluster(task.seed, task.settings, setting.nodes)
    world.network.latency, world.network.loss = setting.latency, setting.loss
    world.run(5 * task.settings.probe_interval)
    names = list(world.running)
    measures = Measures(world)
    end = world.now + setting.seconds
    next_at = world.now + world.rng.expovariate(setting.rate)
    while next_at < end:
        measures.run(next_at - world.now)
        world.increment(world.rng.choice(names))
        next_at = world.now + world.rng.expovariate(setting.rate)
    measures.run(end - world.now)
    packets = measures.traffic.packets
    measures.run(DRAIN)
    found = measures.spread
    return Spreading(found.whole, found.pairs, found.made, packets, found.unfinished)


def pooled(found: Sequence[Spreading]) -> Spreading:
    """Several loads as one: percentiles are over all their increments."""
    whole, pairs = Distribution(), Distribution()
    for one in found:
        whole.include(one.whole)
        pairs.include(one.pairs)
    made, packets, unfinished = (
        sum(counts)
        for counts in zip(*((one.made, one.packets, one.unfinished) for one in found), strict=True)
    )
    return Spreading(whole, pairs, made, packets, unfinished)


def measure(wanted: Namespace) -> Iterator[Row]:
    settings = [
        setting._replace(seconds=QUICK_SECONDS) if wanted.quick else setting
        for setting in SETTINGS
    ]
    seeds = range(1, 1 + (1 if wanted.quick else wanted.seeds))
    tasks = [Load(seed, rule, each) for each in settings for rule in RULES for seed in seeds]
    found = spread(load, tasks, wanted.jobs)
    for setting in settings:
        ours, classic = (pooled([next(found) for _ in seeds]) for _ in RULES)
        yield from _rows(setting, ours, classic)


def _rows(setting: Setting, ours: Spreading, classic: Spreading) -> Iterator[Row]:
    bounds = setting.bounds
    rounds = theory.dissemination_rounds(setting.nodes, OURS.gossip_fanout)
    low, high = setting.latency.bounds
    note = f"log N: {rounds:.1f} rounds, {rounds * (low + high) / 2 * 1000:.1f} ms of links"
    what = f"{setting.name}: on all nodes, median"
    yield _row(what, ours.whole.median, bounds.median, classic.whole.median, note)
    yield _row("  p99", ours.whole.p99, bounds.p99, classic.whole.p99)
    yield _row("  max", ours.whole.max, bounds.max, classic.whole.max)
    yield _row("  on one more node, median", ours.pairs.median, None, classic.pairs.median)
    messages, then = (found.packets / found.made for found in (ours, classic))
    note = f"{ours.made:,} increments"
    yield Row("  messages per increment", messages, bounds.messages, "", then, note)
    yield Row("  never on all nodes", ours.unfinished, 0, "", classic.unfinished)


def _row(
    what: str, ours: float | None, bound: float | None, classic: float | None, note: str = ""
) -> Row:
    """Times in milliseconds."""
    found, most, then = (None if s is None else 1000 * s for s in (ours, bound, classic))
    return Row(what, found, most, "ms", then, note)


def main(arguments: list[str]) -> int:
    """Measure and print; 1 when a bound was missed."""
    parser = options(__doc__)
    parser.add_argument("--seeds", type=int, default=5, help="clusters per setting (5)")
    wanted = parser.parse_args(arguments)
    return report(measure(wanted), wanted.json)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
