"""The network is cut, counting goes on, and after the heal all is one again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e import namespaces, scenarios
from tests.e2e.bounds import allowed, report
from tests.e2e.cluster import Cluster, agree, counted
from tests.e2e.namespaces import Network
from tests.effort import effort

pytestmark = pytest.mark.skipif(bool(namespaces.why_none()), reason=namespaces.why_none())


@pytest.fixture
def network(cluster: Cluster) -> Iterator[Network]:
    # The processes have to end before the network does, so this fixture depends on the cluster
    # and ends what is left itself.
    with Network(5) as made:
        yield made
        cluster.close()


def test_nodes_bound_to_all_addresses_advertise_those_that_reach_them(
    cluster: Cluster, network: Network
) -> None:
    """Three hosts on a network without a default route, each with a wildcard bind."""
    nodes = [
        cluster.add(host=network.address(number), namespace=network.hosts[number])
        for number in range(3)
    ]
    for node in nodes:
        seeds = () if node is nodes[0] else ("--join", nodes[0].host)
        node.start_as("run", "--bind", ":7946", "--name", node.name, *seeds)
    agree(nodes, within=5)
    assert [node.status()["address"] for node in nodes] == [node.address for node in nodes]
    assert nodes[2].increment() == 1
    counted(nodes, 1, within=5)


def test_two_halves_count_on_and_heal(cluster: Cluster, network: Network) -> None:
    nodes = scenarios.networked(cluster, network, *scenarios.SWIFT)
    took = scenarios.split(nodes, network, effort(2, 15))
    report("two halves are one again", took)
    assert took <= allowed(5.0)


def test_a_node_cut_one_way_loses_nothing(cluster: Cluster, network: Network) -> None:
    nodes = scenarios.networked(cluster, network, *scenarios.SWIFT)
    for deaf in (True, False):
        took = scenarios.deaf_or_mute(nodes, network, effort(2, 8), deaf)
        report(f"a {'deaf' if deaf else 'mute'} node is back", took)
        assert took <= allowed(5.0)
