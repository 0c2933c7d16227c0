"""Clusters form, count exactly, lose members and get them back."""

from __future__ import annotations

from collections import defaultdict
from statistics import median

import pytest

from gossipd.core import (
    BecameReady,
    Left,
    MemberChanged,
    NameLost,
    Settings,
    Status,
    TagFrame,
)
from gossipd.core.wire.decoding import decode
from gossipd.core.wire.messages import Envelope, Ping
from tests.effort import effort, few, some
from tests.simulation.checkers import Checker
from tests.simulation.faulty.world import World


def formed(seed: int, count: int) -> World:
    """A cluster in which everybody knows everybody and nothing is left to tell."""
    world = World(seed)
    world.cluster(count)
    assert world.run_until_settled(10)
    world.run(3)
    return world


def values(world: World, counter: str) -> set[int]:
    return {node.log.value(counter) for node in world.running.values()}


def status(world: World, of: str, at: str) -> Status:
    return next(view.status for view in world.node(at).members if view.name == of)


def verdicts(world: World, since: float = 0.0) -> list[tuple[float, str, str]]:
    """(time, by whom, on whom) of every change to failed."""
    return [
        (at, host, effect.view.name)
        for at, host, effect in world.effects
        if isinstance(effect, MemberChanged) and at >= since
        if effect.view.status is Status.FAILED
    ]


def run_until(world: World, done: set[str], seconds_max: float, wanted: Status, of: str) -> float:
    """Let time pass until all of `done` hold a member so; how long it took."""
    began = world.now
    while any(status(world, of, name) is not wanted for name in done):
        assert world.now - began < seconds_max
        world.run(0.05)
    return world.now - began


# --- forming -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("count", "within"), [(2, 3), (5, 3), (20, 6)])
def test_nodes_that_start_at_once_find_each_other(count: int, within: float) -> None:
    for seed in some(5):
        world = World(seed)
        world.cluster(count)
        assert world.run_until_settled(within)


def test_five_nodes_with_mutual_seeds_become_ready_in_whatever_order_they_start() -> None:
    for seed in some(10):
        world = World(seed)
        names = [f"n{number}" for number in range(5)]
        world.rng.shuffle(names)
        world.add_with_mutual_seeds(names)
        world.run(12)
        assert world.settled()
        assert all(node.ready for node in world.running.values())


def test_a_late_joiner_is_ready_within_two_seconds_and_only_with_the_full_count() -> None:
    for seed in some(10):
        world = formed(seed, 5)
        for number in range(400):
            world.increment(f"n{number % 5}", f"counter {number % 40}")
        world.increment("n0", "last", by=7)
        world.run(1)
        world.add("late", seeds=["n3"])
        began = world.now
        while not world.node("late").ready:
            assert world.now - began < 2
            world.run(0.005)
        assert world.node("late").log.values == world.node("n3").log.values


def test_two_nodes_under_one_name_end_with_one() -> None:
    for seed in some(10):
        world = formed(seed, 3)
        world.partition(["n2"], ["n0", "n1"])
        world.run(30)
        twin = world.place("twin")
        twin.seeds = [world.hosts["n0"].address]
        world.start("twin", as_name="n2")
        world.run(6)
        assert world.hosts["twin"].node is not None, "the holder was silent"
        world.network.heal()
        world.run(15)
        ends = [host for host in ("n2", "twin") if world.hosts[host].node is None]
        assert ends == ["n2"], "the larger generation keeps the name"
        lost = [host for _, host, effect in world.effects if isinstance(effect, NameLost)]
        assert set(lost) == {"n2"}
        left = [host for _, host, effect in world.effects if isinstance(effect, Left)]
        assert left == ["n2"], "it drains first"


def with_a_newcomer(seed: int) -> World:
    """A second node under the name n2 asks a fresh node and n1, on every other seed with loss."""
    world = formed(seed, 4)
    world.network.loss = 0.2 * (seed % 2)
    world.place("gate").seeds = [world.hosts["n0"].address]
    twin = world.place("twin")
    twin.seeds = [world.hosts[name].address for name in ("gate", "n1")]
    world.start("gate")
    world.run(0.0005 * (seed % 8))
    world.start("twin", as_name="n2")
    return world


