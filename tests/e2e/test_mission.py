"""The literal lines of the mission, in a network of their own where nobody else is.

A bare `gossipd run` uses fixed ports and advertises an address of the machine, hence the
namespace: only loopback is up in it.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from gossipd.config.endpoint import Endpoint
from tests.e2e import namespaces
from tests.e2e.cluster import Cluster, agree, counted
from tests.e2e.namespaces import Namespace
from tests.e2e.node import Node, gossipd, until
from tests.e2e.programs import program

pytestmark = pytest.mark.skipif(bool(namespaces.why_none()), reason=namespaces.why_none())
needs_netcat = program("nc", "netcat-openbsd")


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[Namespace]:
    with Namespace() as made:
        yield made
        cluster.close()


@pytest.fixture
def node(cluster: Cluster, namespace: Namespace) -> Node:
    """`gossipd run --bind :7946`, up and ready."""
    node = cluster.add(namespace=namespace)
    node.start_as("run", "--bind", ":7946")
    until(lambda: node.ready, 5, "gossipd run --bind :7946 is ready")
    node.name = node.status()["name"]
    return node


@pytest.mark.fresh
def test_two_nodes_on_one_host_count_with_bare_commands(
    cluster: Cluster, namespace: Namespace, node: Node
) -> None:
    second = cluster.add(port=7956, namespace=namespace)
    second.start_as("run", "--bind", ":7956", "--join", "localhost:7946")
    until(lambda: second.ready, 5, "gossipd run --bind :7956 --join localhost:7946 is ready")
    second.name = second.status()["name"]
    assert second.name == f"{node.name}:7956"
    agree([node, second], within=5)
    assert _bare(namespace, "increment") == "1\n"
    assert _bare(namespace, "increment") == "2\n"
    assert _bare(namespace, "count") == "2\n"
    counted([node, second], 2, within=5)
    assert _bare(namespace, "count", "--api", ":7957") == "2\n"
    log = (node.log + second.log).splitlines()
    warned = [line for line in log if "level=warning" in line]
    assert len(warned) == 2, warned
    assert all('alarm="no secret"' in line for line in warned)


def test_a_bare_run_takes_the_documented_ports(cluster: Cluster, namespace: Namespace) -> None:
    node = cluster.add(namespace=namespace)
    node.start_as("run")
    until(lambda: node.ready, 5, "gossipd run is ready")
    assert node.status()["address"] == "127.0.0.1:7946"
    assert _bare(namespace, "increment", "visits", "--by", "3") == "3\n"


def test_ipv6_by_its_literal_line(cluster: Cluster, namespace: Namespace) -> None:
    node = cluster.add("::1", namespace=namespace)
    node.api = ("::1", 7947)
    node.start_as("run", "--bind", "[::1]:7946")
    until(lambda: node.ready, 5, "gossipd run --bind [::1]:7946 is ready")
    assert node.status()["address"] == "[::1]:7946"
    assert _bare(namespace, "increment") == "1\n"
    for api in ("127.0.0.1:7947", "[::1]:7947", "localhost:7947"):
        assert _bare(namespace, "count", "--api", api) == "1\n"


@pytest.mark.parametrize(("missing", "host"), [("::1/128", "127.0.0.1"), ("127.0.0.1/8", "::1")])
def test_a_host_with_one_loopback_address_is_served_there(
    cluster: Cluster, namespace: Namespace, missing: str, host: str
) -> None:
    namespace.ip("address", "delete", missing, "dev", "lo")
    node = cluster.add(host, namespace=namespace)
    node.api = (host, 7947)
    node.start_as("run", "--bind", str(Endpoint(host, 7946)))
    until(lambda: node.ready, 5, f"gossipd run is ready at {host}")
    assert _bare(namespace, "count", "--api", str(Endpoint(host, 7947))) == "0\n"


@needs_netcat
def test_netcat_feels_at_home_on_the_side_port(namespace: Namespace, node: Node) -> None:
    said = b"increment\nincrement\ncount\nping\nnonsense\n"
    answer = _netcat(namespace, said, "-N", "127.0.0.1", "7947").decode().splitlines()
    assert answer[:4] == ["1", "2", "2", "pong"]
    assert answer[4].startswith("error: unknown command")
    members = _netcat(namespace, b"members\n", "-N", "127.0.0.1", "7947").decode()
    assert node.name in members
    assert members.endswith("\n\n")


@needs_netcat
@pytest.mark.parametrize("family", ["127.0.0.1", "::1"])
def test_netcat_pings_over_udp(namespace: Namespace, node: Node, family: str) -> None:
    answer = _netcat(namespace, b"ping\n", "-u", "-w", "1", family, "7946")
    assert answer == b"pong\n"


def _bare(namespace: Namespace, *arguments: str) -> str:
    done = gossipd(*arguments, prefix=namespace.prefix)
    assert done.returncode == 0, done.stderr
    return str(done.stdout)


def _netcat(namespace: Namespace, said: bytes, *arguments: str) -> bytes:
    return subprocess.run(
        (*namespace.prefix, "nc", *arguments),
        input=said,
        capture_output=True,
        timeout=10,
        check=True,
    ).stdout
