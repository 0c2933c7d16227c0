"""The first node of a cluster, which has nobody to join, comes back without its state."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from gossipd.core import BecameReady, NotAlone, Settings
from gossipd.core.swim.readiness import Readiness
from tests.effort import effort, few, some
from tests.simulation.checkers import Checker
from tests.simulation.faulty.world import World
from tests.simulation.mutants.cores import nothing

COUNT = 1000


def ruined(count: int, seed: int, off: float, settings: Settings | None = None) -> World:
    """A cluster that has counted; then its first node was off for a while, and has lost all."""
    world = World(seed, settings)
    world.cluster(count)
    assert world.run_until_settled(10)
    world.run(6 + seed * 0.137)
    world.increment("n1", by=COUNT)
    assert world.run_until_settled(5)
    world.crash("n0")
    world.run(off)
    world.start("n0")
    return world


def watch(world: World, seconds: float) -> float:
    """Seconds for which the first node was ready and lacked counts, until it has them for good."""
    wrong, until = 0.0, world.now + seconds
    while world.now < until:
        node = world.node("n0")
        wrong += 0.005 * (node.ready and node.log.value("default") < COUNT)
        world.run(0.005)
    assert world.node("n0").ready, "never ready"
    return wrong


def lacks_nothing() -> None:
    """Of a member that is not given up yet nobody hears a count that is not whole."""
    for count, seeds in ((2, 6), (3, 6), (5, 4), (20, 1)):
        for seed in range(effort(math.ceil(seeds / 3), seeds)):
            for off in (0.3, 1.0, 2.0):
                world = ruined(count, seed, off)
                wrong = watch(world, 5)
                assert not wrong, f"{count} nodes, seed {seed}, off {off}: ready too soon"


def test_who_is_still_held_as_a_member_is_not_ready_before_its_counts_are_whole() -> None:
    lacks_nothing()


MUTANTS: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "is ready at once": lambda patch: patch.setattr(
        "gossipd.simulator.engine.Settings", lambda: Settings(alone_after=0.0)
    ),
    "asks nobody": lambda patch: patch.setattr(Readiness, "taken_in", nothing),
}


@pytest.mark.parametrize("mutant", few(MUTANTS, 1))
def test_a_core_that_breaks_that_is_noticed(mutant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    MUTANTS[mutant](monkeypatch)
    with pytest.raises(AssertionError, match=r"too soon|never ready"):
        lacks_nothing()


def test_who_was_given_up_learns_soon_that_it_is_not_alone() -> None:
    """It may have become ready before others have contacted it."""
    wrong = []
    for count, seeds in ((2, 8), (3, 8), (5, 6), (20, 2))[: effort(2, 4)]:
        for seed in range(seeds):
            world = ruined(count, seed, 40.0)
            wrong.append(watch(world, 12))
            said = [effect for _, host, effect in world.effects if host == "n0"]
            assert len([effect for effect in said if isinstance(effect, NotAlone)]) <= 1
    assert max(wrong) < 4
    assert sum(not seconds for seconds in wrong) > len(wrong) / 2


def test_what_it_counts_before_it_learns_so_is_counted_beside_all_else() -> None:
    world = ruined(3, 1, 40.0)
    checker = Checker(world)
    world.increment("n0", by=7)
    watch(world, 12)
    checker.check()
    assert world.settled()
    assert {node.log.value("default") for node in world.running.values()} == {COUNT + 7}


def test_a_new_cluster_is_ready_as_soon_as_its_first_node_is() -> None:
    for seed in some(5):
        world = World(seed)
        world.add("n0")
        for number in range(1, 20):
            world.add(f"n{number}", seeds=["n0"])
        world.run(Settings().alone_after + 0.1)
        assert all(node.ready for node in world.running.values())
        became = [effect for _, _, effect in world.effects if isinstance(effect, BecameReady)]
        assert set(became) == {BecameReady(False)}
        assert not [effect for _, _, effect in world.effects if isinstance(effect, NotAlone)]
