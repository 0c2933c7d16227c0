"""The own address of nodes on hosts whose network comes late, changes, or has several sides."""

from __future__ import annotations

import itertools
import shutil
import signal
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import pytest

from tests.e2e.bounds import blames_in, blames_nobody
from tests.e2e.cluster import (
    Cluster,
    agree,
    counted,
    see,
)
from tests.e2e.load import Stream
from tests.e2e.namespaces import Network, why_none
from tests.e2e.node import POLL, SECRET, Node, until

pytestmark = pytest.mark.skipif(bool(why_none()), reason=why_none() or "none")

ANYWHERE = ("--bind", ":7946")
NAT = pytest.mark.skipif(not shutil.which("nft"), reason="a NAT needs nftables")


@pytest.fixture
def network() -> Iterator[Network]:
    with Network(3) as made:
        yield made


@pytest.fixture
def nodes(network: Network, cluster: Cluster) -> list[Node]:
    """One on each host, not started yet."""
    return [
        cluster.add(network.address(number), namespace=host)
        for number, host in enumerate(network.hosts)
    ]


def blamed(nodes: list[Node], since: Sequence[int] = (0, 0, 0)) -> list[str]:
    """Lines of logs that blame somebody; of each log only what comes behind so many letters."""
    logs = (node.log[begin:] for node, begin in zip(nodes, since, strict=False))
    return [line for log in logs for line in blames_in(log)]


def stay_calm(nodes: list[Node]) -> None:
    """Nobody is blamed in the time in which whoever does not answer would be."""
    time.sleep(2.5)  # whatever happens meanwhile, the logs have it
    blames_nobody(blamed(nodes))


def stays_unready(node: Node, seconds: float) -> None:
    """It says so however often it is asked."""
    until_then = time.monotonic() + seconds
    while time.monotonic() < until_then:
        assert node.ask("GET", "/ready").status == 503
        time.sleep(POLL)


def held_at(nodes: list[Node], name: str, host: str) -> bool:
    """Whether all hold a member at this host."""
    return all(
        member["address"] == f"{host}:7946"
        for node in nodes
        for member in node.get("/members")
        if member["name"] == name
    )


def test_a_node_whose_network_comes_late_is_whole_soon_after(
    network: Network, nodes: list[Node]
) -> None:
    """Until then it does not call itself ready, though its time for that is over."""
    one, two, late = nodes
    network.hosts[2].ip("addr", "flush", "dev", "eth0")
    for node in nodes:
        node.start(*ANYWHERE, "--ready-after", "1", join=[one, two])
    agree([one, two], within=20)
    one.increment(by=3)
    until(lambda: "no route" in str(late.ask("GET", "/ready").data), 10, "late says why")
    late.increment(by=4)
    stays_unready(late, 2)
    network.hosts[2].ip("addr", "add", "10.77.0.33/24", "dev", "eth0")
    took = agree(nodes, within=5)
    counted(nodes, 7, within=max(1, 5 - took))
    assert held_at(nodes, late.name, "10.77.0.33")
    blames_nobody(blamed(nodes))


INTERVAL = 0.5
PATIENCE = 11 * INTERVAL
"""Seconds after which a member of an earlier life that is silent would be failed."""


def test_a_node_that_starts_anew_before_its_network_comes_blames_nobody(
    network: Network, nodes: list[Node]
) -> None:
    """It knows the others from its disk, and they hold it where it was."""
    one, two, late = nodes
    probing = ("--probe-interval", str(INTERVAL), "--probe-timeout", str(INTERVAL / 2))
    options = (*ANYWHERE, *probing)
    for node in nodes:
        node.start(*options, join=[one, two])
    agree(nodes, within=20)
    late.kill()
    network.hosts[2].ip("addr", "flush", "dev", "eth0")
    late.start(*options, join=[one, two])
    see([one, two], late.name, "failed", within=20)
    until(lambda: "no route" in str(late.ask("GET", "/ready").data), 15, "late says why")
    stays_unready(late, PATIENCE)
    before = len(one.log), len(two.log), 0
    network.hosts[2].ip("addr", "add", "10.77.0.33/24", "dev", "eth0")
    agree(nodes, within=5)
    assert held_at(nodes, late.name, "10.77.0.33")
    blames_nobody(blamed(nodes, before))


