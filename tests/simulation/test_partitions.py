"""Cut networks: both sides count on, and agree soon after the heal."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median

import pytest

from gossipd.core import Settings, Status
from tests.effort import effort, few, some
from tests.simulation.checkers import Checker
from tests.simulation.faulty.world import World

from .test_cluster import formed, values, verdicts

NAMES = [f"n{number}" for number in range(5)]


def count_on(world: World, seconds: float) -> None:
    """Increments at every node while time passes."""
    until = world.now + seconds
    while world.now < until:
        world.increment(world.rng.choice(NAMES), world.rng.choice("ab"))
        world.run(0.5)


def heal_time(seed: int, cut: Callable[[World], None]) -> float:
    """A minute of a cut with increments everywhere; seconds until all agree after the heal."""
    world = formed(seed, 5)
    checker = Checker(world)
    cut(world)
    count_on(world, 60)
    checker.check()
    world.network.heal()
    began = world.now
    while not world.settled():
        assert world.now - began < 15, f"seed {seed}"
        world.run(0.05)
    checker.check()
    for counter in "ab":
        assert values(world, counter) == {checker.expected(counter)}
    return world.now - began


def halves(world: World) -> None:
    world.partition(["n0", "n1"], ["n2", "n3", "n4"])


def seeds_alone(world: World) -> None:
    world.partition(["n0"], ["n1", "n2", "n3", "n4"])


def nothing_reaches_one(world: World) -> None:
    world.cut([name for name in NAMES if name != "n2"], ["n2"])


def nothing_comes_from_one(world: World) -> None:
    world.cut(["n2"], [name for name in NAMES if name != "n2"])


def nothing_passes_from_half_to_half(world: World) -> None:
    world.cut(["n0", "n1"], ["n2", "n3", "n4"])


def everybody_alone(world: World) -> None:
    world.partition(*([name] for name in NAMES))


@pytest.mark.parametrize(
    ("cut", "seeds"),
    [
        (halves, 30),
        (seeds_alone, 10),
        (nothing_reaches_one, 30),
        (nothing_comes_from_one, 30),
        (nothing_passes_from_half_to_half, 10),
        (everybody_alone, 10),
    ],
)
def test_a_cut_of_a_minute_heals_within_five_seconds(
    cut: Callable[[World], None], seeds: int
) -> None:
    times = [heal_time(seed, cut) for seed in range(effort(1, seeds))]
    print(f"{cut.__name__}: median {median(times):.2f} s, max {max(times):.2f} s")
    assert max(times) <= 5


@pytest.mark.parametrize(("left", "of", "within"), [(5, 20, 25), (2, 5, 15)])
def test_the_few_that_are_left_of_many_hold_the_others_as_failed_soon(
    left: int, of: int, within: float
) -> None:
    """Most of the relays that they may ask are among the dead."""
    for seed in some(32):
        world = formed(seed, of)
        world.run(world.rng.uniform(5, 10))
        dead = world.rng.sample(sorted(world.running), of - left)
        for name in dead:
            world.crash(name)
        world.run(within)
        for name, node in world.running.items():
            held = {view.name for view in node.members if view.status is Status.FAILED}
            assert held == set(dead), f"seed {seed}: {name}"


def test_a_single_cut_link_blames_nobody() -> None:
    for seed in some(10):
        world = formed(seed, 5)
        world.cut(["n1"], ["n3"])
        count_on(world, 30)
        assert not verdicts(world)
        world.run(2)
        assert len(values(world, "a")) == 1


def test_a_partition_of_a_cluster_without_seeds_in_reach_heals_by_contact() -> None:
    world = formed(1, 4)
    world.crash("n0")
    world.run(15)
    world.partition(["n1"], ["n2", "n3"])
    world.run(60)
    world.network.heal()
    began = world.now
    while world.node("n1").live_count < 3:
        assert world.now - began < 5
        world.run(0.05)
    assert world.run_until_settled(5)


@pytest.mark.parametrize("size", [640, 1200])
@pytest.mark.parametrize("seed", few(range(3), 1))
def test_a_late_joiner_catches_up_through_heavy_loss(size: int, seed: int) -> None:
    """Forty streams do not fit one digest: a walk whose questions get lost must still get on."""
    world = World(seed, Settings(datagram_size=size))
    world.add("a" * 64)
    log = world.node("a" * 64).log
    counters = [f"c{number:02}" + "x" * 110 for number in range(6)]
    for number in range(40):
        stream = (number << 66 | 5).to_bytes(10, "big")
        registers = [(counter, 2**40 + at, at + 1) for at, counter in enumerate(counters)]
        log.merge(stream, registers)
        log.claim(stream, registers[-1][1])
    world.network.loss = 0.2
    world.add("b", seeds=["a" * 64])
    world.run(30)
    assert world.node("b").log.fingerprint == log.fingerprint


def test_a_second_holder_of_a_name_whose_members_are_gone_ends_when_it_is_refused() -> None:
    world = formed(1, 3)
    world.partition(["n0", "n1"], ["n2"])
    world.run(10)
    other = world.place("other")
    other.seeds = [world.hosts["n2"].address, world.hosts["n0"].address]
    world.cut(["other"], ["n0", "n1"])
    world.cut(["n0", "n1"], ["other"])
    world.start("other", as_name="n1")
    world.run(5)
    assert world.node("other").live_count == 2, "n2, which holds n1 as failed, has let it in"
    world.crash("n2")
    world.run(10)
    assert world.node("other").live_count == 1
    world.network.heal()
    world.run(15)
    assert "n1" in world.running
    assert "taken" in world.hosts["other"].ended
