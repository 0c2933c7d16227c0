"""Doubles that are old are folded, by each node for itself: nothing of it shows, and all go on."""

from __future__ import annotations

from random import Random

import pytest

from gossipd.core import Settings
from gossipd.core.log.dedup import held_longer
from tests.effort import few, some
from tests.simulation.checkers import Checker
from tests.simulation.faulty.world import World

from .test_keys import (
    NOTHING,
    formed,
    left_out,
    pass_time,
    settle,
    use_on,
    values,
)

WINDOW, RETENTION = 4.0, 12.0
FIGURES = Settings(key_window=WINDOW, key_retention=RETENTION)
FOLDED_AFTER = RETENTION + held_longer(WINDOW)


def held(world: World) -> set[int]:
    """How many doubles each node holds one by one."""
    return {len(node.log.doubles) for node in world.running.values()}


def cut_for(world: World, checker: Checker, seconds: float, count: int) -> None:
    """Use keys on both sides of a cut that lasts so long."""
    world.partition(["n0", "n1"], ["n2", "n3"])
    use_on(world, ["n0", "n3"], count)
    pass_time(world, checker, seconds)
    world.network.heal()
    settle(world, checker, NOTHING)


@pytest.mark.parametrize("disks", few([True, False], 1))
def test_folding_moves_no_value_and_no_fingerprint_and_takes_no_packet(disks: bool) -> None:
    world, checker = formed(4, FIGURES, disks=disks)
    cut_for(world, checker, 1.0, 30)
    prints = {node.log.fingerprint for node in world.running.values()}
    assert (values(world), left_out(world), held(world), len(prints)) == ({30}, {30}, {30}, 1)
    pass_time(world, checker, FOLDED_AFTER)
    assert held(world) == {0}
    assert (values(world), left_out(world)) == ({30}, {30})
    assert {node.log.fingerprint for node in world.running.values()} == prints
    checker.check_rest(frozenset(), NOTHING)


def test_who_comes_after_all_was_folded_counts_the_same() -> None:
    world, checker = formed(4, FIGURES, disks=True)
    cut_for(world, checker, 1.0, 30)
    pass_time(world, checker, FOLDED_AFTER)
    world.crash("n1")
    world.start("n1")
    world.crash("n2", disk_lost=True)
    world.start("n2")
    world.add("n9", seeds=["n0"])
    pass_time(world, checker, 5)
    settle(world, checker, NOTHING)
    assert (values(world), left_out(world), held(world)) == ({30}, {30}, {0})
    use_on(world, ["n0", "n9"], 5)
    settle(world, checker, NOTHING)
    assert values(world) == {35}


@pytest.mark.parametrize("seed", some(6))
def test_doubles_that_were_found_and_folded_at_different_times_count_once(seed: int) -> None:
    """Cuts shorter than the retention come and go while others' doubles are folded."""
    world, checker = formed(4, FIGURES, disks=bool(seed % 2))
    rng, names = Random(seed), ["n0", "n1", "n2", "n3"]
    made = 0
    until = world.now + FOLDED_AFTER + 60.0
    while world.now < until:
        rng.shuffle(names)
        at = rng.randrange(1, 4)
        world.partition(names[:at], names[at:])
        count = rng.randrange(1, 6)
        use_on(world, [names[0], names[-1]], count)
        use_on(world, names[:1], count)
        made += 2 * count
        world.run(rng.uniform(0.5, WINDOW / 2))
        checker.check()
        world.network.heal()
        world.run(rng.uniform(0.5, 5.0))
        checker.check()
    settle(world, checker, NOTHING)
    assert values(world) == {made}
    (left,) = left_out(world)
    assert max(held(world)) < left, "some were folded"


def test_after_a_separation_of_any_length_all_agree() -> None:
    """What one side has folded meanwhile, the other one has never heard of."""
    world, checker = formed(4, FIGURES)
    cut_for(world, checker, 1.0, 10)
    world.partition(["n0", "n1"], ["n2", "n3"])
    use_on(world, ["n0", "n3"], 10)
    use_on(world, ["n0", "n1"], 3)
    pass_time(world, checker, FOLDED_AFTER + 5.0)
    assert {len(world.node(name).log.doubles) for name in ("n0", "n1")} == {0}
    world.network.heal()
    settle(world, checker, NOTHING)
    assert values(world) == {33}, "keys that were used on both sides count twice"
    assert left_out(world) == {13}