def test_a_running_node_whose_address_changes_is_whole_soon_after(
    network: Network, nodes: list[Node]
) -> None:
    """As by DHCP, while all nodes count; twice, with the same prefix and with another one, the
    second time for good: it is stored."""
    for node in nodes:
        node.start(*ANYWHERE, join=nodes[:2])
    agree(nodes, within=20)
    eth0 = ("dev", "eth0")
    with Stream(nodes) as counting:
        for before, after in itertools.pairwise(
            ("10.77.0.2/24", "10.77.0.55/24", "10.77.0.66/16")
        ):
            network.hosts[1].ip("addr", "del", before, *eth0)
            network.hosts[1].ip("addr", "add", after, *eth0)
            host, _, _ = after.partition("/")
            until(partial(held_at, nodes, "n2", host), 10, f"n2 is at {host} everywhere")
            agree(nodes, within=1)
    assert not counting.failures
    counted(nodes, counting.answered, within=5)
    stay_calm(nodes)
    nodes[0].kill()
    nodes[0].start(*ANYWHERE)
    agree(nodes, within=10)
    assert held_at(nodes, "n2", "10.77.0.66")


def test_an_address_that_goes_and_comes_back_is_no_reason_to_blame_anybody(
    network: Network, nodes: list[Node]
) -> None:
    """The others do not reach the node meanwhile; it says that it reaches nobody."""
    for node in nodes:
        node.start(*ANYWHERE, join=nodes[:2])
    agree(nodes, within=20)
    network.hosts[1].ip("addr", "del", "10.77.0.2/24", "dev", "eth0")
    until(lambda: not nodes[1].ready, 10, "n2 is not ready")
    assert "no route" in str(nodes[1].ask("GET", "/ready").data)
    assert nodes[1].increment(by=5) == nodes[1].count() == 5
    see(nodes[::2], "n2", "failed", within=20)
    before = len(nodes[0].log), len(nodes[1].log), len(nodes[2].log)
    network.hosts[1].ip("addr", "add", "10.77.0.2/24", "dev", "eth0")
    agree(nodes, within=5)
    counted(nodes, 5, within=5)
    later = [*blamed(nodes, before), *blamed([nodes[1]])]
    blames_nobody([line for line in later if "refuted" not in line])


def test_a_node_of_two_networks_is_reached_where_its_members_are(
    network: Network, nodes: list[Node]
) -> None:
    """It starts alone, so that nothing but its default route tells where that may be."""
    one, two, three = nodes
    uplink = network.hosts[0]
    uplink.ip("link", "add", "uplink", "type", "veth", "peer", "name", "nobody")
    uplink.ip("link", "set", "nobody", "up")
    uplink.ip("addr", "add", "10.99.0.1/24", "dev", "uplink")
    uplink.ip("link", "set", "uplink", "up")
    uplink.ip("route", "add", "default", "via", "10.99.0.2")
    one.start(*ANYWHERE)
    until(lambda: one.status()["address"] == "10.99.0.1:7946", 20, "n1 guesses")
    two.start(*ANYWHERE, join=[one])
    three.start(*ANYWHERE, join=[one])
    until(partial(held_at, nodes, "n1", "10.77.0.1"), 10, "n1 is where the others are")
    agree(nodes, within=10)
    stay_calm(nodes)


def test_one_list_of_names_does_for_all_where_a_host_calls_itself_127_0_1_1(
    network: Network, nodes: list[Node]
) -> None:
    """As Debian does in /etc/hosts."""
    listed = {f"host{number + 1}": network.address(number) for number in range(3)}
    for own, (host, node) in enumerate(zip(network.hosts, nodes, strict=True)):
        lines = [
            f"{'127.0.1.1' if number == own else address} {name}"
            for number, (name, address) in enumerate(listed.items())
        ]
        host.file("hosts", "\n".join(["127.0.0.1 localhost", *lines, ""]))
        seeds = (part for name in listed for part in ("--join", name))
        node.start(*ANYWHERE, "--ready-after", "1", *seeds)
    agree(nodes, within=10)
    assert all(held_at(nodes, node.name, node.host) for node in nodes)
    stay_calm(nodes)


