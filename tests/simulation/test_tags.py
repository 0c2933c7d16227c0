"""Tags that change while a cluster runs reach everybody, whatever the network does."""

from __future__ import annotations

import pytest

from gossipd.core.identity import Tags
from tests.effort import some
from tests.simulation.checkers import Checker, demand_calm
from tests.simulation.faulty.world import World

from .test_cluster import formed


def tags_of(world: World, name: str) -> set[Tags]:
    """What all nodes hold of one."""
    held = {node.member(name) for node in world.running.values()}
    return {view.tags for view in held if view is not None}


@pytest.mark.parametrize("loss", [0.0, 0.3])
def test_the_last_tags_are_held_by_all_and_nobody_is_suspected(loss: float) -> None:
    for seed in some(10):
        world = formed(seed, 5)
        checker, began = Checker(world), world.now
        world.network.loss = loss
        for number in range(6):  # up and down, so that the larger ones are not the last ones
            world.retag("n1", (("zone", "abacab"[number]),))
            world.retag("n2", (("zone", "bacaba"[number]),) if number < 5 else ())
            world.run(world.rng.choice((0.0, 0.05, 1.0)))
        world.network.loss = 0.0
        assert world.run_until_settled(10)
        checker.check()
        assert (tags_of(world, "n1"), tags_of(world, "n2")) == ({(("zone", "b"),)}, {()})
        if not loss:
            demand_calm(world, began)


def test_both_sides_of_a_cut_get_other_tags_and_a_suspect_is_cleared() -> None:
    for seed in some(10):
        world = formed(seed, 5)
        checker = Checker(world)
        world.cut(["n0", "n1"], ["n2", "n3", "n4"])
        world.run(1.5)
        for name in ("n0", "n4"):
            world.retag(name, (("zone", name),))
        world.run(30)
        world.network.heal()
        assert world.run_until_settled(15)
        checker.check()
        assert tags_of(world, "n0") == {(("zone", "n0"),)}
        assert tags_of(world, "n4") == {(("zone", "n4"),)}
        assert all(node.live_count == 5 for node in world.running.values())
