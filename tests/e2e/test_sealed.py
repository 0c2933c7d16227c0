"""What clusters live through, with a secret: as without one."""

from __future__ import annotations

from pathlib import Path

import pytest

from gossipd.sealing.keyring import Secret
from tests.e2e import namespaces, scenarios
from tests.e2e.bounds import allowed, report
from tests.e2e.cluster import Cluster
from tests.e2e.forge import Forge
from tests.e2e.namespaces import Network

REFUSED = {"sealed", "unsealed", "unknown_secret", "forged", "replayed"}


@pytest.mark.skipif(bool(namespaces.why_none()), reason=namespaces.why_none())
def test_a_sealed_cluster_counts_loses_a_node_and_is_cut_in_two(
    tmp_path: Path, forge: Forge
) -> None:
    with Network(5) as network, Cluster(tmp_path, Secret.fresh(), forge) as cluster:
        nodes = scenarios.networked(cluster, network, *scenarios.SWIFT)
        report("all counts are exact", scenarios.three_ways(nodes, 200))
        killed = scenarios.kill(nodes)
        report("a killed node is found", killed.detected)
        took = scenarios.split(nodes, network, 0)
        report("two halves are one again", took)
        assert took <= allowed(5.0)
        dropped = {reason for node in nodes for reason in node.status()["dropped"]}
        assert not dropped & REFUSED
        assert cluster.mishaps() == []
        cluster.close()
