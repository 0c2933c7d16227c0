"""Measures of small worlds, compared with what can be seen by looking all the time."""

from __future__ import annotations

import pytest

from gossipd.core import MemberChanged, Settings, Status
from gossipd.simulator.measures import Measures
from gossipd.simulator.verdicts import Subject
from tests.simulation.faulty.world import World


def formed(count: int, seed: int = 1, settings: Settings | None = None) -> World:
    world = World(seed, settings, traced=True)
    world.cluster(count)
    assert world.run_until_settled(10)
    world.run(3)
    return world


def test_watching_changes_nothing() -> None:
    watched, unwatched = formed(4), formed(4)
    measures = Measures(watched)
    for world in (watched, unwatched):
        world.network.loss = 0.2
        for number in range(30):
            world.increment(f"n{number % 4}")
            world.run(0.1)
            if world is watched:
                measures.read()
    assert watched.trace == unwatched.trace


def test_a_kill_is_measured_from_the_changes_of_the_others() -> None:
    world, twin = formed(5), formed(5)
    measures = Measures(world)
    measures.kill("n3")
    measures.run(15)
    began, killed_at = len(twin.effects), twin.now
    twin.crash("n3")
    twin.run(15)
    seen = [
        (at - killed_at, effect.view.status)
        for at, _, effect in twin.effects[began:]
        if isinstance(effect, MemberChanged)
    ]
    suspected = [after for after, status in seen if status is Status.SUSPECT]
    failed = [after for after, status in seen if status is Status.FAILED]
    (detection,) = measures.verdicts.detections
    assert detection.suspected_after == pytest.approx(min(suspected))
    assert detection.failed_after == pytest.approx(min(failed))
    assert detection.known_after == pytest.approx(max(failed))
    assert len(failed) == 4
    assert measures.verdicts.tallies[Subject.HEALTHY].suspicions == 0


def test_convergence_is_exact_to_the_event() -> None:
    world = formed(4)
    measures = Measures(world)
    latencies, everywhere = [], []
    for number in range(5):
        host = f"n{number % 4}"
        world.increment(host)
        made, began = world.made[-1], world.now
        missing = [name for name in world.hosts if name != host]
        while missing:
            world.run(0.0001)
            for name in list(missing):
                if world.node(name).log.register(made.stream, "default")[0] >= made.seq:
                    missing.remove(name)
                    latencies.append(world.now - began)
        everywhere.append(latencies[-1])
    measures.read()
    spread = measures.spread
    assert (spread.made, spread.whole.count, spread.pairs.count) == (5, 5, 15)
    assert spread.whole.max == pytest.approx(max(everywhere), abs=0.00015)
    assert spread.pairs.median == pytest.approx(sorted(latencies)[7], abs=0.00015)
    assert spread.unfinished == 0


def test_an_increment_that_arrives_with_a_later_one_has_arrived() -> None:
    world = formed(2)
    measures = Measures(world)
    for _ in range(20):
        world.increment("n0")
    measures.run(2)
    assert measures.spread.whole.count == measures.spread.pairs.count == 20
    assert len(world.node("n1").recent(30)) < 20


def test_an_increment_that_met_a_partition_is_told_apart() -> None:
    world = formed(4)
    measures = Measures(world)
    world.increment("n0")
    measures.partition(["n0", "n1"], ["n2", "n3"])
    world.increment("n2")
    measures.run(10)
    assert measures.spread.unfinished == 2
    measures.heal()
    world.increment("n1")
    measures.run(15)
    world.increment("n1")
    measures.run(1)
    spread = measures.spread
    assert (spread.apart.count, spread.whole.count, spread.unfinished) == (3, 1, 0)
    assert spread.apart.max is not None
    assert spread.apart.max > 10
    assert measures.verdicts.tallies[Subject.CUT].verdicts == 4
    assert measures.verdicts.tallies[Subject.HEALTHY].verdicts == 0
    (rejoined,) = measures.verdicts.rejoined_after
    assert 0 < rejoined < 15


def test_nobody_waits_for_what_only_the_killed_held() -> None:
    world = formed(3)
    measures = Measures(world)
    measures.partition(["n0"], ["n1", "n2"])
    world.increment("n1")
    measures.run(1)
    measures.kill("n0")
    assert measures.spread.unfinished == 0
    assert measures.spread.apart.count == 1


def test_who_leaves_is_waited_for_no_more() -> None:
    world = formed(3)
    measures = Measures(world)
    world.leave("n2")
    measures.run(5)
    world.increment("n0")
    measures.run(1)
    assert "n2" not in world.running
    assert measures.spread.unfinished == 0


def test_packets_and_bytes_are_those_that_nodes_sent() -> None:
    world = formed(3)
    measures = Measures(world)
    before = dict(world.sent)
    measures.run(10)
    measures.kill("n2")
    measures.run(5)
    traffic = measures.traffic
    assert traffic.packets == sum(world.sent.values()) - sum(before.values())
    assert traffic.node_seconds == pytest.approx(3 * 10 + 2 * 5)
    assert traffic.packets_per_node_second == pytest.approx(traffic.packets / 40)
    assert traffic.packets * (28 + 16) < traffic.bytes < traffic.packets * (28 + 200)


def test_the_newest_increment_of_every_register_is_known() -> None:
    world = formed(3)
    measures = Measures(world)
    for _ in range(4):
        world.increment("n1", by=2)
    measures.run(1)
    (made,) = measures.made.values()
    assert made == ("n1", 4, 8)


def test_what_was_read_is_dropped() -> None:
    world = formed(3)
    world.network.loss = 0.5
    measures = Measures(world)
    for _ in range(20):
        world.increment("n0")
        measures.run(1)
        assert world.effects == []


def test_increments_are_told_by_the_stretch_in_which_they_were_made() -> None:
    world = formed(3)
    measures = Measures(world, bucket=10)
    measures.run(33)
    world.increment("n0")
    measures.run(10)
    world.increment("n0")
    world.increment("n1")
    measures.run(1)
    counts = {stretch: made.count for stretch, made in measures.spread.over_time.items()}
    assert counts == {3: 1, 4: 2}
