"""Keys on real nodes: each logical increment counts once, and what cannot be judged is refused."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from urllib.parse import quote
from uuid import UUID, uuid4

import pytest

from tests.e2e import (
    namespaces,
    retries,
    scenarios,
    waiting,
)
from tests.e2e.cluster import Cluster, agree, counted
from tests.e2e.namespaces import Network
from tests.e2e.node import Node, Reply, until
from tests.effort import effort

OPERATIONS = effort(900, 3_000)
CUT = effort(2, 8)
"""Seconds for which the network is cut."""


@pytest.fixture
def network(cluster: Cluster) -> Iterator[Network]:
    # The processes have to end before the network does.
    with Network(5) as made:
        yield made
        cluster.close()


needs_namespaces = pytest.mark.skipif(bool(namespaces.why_none()), reason=namespaces.why_none())


def keyed(node: Node, key: str, query: str = "") -> Reply:
    return node.ask("POST", f"/increment?key={quote(key)}{query}")


def minted(seconds_ago: float = 0.0) -> str:
    """A UUIDv7 of some moment."""
    key = UUID(retries.minted(random.Random(time.time_ns())))
    milliseconds = int((time.time() - seconds_ago) * 1000)
    return str(UUID(int=milliseconds << 80 | key.int & (2**80 - 1)))


@needs_namespaces
def test_tries_anywhere_count_once_through_a_cut_network_and_a_kill(
    cluster: Cluster, network: Network
) -> None:
    nodes = scenarios.networked(cluster, network, *scenarios.SWIFT)
    found = retries.run(nodes, network, OPERATIONS, CUT, seed=1)
    assert found.refused == []
    assert found.counts == [OPERATIONS] * len(nodes)
    assert found.fresh > OPERATIONS, "nothing was counted on both sides"
    assert found.doubles == [found.fresh - OPERATIONS] * len(nodes)


@needs_namespaces
def test_a_read_after_an_increment_includes_it_though_packets_are_lost(
    cluster: Cluster, network: Network
) -> None:
    nodes = scenarios.networked(cluster, network)
    network.lose(20)
    assert waiting.reads(nodes, 200, seed=1) == []


def test_what_two_nodes_held_survives_the_one_that_answered_with_its_disk(
    cluster: Cluster,
) -> None:
    assert waiting.destroyed(cluster.start(3), 3, seed=1) == []


def test_keys_that_cannot_be_judged_are_refused_and_count_nothing(cluster: Cluster) -> None:
    node, _ = cluster.start(2)
    version_8 = "0190d3c0-7e1a-8c3e-9d5f-2b6a1e4f8c01"
    used = minted()
    assert keyed(node, used, "&by=5").status == 200
    answers = {
        "expired": keyed(node, minted(601)),
        "future": keyed(node, minted(-90)),
        "version 8": keyed(node, version_8),
        "unset": keyed(node, str(UUID(int=0))),
        "other payload": keyed(node, used, "&by=6"),
        "other counter": keyed(node, used, "&counter=x&by=5"),
    }
    assert {what: answer.status for what, answer in answers.items()} == {
        "expired": 422,
        "future": 422,
        "version 8": 400,
        "unset": 400,
        "other payload": 422,
        "other counter": 422,
    }
    assert "an earlier one may have been counted" in answers["expired"].data["detail"]
    assert node.get("/counters") == {"default": 5}


def test_any_string_is_a_key_on_every_node_and_a_uuid_is_one_in_any_form(cluster: Cluster) -> None:
    first, second = nodes = cluster.start(2)
    key = minted()
    forms = ("order-17", "order-17", 1), (key, f"{{{key}}}".upper(), 2), (UUID(key).hex, key, 2)
    for once, again, count in forms:
        keyed(first, once)
        counted(nodes, count, within=5)
        answer = keyed(second, again)
        assert (answer.status, answer.data["duplicate"]) == (200, True), (once, again)
    assert second.get("/counters") == {"default": 2}


def test_a_full_table_and_a_node_that_is_not_ready_refuse_keys_only(cluster: Cluster) -> None:
    nodes = cluster.start(2, "--key-limit", "3")
    keys = [minted() for _ in range(4)]
    assert [keyed(nodes[0], key).status for key in keys] == [200, 200, 200, 503]
    assert keyed(nodes[0], keys[0]).data["duplicate"] is True
    assert nodes[0].ask("POST", "/increment").status == 200
    nodes[1].kill()
    nodes[0].kill()
    soon = "--ready-after", "5"
    nodes[1].start(*soon, join=nodes[:1])
    until(lambda: nodes[1].ask("GET", "/health").status == 200, 10.0, "it lives")
    assert not nodes[1].ready
    assert keyed(nodes[1], str(uuid4())).status == 503
    nodes[0].start(*soon, join=nodes[1:])
    agree(nodes, within=20.0)
    counted(nodes, 4, within=3)


def test_a_retry_after_kill_and_restart_is_still_a_duplicate(cluster: Cluster) -> None:
    node = cluster.add()
    node.start()
    until(lambda: node.ready, 10.0, "it is ready")
    key, other = minted(), str(uuid4())
    first = keyed(node, key).data
    keyed(node, other)
    node.kill()
    node.start()
    until(lambda: node.ready, 10.0, "it is ready again")
    again = keyed(node, key).data
    assert (again["id"], again["duplicate"], again["count"]) == (first["id"], True, 2)
    assert keyed(node, other).data["duplicate"] is True
    told = node.get(f"/increments?key={key}")
    assert (told["id"], told["counted"]) == (first["id"], True)


def test_a_batch_and_sources_on_real_nodes(cluster: Cluster) -> None:
    nodes = cluster.start(3)
    lines = '{"counter": "a"}\n{"counter": "b", "by": 2}\n{"by": 0}\nnonsense\n'
    answers = nodes[0].ask("POST", "/increments", raw=lines.encode()).data
    assert [answer.get("count", answer.get("status")) for answer in answers] == [1, 2, 400, 400]
    assert nodes[1].ask("PUT", "/sources/till/sales", {"seq": 2, "total": 50}).status == 200
    until(lambda: nodes[2].count("sales") == 50, 3.0, "the source is known")
    late = nodes[2].ask("PUT", "/sources/till/sales", {"seq": 1, "total": 40})
    assert (late.status, late.data["seq"], late.data["total"]) == (200, 2, 50)
    assert nodes[2].ask("PUT", "/sources/till/sales", {"seq": 2, "total": 51}).status == 409
    for node in nodes:
        node.kill()
    for node in nodes:
        node.start("--ready-after", "3")
    agree(nodes, within=20.0)
    assert [node.count("sales") for node in nodes] == [50] * 3
    assert [node.count("b") for node in nodes] == [2] * 3
