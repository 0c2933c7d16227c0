"""Processes that stall, are slow, crash and start again, with disks and without."""

from __future__ import annotations

from itertools import pairwise

import pytest

from gossipd.core import (
    BecameReady,
    NameLost,
    Settings,
    Stalled,
    Status,
    TagFrame,
)
from gossipd.core.wire.encoding import pack_body, pack_head, pack_view
from gossipd.core.wire.messages import Gossip
from tests.inside import snapshot_of
from tests.simulation.checkers import Checker, check_survival
from tests.simulation.faulty.link import Constant
from tests.simulation.faulty.world import World


def formed(count: int = 2, disks: bool = False, seed: int = 1) -> World:
    world = World(seed, disks=disks)
    world.network.latency = Constant(0.01)
    world.formed(count)
    return world


def count(world: World, name: str) -> int:
    return world.node(name).log.value("default")


def stalls(world: World, name: str) -> list[float]:
    """The lengths of the stalls that a node has noticed."""
    return [e.seconds for _, host, e in world.effects if host == name and isinstance(e, Stalled)]


# --- stalls --------------------------------------------------------------------------------------


def test_a_stalled_process_does_nothing_then_all_at_once() -> None:
    world = formed()
    world.stall("n1")
    before = world.sent["n1"]
    for _ in range(5):
        world.increment("n0")
        world.run(0.5)
    assert count(world, "n1") == 0
    assert world.sent["n1"] == before
    world.resume("n1")
    assert count(world, "n1") == 5
    assert world.sent["n1"] > before, "pings that waited are answered"
    world.run(0.01)
    assert len(stalls(world, "n1")) == 1
    assert 1.4 < stalls(world, "n1")[0] <= 2.5


def test_a_process_that_crashes_while_it_stalls_loses_what_waited() -> None:
    world = formed()
    world.stall("n1")
    world.increment("n0")
    world.run(0.1)
    world.crash("n1")
    world.partition(["n0"], ["n1"])
    world.start("n1")
    world.resume("n1")
    world.run(1)
    assert count(world, "n1") == 0


def test_the_timers_of_a_stalled_process_go_on_after_it() -> None:
    world = formed()
    world.stall("n1")
    world.run(0.5)
    world.resume("n1")
    before = world.sent["n1"]
    world.run(10)
    assert world.sent["n1"] - before >= 18


# --- slow processes ------------------------------------------------------------------------------


def test_a_slow_process_answers_later_by_what_its_work_takes() -> None:
    world = formed(seed=4)
    world.run(5)
    assert world.node("n0").round_trip("n1") == pytest.approx(0.02)
    world.slow("n1", 0.03)
    world.run(60)
    took = world.node("n0").round_trip("n1")
    assert took is not None
    assert 0.02 + 0.03 <= took <= 0.02 + 2 * 0.03  # now and then another datagram is before it


def test_datagrams_that_come_at_once_are_answered_one_after_the_other() -> None:
    world = formed(12)
    others = [name for name in world.hosts if name != "n1"]
    world.clog(others, ["n1"])
    world.run(1.5)
    world.slow("n1", 0.1)
    world.unclog(others, ["n1"])
    answers = []
    for _ in range(10):
        before = world.sent["n1"]
        world.run(0.1)
        answers.append(world.sent["n1"] - before)
    assert answers[0] == 0
    assert sum(answers) >= 4
    assert max(answers) <= 2


def test_timers_of_an_overloaded_process_come_late_but_come() -> None:
    world = formed(6)
    world.slow("n1", 0.04)
    for number in range(300):
        world.increment(f"n{number % 6 if number % 6 != 1 else 0}")
        world.run(0.02)
    assert stalls(world, "n1")
    assert world.sent["n1"] > 6
    assert count(world, "n1") < count(world, "n0")
    world.slow("n1", 0.0)
    world.run(3)
    assert count(world, "n1") == count(world, "n0") == 300


def test_a_slow_process_that_stalls_goes_on_slowly() -> None:
    world = formed()
    world.slow("n1", 0.05)
    world.stall("n1")
    world.increment("n0")
    world.run(1)
    world.resume("n1")
    assert count(world, "n1") == 0
    world.run(1)
    assert count(world, "n1") == 1


# --- crashes and disks ---------------------------------------------------------------------------


def test_without_a_disk_nothing_is_left_after_a_crash() -> None:
    world = formed()
    world.increment("n1")
    world.crash("n1")
    world.isolate("n1")
    world.start("n1")
    assert count(world, "n1") == 0
    assert [view.name for view in world.node("n1").members] == ["n1"]


