"""Clients that retry, on clusters to which something bad happens: everything counts once."""

from __future__ import annotations

import pytest

from gossipd.core import (
    Accepted,
    Duplicate,
    KeyExpired,
    Settings,
)
from tests.effort import few
from tests.simulation.checkers import Checker, demand_agreement
from tests.simulation.faulty.processes import DISK_TIMEOUT
from tests.simulation.faulty.world import World

from .clients import random_key, time_key
from .scenes import lose_the_beginning, with_one_in_memory

KEYED = 40


def formed(
    count: int, settings: Settings | None = None, *, disks: bool = True, seed: int = 1
) -> tuple[World, Checker]:
    """Nodes that know each other, and a checker that has seen them from the beginning."""
    world = World(seed, settings, disks=disks)
    world.formed(count)
    world.run(2)
    return world, Checker(world)


def pass_time(world: World, checker: Checker, seconds: float) -> None:
    """Let time pass and check all the time."""
    until = world.now + seconds
    while world.now < until:
        world.run(0.1)
        checker.check()


def settle(
    world: World,
    checker: Checker,
    forgotten: frozenset[tuple[bytes, int]],
    lost: frozenset[bytes] = frozenset(),
) -> None:
    """Let all agree, disks have their time, and demand all that must hold then."""
    demand_agreement(world, 30)
    pass_time(world, checker, 3)
    demand_agreement(world, 5)
    checker.check_rest(lost, forgotten)


NOTHING: frozenset[tuple[bytes, int]] = frozenset()


def values(world: World) -> set[int]:
    return {node.log.value("default") for node in world.running.values()}


def left_out(world: World) -> set[int]:
    """How many events each node leaves out of its values."""
    return {node.log.doubles.left_out for node in world.running.values()}


def use_on(world: World, names: list[str], count: int) -> list[bytes]:
    """Increments with a key each, each of them tried on all these nodes; the keys."""
    keys = [random_key(world.rng) for _ in range(count)]
    for key in keys:
        for name in names:
            world.increment(name, key=key)
    return keys


# --- partitions ----------------------------------------------------------------------------------


@pytest.mark.parametrize("disks", few([True, False], 1))
def test_keys_used_on_both_sides_of_a_cut_count_once_and_are_told_as_doubles(disks: bool) -> None:
    world, checker = formed(5, disks=disks)
    world.partition(["n0", "n1"], ["n2", "n3", "n4"])
    for _ in range(KEYED):
        use_on(world, ["n1", "n4"], 1)
        use_on(world, ["n0"], 1)
        pass_time(world, checker, 0.1)
    assert values(world) == {2 * KEYED, KEYED}
    world.network.heal()
    settle(world, checker, NOTHING)
    assert values(world) == {2 * KEYED}
    assert left_out(world) == {KEYED}
    accepted = [a for a in world.judged if isinstance(a.result, Accepted)]
    assert len(accepted) - 2 * KEYED == KEYED


def test_a_key_that_three_parts_have_used_counts_once() -> None:
    world, checker = formed(3)
    world.partition(["n0"], ["n1"], ["n2"])
    use_on(world, ["n0", "n1", "n2"], 5)
    pass_time(world, checker, 12)
    world.network.heal()
    settle(world, checker, NOTHING)
    assert values(world) == {5}
    assert left_out(world) == {10}


def test_a_key_that_two_sides_have_used_for_two_things_counts_both() -> None:
    world, checker = formed(2)
    world.partition(["n0"], ["n1"])
    key = random_key(world.rng)
    world.increment("n0", by=3, key=key)
    world.increment("n1", by=4, key=key)
    pass_time(world, checker, 1)
    world.network.heal()
    settle(world, checker, NOTHING)
    assert values(world) == {7}
    assert left_out(world) == {0}


# --- retention -----------------------------------------------------------------------------------


@pytest.mark.parametrize("disks", few([True, False], 1))
def test_a_cut_shorter_than_the_retention_doubles_nothing(disks: bool) -> None:
    figures = Settings(key_window=4.0 if disks else 30.0, key_retention=30.0)
    world, checker = formed(4, figures, disks=disks)
    world.partition(["n0", "n1"], ["n2", "n3"])
    use_on(world, ["n0", "n2"], KEYED)
    pass_time(world, checker, 15)
    world.network.heal()
    settle(world, checker, NOTHING)
    assert values(world) == {KEYED}
    assert checker.over("n0") == {}


@pytest.mark.parametrize("disks", few([True, False], 1))
def test_a_cut_longer_than_the_retention_doubles_just_the_keys_used_on_both_sides(
    disks: bool,
) -> None:
    world, checker = formed(4, Settings(key_window=4.0, key_retention=12.0), disks=disks)
    world.partition(["n0", "n1"], ["n2", "n3"])
    use_on(world, ["n0", "n2"], KEYED)
    use_on(world, ["n0", "n1"], 7)
    pass_time(world, checker, 20)
    world.network.heal()
    settle(world, checker, NOTHING)
    assert values(world) == {2 * KEYED + 7}
    assert left_out(world) == {7}
    assert checker.over("n3") == {"default": KEYED}


