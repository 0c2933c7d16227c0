"""What a disk remembers of members says whom to ask; it brings nobody back."""

from __future__ import annotations

import pytest

from gossipd.core import ClustersMet, Settings, Status
from tests.effort import few
from tests.inside import shared_members, snapshot_of
from tests.simulation.checkers import Checker, demand_agreement
from tests.simulation.faulty.world import World

REMEMBER = 1200.0


def formed(remember: float = 72 * 3600.0) -> World:
    """Four nodes with disks that agree; n0 is the seed of the others."""
    world = World(1, Settings(remember=remember), disks=True)
    world.cluster(4)
    demand_agreement(world, 10)
    world.run(5)
    return world


@pytest.mark.parametrize("end", few(["crash", "leave"], 1))
def test_a_node_that_was_off_for_long_brings_back_nobody_who_was_forgotten(end: str) -> None:
    world = formed(REMEMBER)
    checker = Checker(world)
    world.crash("n3")
    world.run(2)
    if end == "crash":
        world.crash("n2")
    else:
        world.leave("n2")
    world.run(REMEMBER + 130)
    others = ("n0", "n1")
    assert all(view.name != "n2" for name in others for view in world.node(name).members)
    world.start("n3")
    kept = snapshot_of(world.node("n3"), world.now).members
    back = next(view for view in kept if view.name == "n2")
    assert back.status is Status.ALIVE, "its disk has not heard of the end"
    for _ in range(300):
        world.run(0.1)
        checker.check()
        for name in others:
            assert all(view.name != "n2" for view in world.node(name).members)
    demand_agreement(world, 5)
    assert any(v.name == "n2" and v.status is Status.FAILED for v in world.node("n3").members)


def test_a_cluster_that_restarts_as_a_whole_finds_itself_by_its_disks_alone() -> None:
    world = formed()
    checker = Checker(world)
    for name in ("n0", "n1", "n2", "n3"):
        world.crash(name)
        world.hosts[name].seeds = []
    world.run(3)
    for name in ("n0", "n1", "n2", "n3"):
        world.start(name)
        world.run(0.5)
    demand_agreement(world, 10)
    checker.check_rest()
    for node in world.running.values():
        assert len(shared_members(node, world.now)) == 4


def test_a_member_that_only_one_disk_remembers_and_that_lives_is_met_again() -> None:
    """As after a partition in which everybody but the one who was off has forgotten it."""
    world = formed(REMEMBER)
    for host in world.hosts.values():
        host.seeds = []
    world.crash("n3")
    world.partition(["n0", "n1"], ["n2"])
    world.run(REMEMBER + 130)
    world.network.heal()
    world.start("n3")
    demand_agreement(world, 60)
    assert all(node.live_count == 4 for node in world.running.values())


def met(world: World) -> dict[str, ClustersMet]:
    """Which hosts said that two clusters have become one."""
    return {host: e for _, host, e in world.effects if isinstance(e, ClustersMet)}


def test_two_clusters_that_meet_are_told_by_who_joins() -> None:
    world = World(1, disks=True)
    for prefix in "ab":
        world.add(f"{prefix}0")
        for number in (1, 2):
            world.add(f"{prefix}{number}", seeds=[f"{prefix}0"])
    world.run(8)
    for name in world.running:
        world.increment(name)
    world.run(3)
    assert not met(world)
    world.join("b1", ["a0"])
    demand_agreement(world, 20)
    assert met(world) == {"b1": ClustersMet(("b0", "b2"), ("a0", "a1", "a2"))}


@pytest.mark.parametrize("way", [0.001, 0.008, 0.015, 0.05, 0.15])
def test_clusters_that_meet_by_a_slow_link_are_told_too(way: float) -> None:
    """The others of the cluster are heard of before the welcome comes, and before the table."""
    world = World(1)
    for prefix in "ab":
        world.add(f"{prefix}0")
        for number in (1, 2):
            world.add(f"{prefix}{number}", seeds=[f"{prefix}0"])
    world.run(1.0)
    for name in world.running:
        world.increment(name)
    for pair in ("a0", "b1"), ("b1", "a0"):
        world.link(*pair).delay = (way, way)
    world.join("b1", ["a0"])
    demand_agreement(world, 20)
    assert met(world) == {"b1": ClustersMet(("b0", "b2"), ("a0", "a1", "a2"))}


@pytest.mark.parametrize("seconds", [8.0, 60.0])
def test_a_partition_that_heals_is_no_meeting_of_two_clusters(seconds: float) -> None:
    """Even where nothing was counted before it, a node has come, and all have restarted."""
    world = formed()
    world.partition(["n0", "n1"], ["n2", "n3"])
    world.run(seconds)
    world.add("n4", seeds=["n2"])
    world.partition(["n0", "n1"], ["n2", "n3", "n4"])
    world.run(seconds)
    for name in list(world.running):
        world.increment(name)
    for name in ("n1", "n3"):
        world.crash(name)
        world.start(name)
    world.run(seconds)
    world.network.heal()
    world.join("n0", ["n4"])
    demand_agreement(world, 60)
    assert not met(world)
