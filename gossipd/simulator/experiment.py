"""One run of a cluster under a user's wishes: the real core, their settings, one seed.

Phases, in simulated time:

1. *Form.* The nodes know each other from the beginning; for a while nothing happens.
2. *Load*, for the whole time that is asked for: increments at a steady rate, each on a random node
   that runs; loss from the beginning. Kills of random nodes are spread evenly over the time before
   the partition. The partition, into two halves, begins after 60 % of the time that is not
   partition, and heals when its time is over.
3. *End.* No more increments, no loss; it is waited until all logs and member tables are equal, and
   the counts are compared with what was acknowledged.

Traffic is that of the load; detections and verdicts are watched to the end.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from heapq import merge
from itertools import pairwise
from statistics import fmean
from typing import NamedTuple, TypeAlias

from gossipd.simulator import theory
from gossipd.simulator.distribution import Distribution
from gossipd.simulator.measures import READ_INTERVAL, Measures
from gossipd.simulator.network import Uniform
from gossipd.simulator.report import (
    Convergence,
    Final,
    Partition,
    Report,
    Stretch,
    Summary,
    Theory,
    Traffic,
)
from gossipd.simulator.verdicts import Subject
from gossipd.simulator.wishes import Wishes
from gossipd.simulator.world import World

WARM_UP_PERIODS = 3.0
"""Probe intervals for which the cluster runs before it is measured."""

SETTLE_MAX = 300.0
"""Seconds within which all must be equal in the end."""

JITTER = 0.2
"""A datagram takes the latency, more or less up to this share of it."""

PARTITION_AFTER = 0.6
"""Share of the time outside of the partition that lies before it."""

STRETCHES_MAX = 240

COUNTER = "default"

_STEP = 0.1


_Action: TypeAlias = tuple[float, Callable[[], None]]
"""What happens, and when, on the clock of the world."""


class _Sample(NamedTuple):
    """What had been sent at a moment."""

    at: float
    packets: int = 0
    bytes: int = 0
    node_seconds: float = 0.0


class Experiment:
    """Runs once: exhaust `steps`, then ask for the `report`."""

    def __init__(self, wishes: Wishes) -> None:
        self._wishes = wishes
        self._world = World(wishes.seed, wishes.settings)
        spread = JITTER * wishes.latency
        self._world.network.latency = Uniform(wishes.latency - spread, wishes.latency + spread)
        self._bucket = max(1.0, wishes.seconds / STRETCHES_MAX)
        self._settled_after: float | None = None
        self._begin()

    def steps(self) -> Iterator[float]:
        """Run; gives the part that is done, 0 to 1, again and again."""
        yield 0.0
        self._form()
        self._begin()
        self._world.network.loss = self._wishes.loss
        read_at = self._world.now
        for at, act in merge(*self._plan(), key=lambda action: action[0]):
            while self._world.now < at:
                self._world.run(min(at - self._world.now, READ_INTERVAL))
                if self._world.now - read_at >= READ_INTERVAL:
                    self._measures.read()
                    read_at = self._world.now
                    yield min(1.0, (read_at - self._began_at) / self._wishes.seconds)
            act()
        self._settle()
        yield 1.0

    def report(self) -> Report:
        """What was found."""
        verdicts, spread = self._measures.verdicts, self._measures.spread
        detections = [
            replace(detection, killed_at=detection.killed_at - self._began_at)
            for detection in verdicts.detections
        ]
        wishes = asdict(self._wishes)
        return Report(
            seed=wishes.pop("seed"),
            settings=wishes.pop("settings"),
            wishes=wishes,
            detections=detections,
            first_suspicion=Summary.of_all(found.suspected_after for found in detections),
            first_verdict=Summary.of_all(found.failed_after for found in detections),
            known_to_all=Summary.of_all(found.known_after for found in detections),
            never_found=sum(found.known_after is None for found in detections),
            false_verdicts={
                subject.value: verdicts.tallies[subject]
                for subject in (Subject.HEALTHY, Subject.CUT)
            },
            convergence=Convergence(
                spread.made,
                Summary.of(spread.whole),
                Summary.of(spread.apart),
                Summary.of(spread.pairs),
                spread.unfinished,
            ),
            traffic=self._traffic(),
            partition=self._partition(),
            final=self._final(),
            theory=self._theory(),
            over_time=self._over_time(),
        )

    # --- phases ------------------------------------------------------------------------------

    def _begin(self) -> None:
        """Measure from now on."""
        self._began_at = self._world.now
        self._measures = Measures(self._world, self._bucket)
        self._samples = [_Sample(self._began_at)]

    def _form(self) -> None:
        self._world.formed(self._wishes.nodes)
        self._world.run(WARM_UP_PERIODS * self._wishes.settings.probe_interval)

    def _settle(self) -> None:
        world, began_at = self._world, self._world.now
        world.network.loss = 0.0
        while not world.settled() and world.now - began_at < SETTLE_MAX:
            world.run(_STEP)
            self._measures.read()
        if world.settled():
            self._settled_after = world.now - began_at

    # --- what happens during the load ----------------------------------------------------------

    def _plan(self) -> tuple[Iterator[_Action], ...]:
        return self._faults(), self._increments(), self._sampling()

    def _increments(self) -> Iterator[_Action]:
        count = round(self._wishes.seconds * self._wishes.rate)
        for number in range(count):
            yield self._began_at + number / self._wishes.rate, self._increment

    def _faults(self) -> Iterator[_Action]:
        begins_at, heals_at = self._partition_times()
        for number in range(self._wishes.kill):
            yield self._began_at + begins_at * (number + 0.5) / self._wishes.kill, self._kill
        if self._wishes.partition:
            yield self._began_at + begins_at, self._part
            yield self._began_at + heals_at, self._measures.heal

    def _sampling(self) -> Iterator[_Action]:
        for number in range(1, math.ceil(self._wishes.seconds / self._bucket)):
            yield self._began_at + number * self._bucket, self._sample
        yield self._began_at + self._wishes.seconds, self._sample

    def _partition_times(self) -> tuple[float, float]:
        """When it begins and heals, seconds after the load began; its own end without one."""
        if not self._wishes.partition:
            return self._wishes.seconds, self._wishes.seconds
        begins_at = PARTITION_AFTER * (self._wishes.seconds - self._wishes.partition)
        return begins_at, begins_at + self._wishes.partition

    def _increment(self) -> None:
        self._world.increment(self._somebody(), COUNTER)

    def _kill(self) -> None:
        self._measures.kill(self._somebody())

    def _somebody(self) -> str:
        return self._world.rng.choice(list(self._world.running))

    def _part(self) -> None:
        names = list(self._world.running)
        self._world.rng.shuffle(names)
        half = len(names) // 2
        self._measures.partition(names[:half], names[half:])

    def _sample(self) -> None:
        self._measures.read()
        traffic = self._measures.traffic
        self._samples.append(
            _Sample(self._world.now, traffic.packets, traffic.bytes, traffic.node_seconds)
        )

    # --- what was found ------------------------------------------------------------------------

    def _traffic(self) -> Traffic:
        _, packets, sent, node_seconds = self._samples[-1]
        made = self._measures.spread.made
        return Traffic(
            packets,
            sent,
            packets / node_seconds,
            sent / node_seconds,
            packets / made if made else None,
        )

    def _partition(self) -> Partition | None:
        if not self._wishes.partition:
            return None
        rejoined = self._measures.verdicts.rejoined_after
        return Partition(*self._partition_times(), rejoined[0] if rejoined else None)

    def _final(self) -> Final:
        running = self._world.running
        lost = 0
        for (stream, counter), made in self._measures.made.items():
            if made.host not in running:
                registers = (node.log.register(stream, counter) for node in running.values())
                lost += made.total - max(registers)[1]
        return Final(
            self._settled_after,
            sum(made.total for made in self._measures.made.values()),
            lost,
            sorted({node.log.value(COUNTER) for node in running.values()}),
        )

    def _theory(self) -> Theory:
        wishes, settings = self._wishes, self._wishes.settings
        probes = self._samples[-1].node_seconds / settings.probe_interval
        sends = settings.retransmit_mult * math.ceil(math.log10(wishes.nodes + 1))
        verdicts = self._measures.verdicts
        tally = verdicts.tallies[Subject.HEALTHY]
        median = self._measures.spread.whole.median
        round_length = wishes.latency + settings.flush_after
        found = [d.suspected_after for d in verdicts.detections if d.suspected_after is not None]
        return Theory(
            theory.first_detection_periods() * settings.probe_interval,
            fmean(found) if found else None,
            theory.false_suspicion_probability(wishes.loss, settings.indirect_probes),
            tally.suspicions / probes,
            theory.dissemination_rounds(wishes.nodes, settings.gossip_fanout),
            median / round_length if median is not None and round_length else None,
            theory.missed_by_push(sends, wishes.loss),
        )

    def _over_time(self) -> list[Stretch]:
        over_time = self._measures.spread.over_time
        return [
            Stretch(
                before.at - self._began_at,
                after.at - before.at,
                (after.packets - before.packets) / (after.node_seconds - before.node_seconds),
                (after.bytes - before.bytes) / (after.node_seconds - before.node_seconds),
                Summary.of(over_time.get(number, Distribution())),
            )
            for number, (before, after) in enumerate(pairwise(self._samples))
        ]
