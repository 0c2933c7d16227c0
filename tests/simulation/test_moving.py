"""Hosts whose address changes, and hosts that have none for a while, in running clusters."""

from __future__ import annotations

import pytest

from gossipd.core import (
    Address,
    MemberChanged,
    NameLost,
    Status,
)
from tests.effort import some
from tests.simulation.checkers import Checker, demand_calm
from tests.simulation.faulty.world import World


def elsewhere(number: int) -> Address:
    return f"10.99.0.{number}", 7946


def formed(seed: int, count: int, *, disks: bool = False) -> World:
    world = World(seed, disks=disks)
    world.cluster(count)
    assert world.run_until_settled(10)
    world.run(6)  # members hold their names for good
    return world


@pytest.mark.parametrize("after", [0.0, 0.3, 2.0])
def test_a_node_may_move_right_after_it_has_joined(after: float) -> None:
    for seed in some(5):
        world = World(seed)
        world.cluster(3)
        assert world.run_until_settled(10)
        world.run(after)
        began = world.now
        world.move("n1", elsewhere(1))
        assert world.run_until_settled(1)
        world.run(5)
        demand_calm(world, began)
        assert not ends(world)


def test_who_took_others_in_may_move_before_it_hears_an_answer() -> None:
    for seed in some(5):
        world = World(seed)
        world.add("n0")
        world.add("n1", seeds=["n0"])
        world.run(0.01)
        world.move("n0", elsewhere(1))
        assert world.run_until_settled(1)
        world.run(4)
        demand_calm(world)


def test_a_newcomer_that_moves_takes_no_name_from_anybody() -> None:
    world = formed(1, 3)
    world.place("twin", elsewhere(9)).seeds = [world.hosts["n0"].address]
    world.start("twin", "n1")
    world.move("twin", elsewhere(8))
    world.run(10)
    assert world.hosts["twin"].node is None
    assert world.node("n1").live_count == 3


def ends(world: World) -> list[NameLost]:
    return [effect for _, _, effect in world.effects if isinstance(effect, NameLost)]


@pytest.mark.parametrize("count", [2, 3, 5, 20])
def test_a_node_that_moves_is_held_at_its_new_address_and_nobody_is_suspected(count: int) -> None:
    for seed in some(10):
        world = formed(seed, count)
        checker = Checker(world)
        began = world.now
        world.increment("n1", by=3)
        world.move("n1", elsewhere(1))
        world.increment("n1", by=4)
        checker.check()
        assert world.run_until_settled(2)
        for node in world.running.values():
            [held] = [view for view in node.members if view.name == "n1"]
            assert held.address == elsewhere(1)
        world.run(10)
        checker.check()
        demand_calm(world, began)
        assert {node.log.value("default") for node in world.running.values()} == {7}


def test_nodes_that_move_one_after_the_other_lose_nothing() -> None:
    """The first one goes back to where it was, too."""
    for seed in some(5):
        world = formed(seed, 3, disks=True)
        checker, began, home = Checker(world), world.now, world.hosts["n0"].address
        for number, name in enumerate(("n0", "n1", "n2", "n0")):
            world.increment(name)
            world.move(name, elsewhere(number) if number < 3 else home)
            world.increment(name)
            world.run(1)
            checker.check()
        assert world.run_until_settled(2)
        demand_calm(world, began)
        assert {node.log.value("default") for node in world.running.values()} == {8}
        assert not ends(world)


def test_all_nodes_that_move_at_once_find_each_other_by_their_seed() -> None:
    world = formed(1, 3)
    for number in range(3):
        world.move(f"n{number}", elsewhere(number))
    assert world.run_until_settled(20)
    assert not ends(world)


@pytest.mark.parametrize("away", [1.0, 8.0, 40.0])
def test_a_node_without_a_network_blames_nobody_and_is_back_at_once(away: float) -> None:
    """The others may give it up. It has another address then, and what it counted is kept."""
    for seed in some(5):
        world = formed(seed, 3)
        checker, began = Checker(world), world.now
        world.cut_off("n1")
        world.increment("n1", by=2)
        world.increment("n2", by=3)
        world.run(away)
        checker.check()
        world.move("n1", elsewhere(1))
        world.reconnect("n1")
        assert world.run_until_settled(4)
        world.run(5)
        blamed = {
            effect.view.name
            for at, _, effect in world.effects
            if at >= began and isinstance(effect, MemberChanged)
            if effect.view.status in (Status.SUSPECT, Status.FAILED)
        }
        assert blamed <= {"n1"}
        assert {node.log.value("default") for node in world.running.values()} == {5}
        assert not ends(world)


def test_a_node_that_moves_restarts_where_it_is_now() -> None:
    world = formed(1, 3, disks=True)
    world.move("n1", elsewhere(1))
    world.run(3)
    generation = world.node("n1").own.generation
    world.crash("n1")
    world.start("n1")
    assert world.node("n1").own.generation > generation
    assert world.run_until_settled(3)
    assert not ends(world)


def test_a_node_that_moves_while_it_leaves_leaves() -> None:
    world = formed(1, 3)
    world.isolate("n1")
    world.increment("n1")
    world.leave("n1")
    world.network.heal()
    world.move("n1", elsewhere(1))
    world.run(3)
    assert world.hosts["n1"].node is None
    assert {node.log.value("default") for node in world.running.values()} == {1}