# --- disks ---------------------------------------------------------------------------------------


def test_a_restored_disk_brings_no_key_back_and_loses_none_that_others_know() -> None:
    world, checker = formed(3)
    use_on(world, ["n1"], KEYED)
    pass_time(world, checker, 2)
    disk = world.hosts["n1"].disk
    assert disk is not None
    old = disk.copy()
    keys = use_on(world, ["n1"], KEYED)
    pass_time(world, checker, 2)
    world.crash("n1")
    world.start("n1", disk=old)
    pass_time(world, checker, 5)
    assert all(isinstance(world.increment("n1", key=key), Duplicate) for key in keys)
    settle(world, checker, NOTHING)
    assert values(world) == {2 * KEYED}


def test_a_clone_of_a_disk_knows_its_keys_and_retries_on_both_count_once() -> None:
    world, checker = formed(2)
    keys = use_on(world, ["n1"], KEYED)
    pass_time(world, checker, 2)
    world.clone("n1", "copy")
    pass_time(world, checker, 5)
    assert all(isinstance(world.increment("copy", key=key), Duplicate) for key in keys)
    world.isolate("copy")
    use_on(world, ["n1", "copy"], KEYED)
    pass_time(world, checker, 3)
    world.network.heal()
    settle(world, checker, NOTHING)
    assert values(world) == {2 * KEYED}
    assert left_out(world) == {KEYED}


def test_what_a_crash_has_left_unanswered_is_known_to_a_retry_after_the_restart() -> None:
    world, checker = formed(3)
    key = random_key(world.rng)
    world.crash_in_commit("n1", key=key)
    assert isinstance(world.increment("n2", key=key), Accepted)
    world.start("n1")
    pass_time(world, checker, 5)
    assert isinstance(world.increment("n1", key=key), Duplicate)
    settle(world, checker, NOTHING)
    assert values(world) == {1}


@pytest.mark.parametrize("disk_lost", few([True, False], 1))
def test_who_has_to_catch_up_with_more_keys_than_memory_holds_comes_to_the_end(
    disk_lost: bool,
) -> None:
    """A new disk, and one that was off for long: all records of the retention are for the disk,
    and pass through memory, which takes 120."""
    settings = Settings(key_window=2.0, key_retention=3600.0, key_limit=30)
    world, checker = formed(3, settings)
    world.crash("n2", disk_lost=disk_lost)
    keys = [random_key(world.rng) for _ in range(300)]
    for number, key in enumerate(keys):
        assert isinstance(world.increment("n0", key=key), Accepted)
        if number % 10 == 9:
            pass_time(world, checker, 1.0)
    world.start("n2")
    settle(world, checker, NOTHING)
    assert isinstance(world.increment("n2", key=keys[0]), Duplicate)
    assert values(world) == {300}


def test_where_more_keys_were_used_than_memory_takes_all_agree_when_these_are_old() -> None:
    """Each of six sides of a partition has used its limit, and a node takes that of four."""
    settings = Settings(key_window=15.0, key_limit=2)
    world, checker = formed(6, settings, disks=False)
    names = list(world.running)
    world.partition(*([name] for name in names))
    for name in names:
        use_on(world, [name], 2)
    world.network.heal()
    pass_time(world, checker, settings.key_window - 3)
    assert values(world) == {12}
    assert not world.settled(), "not all records found room"
    pass_time(world, checker, 3)
    settle(world, checker, NOTHING)
    assert values(world) == {12}


def test_a_node_in_memory_among_disks_is_told_keys_and_knows_them_for_the_window() -> None:
    settings = Settings(key_window=6.0, key_retention=600.0)
    world = with_one_in_memory(["n0", "n1", "memory"], "memory", settings)
    checker = Checker(world)
    young, old = random_key(world.rng), time_key(world.rng, world.now)
    world.increment("n0", key=old)
    pass_time(world, checker, 4)
    world.increment("memory", key=young)
    pass_time(world, checker, 3)
    assert isinstance(world.increment("n1", key=young), Duplicate)
    assert isinstance(world.increment("memory", key=young), Duplicate)
    assert isinstance(world.increment("n1", key=old), Duplicate)
    assert isinstance(world.increment("memory", key=old), KeyExpired)
    world.crash("memory")
    world.start("memory")
    pass_time(world, checker, 2)
    assert isinstance(world.increment("memory", key=young), Duplicate)
    settle(world, checker, NOTHING)
    assert values(world) == {2}


