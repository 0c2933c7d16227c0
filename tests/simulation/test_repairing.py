"""What repairs have to reach: whatever else goes on, all who are connected hold the same soon."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gossipd.core import Failure, Settings
from tests.effort import effort
from tests.simulation.faulty.world import World

from .clients import random_key
from .test_cluster import formed, values


def until(world: World, condition: Callable[[], bool], within: float) -> None:
    """Let time pass until that holds."""
    ends = world.now + within
    while not condition():
        assert world.now < ends, "it does not become true in time"
        world.run(0.1)


@pytest.mark.parametrize("count", [2, 4])
def test_over_a_way_that_is_slower_than_answers_are_waited_for_counts_become_equal(
    count: int,
) -> None:
    """Round trips of 1.3 s and more, where a question is asked three times in 1.2 s."""
    world = formed(1, count)
    first, *others = names = list(world.hosts)
    world.partition([first], others)
    for number in range(300):
        world.increment(first, f"c{number}")
    world.run(40)
    world.network.heal()
    for one in names:
        for other in names:
            if one != other:
                world.link(one, other).delay = (0.65, 0.7)
    until(world, lambda: all(values(world, f"c{n}") == {1} for n in range(0, 300, 50)), 30)
    world.crash(names[-1])
    world.run(1)
    world.start(names[-1])
    until(world, lambda: world.node(names[-1]).ready, 30)


def missed() -> World:
    """A node that holds the event that has lost comes back from its disk. The double was found and
    folded while it was away, so nobody tells it as news any more."""
    settings = Settings(key_window=4.0, key_retention=12.0)
    for seed in range(1, 30):
        world = World(seed, settings, disks=True)
        world.cluster(3)
        assert world.run_until_settled(10)
        world.run(2)
        world.partition(["n0", "n2"], ["n1"])
        key = random_key(world.rng)
        for name in "n0", "n1":
            world.increment(name, by=1000, key=key)
        world.run(4)
        streams = {made.host: made.stream for made in world.made}
        if streams["n0"] > streams["n1"]:
            break
    world.crash("n2")
    world.network.heal()
    world.run(14)
    world.start("n2")
    return world


def test_a_double_that_a_node_has_missed_reaches_it_while_its_stream_goes_on() -> None:
    world = missed()
    ends = world.now + 40
    while world.now < ends:
        world.increment("n0", "other")
        world.run(0.8)
    assert values(world, "default") == {1000}


def test_who_has_missed_a_double_is_not_ready_before_it_is_there() -> None:
    world = missed()
    until(world, lambda: world.node("n2").ready, 10)
    assert values(world, "default") == {1000}


@pytest.mark.parametrize("refused", effort([200], [20, 200, 1_000]))
def test_streams_that_a_full_node_refuses_keep_nothing_back_that_it_holds(refused: int) -> None:
    world = formed(1, 3)
    for name in world.hosts:
        world.increment(name, "held")
    world.run(2)
    full = world.node("n2")
    full.log.streams_max = full.log.stream_count
    world.isolate("n2")
    for number in range(refused):
        world.put("n0", f"client{number}", "owned", 1, 1)
    for name in "n0", "n1":
        for _ in range(5):
            world.increment(name, "held")
    world.run(15)
    world.network.heal()
    until(world, lambda: full.log.value("held") == 13, 10)
    assert full.log.value("owned") == 0


def test_a_live_peer_whose_disk_is_full_for_long_keeps_no_acknowledgement_back() -> None:
    world = World(1, disks=True)
    world.cluster(3)
    assert world.run_until_settled(10)
    disk = world.hosts["n2"].disk
    assert disk is not None
    disk.refuses = Failure.FULL
    peers = world.node("n0")._parts.copies._peers
    world.increment("n0")
    world.await_copies(world.made[-1], 2)
    world.run(2)
    peers["n2"].silences = 2_000  # some half an hour of steady acknowledgements
    for _ in range(3):
        world.increment("n0")
        world.await_copies(world.made[-1], 2)
        world.run(2)
        assert world.answered[-1].told == 2


def test_the_larger_of_two_totals_of_a_source_survives_the_leave_of_its_node() -> None:
    world = World(1, disks=True)
    world.cluster(3)
    assert world.run_until_settled(10)
    world.put("n0", "till", "sales", 4, 90)
    world.run(2)
    world.partition(["n1"], ["n0", "n2"])
    world.put("n0", "till", "sales", 5, 100)
    world.put("n1", "till", "sales", 5, 120)
    world.run(1)
    world.network.heal()
    world.leave("n1")
    world.run(6)
    assert values(world, "sales") == {120}