def test_who_waits_for_copies_is_told_and_it_is_noted_on_how_many_disks_they_are() -> None:
    world = World(1, disks=True)
    world.cluster(3)
    world.run_until_settled(10)
    world.increment("n1")
    world.await_copies(world.made[0], 2)
    assert not world.answered
    world.run(0.5)
    [told] = world.answered
    assert (told.made, told.wanted, told.memory) == (world.made[0], 2, False)
    assert told.enough
    assert told.told == 2
    assert told.disks >= 2
    world.isolate("n1")
    world.increment("n1")
    world.await_copies(world.made[1], 3, 1.0, memory=True)
    world.run(1.1)
    told = world.answered[1]
    assert (told.told, told.enough, told.disks) == (1, False, 1)


def test_own_increments_are_on_the_disk_at_once() -> None:
    world = formed(disks=True)
    world.isolate("n1")
    for by in (1, 2, 3):
        world.increment("n1", by=by)
    world.crash("n1")
    world.start("n1")
    assert count(world, "n1") == 6
    assert world.made[0].stream in world.node("n1").log.streams


def test_an_increment_that_was_committed_when_its_process_died_counts_from_the_restart_on() -> (
    None
):
    world = formed(disks=True)
    checker = Checker(world)
    world.increment("n1", by=2)
    world.run(0.1)
    world.crash_in_commit("n1", by=3)
    world.run(1)
    checker.check(full=True)
    assert count(world, "n0") == 2
    world.start("n1")
    assert count(world, "n1") == 5
    assert world.run_until_settled(5)
    checker.check_rest()
    assert count(world, "n0") == checker.expected("default") == 5
    assert [made.acknowledged for made in world.made] == [True, False]
    check_survival(world, world.hosts)


def test_what_nobody_was_told_of_need_not_be_seen_before_the_restart() -> None:
    world = formed(disks=True)
    world.crash_in_commit("n1")
    assert count(world, "n0") == 0
    check_survival(world, world.hosts)
    world.increment("n0")
    world.start("n1")
    with pytest.raises(AssertionError, match="Q2: n1 has 0 of Made"):
        check_survival(world, world.hosts)


def test_a_process_without_a_disk_does_not_die_in_a_commit() -> None:
    with pytest.raises(AssertionError, match="n1 has no disk"):
        formed().crash_in_commit("n1")


def test_what_comes_from_others_is_on_the_disk_a_second_later() -> None:
    world = formed(disks=True)
    world.increment("n0")
    world.run(0.05)
    world.isolate("n1")
    world.increment("n0", by=5)
    world.run(1)
    world.crash("n1")
    world.start("n1")
    assert count(world, "n1") == 1
    assert [view.name for view in snapshot_of(world.node("n1"), world.now).members] == ["n0"]


def test_a_lost_disk_is_empty_and_a_host_without_one_gets_none() -> None:
    world = formed(disks=True)
    world.hosts["n0"].disk = None
    for name in ("n0", "n1"):
        world.increment(name)
        world.crash(name, disk_lost=True)
    world.start("n1")
    assert count(world, "n1") == 0
    assert world.hosts["n0"].disk is None


def test_an_old_disk_is_older() -> None:
    world = formed(disks=True)
    world.increment("n1")
    disk = world.hosts["n1"].disk
    assert disk is not None
    backup = disk.copy()
    world.isolate("n1")
    world.increment("n1", by=5)
    world.crash("n1")
    world.start("n1", disk=backup)
    assert count(world, "n1") == 1
    world.increment("n1", by=10)
    assert count(world, "n1") == 11
    world.crash("n1")
    world.start("n1", disk=backup)
    assert count(world, "n1") == 1, "what runs on a backup does not write to it"


def test_an_old_disk_brings_nothing_back_in_a_cluster_that_knows_more() -> None:
    world = formed(3, disks=True)
    world.increment("n1")
    disk = world.hosts["n1"].disk
    assert disk is not None
    backup = disk.copy()
    world.increment("n1", by=5)
    world.run(3)
    world.crash("n1")
    world.start("n1", disk=backup)
    world.increment("n1", by=10)
    assert world.run_until_settled(5)
    assert count(world, "n1") == 16
    assert len({made.stream for made in world.made}) == 2


