"""Nodes die, hang and come back; the rest goes on and nothing is lost."""

from __future__ import annotations

from tests.e2e import scenarios
from tests.e2e.bounds import allowed, report
from tests.e2e.cluster import (
    Cluster,
    agree,
    counted,
    see,
)
from tests.effort import effort


def test_a_killed_node_is_noticed_and_returns_with_the_full_count(cluster: Cluster) -> None:
    nodes = cluster.start(5)
    nodes[-1].increment(by=100)
    nodes[0].text(*["increment"] * 500)
    counted(nodes, 600, within=5)
    kill = scenarios.kill(nodes)
    report("a killed node is failed everywhere", kill.detected)
    report("it is alive again with the full count", kill.returned)
    assert kill.detected <= allowed(2.5)
    assert kill.returned <= allowed(3.0)


def test_a_stopped_node_blames_nobody_and_catches_up(cluster: Cluster) -> None:
    nodes = cluster.start(5)
    took = scenarios.stop_and_continue(nodes, effort(6, 12))
    report("a stopped node is back", took)
    assert took <= allowed(3.0)
    nodes[-1].says("this node stalled")


def test_a_failed_member_is_forgotten_and_a_live_one_is_not(cluster: Cluster) -> None:
    nodes = cluster.start(3)
    refused = nodes[0].cli("forget", "n2")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "n2 is alive" in refused.stderr
    unknown = nodes[0].cli("forget", "n9")
    assert (unknown.returncode, unknown.stdout) == (1, "")
    nodes[2].kill()
    see(nodes[:2], "n3", "failed", within=10)
    assert nodes[0].cli("forget", "n3").returncode == 0
    agree(nodes[:2], within=5)
    assert nodes[1].states() == {"n1": "alive", "n2": "alive"}
    nodes[2].start(join=nodes[:1])
    agree(nodes, within=5)
