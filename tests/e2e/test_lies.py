"""A hostile peer that speaks the wire, against real nodes: nobody's word ends one."""

from __future__ import annotations

from tests.fuzz.attacks.real import forge

from .cluster import Cluster, agree, counted
from .node import until


def test_what_is_said_of_nodes_ends_none_and_keeps_none_away(cluster: Cluster) -> None:
    nodes = cluster.start(3)
    first, _, third = nodes
    first.increment(by=5)
    forge(nodes)

    def refused() -> bool:
        return all(node.status()["dropped"].get("absurd", 0) for node in nodes)

    until(refused, 5, "what is absurd is counted")
    agree(nodes, within=10)
    third.increment(by=7)
    counted(nodes, 12, within=5)
    assert all(node.running for node in nodes)
    assert not any("is left" in node.log for node in nodes)