def test_hosts_with_ipv6_only_and_no_default_route_find_each_other(
    network: Network, nodes: list[Node]
) -> None:
    """The first one has no seed, so nothing tells it where others are; the last one is told an
    address of the link that it shares with it."""
    for number, host in enumerate(network.hosts, 1):
        host.ip("addr", "flush", "dev", "eth0", "scope", "global")
        host.ip("addr", "add", f"fd77::{number}/64", "dev", "eth0", "nodad")
    nodes[0].start(*ANYWHERE)
    until(lambda: nodes[0].status()["address"] == "[fd77::1]:7946", 20, "n1 guesses")
    network.hosts[0].ip("addr", "add", "fe80::77/64", "dev", "eth0", "nodad")
    for node, seed in zip(nodes[1:], ("[fd77::1]:7946", "[fe80::77%eth0]:7946"), strict=True):
        node.start(*ANYWHERE, "--join", seed)
    agree(nodes, within=10)
    stay_calm(nodes)


def test_who_advertises_what_does_not_answer_is_told_of_by_all(
    network: Network, nodes: list[Node]
) -> None:
    """A newcomer, and a member whose advertised address was taken away."""
    one, two, three = nodes
    fixed = ("--advertise", "10.77.0.99:7946")
    one.start(*ANYWHERE)
    two.start(*ANYWHERE, *fixed, join=[one])
    warning = "advertises 10.77.0.99:7946, which does not answer"
    until(lambda: f"member n2 {warning}" in one.log, 10, "n1 warns of the newcomer")
    until(lambda: "its datagrams come from 10.77.0.2:7946" in two.log, 10, "n2 is told")
    network.hosts[1].ip("addr", "add", "10.77.0.99/24", "dev", "eth0")
    three.start(*ANYWHERE, join=[one])
    agree(nodes, within=20)
    network.hosts[1].ip("addr", "del", "10.77.0.99/24", "dev", "eth0")
    until(lambda: f"member n2 {warning}" in three.log, 20, "n3 warns of the member")
    reason = "this node advertises 10.77.0.99:7946, but its datagrams come from 10.77.0.2:7946"
    until(lambda: reason in str(two.ask("GET", "/ready").data), 20, "n2 says why it is not ready")


@NAT
def test_a_node_that_no_port_is_forwarded_to_is_not_ready_until_one_is(
    network: Network, nodes: list[Node], cluster: Cluster
) -> None:
    """Its seed lives, and tells it where it comes from, but does not reach it: it holds nobody."""
    hidden = cluster.add("192.168.9.2", namespace=network.behind(2))
    nodes[0].start(*ANYWHERE)
    until(lambda: nodes[0].increment(by=1000), 10, "n1 counts")
    outside = "--advertise", "10.77.0.3:7946", "--ready-after", "0.5"
    hidden.start(*ANYWHERE, *outside, join=[nodes[0]])
    told = "this node advertises 10.77.0.3:7946, but its datagrams come from 10.77.0.3:2"
    until(lambda: told in str(hidden.status()["alarms"]), 10, "it is an alarm")
    stays_unready(hidden, 2)
    assert told in str(hidden.ask("GET", "/ready").data)
    assert "ready, though no ready peer was found" not in hidden.log
    assert told in hidden.get("/join")[0]["error"]
    network.forward(2, 7946)
    agree([nodes[0], hidden], within=10)
    counted([hidden], 1000, within=5)
    until(lambda: told not in str(hidden.status()["alarms"]), 5, "it is over")
    assert hidden.get("/join")[0]["error"] is None