def test_one_of_two_nodes_stays_where_the_newcomer_meets_fresh_and_old_nodes_at_once() -> None:
    """A fresh gate lets the twin in and tells of it, others refuse it: were both believed at
    once, both holders would end. A refusal comes in time only where datagrams are lost."""
    stayed = defaultdict[str, int](int)
    for seed in range(40):
        if seed not in some(40) and stayed["n2"]:
            break
        world = with_a_newcomer(seed)
        world.run(40)
        (holder,) = [host for host in ("n2", "twin") if world.hosts[host].node is not None]
        addresses = {
            view.address
            for node in world.running.values()
            for view in node.members
            if view.name == "n2" and view.status is Status.ALIVE
        }
        assert addresses == {world.hosts[holder].address}
        stayed[holder] += 1
    assert min(stayed["n2"], stayed["twin"]) > 0


@pytest.mark.parametrize("crash_after", [0.05, 0.2, 0.5])
def test_one_of_two_nodes_stays_where_who_let_the_newcomer_in_is_gone(crash_after: float) -> None:
    """So nobody may be left who can tell that the newcomer, when it was refused, has ended."""
    for seed in some(20):
        world = with_a_newcomer(seed)
        world.run(crash_after)
        world.crash("gate")
        world.run(50)
        if world.network.loss:  # it may have taken long to be heard, and then to take over
            world.run(50)
        assert len([host for host in ("n2", "twin") if world.hosts[host].node is not None]) == 1


def test_a_holder_outlives_all_newcomers_that_want_its_name_by_way_of_fresh_nodes() -> None:
    for seed in some(5):
        world = formed(seed, 4)
        met = 0
        for number in range(5):
            world.place(f"gate{number}").seeds = [world.hosts["n0"].address]
            world.start(f"gate{number}")
            twin = world.place(f"twin{number}")
            twin.seeds = [world.hosts[name].address for name in (f"gate{number}", "n1", "n3")]
            world.start(twin.name, as_name="n2")
            world.run(0.02)
            met += any(view.address == twin.address for view in world.node("n0").members)
            world.run(8)
        stayed = [
            name for name in ("n2", *(f"twin{n}" for n in range(5))) if name in world.running
        ]
        assert len(stayed) == 1


@pytest.mark.parametrize("at", ["n0", "n2"])
def test_a_larger_holder_that_joins_the_cluster_of_the_smaller_one_ends_that(at: str) -> None:
    """Nobody else links the two."""
    for seed in some(4):
        world = formed(seed, 3)
        world.place("twin")
        world.start("twin", as_name="n2")
        world.add("other", seeds=["twin"])
        world.run(5)
        world.join("twin", [at])
        world.run(40)
        ends = [host for host in ("n2", "twin") if world.hosts[host].node is None]
        assert ends == ["n2"]
        together = at == "n0"  # where the other one was, nobody is left to be joined
        assert world.node("n0").live_count == (4 if together else 2)


def test_of_two_clusters_that_meet_the_newer_holder_of_a_name_stays() -> None:
    for seed in some(10):
        world = formed(seed, 3)
        world.place("gate")
        world.start("gate")
        twin = world.place("twin")
        twin.seeds = [world.hosts["gate"].address]
        world.start("twin", as_name="n2")
        world.run(4.5)
        world.add("bridge", seeds=["n0", "gate"])
        world.run(15)
        ends = [host for host in ("n2", "twin") if world.hosts[host].node is None]
        assert ends == ["n2"]


# --- counting ------------------------------------------------------------------------------------


def test_a_thousand_increments_are_everywhere_within_a_second() -> None:
    world = formed(1, 5)
    for number in range(1000):
        world.increment(f"n{number % 5}")
        world.run(0.001)
    world.run(1)
    assert values(world, "default") == {1000}


@pytest.mark.parametrize("seed", few(range(5), 1))
def test_counts_are_exact_under_loss_duplication_reordering_and_damage(seed: int) -> None:
    world = formed(seed, 5)
    checker = Checker(world)
    network = world.network
    network.loss, network.duplication = 0.3, 0.2
    network.truncation, network.bit_flips = 0.05, 0.05
    network.delay = (0.0005, 0.05)
    for number in range(600):
        name = f"n{world.rng.randrange(5)}"
        world.increment(name, world.rng.choice("abc"), world.rng.choice((1, 3, -2)))
        world.run(0.01)
        if number % 20 == 0:
            checker.check()
    began = world.now
    while any(values(world, counter) != {checker.expected(counter)} for counter in "abc"):
        assert world.now - began < 20
        world.run(0.1)
    checker.check()


