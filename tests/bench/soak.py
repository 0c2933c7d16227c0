"""Whether memory stays flat while nodes come and go: for simulated weeks, and for real minutes.

    python -m tests.bench.soak [--weeks 1] [--seeds 2] [--jobs 2] [--quick] [--json]
    python -m tests.bench.soak --real 30 [--json]

Simulated: five nodes probe every 10 s, which makes a week affordable (about 4 minutes of CPU, most
of it for tracing memory), and remember the dead for 4 h. Every 10 minutes one of four of them dies
and comes back, leaves and comes back, comes back under a name never used before, or a failed name
is forgotten. The fifth one stays and counts. Nobody else counts: each life that does adds a stream
to the log for ever, by design. Every 2 h all but that one start anew, which leaves their random
ages out of the figures; then all counts must be exact and memory is sampled. What is measured is
the slope of the memory that Python objects hold, by least squares, after 30 h: until then what is
bounded by count fills up (the last 4,096 pings without an answer take longest).

Real: five processes, of which two are killed or asked to leave in turn, one every 20 s, and come
back. Measured is the slope of the resident memory of those that stay, after a third of the time,
by least squares, times the measured two thirds: by how much they have grown.
"""

from __future__ import annotations

import gc
import signal
import sys
import tempfile
import time
import tracemalloc
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from statistics import linear_regression
from typing import NamedTuple

from gossipd.core import Settings, Status
from tests.bench.program import (
    Row,
    options,
    report,
    spread,
)
from tests.e2e import load
from tests.e2e.cluster import (
    Cluster,
    agree,
    counted,
    see,
)
from tests.e2e.node import Node, until
from tests.simulation.faulty.world import World

HOUR = 3600.0
WEEK = 7 * 24 * HOUR

NODES = 5
STAYING, *GOING = [f"n{number}" for number in range(NODES)]

SETTINGS = Settings(
    probe_interval=10.0,
    contact_interval=20.0,
    pull_interval=5.0,
    join_retry_max=60.0,
    remember=4 * HOUR,
    tail_size=100,
)

EVENT_INTERVAL = 600.0
DOWN = 120.0
"""Seconds until a process that ended is started again, in which it was found to be gone."""
COUNT_INTERVAL = 120.0
SAMPLE_INTERVAL = 2 * HOUR
WARM_UP = 30 * HOUR
"""Until then memory fills what is bounded."""

SLOPE_MAX = 100.0
"""KiB per week of five nodes and their world: a hundred bytes for each restart would be more."""
MEMBERS_MAX = 60
"""Entries in any table: those who live, and the ghosts of `remember`."""

REAL_INTERVAL = 20.0
REAL_GOING = 2
REAL_WARM_UP = 1 / 3
"""The part of the time that is not measured."""
REAL_GROWTH_MAX = 3.0
"""MiB per node in the measured time. CPython takes memory from the system in arenas of 1 MiB, and
a few may come late. In 30 minutes it is 50 KiB for each of 60 restarts: what leaks a datagram's
worth for each one that is handled (thousands in that time) is well above it."""
TAIL_FULL = 1500
"""Increments that fill `/log`, and with it what is bounded by count."""

QUICK_WEEKS = 2 / 7


class Ask(NamedTuple):
    seed: int
    weeks: float


class Soaked(NamedTuple):
    slope: float
    """Bytes per week."""
    last: float
    """Bytes in the end."""
    lives: int
    names: int
    members: int
    """The most entries that any table had."""
    streams: int
    cpu: float


class Restless:
    """A cluster in which somebody always comes or goes."""

    def __init__(self, seed: int) -> None:
        self.world = World(seed, SETTINGS)
        self.world.formed(NODES)
        self.made = 0
        self.names = {name: name for name in GOING}
        """What the node on each host is called now."""
        self.names_used = NODES

    def run(self, seconds: float) -> None:
        """Let time pass, and the one that stays count."""
        until_at = self.world.now + seconds
        while self.world.now < until_at:
            self.world.run(min(COUNT_INTERVAL, until_at - self.world.now))
            self.world.increment(STAYING, f"counter-{self.made % 10}")
            self.made += 1
            self.world.effects.clear()
            self.world.made.clear()

    def event(self) -> None:
        """Something happens to one node, and is over when this returns."""
        rng = self.world.rng
        name, what = rng.choice(GOING), rng.choice(("die", "leave", "rename", "forget"))
        if what == "forget":
            self._forget()
        elif what == "leave":
            self.world.leave(name)
        else:
            self.world.crash(name)
        if what == "rename":
            self.names_used += 1
            self.names[name] = f"{name}-{self.names_used}"
        self.run(DOWN)
        if what != "forget":
            assert name not in self.world.running, f"{name} has not left"
            self.world.start(name, self.names[name])

    def _forget(self) -> None:
        node = self.world.node(STAYING)
        failed = [view.name for view in node.members if view.status is Status.FAILED]
        if failed:
            self.world.forget(STAYING, self.world.rng.choice(failed))

    def renew(self) -> None:
        """Let all start anew but the one that stays."""
        for name in GOING:
            self.world.crash(name)
        self.run(DOWN)
        for name in GOING:
            self.world.start(name, self.names[name])
        self.run(DOWN)
        self.world.run(COUNT_INTERVAL)

    def check(self) -> None:
        """All that run see each other, and all counts are exact."""
        nodes = self.world.running.values()
        assert {node.live_count for node in nodes} == {NODES}
        assert {sum(node.log.values.values()) for node in nodes} == {self.made}


