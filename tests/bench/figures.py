"""The figures that are told of gossipd, measured on real processes and printed as a table.

    python -m tests.bench.figures [--json]

Nodes keep their state as they do by default, on the disk that holds the directory for temporary
files (`TMPDIR`), except where a line says `in memory`.

It takes about seven minutes and wants a machine that does nothing else. Partitions are measured in
network namespaces, so as root; elsewhere those rows say why they are missing.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.e2e import namespaces, scenarios
from tests.e2e.cluster import (
    Cluster,
    agree,
    counted,
    see,
)
from tests.e2e.namespaces import Network
from tests.e2e.node import until

KILLS = 5
DETECTING = (5, 20)
DETECTED_BOUND = 3.0
"""Seconds: that of the simulator (`tests.bench.detection`)."""
STOPPED = 30.0
CUT = 60.0
CUT_ONE_WAY = 20.0
FULL_SPEED = 10.0
RANDOM = 8.0
REST = 10.0


class Figure(NamedTuple):
    what: str
    measured: float | None
    bound: float | None
    unit: str = "s"
    note: str = ""

    @property
    def kept(self) -> bool:
        return self.measured is None or self.bound is None or self.measured <= self.bound


@contextmanager
def fresh() -> Iterator[Cluster]:
    """A cluster whose logs are shown if something goes wrong, mishaps included."""
    with tempfile.TemporaryDirectory() as directory, Cluster(Path(directory)) as cluster:
        try:
            yield cluster
            if mishaps := cluster.mishaps():
                raise AssertionError(f"mishaps in the logs: {mishaps}")
        except BaseException:
            cluster.show()
            raise


def forming() -> Iterator[Figure]:
    for count, bound in ((5, 3.0), (20, 6.0)):
        with fresh() as cluster:
            took = scenarios.form(cluster, count)
            yield Figure(f"{count} nodes started at once see {count} alive", took, bound)


def counting() -> Iterator[Figure]:
    with fresh() as cluster:
        nodes = cluster.start(5)
        lag = scenarios.three_ways(nodes, 1000)
        yield Figure("1,000 increments, three ways in: all exact after", lag, 1.0)
        rate, lag = scenarios.full_speed(nodes, FULL_SPEED)
        yield Figure(f"5 nodes at full speed for {FULL_SPEED:g} s: answered", rate, None, "1/s")
        yield Figure("... and all exact after", lag, None)
        lag = scenarios.random_load(nodes, RANDOM)
        yield Figure(f"{RANDOM:g} s of random load: fingerprints equal after", lag, 2.0)
        packets, wakeups = scenarios.rest(nodes, REST)
        yield Figure("at rest each node sends at most", packets, 3.0, "packets/s")
        yield Figure("... and its loop wakes up at most", wakeups, 4.0, "times/s")
        took = scenarios.late_joiner(cluster, nodes)
        yield Figure("a late joiner is ready with the full count", took, 2.0)
    with fresh() as cluster:
        rate, lag = scenarios.full_speed(cluster.start(5, "--in-memory"), FULL_SPEED)
        yield Figure("5 nodes at full speed, in memory: answered", rate, None, "1/s")
        yield Figure("... and all exact after", lag, None)


def failing() -> Iterator[Figure]:
    with fresh() as cluster:
        nodes = cluster.start(5)
        kills = [scenarios.kill(nodes) for _ in range(KILLS)]
        tries = " ".join(f"{kill.detected:.1f}" for kill in kills)
        middle = statistics.median(kill.detected for kill in kills)
        yield Figure(f"kill -9: failed everywhere, median of {KILLS}", middle, 6.0, note=tries)
        worst = max(kill.returned for kill in kills)
        yield Figure("... restarted: alive with the full count, worst", worst, 3.0)
        took = scenarios.stop_and_continue(nodes, STOPPED)
        yield Figure(f"SIGSTOP for {STOPPED:g} s: back with the full count", took, 3.0)


def detecting() -> Iterator[Figure]:
    for count in DETECTING:
        with fresh() as cluster:
            nodes = cluster.start(count)
            found: list[float] = []
            for number in range(KILLS):
                victim = nodes[number * count // KILLS]
                others = [node for node in nodes if node is not victim]
                _pause(1 + number / KILLS)  # at another moment of the probes each time
                victim.kill()
                found.append(see(others, victim.name, "failed", within=20))
                victim.start(join=others[:1])
                agree(nodes, within=20)
            tries = " ".join(f"{seconds:.1f}" for seconds in found)
            what = f"kill -9 of one of {count} at rest: known to all, median"
            yield Figure(what, statistics.median(found), DETECTED_BOUND, note=tries)


def _pause(seconds: float) -> None:
    end = time.monotonic() + seconds
    until(lambda: time.monotonic() >= end, seconds + 1, "the time is over")


def leaving() -> Iterator[Figure]:
    with fresh() as cluster:
        nodes = cluster.start(5)
        total = 0
        for how, leavers in (("SIGTERM", 1), ("SIGINT", 1), ("command", 1), ("SIGTERM", 2)):
            took = scenarios.leave(nodes, nodes[-leavers:], how)
            total += 1000 * leavers
            yield Figure(f"{how}, {leavers} of 5: the others say left", took, 1.0)
            for node in nodes[-leavers:]:
                node.start(join=nodes[:1])
            agree(nodes, within=10)
            counted(nodes, total, within=5)


def partitions() -> Iterator[Figure]:
    why = namespaces.why_none()
    if why:
        yield Figure("partitions", None, None, note=why)
        return
    with fresh() as cluster, Network(5) as network:
        try:
            nodes = scenarios.networked(cluster, network)
            took = scenarios.split(nodes, network, CUT)
            yield Figure(f"two halves cut for {CUT:g} s: one again after the heal", took, 5.0)
            for deaf in (True, False):
                took = scenarios.deaf_or_mute(nodes, network, CUT_ONE_WAY, deaf)
                what = "hears nobody" if deaf else "is heard by nobody"
                yield Figure(f"a node {what} for {CUT_ONE_WAY:g} s: well after", took, 5.0)
        finally:
            cluster.close()  # the processes end before their network does


PARTS: tuple[Callable[[], Iterator[Figure]], ...] = (
    forming,
    counting,
    failing,
    detecting,
    leaving,
    partitions,
)


def row(figure: Figure) -> str:
    measured = "-" if figure.measured is None else f"{figure.measured:,.2f}"
    bound = "" if figure.bound is None else f"<= {figure.bound:g}"
    verdict = "" if figure.kept else "  MISSED"
    note = f"  ({figure.note})" if figure.note else ""
    return f"{figure.what:<58} {measured:>12} {figure.unit:<10} {bound:<6}{verdict}{note}"


def main(arguments: list[str]) -> int:
    """Measure and print; 1 when a bound was missed."""
    began = time.monotonic()
    figures: list[Figure] = []
    for part in PARTS:
        for figure in part():
            figures.append(figure)
            if "--json" not in arguments:
                print(row(figure), flush=True)
    if "--json" in arguments:
        print(json.dumps([{**figure._asdict(), "kept": figure.kept} for figure in figures]))
    else:
        print(f"measured in {time.monotonic() - began:.0f} s")
    return 0 if all(figure.kept for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
