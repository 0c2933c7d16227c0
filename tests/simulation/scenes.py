"""Beginnings that named scenarios and the runs of mutants share."""

from __future__ import annotations

from collections.abc import Iterable

from gossipd.core import KeyRecord, Settings, Stream
from tests.simulation.checkers import Checker, demand_agreement
from tests.simulation.faulty.world import World

from .clients import random_key


def with_one_in_memory(names: Iterable[str], memory: str, settings: Settings) -> World:
    """A cluster that agrees and is ready, of nodes with disks and one without."""
    world = World(1, settings, disks=True)
    first, *_ = names = list(names)
    for name in names:
        host = world.place(name)
        host.seeds = [] if name == first else [world.hosts[first].address]
        if name == memory:
            host.disk = None
        world.start(name)
    demand_agreement(world, 10)
    world.run(settings.alone_after)
    return world


def lose_the_beginning(world: World, checker: Checker, holder: str) -> Stream:
    """The second event of a stream of n2, with its key, is at `holder`; nobody has the first."""
    world.isolate("n2")
    first, second = random_key(world.rng), random_key(world.rng)
    world.increment("n2", "first", key=first)
    world.increment("n2", "second", key=second)
    checker.check()
    stream = world.made[0].stream
    log = world.node(holder).log
    log.merge(stream, [("second", 2, 1)])
    log.merge_keys(stream, [KeyRecord(second, 2, "second", 1, 0)], world.now)
    checker.meddled(holder)
    world.crash("n2", disk_lost=True)
    world.network.heal()
    return stream
