"""Seeds as hosts really resolve them: names with many addresses, with their own, with none."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.e2e import names as module
from tests.e2e.bounds import NOISE, allowed, report
from tests.e2e.cluster import (
    Cluster,
    agree,
    counted,
    live,
)
from tests.e2e.names import NAME, Names
from tests.e2e.namespaces import Network
from tests.e2e.node import SECRET, Node, until

pytestmark = pytest.mark.skipif(bool(module.why_none()), reason=module.why_none())

SOON = ("--ready-after", "2")


@pytest.fixture
def network(cluster: Cluster) -> Iterator[Network]:
    # The processes have to end before the network does, so this fixture depends on the cluster
    # and ends what is left itself.
    with Network(4) as made:
        yield made
        cluster.close()


@pytest.fixture
def names(network: Network, tmp_path: Path) -> Iterator[Names]:
    with Names(network, tmp_path) as made:
        yield made


@pytest.fixture
def nodes(cluster: Cluster, network: Network) -> list[Node]:
    """One for each host, none of them started."""
    return [
        cluster.add(host=network.address(number), namespace=host)
        for number, host in enumerate(network.hosts)
    ]


def start(node: Node, *options: str, joins: tuple[str, ...] = (NAME,)) -> None:
    """Start a node as its user would: bound to all addresses of its host."""
    seeds = [part for seed in joins for part in ("--join", seed)]
    node.start_as("run", "--name", node.name, *seeds, *options, GOSSIPD_SECRET=SECRET)


def serves(node: Node) -> bool:
    return node.ask("GET", "/health").status == 200


def not_ready_because(node: Node, reason: str) -> bool:
    reply = node.ask("GET", "/ready")
    return reply.status == 503 and reason in f"{reply.data}"


def tells(node: Node, text: str) -> bool:
    return text in node.log


def see_each_other(nodes: list[Node]) -> bool:
    wanted = {node.name: "alive" for node in nodes}
    return all(live(node) == wanted for node in nodes)


def test_three_under_one_name_that_lists_them_all_form_a_cluster(
    names: Names, nodes: list[Node]
) -> None:
    three = nodes[:3]
    names.set(NAME, *(node.host for node in three))
    for node in three:
        start(node, *SOON)
    until(lambda: all(map(serves, three)), 10, "all serve")
    took = until(lambda: see_each_other(three), 3 * NOISE, "three nodes see each other")
    report("three under one name see each other", took)
    agree(three, within=10)
    three[0].increment()
    counted(three, 1, within=5)


def test_two_islands_under_one_name_merge(
    names: Names, network: Network, nodes: list[Node]
) -> None:
    """They have never heard of each other, and the name lists live members for all of them."""
    names.set(NAME, *(node.host for node in nodes))
    for source, target in network.between((0, 1), (2, 3)):
        network.cut(source, target)
    for node in nodes:
        start(node, *SOON)
    agree(nodes[:2], within=20)
    agree(nodes[2:], within=20)
    nodes[0].increment()
    nodes[2].increment(by=2)
    for source, target in network.between((0, 1), (2, 3)):
        network.heal(source, target)
    took = until(lambda: see_each_other(nodes), 10 * NOISE, "the islands are one")
    report("two islands under one name are one", took)
    counted(nodes, 3, within=10)


def test_the_join_command_joins_through_a_name_that_lists_its_own_node(
    names: Names, nodes: list[Node]
) -> None:
    one, other, *_ = nodes
    names.set(NAME, one.host, other.host)
    for node in (one, other):
        start(node, joins=())
    until(lambda: one.ready and other.ready, 10, "both serve")
    own = one.cli("join", "--wait", "1m", one.host)
    assert (own.returncode, own.stdout) == (1, "")
    assert "this is the node itself" in own.stderr
    done = one.cli("join", "--wait", "20s", NAME)
    assert (done.returncode, done.stdout) == (0, f"joined {NAME}:7946\n"), done.stderr
    agree([one, other], within=10)
    wrong = one.cli("join", "--wait", "0.5", "mistyped.test", "10.77.0.99", NAME)
    assert (wrong.returncode, wrong.stdout) == (1, f"joined {NAME}:7946\n")
    assert "mistyped.test:7946: Name or service not known" in wrong.stderr
    assert "no node of this cluster answers at 10.77.0.99:7946" in wrong.stderr


def test_names_without_an_answer_hold_up_neither_the_start_nor_the_end(
    names: Names, nodes: list[Node]
) -> None:
    seed, node, lone, _ = nodes
    dead = tuple(f"dead{number}.test" for number in range(10))
    names.fall_silent()
    start(seed, joins=())
    until(lambda: seed.ready, 10, "the seed serves")
    began = time.monotonic()
    start(node, joins=(*dead, seed.host))
    start(lone, "--ready-after", "1", joins=dead[:3])
    agree([seed, node], within=5 * NOISE)
    report("joined beside ten names without an answer", time.monotonic() - began)
    for name in dead:
        told = f'level=warning msg="cannot resolve the seed {name}:7946: no answer for 3 s'
        until(partial(tells, node, told), 20, told)
    assert any("dead0.test" in text for text in node.status()["alarms"])
    reason = "no seed's name resolves: dead0.test:7946: no answer for 3 s"
    until(lambda: not_ready_because(lone, reason), 20, reason)
    for each in (node, lone):
        began = time.monotonic()
        each.send(signal.SIGTERM)
        assert each.ended(20) == 0
        report("ended beside names without an answer", time.monotonic() - began)
        assert time.monotonic() - began < allowed(3.0)


def test_a_name_that_appears_later_is_joined_and_that_is_told(
    names: Names, nodes: list[Node]
) -> None:
    one, other, *_ = nodes
    for node in (one, other):
        start(node, "--ready-after", "1")
    complaint = f"cannot resolve the seed {NAME}:7946: Name or service not known"
    for node in (one, other):
        until(partial(tells, node, complaint), 10, "it is told")
        reason = f"no seed's name resolves: {NAME}:7946: Name or service not known"
        until(partial(not_ready_because, node, reason), 5, reason)
        assert "ready, though" not in node.log, "it never was ready"
        assert node.increment("early") == 1
    names.set(NAME, one.host, other.host)
    agree([one, other], within=10 * NOISE)
    counted([one, other], 2, within=5, counter="early")
    for node in (one, other):
        node.says(f"cleared: {complaint}")
        assert node.log.count(f'level=warning msg="{complaint}') == 1
        assert node.status()["alarms"] == []


def test_one_living_address_among_a_hundred_is_found(
    names: Names, network: Network, nodes: list[Node]
) -> None:
    """Resolvers list it last, as the farthest one; and its node answers from another address."""
    seed, node, *_ = nodes
    far = "10.77.0.200"
    network.hosts[0].ip("addr", "add", f"{far}/24", "dev", "eth0")
    names.set(NAME, *(f"10.77.0.{5 + number}" for number in range(99)), far)
    start(seed, joins=())
    until(lambda: seed.ready, 10, "the seed serves")
    start(node)
    until(lambda: serves(node), 10, "the node serves")
    took = until(lambda: see_each_other([seed, node]), 3 * NOISE, "they see each other")
    report("one living address among a hundred is found", took)
    until(lambda: "'asked'" not in f"{node.get('/join')}", 10, "each one had its turn")
    (known,) = node.get("/join")
    assert known["joined"]
    states = {row["address"]: row["state"] for row in known["addresses"]}
    assert states == {f"10.77.0.{5 + number}:7946": "silent" for number in range(99)} | {
        f"{far}:7946": "member"
    }


def test_a_cluster_whose_seed_is_gone_from_dns_starts_again(
    names: Names, nodes: list[Node]
) -> None:
    """One by one, and all at once as after a power cut."""
    one, other, *_ = nodes
    names.set(NAME, one.host)
    for node in (one, other):
        start(node, *SOON)
    agree([one, other], within=20)
    one.increment()
    counted([one, other], 1, within=5)
    names.set(NAME)
    other.send(signal.SIGTERM)
    assert other.ended(20) == 0
    start(other, *SOON)
    agree([one, other], within=20)
    for node in (one, other):
        node.kill()
    for node in (one, other):
        start(node, *SOON)
    agree([one, other], within=20)
    other.says(f"cannot resolve the seed {NAME}:7946: Name or service not known")
    counted([one, other], 1, within=5)


def test_a_node_behind_another_address_of_its_own_host_is_recognised(
    names: Names, network: Network, nodes: list[Node]
) -> None:
    """As with Debian's line for the own name in /etc/hosts, and one seed list for all."""
    one, other, *_ = nodes
    for number, node in enumerate((one, other)):
        peer = (one, other)[1 - number]
        network.hosts[number].file(
            "hosts", f"127.0.0.1 localhost\n127.0.1.1 {node.name}\n{peer.host} {peer.name}\n"
        )
    joins = one.name, other.name
    start(one, joins=(one.name,))
    until(lambda: one.ready, 5, "nobody else is behind its seed, so it is ready before its time")
    start(other, joins=joins)
    until(lambda: see_each_other([one, other]), 3 * NOISE, "they see each other")
    agree([one, other], within=10)
    states = [row["state"] for seed in other.get("/join") for row in seed["addresses"]]
    assert states == ["member", "self"]
