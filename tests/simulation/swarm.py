"""Random faults from one seed, the invariants checked all the time; then heal and converge.

One seed draws the cluster, its settings, the faults and the load. As a program it runs many seeds:

    python -m tests.simulation.swarm --seeds 3000 [--first N] [--jobs 2]
"""

from __future__ import annotations

import argparse
import math
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from enum import Enum, auto
from random import Random
from typing import assert_never

from gossipd.core import (
    Accepted,
    DiskLost,
    Left,
    NameLost,
    Settings,
)
from gossipd.core.durability.disk_health import RETRY_MAX
from gossipd.core.durability.retention import INTERVAL_MAX
from gossipd.core.settings import Profile
from tests.simulation.checkers import Checker, rounds_max
from tests.simulation.faulty.link import Bursts
from tests.simulation.faulty.network import Network
from tests.simulation.faulty.world import World

from .certain import Certain
from .clients import Clients
from .faults import KINDS, Fault, Faults
from .rare import Witness

STEP = 0.2
"""Seconds between two checks, and between two tries to do something bad."""

SAFETY = 10.0
"""Seconds of faults."""

REMEMBER = 1200.0
"""Seconds for which gone members are remembered in worlds that are to see ghosts go. Each hop
rounds the age of a verdict up to the next minute, so half of this must be many minutes."""

KEYED = 0.7
"""Part of the swarms that have clients with keys and sources."""

RETRIED_AFTER = 2.5
"""Seconds after which a disk has stored, and compared, what its node holds."""

SIZES = (2, 3, 3, 4, 4, 5, 5, 6, 7, 8, 10, 12)


class Theme(Enum):
    """What a seed is about, since some events need several others before them."""

    ANY = auto()
    SPLIT = auto()
    """A partition that lasts until each part has given the other one up."""
    REPAIR = auto()
    """Long streams, and links that die for seconds while they are fetched."""
    GHOSTS = auto()
    """Members that go and are forgotten."""
    STRANGERS = auto()
    """Long names, and much talk from outside."""


def agreement_max(settings: Settings, count: int) -> float:
    """Q1, Q6: seconds within which `count` nodes agree after the faults have ended.

    What hosts that stay down leave behind must be found first: by a probe of a node that takes
    itself for slow, then by the longest suspicion, as perhaps nobody is left to confirm it. Who
    was away asks to join, after the longest pause, and may have to wait until it is ready. Then
    all agree in Q6's rounds of repair, c x log2 N.
    """
    probe = settings.probe_patience * settings.health_max * settings.probe_interval
    growth = math.pow(max(1.0, math.log10(count)), settings.suspicion_growth)
    shortest = settings.suspicion_mult * growth * settings.probe_interval
    found = probe + settings.suspicion_max_mult * shortest
    back = settings.join_retry_max + settings.ready_after
    return found + back + rounds_max(count) * settings.probe_interval


def drawn_settings(rng: Random, theme: Theme) -> Settings:
    """The figures of one cluster: mostly those of a LAN, each now and then another."""
    figures: dict[str, tuple[float | str, ...]] = {
        "datagram_size": (640, 1200, 1400),
        "probe_order": ("ring", "ring", "shuffled"),
        "probe_patience": (1.5, 1.5, 1.0),
        "corroborators": (5, 5, 0),
        "corroboration_pings": (2, 2, 1, 4),
        "confirmations": (3, 3, 1, 5),
        "indirect_probes": (3, 3, 1, 0),
        "gossip_fanout": (3, 3, 1),
        "retransmit_mult": (4, 4, 2),
        "flush_after": (0.01, 0.01, 0.0, 0.05),
        "gossip_rate": (90, 90, 20),
        "gossip_rate_max": (600, 600, 90),
        "suspicion_mult": (0.7, 0.7, 0.7 if theme is Theme.SPLIT else 4.0),
        "suspicion_growth": (0.5, 0.5, 0.0, 1.0),
        "health_max": (8, 8, 1),
        "stall_after": (0.25, 0.25, 1.0),
        "tail_size": (1000, 5),
        "remember": (REMEMBER if theme is Theme.GHOSTS else 72 * 3600.0,),
        "key_window": (3.0, 3.0, 8.0, 30.0, 600.0),
        "key_limit": (1_000_000, 1_000_000, 20),
    }
    drawn = {name: rng.choice(values) for name, values in figures.items()}
    window = float(drawn["key_window"])
    drawn["key_retention"] = max(window, rng.choice((window, 12.0, 60.0, 6 * 3600.0)))
    profiles: tuple[Profile, ...] = ("lan",) * 6 + ("local", "local")
    if theme is not Theme.SPLIT:  # the parts of a WAN need minutes to give each other up
        profiles += ("wan",)
    return Settings.of(rng.choice(profiles), **drawn)


