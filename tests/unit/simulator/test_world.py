"""The world: cuts, clogs, counting of traffic, forming, traces."""

from __future__ import annotations

from pathlib import Path

import pytest

from gossipd.core import Drop, Dropped, Settings, Status
from tests.simulation.faulty.link import Constant
from tests.simulation.faulty.network import Fate
from tests.simulation.faulty.world import HEADERS, Received, World

ROOT = Path(__file__).parents[3]


def pair(seed: int = 1, **figures: float) -> World:
    """Two nodes that know each other, 10 ms apart."""
    world = World(seed, Settings.of("lan", **figures), traced=True)
    world.network.latency = Constant(0.01)
    world.formed(2)
    return world


def count(world: World, name: str) -> int:
    return world.node(name).log.value("default")


# --- time and traffic ----------------------------------------------------------------------------


def test_time_passes_exactly_as_far_as_asked() -> None:
    world = pair()
    world.run(0.75)
    assert world.now == 0.75
    world.run(0)
    assert world.now == 0.75


def test_a_datagram_takes_the_latency_of_its_link() -> None:
    world = pair()
    world.increment("n0")
    flushed = world.node("n0").next_timeout
    assert flushed is not None
    world.run(flushed + 0.0099)
    assert count(world, "n1") == 0
    world.run(0.0002)
    assert count(world, "n1") == 1


def test_packets_and_bytes_are_counted_with_their_headers() -> None:
    world = pair()
    world.captured = []
    world.run(30)
    for name in ("n0", "n1"):
        to_other = [c.data for c in world.captured if c.to != name]
        assert world.sent[name] == len(to_other) > 20
        assert world.sent_bytes[name] == sum(len(data) + HEADERS for data in to_other)
    assert world.largest_sent == max(len(captured.data) for captured in world.captured)


def test_what_is_sent_to_nobody_is_counted_and_gone() -> None:
    world = pair()
    world.crash("n1")
    before = world.sent["n0"]
    world.run(3)
    assert world.sent["n0"] > before


def test_a_datagram_from_anybody_can_be_delivered_and_what_it_caused_is_noted_on_demand() -> None:
    world, anybody = pair(), ("192.0.2.9", 99)
    world.deliver("n0", b"short", anybody)
    world.received = []
    world.deliver("n0", b"short", anybody)
    dropped = Dropped(anybody, Drop.TOO_SHORT)
    assert world.received == [Received("n0", b"short", anybody, [dropped])]
    world.stall("n0")
    world.run(3)
    assert {noted.host for noted in world.received} == {"n0"}
    world.resume("n0")
    sources = {noted.source for noted in world.received}
    assert sources == {("192.0.2.9", 99), world.hosts["n1"].address}


# --- hosts ---------------------------------------------------------------------------------------


def test_a_formed_cluster_is_settled_ready_and_has_nothing_to_tell() -> None:
    world = World(1)
    world.formed(50)
    assert world.settled()
    assert all(node.ready for node in world.running.values())
    assert world.effects[50:] == []
    assert sum(world.sent.values()) == 0
    world.run(10)
    assert world.settled()
    assert sum(world.sent.values()) == pytest.approx(50 * 10 * 2, rel=0.05)


def test_nodes_of_a_formed_cluster_probe_at_different_phases() -> None:
    world = World(1)
    world.formed(20)
    firsts = {node.next_timeout for node in world.running.values()}
    assert len(firsts) == 20


def test_a_member_of_a_formed_cluster_that_restarts_joins_again() -> None:
    world = World(1)
    world.formed(5)
    world.crash("n3")
    world.run(20)
    world.start("n3")
    assert world.run_until_settled(5)


def test_a_formed_cluster_takes_newcomers_in() -> None:
    world = World(1)
    world.formed(5)
    world.add("late", seeds=["n0"])
    assert world.run_until_settled(5)
    assert world.node("late").live_count == 6


def test_running_is_a_copy_in_the_order_of_starts() -> None:
    world = World(1)
    world.formed(3)
    before = world.running
    world.crash("n0")
    world.start("n0")
    assert list(world.running) == ["n1", "n2", "n0"]
    assert list(before) == ["n0", "n1", "n2"]


def test_an_empty_world_is_not_settled() -> None:
    assert not World(1).settled()


def test_a_member_that_left_can_be_forgotten() -> None:
    world = World(1)
    world.formed(3)
    world.leave("n2")
    world.run(3)
    world.forget("n0", "n2")
    world.run(3)
    held = {view.name: view.status for view in world.node("n1").members}
    assert held["n2"] is Status.FORGOTTEN


# --- the network ---------------------------------------------------------------------------------


def test_a_cut_between_hosts_is_one_way() -> None:
    world = pair()
    world.cut(["n0"], ["n1"])
    world.increment("n1")
    world.run(0.5)
    assert count(world, "n0") == 1
    world.increment("n0")
    world.run(0.5)
    assert count(world, "n1") == 1


@pytest.mark.parametrize("isolated", [False, True])
def test_a_partition_and_an_isolation_are_two_way(isolated: bool) -> None:
    world = pair()
    if isolated:
        world.isolate("n0")
    else:
        world.partition(["n0"], ["n1"])
    world.increment("n0")
    world.increment("n1", by=5)
    world.run(3)
    assert (count(world, "n0"), count(world, "n1")) == (1, 5)


def test_clogged_links_deliver_when_they_are_unclogged() -> None:
    world = pair()
    world.clog(["n0"], ["n1"])
    world.increment("n0")
    world.run(0.4)
    assert count(world, "n1") == 0
    assert world.network.fates[Fate.CLOGGED] > 0
    world.crash("n0")
    world.unclog(["n0"], ["n1"])
    world.run(0.011)
    assert count(world, "n1") == 1


def test_a_heal_delivers_what_clogged_links_held_back() -> None:
    world = pair()
    world.clog(["n0"], ["n1"])
    world.increment("n0")
    world.run(0.4)
    world.crash("n0")
    world.network.heal()
    world.run(0.011)
    assert count(world, "n1") == 1


def test_one_link_can_have_figures_of_its_own() -> None:
    world = pair()
    world.link("n0", "n1").loss = 1.0
    world.increment("n0")
    world.increment("n1", by=5)
    world.run(0.5)
    assert (count(world, "n0"), count(world, "n1")) == (6, 5)


# --- traces --------------------------------------------------------------------------------------


def trace_of(seed: int) -> str:
    """The hash of a run with every kind of fault."""
    world = World(seed, disks=True, traced=True)
    world.cluster(5)
    world.network.loss, world.network.late = 0.1, 0.1
    world.slow("n1", 0.001)
    world.clog(["n0"], ["n2"])
    for _ in range(20):
        world.increment("n0", "a")
        world.run(0.1)
    world.crash("n3")
    world.clone("n3", "twin", as_name="n3")
    world.run(3)
    return world.trace


def test_equal_seeds_replay_and_others_differ() -> None:
    assert trace_of(1) == trace_of(1) != trace_of(2)


def test_a_trace_tells_one_byte_of_one_datagram() -> None:
    traces = []
    for text in ("a", "b"):
        world = pair()
        world.increment("n0", text)
        world.run(0.1)
        traces.append(world.trace)
    assert traces[0] != traces[1]


def test_a_world_that_is_not_traced_has_no_trace_and_runs_the_same() -> None:
    world, traced = World(1), World(1, traced=True)
    for each in (world, traced):
        each.cluster(4)
        each.run(5)
    assert world.sent_bytes == traced.sent_bytes
    with pytest.raises(AssertionError, match="not traced"):
        _ = world.trace
