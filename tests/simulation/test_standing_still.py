"""What a disk does while its process stands still: the process hears of it when it goes on."""

from __future__ import annotations

from gossipd.core import Accepted, Failure, Settings
from tests.simulation.checkers import Checker
from tests.simulation.faulty.disk import When
from tests.simulation.faulty.world import Disk, World

from .certain import Certain
from .clients import random_key
from .test_keys import NOTHING, formed, left_out, pass_time, settle, use_on, values


def disk_of(world: World, name: str) -> Disk:
    disk = world.hosts[name].disk
    assert disk is not None
    return disk


def stand_still(world: World, checker: Checker, name: str, seconds: float) -> None:
    world.stall(name)
    pass_time(world, checker, seconds)
    assert world.hosts[name].unheard, "there was something to hear"
    certain = Certain(world)
    certain.read()
    certain.lower(())
    assert not certain.lost, "its disk has it"
    world.resume(name)
    checker.check()


def test_a_commit_that_was_done_meanwhile_counts_when_the_process_goes_on() -> None:
    world, checker = formed(2)
    disk_of(world, "n1").commit_takes = 0.05
    assert world.increment("n1") is None, "it is not known yet"
    stand_still(world, checker, "n1", 1)
    settle(world, checker, NOTHING)
    assert values(world) == {1}


def test_a_commit_that_failed_meanwhile_is_taken_back_whatever_was_stored_since() -> None:
    """What was stored is what the disk had been given before."""
    world, checker = formed(2)
    disk, key = disk_of(world, "n1"), random_key(world.rng)
    disk.store_takes = 0.5
    world.increment("n0")
    while world.hosts["n1"].write_behind is None:
        pass_time(world, checker, 0.1)
    disk.commit_takes, disk.fails_next = 0.05, (When.AFTER, Failure.FULL)
    assert world.increment("n1", key=key) is None, "it is not known yet"
    stand_still(world, checker, "n1", 1)
    disk.heal()
    pass_time(world, checker, 3)
    assert not disk.find((key,))
    assert isinstance(world.increment("n1", key=key), Accepted)
    settle(world, checker, NOTHING)
    assert values(world) == {2}


def test_doubles_that_the_disk_found_meanwhile_are_left_out_when_the_process_goes_on() -> None:
    world, checker = formed(2, Settings(key_window=2.0, key_retention=60.0))
    world.isolate("n1")
    use_on(world, ["n0", "n1"], 1)
    pass_time(world, checker, 4)
    assert not len(world.node("n1").log.keys), "it is on the disk only"
    disk_of(world, "n1").store_takes = 0.5
    world.network.heal()
    told: tuple[object, ...] = ()
    while not told:
        world.run(0.1)
        checker.check()
        changes = world.hosts["n1"].write_behind
        told = changes.keys if changes is not None else ()
    stand_still(world, checker, "n1", 1)
    settle(world, checker, NOTHING)
    assert (values(world), left_out(world)) == ({1}, {1})