class Swarm:
    """One seed's world, on its way from chaos to agreement."""

    def __init__(self, seed: int, *, traced: bool = False) -> None:
        self.rng = rng = Random(f"swarm {seed}")
        self.theme = rng.choice((*Theme, Theme.ANY, Theme.SPLIT, Theme.REPAIR))
        settings = drawn_settings(rng, self.theme)
        self.world = World(seed, settings, disks=rng.random() < 0.6, traced=traced)
        self.size = 25 if rng.random() < 0.02 else rng.choice(SIZES)
        if self.theme is Theme.GHOSTS:
            self.size = rng.randint(4, 5)  # as it takes long
        seeds = self._form()
        self.checker = Checker(self.world)
        self.witness = Witness(self.world)
        self.faults = Faults(self.world, rng, seeds, self.size + 4)
        self.happened: Counter[str] = Counter()
        self.diary: list[str] = []
        """Every fault with its time, to understand a failure by."""
        self._seeds = seeds
        self._certain = Certain(self.world)
        self._effects = 0
        self._destroyed = 0
        self._kinds = [kind for kind in KINDS if rng.random() < 0.7]
        self._fault_rate = rng.choice((0.1, 0.2, 0.4))
        self._patience = rng.choice((0.0, 0.0, 0.3))
        """How often a client waits for copies of what it has counted."""
        self._load = rng.choice((0.2, 1.0, 3.0))
        self._runs = Random(f"runs {seed}")
        """How often clients say the same in a row, whatever else is drawn."""
        self._counters = rng.choice((1, 4, 40, 400))
        self._padding = rng.choice(("", "", "x" * 100))
        self._clients: Clients | None = None
        if rng.random() < KEYED:
            self._clients = Clients(self.world, rng, rng.choice((0.3, 1.0, 3.0)))
            self.faults.unanswered = self._clients.unanswered
        self._begin()

    def _begin(self) -> None:
        """Set the scene for the theme."""
        match self.theme:
            case Theme.SPLIT:
                self._do(Faults.partition)
                self._kinds = [kind for kind in self._kinds if kind is not Faults.heal]
            case Theme.REPAIR:
                self._counters, self._padding = 400, "x" * 100
                self.world.network.bursts = Bursts(1.5, 2.0)
                self._kinds += [Faults.add, Faults.crash_and_start] * 3
            case Theme.GHOSTS:
                self._do(Faults.crash)
                self._do(Faults.leave)
                bring_back = (Faults.start, Faults.restore, Faults.crash_and_start)
                self._kinds = [kind for kind in self._kinds if kind not in bring_back]
            case Theme.STRANGERS:
                self._kinds = [Faults.strange] * 20 + self._kinds
            case Theme.ANY:
                pass
            case _:
                assert_never(self.theme)

    def _form(self) -> list[str]:
        """Build the cluster in one of the ways in which clusters come to be; its seeds."""
        padding = "y" * 60 if self.theme is Theme.STRANGERS else ""
        names = [f"n{number}{padding}" for number in range(self.size)]
        way = self.rng.choice(("formed", "together", "after the first"))
        seeds = names[:3] if way == "together" else names[:1]
        hosts = [self.world.place(name) for name in names]
        for host in hosts:
            if host.disk is not None and self.rng.random() < 0.2:
                host.disk = None
            host.seeds = [self.world.hosts[seed].address for seed in seeds]
        if way != "together":
            hosts[0].seeds = []
        for host in hosts:
            self.world.start(host.name)
        if way == "formed" or self.theme is not Theme.ANY:
            self.world.run_until_settled(10)
        return seeds

    # --- chaos -------------------------------------------------------------------------------

    def run(self, seconds: float = SAFETY) -> None:
        """Let time pass with load and faults; it takes twice as long to give others up."""
        until = self.world.now + seconds * (2 if self.theme is Theme.SPLIT else 1)
        while self.world.now < until:
            self._increment()
            self._read()
            if self._kinds and self.rng.random() < self._fault_rate:
                weights = [KINDS[kind] for kind in self._kinds]
                self._do(self.rng.choices(self._kinds, weights)[0])
            self._step()

    def _do(self, fault: Fault) -> None:
        what = fault(self.faults)
        if what:
            self.happened[fault.__name__] += 1
            self.diary.append(f"{self.world.now:7.2f} {fault.__name__}: {what}")
        self._certain.read()
        self._give_up_what_is_destroyed()

    def _step(self) -> None:
        self.world.run(STEP)
        self._certain.read()
        self._note_ends()
        self.witness.look()
        self.checker.check()

    def _increment(self) -> None:
        world, rng = self.world, self.rng
        names = self._serving()
        count = int(self._load * len(names) * rng.random() * 2 * STEP + rng.random())
        if names and rng.random() < (0.1 if self.theme is Theme.REPAIR else 0.01):
            count = 200  # a burst at one node: news that no packet holds
            names = [rng.choice(names)]
        for _ in range(count if names else 0):
            counter = f"{rng.randrange(self._counters)}{self._padding}"
            name = rng.choice(names)
            by, times = rng.choice((1, 1, 5, -2, 2**40)), self._runs.choice((1, 1, 1, 2, 9))
            outcome = world.increment(name, counter, by, count=times)
            if isinstance(outcome, Accepted) and rng.random() < self._patience:
                copies, memory = rng.choice((1, 2, 2, 3)), rng.random() < 0.2
                world.await_copies(world.made[-1], copies, memory=memory)
                world.read_after(rng.choice(names), world.made[-1], knows_counter=not memory)
            if name not in world.running:
                names = self._serving()  # its disk broke, and there was nobody to drain to
                if not names:
                    return
        if self._clients is not None:
            self._clients.act(self._serving(), STEP)
        self._certain.read()

    def _read(self) -> None:
        """A client asks for an increment that the very process has acknowledged."""
        for made in self.world.made[-3:]:
            node = self.world.running.get(made.host)
            if node is not None and node.stream == made.stream and made.acknowledged:
                counted = node.counted(made.stream, made.seq, made.counter)
                assert counted, f"{made.host} does not count its own {made}"

    def _serving(self) -> list[str]:
        hosts = self.world.hosts
        return [
            name
            for name, node in self.world.running.items()
            if not hosts[name].stalled and not node.leaving
        ]

    def _note_ends(self) -> None:
        """Processes ended by themselves: who left in order has lost nothing."""
        ends = [(name, effect) for _, name, effect in self.world.effects[self._effects :]]
        self._effects = len(self.world.effects)
        for name, effect in ends:
            if isinstance(effect, DiskLost):
                self.faults.leaves(name)
            elif isinstance(effect, NameLost):
                shared = self.faults.names[name] in self.faults.contested
                assert shared, f"nobody shared the name of {name}: {effect.detail}"
                self.faults.leaves(name)
            elif isinstance(effect, Left) and effect.undrained:
                self.happened["left, undrained"] += 1
                self.faults.destroyed += 1
            elif isinstance(effect, Left) and self.faults.was_disturbed(name):
                self.faults.destroyed += 1  # what it heard after its leave began was not drained
        self._give_up_what_is_destroyed()  # or others that left just then were blamed for it
        for name, effect in ends:
            if isinstance(effect, Left) and not self.faults.was_disturbed(name):
                self._certain.demand_held(self.faults.returning(), f"{name} left")
                self._certain.demand_kept(self.faults.returning(), name)
                self._certain.demand_keys(self.faults.returning(), name)
                self.happened["left, all drained"] += 1

    def _give_up_what_is_destroyed(self) -> None:
        if self.faults.destroyed > self._destroyed:
            self._certain.lower(self.faults.returning())
            self._destroyed = self.faults.destroyed

    # --- agreement ---------------------------------------------------------------------------

    def converge(self) -> float:
        """Undo the faults and demand agreement; the seconds that it took."""
        world = self.world
        self._undo()
        most = agreement_max(world.settings, len(world.hosts)) + self._crowded_for()
        estranged = self.witness.estranged()
        took = self._settle(most)
        if self._clients is not None:
            self._make_ready_for_retries()
            self._settle(most)
        self._certain.demand_counted()
        self._certain.forget_keys(())
        self.checker.check_rest(self._certain.lost, self._certain.forgotten)
        self.witness.look()
        self.witness.agreed(estranged)
        return took

    def _crowded_for(self) -> float:
        """Seconds until all keys find room: where more were used than a node takes, as by many
        sides of a partition, versions wait until they have left the window."""
        settings = self.world.settings
        keyed = sum(made.key is not None for made in self.world.made)
        return settings.key_window + INTERVAL_MAX if keyed > settings.keys_max else 0.0

    def _make_ready_for_retries(self) -> None:
        """Let disks store and compare what their nodes hold, and nodes find that they are ready,
        which takes them long where none is."""
        began = self.world.now
        failed = self.happened["fill_disk"] + self.happened["fail_commit"] > 0
        stored_after = RETRIED_AFTER + RETRY_MAX * failed
        while self.world.now - began < stored_after or not self._all_ready():
            waited = self.world.now - began
            assert waited < stored_after + self.world.settings.ready_after, "Q1: not ready"
            self._step()

    def _all_ready(self) -> bool:
        return all(node.ready for node in self.world.running.values())

    def _settle(self, most: float) -> float:
        """Let time pass until all agree; the seconds that it took."""
        began = self.world.now
        while not self.world.settled():
            assert self.world.now - began < most, f"Q1: no agreement in {most} s"
            self._step()
        return self.world.now - began

    def outlive(self) -> None:
        """Let everything be forgotten that is gone, and demand agreement again."""
        if self.theme is not Theme.GHOSTS:
            return
        until = self.world.now + REMEMBER + 70
        while self.world.now < until:
            self.world.run(20)
            self.witness.look()
            self.checker.check()
        self.converge()

    def _undo(self) -> None:
        world = self.world
        world.network.heal()
        world.run(0.0)
        for fate, count in world.network.fates.items():
            self.happened[fate.name.lower()] += count
        world.network = Network()
        self.faults.heal_disks()
        for host in world.hosts.values():
            host.work = 0.0
            world.resume(host.name)
        while any(
            host.node and (host.node.leaving or host.committing) for host in world.hosts.values()
        ):
            self._step()  # a seed that is still to go would be missed later
        for host in self.faults.crashed():
            if host.disk is not None or host.name in self._seeds:
                world.start(host.name, self.faults.names[host.name])
        if world.hosts[self._seeds[0]].node is None:
            world.start(self._seeds[0])