def test_a_clone_holds_the_same_and_lives_beside_the_original() -> None:
    world = formed(3, disks=True)
    world.increment("n1", by=7)
    world.clone("n1", "copy")
    assert count(world, "copy") == 7
    world.increment("copy")
    world.increment("n1")
    assert world.run_until_settled(5)
    assert set(world.running) == {"n0", "n1", "n2", "copy"}
    assert count(world, "n0") == 9


def test_a_clone_under_the_name_of_a_live_node_is_refused() -> None:
    world = formed(3, disks=True)
    world.clone("n1", "copy", as_name="n1")
    world.run(5)
    assert "copy" not in world.running
    assert "taken" in world.hosts["copy"].ended
    assert any(isinstance(e, NameLost) for _, host, e in world.effects if host == "copy")
    assert world.settled()


def test_a_disk_alone_is_somebody_to_join() -> None:
    world = formed(disks=True)
    world.run(2)
    world.crash("n0")
    world.run(0.5)
    world.start("n0")  # which has no seeds
    assert not world.node("n0").ready
    assert world.run_until_settled(5)
    assert world.node("n0").ready
    ready = [e for _, host, e in world.effects if host == "n0" and isinstance(e, BecameReady)]
    assert not ready[-1].alone


def test_a_partition_heals_after_restarts_for_as_long_as_members_are_remembered() -> None:
    world = World(1, Settings(remember=3600.0), disks=True)
    world.formed(2)
    world.hosts["n1"].seeds = []
    world.partition(["n0"], ["n1"])
    world.run(2400)
    for name in ("n0", "n1"):
        world.crash(name)
        world.start(name)
    world.run(10)
    world.network.heal()
    assert world.run_until_settled(20)


def test_generations_rise_on_a_disk_though_the_clock_goes_back() -> None:
    world = formed(disks=True)
    generations = [world.node("n1").own.generation]
    for _ in range(3):
        world.crash("n1")
        world.hosts["n1"].clock -= 1000
        world.start("n1")
        generations.append(world.node("n1").own.generation)
        world.run(1)
    assert all(before < after for before, after in pairwise(generations))


def test_an_adopted_generation_is_on_the_disk_a_second_later() -> None:
    world = formed(disks=True)
    node, other = world.node("n1"), world.node("n0")
    risen = node.own.generation + 5_000
    said = pack_body(
        pack_head("n0", other.own.generation, other.own.incarnation, Gossip()),
        [pack_view(node.own._replace(generation=risen, status=Status.FAILED))],
        (),
    )
    world.deliver("n1", TagFrame("sim").close(said), world.hosts["n0"].address)
    assert node.own.generation == risen + 1
    world.run(1.5)
    world.crash("n1")
    world.hosts["n1"].clock = -3600
    world.start("n1")
    assert world.node("n1").own.generation == risen + 2


def test_verdicts_age_on_a_disk_while_its_host_is_down() -> None:
    world = formed(3, disks=True)
    world.leave("n2")
    world.run(10)
    world.crash("n1")
    world.run(3600)
    world.start("n1")
    disk = world.hosts["n1"].disk
    assert disk is not None
    world.run(2)
    held = {view.name: view.age for view in snapshot_of(world.node("n1"), world.now).members}
    assert 60 <= held["n2"] <= 63


def test_who_leaves_has_everything_on_its_disk() -> None:
    world = formed(disks=True)
    world.run(1)
    world.increment("n0", by=3)
    world.leave("n1")
    world.run(1)
    assert "n1" not in world.running
    world.isolate("n1")
    world.start("n1")
    assert count(world, "n1") == 3


def test_a_thousand_lives_leave_one_chain_of_events() -> None:
    world = formed()
    for _ in range(1000):
        world.crash("n1")
        world.start("n1")
    world.run(5)
    before = dict(world.sent)
    world.run(10)
    assert world.settled()
    assert world.sent["n1"] - before["n1"] <= 30


def test_a_name_can_be_taken_over_by_another_host() -> None:
    world = formed(3)
    world.crash("n2")
    world.place("other").seeds = [world.hosts["n0"].address]
    world.start("other", as_name="n2")
    assert world.run_until_settled(10)
    held = {view.name: view for view in world.node("n1").members}
    assert held["n2"].status is Status.ALIVE
    assert held["n2"].address == world.hosts["other"].address


def test_a_clone_that_knows_the_members_is_refused_like_anybody() -> None:
    world = formed(3, disks=True)
    world.run(2)
    world.clone("n1", "copy", as_name="n1")
    world.run(5)
    assert "copy" not in world.running
    assert world.settled()