def test_captured_datagrams_delivered_again_shuffled_twice_change_nothing() -> None:
    world = World(3)
    world.captured = []
    world.cluster(5)
    world.run_until_settled(5)
    for number in range(300):
        world.increment(f"n{number % 5}", f"c{number % 7}", by=number % 5 - 2 or 4)
        world.run(0.005)
    world.run(3)
    captured, world.captured = world.captured, None
    before = {
        name: (n.log.fingerprint, n.members_fingerprint) for name, n in world.running.items()
    }
    for _ in range(2):
        world.rng.shuffle(captured)
        for again in captured:
            world.deliver(again.to, again.data, again.source)
    world.run(3)
    after = {name: (n.log.fingerprint, n.members_fingerprint) for name, n in world.running.items()}
    assert after == before
    assert not verdicts(world)


# --- losing members ------------------------------------------------------------------------------


@pytest.mark.parametrize(("count", "median_max"), few([(5, 6.0), (20, 6.5)], 1))
def test_a_killed_node_is_held_failed_by_all_others(count: int, median_max: float) -> None:
    times = []
    for seed in range(effort(7, 30)):
        world = formed(seed, count)
        world.crash("n1")
        times.append(run_until(world, set(world.running), 30, Status.FAILED, of="n1"))
        assert {name for _, _, name in verdicts(world)} == {"n1"}
    print(f"detection by all at N={count}: median {median(times):.1f} s, max {max(times):.1f} s")
    assert median(times) <= median_max


@pytest.mark.parametrize("count", [3, 10])
def test_without_faults_nobody_is_ever_suspected(count: int) -> None:
    for seed in some(5):
        world = formed(seed, count)
        world.run(60)
        changes = [e for _, _, e in world.effects if isinstance(e, MemberChanged)]
        assert {change.view.status for change in changes} == {Status.ALIVE}


def probes(world: World, seconds: float) -> dict[int, list[tuple[str, str]]]:
    """By round, who probes whom in the time that follows, in a cluster without suspicions."""
    world.captured = []
    world.run(seconds)
    frame, by_round = TagFrame("sim"), defaultdict(list)
    for captured in world.captured:
        body = frame.open(captured.data)
        assert isinstance(body, bytes)
        said = decode(body)
        assert isinstance(said, Envelope)
        if isinstance(said.message, Ping):
            by_round[said.message.shown.round].append((said.sender, said.message.target))
    return dict(by_round)


@pytest.mark.parametrize("count", [3, 8, 21])
def test_every_member_is_probed_by_one_other_in_each_round(count: int) -> None:
    world = formed(1, count)
    by_round = probes(world, count + 3.0)
    whole = sorted(by_round)[2:-2]  # at the ends others are in the round before or after
    assert len(whole) >= count - 1
    for number in whole:
        assert sorted(by for by, _ in by_round[number]) == sorted(world.running)
        assert sorted(target for _, target in by_round[number]) == sorted(world.running)
    cycle = [probe for number in whole[: count - 1] for probe in by_round[number]]
    assert len(set(cycle)) == count * (count - 1), "each member probes each other one"


@pytest.mark.parametrize(("count", "loss"), [(5, 0.1), (5, 0.3), (12, 0.1)])
def test_loss_alone_never_leads_to_a_verdict(count: int, loss: float) -> None:
    for seed in some(3):
        world = formed(seed, count)
        world.network.loss = loss
        world.run(60)
        assert not verdicts(world)


def test_a_node_that_was_killed_and_starts_again_is_alive_with_the_full_count() -> None:
    for seed in some(5):
        world = formed(seed, 5)
        for _ in range(50):
            world.increment("n1")
        world.run(1)
        world.crash("n1")
        world.run(10)
        world.increment("n2")
        world.start("n1")
        assert world.run_until_settled(3)
        assert values(world, "default") == {51}
        assert world.node("n1").ready


def test_a_node_whose_clock_went_back_by_an_hour_is_alive_again_after_a_restart() -> None:
    for seed in some(5):
        world = formed(seed, 5)
        world.crash("n1")
        world.run(seed * 3)
        world.hosts["n1"].clock = -3600
        world.start("n1")
        assert world.run_until_settled(4)
        assert not [effect for _, _, effect in world.effects if isinstance(effect, NameLost)]


def test_clock_steps_mint_streams_and_lose_nothing() -> None:
    world = formed(1, 3)
    for number in range(60):
        if number % 10 == 0:
            world.hosts["n1"].clock = world.rng.uniform(-100, 100)
        world.increment("n1")
        world.run(0.02)
    assert world.run_until_settled(3)
    assert values(world, "default") == {60}
    assert world.node("n0").log.stream_count == 6


def test_a_quick_restart_is_noticed_without_a_verdict() -> None:
    world = formed(1, 5)
    world.crash("n1")
    world.run(0.5)
    world.start("n1")
    assert world.run_until_settled(3)
    world.run(10)
    assert not verdicts(world)


