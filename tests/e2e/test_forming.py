"""Nodes find each other: at once, late, in any order, and only those of the same cluster."""

from __future__ import annotations

import random

from tests.e2e import scenarios
from tests.e2e.bounds import allowed, report
from tests.e2e.cluster import Cluster, agree, counted
from tests.e2e.node import until


def test_five_nodes_started_at_once_see_each_other(cluster: Cluster) -> None:
    took = scenarios.form(cluster, 5)
    report("5 nodes see 5 alive", took)
    assert took <= allowed(3.0)


def test_twenty_nodes_started_at_once_see_each_other(cluster: Cluster) -> None:
    took = scenarios.form(cluster, 20)
    report("20 nodes see 20 alive", took)
    assert took <= allowed(6.0)
    assert {len(node.get("/peers")) for node in cluster.nodes} == {19}


def test_a_late_joiner_is_ready_only_with_the_full_count(cluster: Cluster) -> None:
    nodes = cluster.start(3)
    for number in range(300):
        assert nodes[0].text(f"increment c{number}") == ["1"]
    for node in nodes:
        node.increment(by=1000)
    counted(nodes, 3000, within=5)
    took = scenarios.late_joiner(cluster, nodes)
    report("a late joiner is ready", took)
    assert took <= allowed(2.0)
    assert len(cluster.nodes[-1].get("/counters")) == 301


def test_a_node_whose_seeds_are_silent_says_when_to_ask_again(cluster: Cluster) -> None:
    absent, node = cluster.add(), cluster.add()
    node.start("--ready-after", "2", join=[absent])
    until(lambda: node.ask("GET", "/health").status == 200, 5, "the node serves")
    refusal = node.ask("GET", "/count")
    assert refusal.status == 503
    assert refusal.headers["Content-Type"] == "application/problem+json"
    assert "catching up" in f"{refusal.data}"
    assert int(refusal.headers["Retry-After"]) > 0
    assert node.increment() == 1
    until(lambda: node.ready, 6, "the node is ready all the same")
    assert node.count() == 1
    node.says("no ready peer was found")


def test_all_seeds_of_each_other_in_any_order_become_ready(cluster: Cluster) -> None:
    nodes = [cluster.add() for _ in range(5)]
    order = random.Random(7).sample(nodes, len(nodes))
    for node in order:
        node.start("--ready-after", "3", join=nodes)
    agree(nodes, within=3 + 6)
    nodes[2].increment()
    counted(nodes, 1, within=5)


def test_a_seed_that_comes_later_is_joined(cluster: Cluster) -> None:
    seed, node = cluster.add(), cluster.add()
    node.start("--join-retry-max", "0.5", "--ready-after", "2", join=[seed])
    until(lambda: node.ask("GET", "/health").status == 200, 5, "the node serves")
    node.increment()
    seed.start("--ready-after", "2", join=[node])
    agree([seed, node], within=10)
    counted([seed, node], 1, within=5)


def test_two_clusters_on_the_same_network_stay_apart(cluster: Cluster) -> None:
    ours, theirs = cluster.add(), cluster.add()
    ours.start()
    until(lambda: ours.ready, 5, "the first serves")
    theirs.start("--cluster", "another", join=[ours])
    until(lambda: ours.status()["dropped"].get("foreign", 0) >= 3, 10, "joins are dropped")
    assert ours.states() == {ours.name: "alive"}
    assert theirs.states() == {theirs.name: "alive"}
    assert not theirs.ready
    ours.says("another cluster's")


def test_nodes_meet_over_ipv6(cluster: Cluster) -> None:
    port = 20_000 + random.SystemRandom().randrange(10_000)
    one, other = cluster.add("::1", port), cluster.add("::1", port + 10)
    one.start()
    other.start(join=[one])
    agree([one, other], within=10)
    assert one.get("/peers") == [f"[::1]:{port + 10}"]
    assert other.increment() == 1
    counted([one, other], 1, within=5)
    assert one.cli("count").stdout == "1\n"


def test_the_join_command_connects_two_that_did_not_know_each_other(cluster: Cluster) -> None:
    one, other = cluster.add(), cluster.add()
    one.start()
    other.start()
    until(lambda: one.ready and other.ready, 5, "both serve")
    one.increment()
    other.increment(by=2)
    assert other.cli("join", one.address).stdout == f"joined {one.address}\n"
    agree([one, other], within=5)
    counted([one, other], 3, within=5)