# --- many seeds ----------------------------------------------------------------------------------


@dataclass(slots=True)
class Outcome:
    """What became of one seed."""

    seed: int
    failure: str = ""
    took: float = 0.0
    """Seconds until all agreed."""
    happened: Counter[str] = field(default_factory=Counter)
    diary: list[str] = field(default_factory=list)


def run_seed(seed: int) -> Outcome:
    """A whole run; a violation is told, not raised."""
    outcome = Outcome(seed)
    swarm = Swarm(seed)
    try:
        swarm.run()
        outcome.took = swarm.converge()
        swarm.outlive()
    except AssertionError as error:
        outcome.failure = f"seed {seed} at {swarm.world.now:.2f} s: {error}"
        outcome.diary = swarm.diary
    outcome.happened = swarm.happened
    outcome.happened.update({rare.name: n for rare, n in swarm.witness.counts.items()})
    return outcome


def total(outcomes: Iterable[Outcome]) -> Counter[str]:
    """In how many swarms each fault and each rare event happened."""
    counts: Counter[str] = Counter()
    for outcome in outcomes:
        counts.update({what: 1 for what, count in outcome.happened.items() if count})
    return counts


def main() -> int:
    """Run many seeds; 1 if any of them fails."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=100, help="how many")
    parser.add_argument("--first", type=int, default=0, help="the first one")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    options = parser.parse_args()
    seeds = range(options.first, options.first + options.seeds)
    outcomes = []
    with ProcessPoolExecutor(options.jobs) as pool:
        for outcome in pool.map(run_seed, seeds, chunksize=4):
            outcomes.append(outcome)
            if outcome.failure:
                print(outcome.failure, *outcome.diary, sep="\n", flush=True)
    failed = [outcome.seed for outcome in outcomes if outcome.failure]
    for what, count in sorted(total(outcomes).items()):
        print(f"{count:6} of {len(outcomes)} seeds: {what.replace('_', ' ').lower()}")
    print(f"longest way to agreement: {max(outcome.took for outcome in outcomes):.1f} s")
    print(f"{len(failed)} of {len(outcomes)} seeds failed", *failed)
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