def test_a_node_that_stood_still_for_half_a_minute_blames_nobody_and_refutes() -> None:
    for seed in some(10):
        world = formed(seed, 5)
        world.stall("n2")
        world.run(20)
        world.increment("n1", by=9)
        world.run(10)
        stopped_at = world.now
        world.resume("n2")
        assert world.run_until_settled(3)
        assert values(world, "default") == {9}
        world.run(15)
        assert not [by for at, by, _ in verdicts(world, stopped_at)]
        assert {name for _, _, name in verdicts(world)} == {"n2"}


# --- leaving -------------------------------------------------------------------------------------


def test_a_node_that_leaves_loses_nothing_and_is_held_left_within_a_second() -> None:
    for seed in some(10):
        world = formed(seed, 5)
        for number in range(1000):
            world.increment("n4", f"c{number % 9}")
        world.leave("n4")
        world.run(1)
        assert world.hosts["n4"].node is None
        assert {status(world, "n4", name) for name in world.running} == {Status.LEFT}
        assert world.run_until_settled(3)
        assert sum(world.node("n0").log.values.values()) == 1000


def test_two_nodes_that_leave_at_once_lose_nothing() -> None:
    for seed in some(10):
        world = formed(seed, 5)
        for number in range(500):
            world.increment("n3", f"c{number % 9}")
            world.increment("n4", f"c{number % 9}")
        world.leave("n3")
        world.leave("n4")
        world.run(2)
        assert set(world.running) == {"n0", "n1", "n2"}
        assert world.run_until_settled(3)
        assert sum(world.node("n0").log.values.values()) == 1000


def test_two_that_leave_under_loss_lose_nothing() -> None:
    for seed in some(10):
        world = formed(seed, 5)
        world.network.loss = 0.3
        for number in range(100):
            world.increment("n3", f"c{number % 9}")
            world.increment("n4", f"c{number % 9}")
        world.leave("n3")
        world.leave("n4")
        world.run(6)
        left = [effect for _, _, effect in world.effects if isinstance(effect, Left)]
        assert left == [Left(0), Left(0)]
        world.network.loss = 0
        assert world.run_until_settled(20)
        assert sum(world.node("n0").log.values.values()) == 200


def test_everybody_may_leave_at_once() -> None:
    world = formed(1, 5)
    world.increment("n0")
    for name in list(world.running):
        world.leave(name)
    world.run(6)
    assert not world.running


def test_a_node_that_left_and_starts_again_is_alive_again() -> None:
    world = formed(2, 5)
    world.leave("n1")
    world.run(5)
    world.start("n1")
    assert world.run_until_settled(3)


# --- cost ----------------------------------------------------------------------------------------


def idle_packets(world: World) -> float:
    """Packets per second and node over a quiet minute."""
    before = sum(world.sent.values())
    world.run(60)
    return (sum(world.sent.values()) - before) / 60 / len(world.running)


def test_idle_traffic_is_small_and_does_not_grow_with_state() -> None:
    world = formed(1, 5)
    empty = idle_packets(world)
    for number in range(effort(1000, 3000)):
        world.increment("n0", f"counter {number}")
        if number % 10 == 0:
            world.run(0.01)
    assert world.run_until_settled(10)
    world.run(5)
    full = idle_packets(world)
    print(f"idle: {empty:.2f} packets/s per node empty, {full:.2f} with many counters")
    assert empty <= 3
    assert full == pytest.approx(empty, abs=0.05)


def test_a_long_stream_and_many_streams_are_repaired_for_a_late_joiner_in_seconds() -> None:
    world = formed(1, 3)
    for number in range(effort(500, 2000)):
        world.increment("n0", f"counter {number}")
    lives = effort(30, 300)
    for number in range(lives):
        world.crash("n2")
        world.start("n2")
        world.run(0.02)
        world.increment("n2", f"of life {number}")
        world.run(0.03)
    assert world.run_until_settled(30)
    world.add("late", seeds=["n0"])
    began = world.now
    assert world.run_until_settled(5)
    late = world.node("late")
    print(f"late joiner: {late.log.stream_count} streams in {world.now - began:.1f} s")
    assert late.ready
    assert late.log.values == world.node("n0").log.values
    assert late.log.stream_count > 0.8 * lives


def test_the_profiles_all_form_a_cluster() -> None:
    for profile in ("lan", "wan", "local"):
        world = World(1, Settings.of(profile))
        world.cluster(4)
        assert world.run_until_settled(10)
        world.increment("n1")
        world.run(2)
        assert values(world, "default") == {1}
        world.run(world.settings.alone_after)
        assert any(isinstance(effect, BecameReady) for _, _, effect in world.effects)
