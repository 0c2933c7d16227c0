"""Wall clocks that are wrong by minutes to years, on one host or several, and are put right while
the nodes run: right nodes go on to take keyed increments, and nothing counts twice."""

from __future__ import annotations

import pytest

from gossipd.core import Accepted, Duplicate, Settings
from gossipd.core.log.dedup import held_longer
from tests.effort import THOROUGH, few
from tests.simulation.checkers import Checker, demand_agreement
from tests.simulation.faulty.world import World

from .clients import random_key, time_key

WINDOW = 180.0
MINUTE, HOUR, DAY, YEAR = 60.0, 3600.0, 86_400.0, 365 * 86_400.0

WRONG: tuple[float, ...] = (WINDOW, 10 * YEAR)
if THOROUGH:
    WRONG += (1.5 * MINUTE, WINDOW + 30, WINDOW + 90, HOUR)


def formed(disks: bool, count: int = 3) -> tuple[World, Checker]:
    world = World(1, Settings(key_window=WINDOW), disks=disks)
    world.formed(count)
    world.run(2)
    return world, Checker(world)


def use(world: World, name: str, others: list[str] | None = None) -> bytes:
    """A client whose clock is that of the host asks it, and others later, under one key."""
    host = world.hosts[name]
    key = time_key(world.rng, world.now + host.clock)
    assert isinstance(world.increment(name, key=key), Accepted), f"{name} at {world.now} s"
    world.run(1)
    for other in others or ():
        assert isinstance(world.increment(other, key=key), Duplicate)
    return key


def settle(world: World, checker: Checker) -> None:
    demand_agreement(world, 30)
    world.run(3)
    demand_agreement(world, 5)
    checker.check_rest()


def values(world: World) -> set[int]:
    return {node.log.value("default") for node in world.running.values()}


@pytest.mark.parametrize("disks", [False, True], ids=["in memory", "with disks"])
@pytest.mark.parametrize(
    ("ahead", "wrong"),
    few([(WINDOW + 30, ["n0", "n1"]), *((ahead, ["n1"]) for ahead in WRONG)], 1),
)
def test_right_nodes_take_all_keyed_increments_while_others_are_ahead(
    disks: bool, ahead: float, wrong: list[str]
) -> None:
    """For more than two windows, and when the clocks have been put right."""
    world, checker = formed(disks)
    right = [name for name in world.running if name not in wrong]
    for name in wrong:
        world.hosts[name].clock = ahead
    count, keys = 0, []
    while world.now < 2 * WINDOW + 2 * MINUTE:
        for name in world.running:
            keys.append(use(world, name, right))
            count += 1
        world.run(20)
        checker.check()
    for name in wrong:
        world.hosts[name].clock = 0.0
    for name in right:
        use(world, name, wrong)
        count += 1
    for key in keys:
        for name in world.running:
            result = world.increment(name, key=key)
            assert not isinstance(result, Accepted), f"{name} counts a key of before again"
    checker.check()
    world.run(held_longer(WINDOW))
    for name in world.running:
        use(world, name)
        count += 1
    settle(world, checker)
    assert values(world) == {count}


@pytest.mark.parametrize("disks", [False, True], ids=["in memory", "with disks"])
@pytest.mark.parametrize("behind", few(WRONG, 1))
def test_a_node_that_was_behind_takes_keys_as_soon_as_it_is_put_right(
    disks: bool, behind: float
) -> None:
    world, checker = formed(disks)
    world.hosts["n1"].clock = -behind
    count = 0
    while world.now < WINDOW + 3 * MINUTE:
        for name in world.running:
            use(world, name, ["n0", "n1"])
            count += 1
        world.run(20)
        checker.check()
    world.hosts["n1"].clock = 0.0
    use(world, "n1", ["n0"])
    settle(world, checker)
    assert values(world) == {count + 1}


@pytest.mark.parametrize("step", [HOUR, 7 * HOUR, 30 * DAY, 10 * YEAR, -HOUR, -10 * YEAR])
def test_a_step_while_running_or_down_ages_no_key_on_the_disk(step: float) -> None:
    """A key of half a minute ago is known after a restart, on the host whose clock was set and on
    the others."""
    world, checker = formed(True)
    key = random_key(world.rng)
    world.increment("n1", key=key)
    world.run(15)
    world.hosts["n1"].clock = step
    world.run(15)
    for name in ("n0", "n1", "n2"):
        world.crash(name)
    world.run(10)
    world.hosts["n2"].clock = step
    for name in ("n0", "n1", "n2"):
        world.start(name)
    while not all(node.ready for node in world.running.values()):
        world.run(0.5)
    assert all(isinstance(world.increment(n, key=key), Duplicate) for n in world.running)
    checker.check()
    assert values(world) == {1}
