"""The tests beside a node of the user's: it has the default port, and they find others."""

from __future__ import annotations

import secrets
import socket
from pathlib import Path

import pytest

from tests.e2e import namespaces, ports
from tests.e2e.cluster import Cluster
from tests.e2e.namespaces import Namespace
from tests.e2e.node import DEFAULT, Node, until

pytestmark = [
    pytest.mark.fresh,
    pytest.mark.skipif(bool(namespaces.why_none()), reason=namespaces.why_none()),
]


def test_a_bare_node_and_those_of_the_tests_run_on_one_host(cluster: Cluster) -> None:
    with Namespace() as namespace:
        bare = cluster.add(namespace=namespace)
        bare.start_as("run")
        until(lambda: bare.ready, 20, "it is ready")
        with namespace.entered():
            port = ports.found_port()
        assert port not in (DEFAULT, DEFAULT + 1)
        own = cluster.add("127.4.5.6", port, namespace=namespace)
        own.api = (own.host, port + 1)
        own.start()
        until(lambda: own.ready, 20, "a node of a test is ready beside it")
        assert own.states() == {own.name: "alive"}
        cluster.close()


@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM])
def test_a_port_that_is_taken_is_passed_over(kind: socket.SocketKind) -> None:
    with Namespace() as namespace, namespace.entered():
        number = ports.FIRST + (kind == socket.SOCK_STREAM)
        with socket.socket(socket.AF_INET, kind) as holder:
            holder.bind(("", number))
            assert ports.found_port() == ports.FIRST + ports.STEP
        assert ports.found_port() == ports.FIRST


def test_no_two_have_the_same_addresses(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    drawn = iter((71, 3, 71, 3, 71, 4))
    monkeypatch.setattr(secrets, "randbelow", lambda _: next(drawn))
    with Cluster(tmp_path) as one, Cluster(tmp_path) as other:
        assert (one.address(), other.address()) == ("127.72.3.1", "127.72.4.1")


def test_one_line_says_that_all_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "LAST", ports.FIRST)
    with Namespace() as namespace, namespace.entered(), socket.socket() as holder:
        holder.bind(("", ports.FIRST + 1))
        with pytest.raises(OSError, match=f"all of {ports.FIRST} "):
            ports.found_port()


def test_nodes_without_a_port_of_their_own_do_not_take_the_default(cluster: Cluster) -> None:
    node: Node = cluster.add()
    assert node.port >= ports.FIRST
