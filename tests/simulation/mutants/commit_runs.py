"""Small worlds with disks that fail and clients that wait (see `runs`)."""

from __future__ import annotations

from itertools import product

from gossipd.core import (
    Accepted,
    Failure,
    Fate,
    Uncounted,
)
from tests.simulation.checkers import Checker
from tests.simulation.clients import random_key
from tests.simulation.faulty.disk import When
from tests.simulation.faulty.processes import DISK_TIMEOUT
from tests.simulation.faulty.world import Outcome

from .runs import come_to_rest, formed, pass_time


def failing() -> None:
    """Commits fail before, in and after they are written; clients retry, at once or after a
    restart, here or elsewhere."""
    world = formed(3, disks=True)
    checker = Checker(world)
    told: list[Outcome] = []
    for when, restarts, there in product((When.AFTER, When.IN, When.BEFORE), (0, 1), ("n0", "n1")):
        disk = world.hosts["n1"].disk
        assert disk is not None
        world.increment("n1")
        disk.fails_next = (when, Failure.FULL)
        key = random_key(world.rng)
        told += world.batch("n1", [("keyed", 1, key), ("default", 1, None)])
        pass_time(world, checker, 0.3)
        if restarts:
            world.crash("n1", power_lost=there == "n0")
            world.start("n1")
            pass_time(world, checker, 2)
        world.increment(there, "keyed", 1, key)
        world.increment("n1", "after it")
        pass_time(world, checker, 1)
    come_to_rest(world, checker)
    assert world.node("n0").log.value("keyed") == 12
    assert told == [Uncounted(Fate.UNKNOWN, "full")] * 24


def copied() -> None:
    """A disk is copied while a batch is to be taken back, by a node that goes on, that leaves
    before it can, or that stands still and has not heard of it, and a process starts with the
    copy, at once or later: it reveals the batch, whose client has meanwhile tried again."""
    for fate, later in product(("goes on", "leaves", "stands still"), (False, True)):
        world = formed(3, disks=True)
        checker = Checker(world)
        disk = world.hosts["n1"].disk
        assert disk is not None
        world.increment("n1")
        pass_time(world, checker, 0.5)
        key = random_key(world.rng)
        if fate == "stands still":
            world.stall("n1")
        disk.fails_next = (When.AFTER, Failure.BROKEN if fate == "leaves" else Failure.FULL)
        world.increment("n1", "default", 1, key)
        copy = disk.copy()
        pass_time(world, checker, 3 * later)
        world.place("copy").seeds = [world.hosts["n0"].address]
        world.start("copy", disk=copy)
        again = "n1" if later and fate == "goes on" else "n0"
        assert isinstance(world.increment(again, "default", 1, key), Accepted)
        pass_time(world, checker, 3)
        world.resume("n1")
        pass_time(world, checker, 1)
        assert ("n1" in world.running) == (fate != "leaves")
        come_to_rest(world, checker)
        assert {node.log.value("default") for node in world.running.values()} == {2}
        assert {node.log.doubles.left_out for node in world.running.values()} == {1}


def full() -> None:
    """A disk takes nothing for a while, and one breaks: its node leaves."""
    world = formed(3, disks=True)
    checker = Checker(world)
    told: list[Outcome] = []
    for name, failure in (("n1", Failure.FULL), ("n2", Failure.BROKEN)):
        disk = world.hosts[name].disk
        assert disk is not None
        acknowledged = [world.increment(name, "before") for _ in range(20)]
        assert all(isinstance(each, Accepted) for each in acknowledged)
        disk.refuses = failure
        for _ in range(20):
            told.append(world.increment(name))
            pass_time(world, checker, 0.2)
            if world.hosts[name].node is None:
                break
        disk.heal()
        pass_time(world, checker, 6)
    assert world.hosts["n2"].node is None
    world.start("n2")
    pass_time(world, checker, 3)
    assert isinstance(world.increment("n2"), Accepted)
    come_to_rest(world, checker)
    assert world.node("n0").log.value("before") == 40
    assert all(isinstance(each, Uncounted) for each in told)


def hanging() -> None:
    """A disk is silent for too long, and commits what it has all the same."""
    world = formed(2, disks=True)
    checker = Checker(world)
    disk = world.hosts["n1"].disk
    assert disk is not None
    for takes in (0.02, DISK_TIMEOUT + 2):
        world.increment("n1")
        disk.commit_takes = takes
        assert world.increment("n1", "slow") is None, "nobody knows yet"
        pass_time(world, checker, DISK_TIMEOUT + 1, 0.5)
        world.increment("n1", "slow")
        pass_time(world, checker, 2)
        disk.heal()
    pass_time(world, checker, 1)
    come_to_rest(world, checker)
    assert world.node("n0").log.value("slow") == 3, "what the disk had in its hands counts"


def reading() -> None:
    """Clients that have counted at one node read at the others, on a network that loses."""
    world = formed(4)
    checker = Checker(world)
    world.network.loss = 0.3
    for number in range(120):
        world.increment(f"n{number % 4}", f"c{number % 7}")
        knows = number % 3 > 0
        world.read_after(f"n{number // 4 % 4}", world.made[-1], knows_counter=knows)
        pass_time(world, checker, 0.01, 0.01)
    pass_time(world, checker, 3)
    assert len(world.reads) == 120
    assert sum(read.included for read in world.reads) > 100
    come_to_rest(world, checker)


def cut_reading() -> None:
    """A read waits for what cannot come, until it does."""
    world = formed(3)
    checker = Checker(world)
    world.isolate("n1")
    world.increment("n1")
    for seconds in (0.5, 10.0):
        world.read_after("n0", world.made[-1], seconds)
    pass_time(world, checker, 1)
    world.network.heal()
    pass_time(world, checker, 12)
    assert [read.included for read in world.reads] == [False, True]