def test_a_retry_counts_once_though_its_commit_takes_longer_than_the_window() -> None:
    """The first try was made elsewhere meanwhile: only the disk that is so slow knows of both."""
    settings = Settings(key_window=3.0, key_retention=60.0)
    world = with_one_in_memory(["n0", "n1"], "n0", settings)
    checker = Checker(world)
    key, disk = random_key(world.rng), world.hosts["n1"].disk
    assert disk is not None
    disk.commit_takes = DISK_TIMEOUT - 0.5
    assert world.increment("n1", key=key) is None, "it is not known yet"
    assert isinstance(world.increment("n0", key=key), Accepted)
    pass_time(world, checker, DISK_TIMEOUT)
    disk.heal()
    settle(world, checker, NOTHING)
    assert values(world) == {1}
    assert left_out(world) == {1}


def test_a_key_whose_only_record_was_destroyed_may_count_again_and_nothing_else_does() -> None:
    world, checker = formed(2)
    world.isolate("n1")
    lost, kept = random_key(world.rng), random_key(world.rng)
    world.increment("n1", key=lost)
    pass_time(world, checker, 1)
    made = world.made[0]
    world.node("n0").log.merge(made.stream, [("default", 1, 1)])  # its key did not arrive
    checker.meddled("n0")
    world.crash("n1", disk_lost=True)
    world.network.heal()
    world.start("n1")
    for key in (lost, kept):
        for name in ("n0", "n0"):
            world.increment(name, key=key)
    demand_agreement(world, 20)
    checker.check_rest(lost={made.stream}, forgotten={(made.stream, 1)})
    assert values(world) == {3}
    assert checker.over("n0") == {"default": 1}


def test_nodes_with_and_without_a_disk_agree_on_keys_of_a_stream_that_lost_its_beginning() -> None:
    settings = Settings(key_window=5.0, key_retention=60.0)
    world = with_one_in_memory(["n0", "memory", "n2"], "memory", settings)
    checker = Checker(world)
    stream = lose_the_beginning(world, checker, "n0")
    world.start("n2")
    for _ in range(5):
        pass_time(world, checker, 4)
        demand_agreement(world, 3)
    late = world.place("late")
    late.disk, late.seeds = None, [world.hosts["n0"].address]
    world.start("late")
    demand_agreement(world, 5)
    checker.check_rest(lost={stream}, forgotten={(stream, 1), (stream, 2)})
    assert all(len(node.log.keys) == 1 for node in world.running.values())


def test_who_leaves_leaves_the_keys_behind_that_no_version_covers() -> None:
    world, checker = formed(4)
    stream = lose_the_beginning(world, checker, "n0")
    world.isolate("n0")
    world.run(2)
    world.network.heal()
    world.leave("n0")
    pass_time(world, checker, 3)
    assert "n0" not in world.running
    settle(world, checker, frozenset({(stream, 1)}), lost=frozenset({stream}))
    assert all(len(node.log.keys) == 1 for node in world.running.values())


# --- lost datagrams ------------------------------------------------------------------------------


def lost_and_later(seed: int) -> tuple[World, Checker, bytes]:
    """Every datagram with a key was lost; a later one of the same stream has just arrived."""
    world, checker = formed(2, Settings(retransmit_mult=2, pull_interval=5.0), seed=seed)
    key = random_key(world.rng)
    world.cut(["n0"], ["n1"])
    world.increment("n0", "elsewhere", key=key)
    pass_time(world, checker, 1)
    world.network.heal()
    world.increment("n0")
    while not world.node("n1").log.value("default"):
        world.run(0.002)
    return world, checker, key


@pytest.mark.parametrize("seed", range(5))
def test_a_key_that_was_lost_is_repaired_before_anything_claims_it(seed: int) -> None:
    world, checker, key = lost_and_later(seed)
    stream = world.made[0].stream
    checker.check()
    assert world.node("n1").log.version(stream) == 0
    while not world.node("n1").log.version(stream):
        world.run(0.002)
        checker.check()
    assert isinstance(world.increment("n1", "elsewhere", key=key), Duplicate)
    settle(world, checker, NOTHING)


def test_a_retry_that_comes_before_the_lost_key_counts_once_when_it_is_repaired() -> None:
    world, checker, key = lost_and_later(1)
    assert isinstance(world.increment("n1", "elsewhere", key=key), Accepted)
    settle(world, checker, NOTHING)
    assert {node.log.value("elsewhere") for node in world.running.values()} == {1}
    assert left_out(world) == {1}


# --- sources -------------------------------------------------------------------------------------


def test_the_largest_put_of_a_source_wins_everywhere_whatever_comes_again() -> None:
    world, checker = formed(4)
    world.partition(["n0", "n1"], ["n2", "n3"])
    for seq in range(1, 20):
        world.put(f"n{seq % 4}", "client", "default", seq, 10 * seq)
        pass_time(world, checker, 0.1)
    world.put("n0", "client", "default", 20, 500)
    world.put("n2", "client", "default", 20, 300)
    world.network.heal()
    settle(world, checker, NOTHING)
    for name in world.running:
        world.put(name, "client", "default", 19, 190)
        world.put(name, "client", "default", 20, 500)
    assert values(world) == {500}
    checker.check_rest()
