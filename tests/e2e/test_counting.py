"""Every increment counts once, everywhere, whichever way it came in."""

from __future__ import annotations

from tests.e2e import load, scenarios
from tests.e2e.bounds import allowed, report
from tests.e2e.cluster import Cluster, counted
from tests.e2e.node import Node, until
from tests.e2e.relay import Relay
from tests.effort import effort


def test_a_thousand_increments_three_ways_in_are_exact(cluster: Cluster) -> None:
    nodes = cluster.start(5)
    lag = scenarios.three_ways(nodes, 1000)
    report("1,000 increments are everywhere", lag)
    assert lag <= allowed(1.0)
    assert [node.count() for node in nodes] == [1000] * 5


def test_five_nodes_at_full_speed_are_exact(cluster: Cluster) -> None:
    nodes = cluster.start(5)
    rate, lag = scenarios.full_speed(nodes, effort(1, 3))
    report(f"{rate:,.0f} increments/s are everywhere", lag)
    assert lag <= allowed(3.0)
    assert {node.status()["fingerprint"] for node in nodes} == {nodes[0].status()["fingerprint"]}


def test_several_counters_and_any_amount_are_exact(cluster: Cluster) -> None:
    nodes = cluster.start(3)
    assert nodes[0].increment("a", 5) == 5
    assert nodes[1].cli("increment", "a", "--by", "-7").returncode == 0
    assert nodes[2].text("increment a 10", "increment b -3", 'increment "a name"')[1:] == [
        "-3",
        "1",
    ]
    counted(nodes, 8, within=5, counter="a")
    counted(nodes, -3, within=5, counter="b")
    counted(nodes, 1, within=5, counter="a%20name")
    assert nodes[0].get("/counters") == {"a": 8, "a name": 1, "b": -3}
    assert nodes[0].cli("count", "b").stdout == "-3\n"
    assert sum(event["by"] for event in nodes[0].get("/log") if event["counter"] == "a") == 8


def test_after_random_load_all_fingerprints_are_equal(cluster: Cluster) -> None:
    nodes = cluster.start(5)
    lag = scenarios.random_load(nodes, effort(1, 3))
    report("the fingerprints are equal", lag)
    assert lag <= allowed(2.0)
    packets, wakeups = scenarios.rest(nodes, 5.0)
    print(f"at rest: {packets:.1f} packets/s, {wakeups:.1f} wake-ups/s")
    assert packets <= 3.0 * 1.5
    assert wakeups <= 5.0
    assert {node.status()["agreeing"] for node in nodes} == {4}


def test_an_increment_is_found_by_its_id_everywhere(cluster: Cluster) -> None:
    nodes = cluster.start(2)
    made = nodes[0].ask("POST", "/increment").data
    assert (made["count"], made["duplicate"]) == (1, False)
    counted(nodes, 1, within=5)
    for node in nodes:
        assert node.get(f"/increments/{made['id']}") == {"id": made["id"], "counted": True}


def _linked(cluster: Cluster, relay: Relay) -> tuple[Node, Node]:
    one, other = cluster.add(), cluster.add()
    relay.between(one, other)
    one.start("--advertise", relay.front(0))
    other.start("--advertise", relay.front(1), "--join", relay.front(0))
    return one, other


def test_lost_doubled_and_shuffled_datagrams_change_nothing(cluster: Cluster) -> None:
    fronts = (cluster.address() + "1", cluster.address() + "2")
    with Relay(fronts, loss=0.3, doubled=0.3, seed=3) as relay:
        one, other = _linked(cluster, relay)
        counted([one, other], 0, within=15)
        load.in_three_ways([one, other], 400)
        sums = load.at_random([one, other], effort(1, 3), seed=3)
        counted([one, other], 400, within=20)
        for counter, total in sums.items():
            counted([one, other], total, within=20, counter=counter)
        wanted = {**other.get("/counters"), "default": 401}
        replayed = relay.replay()
        print(f"{relay.passed} datagrams passed, {relay.lost} were lost, {replayed} came again")
        assert relay.lost > 50
        assert other.increment() == 401
        counted([one, other], 401, within=20)
        assert other.get("/counters") == wanted
        # It began alone: what its first member said may hold it back if it comes again.
        until(lambda: one.get("/counters") == wanted, 20, "both hold the same")