def soak(task: Ask) -> Soaked:
    """Let a cluster live for weeks."""
    began = time.process_time()
    tracemalloc.start()
    restless = Restless(task.seed)
    world, seconds = restless.world, task.weeks * WEEK
    samples: list[tuple[float, float]] = []
    members = 0
    while world.now < seconds:
        for _ in range(round(SAMPLE_INTERVAL / EVENT_INTERVAL)):
            restless.event()
            restless.run(EVENT_INTERVAL - DOWN)
            members = max(members, *(len(node.members) for node in world.running.values()))
        restless.renew()
        restless.check()
        gc.collect()
        samples.append((world.now / WEEK, tracemalloc.get_traced_memory()[0]))
    return Soaked(
        _slope([sample for sample in samples if sample[0] > WARM_UP / WEEK]),
        samples[-1][1],
        sum(host.lives for host in world.hosts.values()),
        restless.names_used,
        members,
        world.node(STAYING).log.stream_count,
        time.process_time() - began,
    )


def _slope(samples: list[tuple[float, float]]) -> float:
    """Of what was sampled, per unit of time."""
    times, figures = zip(*samples, strict=True)
    return linear_regression(times, figures).slope


def simulated(wanted: Namespace) -> Iterator[Row]:
    weeks = QUICK_WEEKS if wanted.quick else wanted.weeks
    tasks = [Ask(seed, weeks) for seed in range(1 if wanted.quick else wanted.seeds)]
    for number, one in enumerate(spread(soak, tasks, wanted.jobs)):
        what = f"seed {number}, {weeks:.3g} weeks: memory grows by"
        # Less than a week says little about a week.
        bound = SLOPE_MAX / min(1.0, weeks)
        note = f"of {one.last / 1024:,.0f} KiB"
        yield Row(what, one.slope / 1024, bound, "KiB/week", note=note)
        note = f"{one.lives} processes, {one.names} names"
        yield Row("  most members in a table", one.members, MEMBERS_MAX, "", note=note)
        yield Row("  streams in the log", one.streams, 1, "")
        yield Row("  CPU", one.cpu)


# --- real processes ------------------------------------------------------------------------------


def real(minutes: float) -> Iterator[Row]:
    """Processes on this machine."""
    samples: dict[str, list[tuple[float, float]]] = {}
    restarts = 0
    with tempfile.TemporaryDirectory() as directory, Cluster(Path(directory)) as cluster:
        nodes = cluster.start(NODES)
        staying, going = nodes[:-REAL_GOING], nodes[-REAL_GOING:]
        load.by_text(staying[0], TAIL_FULL)
        began = time.monotonic()
        while time.monotonic() - began < 60 * minutes:
            victim = going[restarts % REAL_GOING]
            _restart(nodes, staying, victim, kill=restarts % (2 * REAL_GOING) < REAL_GOING)
            restarts += 1
            staying[0].increment()
            counted(nodes, TAIL_FULL + restarts, within=5)
            until(
                lambda: time.monotonic() - began >= restarts * REAL_INTERVAL,  # noqa: B023
                REAL_INTERVAL + 1,
                "the next restart is due",
            )
            for node in staying:
                at = (time.monotonic() - began) / 60
                samples.setdefault(node.name, []).append((at, node.resident / 1024))
        mishaps = cluster.mishaps()
    for name, found in samples.items():
        warm = found[int(REAL_WARM_UP * len(found)) :]
        note = f"{warm[0][1] / 1024:.2f} to {warm[-1][1] / 1024:.2f} MiB, {restarts} restarts"
        what = f"{name}, {minutes:g} real minutes: memory grows by"
        growth = _slope(warm) * (warm[-1][0] - warm[0][0]) / 1024
        yield Row(what, growth, REAL_GROWTH_MAX, "MiB", note=note)
    yield Row("  mishaps in the logs", len(mishaps), 0, "")


def _restart(nodes: list[Node], staying: list[Node], victim: Node, kill: bool) -> None:
    if kill:
        victim.kill()
    else:
        victim.send(signal.SIGTERM)
        victim.ended()
    see(staying, victim.name, "failed" if kill else "left", within=20)
    victim.start(join=nodes[:1])
    agree(nodes, within=20)


def main(arguments: list[str]) -> int:
    """Measure and print; 1 when a bound was missed."""
    parser = options(__doc__)
    parser.add_argument("--weeks", type=float, default=1.0, help="simulated weeks (1)")
    parser.add_argument("--seeds", type=int, default=2, help="simulated clusters (2)")
    parser.add_argument("--real", type=float, metavar="MINUTES", help="real processes instead")
    wanted = parser.parse_args(arguments)
    rows = real(wanted.real) if wanted.real else simulated(wanted)
    return report(rows, wanted.json)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