def test_a_node_that_is_to_join_nobody_any_more_serves_wherever_it_was_seen(
    network: Network, nodes: list[Node], tmp_path: Path
) -> None:
    one, two, _ = nodes
    file = tmp_path / "gossipd.toml"
    file.write_text(f"join = ['{network.address(0)}']\n")
    one.start(*ANYWHERE)
    fixed = "--advertise", "10.77.0.99:7946", "--ready-after", "0.5"
    two.start(*ANYWHERE, *fixed, "--config", str(file))
    until(lambda: "its datagrams come from" in str(two.status()["alarms"]), 10, "it is told")
    stays_unready(two, 1)
    file.write_text("join = []\n")
    two.send(signal.SIGHUP)
    until(lambda: two.ready, 10, "it is ready")
    assert "its datagrams come from" not in str(two.status()["alarms"])


@NAT
def test_a_node_whose_port_is_forwarded_starts_without_a_warning(
    network: Network, nodes: list[Node], cluster: Cluster
) -> None:
    """It is answered some milliseconds after it is told that it comes from elsewhere."""
    hidden = cluster.add("192.168.9.2", namespace=network.behind(2))
    network.forward(2, 7946)
    nodes[0].start(*ANYWHERE)
    hidden.start(*ANYWHERE, "--advertise", "10.77.0.3:7946", join=[nodes[0]])
    pair = [nodes[0], hidden]
    agree(pair, within=10)
    stay_calm(pair)
    blames_nobody([node.log for node in pair if "its datagrams come from" in node.log])


def test_a_name_to_advertise_is_looked_up_again(network: Network, nodes: list[Node]) -> None:
    """It does not exist at first, then it is another one's address, then the right one."""
    one, two, _ = nodes
    hosts = network.hosts[1]
    hosts.file("hosts", "127.0.0.1 localhost\n")
    hosts.file("resolv.conf", "nameserver 127.0.0.1\n")
    one.start(*ANYWHERE, GOSSIPD_SECRET=SECRET)
    two.start(*ANYWHERE, "--advertise", "myself:7946", join=[one], GOSSIPD_SECRET=SECRET)
    alarm = "cannot resolve --advertise myself:7946"
    until(lambda: alarm in str(two.status()["alarms"]), 20, "n2 says so")
    agree(nodes[:2], within=10)
    hosts.ip("addr", "add", "10.77.0.22/24", "dev", "eth0")
    hosts.file("hosts", "127.0.0.1 localhost\n10.77.0.22 myself\n")
    until(partial(held_at, nodes[:2], "n2", "10.77.0.22"), 10, "the name is followed")
    agree(nodes[:2], within=5)
    assert two.status()["alarms"] == []
    stay_calm(nodes[:2])


def test_the_last_one_of_a_cluster_serves_and_says_that_it_is_alone(cluster: Cluster) -> None:
    one, two = cluster.start(2)
    two.kill()
    see([one], two.name, "failed", within=20)
    until(
        lambda: "no other member is alive, 1 failed" in str(one.status()["alarms"]), 5, "it tells"
    )
    assert one.ready
    two.start(join=[one])
    agree([one, two], within=10)
    until(lambda: one.status()["alarms"] == [], 5, "no more")


@pytest.mark.parametrize(("seed", "moves"), [("localhost", 0), ("127.0.0.1", 1)])
def test_several_nodes_of_one_host_that_join_by_loopback_settle_without_a_warning(
    network: Network, cluster: Cluster, seed: str, moves: int
) -> None:
    """One that was told of loopback alone begins there, and goes where the others are."""
    host = network.hosts[0]
    host.file("hosts", "127.0.0.1 localhost\n")
    one, *others = nodes = [
        cluster.add(network.address(0), port, namespace=host) for port in (7946, 7956, 7966)
    ]
    one.start("--bind", f":{one.port}")
    for node in others:
        node.start("--bind", f":{node.port}", "--join", f"{seed}:{one.port}")
    agree(nodes, within=20)
    stay_calm(nodes)
    lines = [line for node in nodes for line in node.log.splitlines() if "advertis" in line]
    assert not [line for line in lines if "level=warning" in line]
    assert len(lines) == moves * len(others)
