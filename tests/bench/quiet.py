"""How often members that live are suspected and declared failed: by loss, and by stalled members.

    python -m tests.bench.quiet [--hours 500] [--stall-hours 1] [--jobs 2] [--quick] [--json]
        [--losses 0,0.05,0.1,0.3] [--classic-hours 500] [--parts loss,stall,trade]

Clusters of 20 run for `--hours` node-hours at each rate of loss. Then 4 of 20 and 16 of 100
members stall for an hour in all: each goes on for a random 2 to 8 s, stops for a random 1 to 6 s,
and so on, independently of the others. The same seeds run with the classic settings. A suspicion
is a distinct (member, generation, incarnation), whoever holds it. Beside those of healthy members
stands how many probes fail by SWIM's formula, which may be more: several that fail on one
incarnation are one suspicion. In the end `suspicion_mult` is varied: how often stalled members are
declared failed, against the time until a kill is known. `--parts` runs some of these alone.

The classic rule runs `--classic-hours` where it is only shown; where it is the bound, at 30 % loss
and where members stall, as long as the defaults.

Clusters run one hour at most, stalling ones ten minutes, so that memory stays what one task needs.
About 45 minutes with two jobs, most of them for 500 node-hours; a minute or two with --quick.
"""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Iterator, Sequence
from dataclasses import replace
from heapq import heapify, heapreplace
from random import Random
from typing import NamedTuple

from gossipd.core import MemberChanged, Settings, Status
from gossipd.simulator import theory
from gossipd.simulator.report import Summary
from tests.bench.classic import CLASSIC
from tests.bench.detection import Kill, kill
from tests.bench.program import (
    OURS,
    RULES,
    Row,
    options,
    quiet_cluster,
    report,
    spread,
    with_parts,
)
from tests.simulation.faulty.world import World

NODES = 20
LOSSES = (0.0, 0.05, 0.1, 0.3)
HARSH = 0.3
"""From this loss on the bound is what the classic rule does in the same runs, not zero."""

PARTS = ("loss", "stall", "trade")

STALLING = ((4, 20), (16, 100))
"""(members that stall, of how many)."""
PULSE = (1.0, 6.0)
"""A member stands still for so long, seconds."""
PAUSE = (2.0, 8.0)
"""Between two pulses, seconds."""

MULTS = (0.7, 1.5, 2.5, 4.0)
"""The `suspicion_mult` of the trade-off."""
MULT_SEEDS = 40
"""Kills for each of them."""

HOUR = 3600.0
TASK, STALL_TASK = HOUR, HOUR / 6
"""What one process simulates at a time, seconds."""
READ = 10.0
"""Simulated seconds between two readings of what happened."""

QUICK_HOURS, QUICK_STALL_HOURS, QUICK_SEEDS = 5.0, 0.03, 6


class Watch(NamedTuple):
    seed: int
    settings: Settings
    nodes: int
    seconds: float
    loss: float = 0.0
    stalling: int = 0


class Blame(NamedTuple):
    """Distinct (member, generation, incarnation) that ran and were held as suspect, as failed."""

    suspected: int = 0
    failed: int = 0
    stalled_suspected: int = 0
    stalled_failed: int = 0

    def __add__(self, other: object) -> Blame:
        assert isinstance(other, Blame)
        return Blame(*(a + b for a, b in zip(self, other, strict=True)))


class Pulses:
    """Members that stand still again and again."""

    def __init__(self, world: World, count: int) -> None:
        self._world, self._rng = world, Random(world.rng.getrandbits(64))
        self.victims = set(self._rng.sample(list(world.running), count))
        self._next = [
            (world.now + self._rng.uniform(*PAUSE), name, False) for name in sorted(self.victims)
        ]
        heapify(self._next)

    @property
    def next_at(self) -> float:
        """When the next one stops or goes on."""
        return self._next[0][0] if self._next else float("inf")

    def turn(self) -> None:
        """Stop or continue whose time it is."""
        at, name, stalled = self._next[0]
        if stalled:
            self._world.resume(name)
        else:
            self._world.stall(name)
        lasts = self._rng.uniform(*(PAUSE if stalled else PULSE))
        heapreplace(self._next, (at + lasts, name, not stalled))


def watch(task: Watch) -> Blame:
    """Run a cluster in which nobody dies; whatever is blamed is blamed wrongly."""
    world = quiet_cluster(task.seed, task.settings, task.nodes)
    world.network.loss = task.loss
    pulses = Pulses(world, task.stalling)
    suspected: set[tuple[str, int, int]] = set()
    failed: set[tuple[str, int, int]] = set()
    end = world.now + task.seconds
    while world.now < end:
        world.run(min(READ, end - world.now, max(0.0, pulses.next_at - world.now)))
        if pulses.next_at <= world.now:
            pulses.turn()
        for _, _, effect in world.effects:
            if isinstance(effect, MemberChanged):
                view = effect.view
                life = (view.name, view.generation, view.incarnation)
                if view.status is Status.SUSPECT:
                    suspected.add(life)
                elif view.status is Status.FAILED:
                    failed.add(life)
        world.effects.clear()
    return Blame(
        *(
            sum((name in pulses.victims) is stalled for name, _, _ in lives)
            for stalled in (False, True)
            for lives in (suspected, failed)
        )
    )


def _sums(wanted: Sequence[Watch], jobs: int) -> list[Blame]:
    """What each of them gives, run in tasks of bounded size, a seed each."""
    tasks = [list(_tasks(like)) for like in wanted]
    found = spread(watch, [task for parts in tasks for task in parts], jobs)
    return [sum((next(found) for _ in parts), Blame()) for parts in tasks]


def _tasks(like: Watch) -> Iterator[Watch]:
    count = max(1, round(like.seconds / (STALL_TASK if like.stalling else TASK)))
    for seed in range(count):
        yield like._replace(seed=seed, seconds=like.seconds / count)


def lossy(losses: Sequence[float], hours: float, classic_hours: float, jobs: int) -> Iterator[Row]:
    """Nobody stalls, datagrams are lost; hours of one node."""
    for loss in losses:
        then_hours = hours if loss >= HARSH else classic_hours
        like = Watch(0, OURS, NODES, hours / NODES * HOUR, loss)
        then_like = like._replace(settings=CLASSIC, seconds=then_hours / NODES * HOUR)
        ours, classic = _sums((like, then_like), jobs)
        bound = classic.failed if loss >= HARSH else 0
        label = f"{100 * loss:g} % loss, {hours:g} node-hours"
        note = "" if then_hours == hours else f"classic: {then_hours:g} node-hours"
        yield Row(f"{label}: healthy failed", ours.failed, bound, "", classic.failed, note)
        probes = hours * HOUR / OURS.probe_interval
        expected = theory.false_suspicion_probability(loss, OURS.indirect_probes) * probes
        note = f"SWIM predicts {expected:,.0f} failed probes"
        yield Row("  healthy suspected", ours.suspected, None, "", classic.suspected, note)


def stalling(hours: float, jobs: int) -> Iterator[Row]:
    """Some members stall; `hours` of the cluster."""
    for count, nodes in STALLING:
        like = Watch(0, OURS, nodes, hours * HOUR, stalling=count)
        ours, classic = _sums([like._replace(settings=rule) for rule in RULES], jobs)
        label = f"{count} of {nodes} stall for {hours:g} h"
        yield Row(f"{label}: healthy failed", ours.failed, 0, "", classic.failed)
        yield Row("  healthy suspected", ours.suspected, classic.suspected, "", classic.suspected)
        everybody, then = (blame.suspected + blame.stalled_suspected for blame in (ours, classic))
        yield Row("  suspected, stalled ones included", everybody, then, "", then)
        yield Row("  stalled failed", ours.stalled_failed, None, "", classic.stalled_failed)


def trading(hours: float, seeds: int, jobs: int) -> Iterator[Row]:
    """What a longer suspicion costs and saves."""
    count, nodes = STALLING[0]
    rules = [*(replace(OURS, suspicion_mult=mult) for mult in MULTS), CLASSIC]
    like = Watch(0, OURS, nodes, hours * HOUR, stalling=count)
    blames = _sums([like._replace(settings=rule) for rule in rules], jobs)
    for rule, blame in zip(rules, blames, strict=True):
        kills = [Kill(seed, rule, nodes) for seed in range(seeds)]
        known = Summary.of_all(found.known_after for found in spread(kill, kills, jobs))
        name = "classic" if rule is CLASSIC else f"suspicion_mult = {rule.suspicion_mult:g}"
        yield Row(f"{name}: a kill is known to all, median", known.median)
        per_hour = blame.stalled_failed / (hours * count)
        yield Row("  one stalled member is declared failed", per_hour, None, "per hour")


def measure(wanted: Namespace) -> Iterator[Row]:
    hours = QUICK_HOURS if wanted.quick else wanted.hours
    stall_hours = QUICK_STALL_HOURS if wanted.quick else wanted.stall_hours
    classic_hours = hours if wanted.quick or not wanted.classic_hours else wanted.classic_hours
    if "loss" in wanted.parts:
        yield from lossy(wanted.losses, hours, classic_hours, wanted.jobs)
    if "stall" in wanted.parts:
        yield from stalling(stall_hours, wanted.jobs)
    if "trade" in wanted.parts:
        seeds = QUICK_SEEDS if wanted.quick else MULT_SEEDS
        yield from trading(stall_hours, seeds, wanted.jobs)


def _losses(text: str) -> tuple[float, ...]:
    losses = tuple(map(float, text.split(",")))
    if not all(0 <= loss < 1 for loss in losses):
        raise ValueError("a part is at least 0 and below 1")
    return losses


def main(arguments: list[str]) -> int:
    """Measure and print; 1 when a bound was missed."""
    parser = with_parts(options(__doc__), PARTS)
    parser.add_argument("--hours", type=float, default=500.0, help="node-hours per loss (500)")
    parser.add_argument("--stall-hours", type=float, default=1.0, help="hours of stalls (1)")
    parser.add_argument("--losses", type=_losses, default=LOSSES, help="0,0.05,0.1,0.3")
    parser.add_argument(
        "--classic-hours",
        type=float,
        default=0.0,
        help="node-hours of the classic rule where it is only shown (those of --hours)",
    )
    wanted = parser.parse_args(arguments)
    return report(measure(wanted), wanted.json)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
