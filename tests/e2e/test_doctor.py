"""`gossipd doctor` tells the right cause, of real nodes in networks that are broken on purpose."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest

from gossipd.sealing.keyring import Secret
from tests.e2e import namespaces
from tests.e2e.bounds import crowding
from tests.e2e.cluster import Cluster, agree, keyring, see
from tests.e2e.filesystems import mounted
from tests.e2e.namespaces import Network
from tests.e2e.node import ROOT, Node, until
from tests.e2e.test_clocks import LIBRARY, WallClock

needs_networks = pytest.mark.skipif(bool(namespaces.why_none()), reason=namespaces.why_none())


class Report(NamedTuple):
    """What the command printed, and its exit code."""

    code: int
    checks: list[dict[str, str]]

    def of(self, check: str, about: str | None = None) -> dict[str, str]:
        """The one finding of a check."""
        found = [
            each
            for each in self.checks
            if each["check"] == check and about in (None, each["about"])
        ]
        assert len(found) == 1, f"{check} {about}: {self.checks}"
        return found[0]

    @property
    def failures(self) -> list[str]:
        return [each["check"] for each in self.checks if each["result"] == "failed"]


def doctor(node: Node, *arguments: str, **variables: str) -> Report:
    """Run it beside a node."""
    return doctor_of(node, node, *arguments, **variables)


def doctor_of(asked: Node, node: Node, *arguments: str, **variables: str) -> Report:
    """The same of another node."""
    host, port = asked.api
    api = ("--api", f"{host}:{port}", "--timeout", f"{min(60.0, 3 * crowding()):.1f}s")
    done = node.cli("doctor", *api, "--json", *arguments, **variables)
    assert not done.stderr, done.stderr
    told = json.loads(done.stdout)
    assert told["well"] == (done.returncode == 0)
    return Report(done.returncode, told["checks"])


@pytest.fixture
def network(cluster: Cluster) -> Iterator[Network]:
    with Network(3) as made:
        yield made
        cluster.close()


def three(cluster: Cluster, network: Network, *options: str) -> list[Node]:
    """A node on each host."""
    nodes = [
        cluster.add(host=network.address(number), namespace=network.hosts[number])
        for number in range(3)
    ]
    return cluster.form(nodes, *options)


def another(
    cluster: Cluster, network: Network, number: int, port: int, name: str, *options: str
) -> Node:
    """One more node on a host, by itself."""
    node = cluster.add(
        host=network.address(number), port=port, name=name, namespace=network.hosts[number]
    )
    node.start(*options)
    until(lambda: node.status()["ready"], 10, f"{name} is ready")
    return node


@needs_networks
def test_all_is_well_then_who_listens_where_of_which_cluster_with_which_clock_and_name(
    cluster: Cluster, network: Network, tmp_path: Path
) -> None:
    """What needs no broken network, on one cluster."""
    a, b, _ = nodes = three(cluster, network)
    well = doctor(a)
    assert (well.code, well.failures) == (0, [])
    for check in ("udp", "cluster", "size", "clock"):
        found = [(each["about"], each["result"]) for each in well.checks if each["check"] == check]
        assert found == [("n2", "ok"), ("n3", "ok")]
    for check in ("node", "buffer", "files", "members", "address", "version"):
        assert well.of(check)["result"] == "ok"
    assert "1,400 bytes" in well.of("size", "n2")["text"]

    closed = doctor(a, f"{b.host}:7999")
    assert closed.failures == ["udp"]
    assert "nothing listens on UDP port 7999" in closed.of("udp")["text"]

    another(cluster, network, 2, 8000, "other", "--cluster", "other")
    foreign = doctor(a, f"{network.address(2)}:8000")
    assert foreign.failures == ["cluster"]
    assert foreign.of("udp")["result"] == "ok"
    assert "not to cluster gossipd" in foreign.of("cluster")["text"]

    another(cluster, network, 2, 8100, "n1")
    twin = doctor(a, f"{network.address(2)}:8100")
    assert twin.failures == ["name"]
    assert f"at {a.address} and {network.address(2)}:8100" in twin.of("name", "n1")["text"]

    # Where its node was refused for that, and is gone, this host's would have that name.
    refused = doctor(
        Node("n1", "127.0.0.9", tmp_path, 1, network.hosts[2]), a.address, GOSSIPD_RUN_NAME="n1"
    )
    assert refused.failures == ["name"]
    assert f"the node at {a.address} has the name" in refused.of("name", "n1")["text"]

    astray = doctor(a, "192.0.2.1")
    assert astray.failures == ["udp"]
    assert "this host has no way there: network is unreachable" in astray.of("udp")["text"]

    agree(nodes, within=10)
    for node in nodes:
        assert not [drop for drop in node.status()["dropped"] if drop in ("tag", "malformed")]


@needs_networks
@pytest.mark.skipif(LIBRARY is None, reason="libfaketime is missing")
def test_a_clock_that_is_wrong_by_five_minutes(
    cluster: Cluster, network: Network, tmp_path: Path
) -> None:
    a = another(cluster, network, 0, 7946, "a")
    clock = WallClock(tmp_path / "clock")
    clock.set(-300)
    b = cluster.add(host=network.address(1), name="b", namespace=network.hosts[1])
    b.start(join=[a], **clock.variables)
    agree([a, b], within=20)
    told = doctor(a)
    assert told.failures == ["clock"]
    assert told.of("clock", "b")["text"].startswith("its clock is 5 min behind this host's")
    c = another(cluster, network, 2, 7946, "c")
    d = another(cluster, network, 2, 8000, "d")
    slow = doctor(a, c.address, d.address, **clock.variables)
    assert slow.failures == ["clock"]
    text = "the clock of this host is 5 min behind those of most others"
    assert slow.of("clock", "")["text"].startswith(text)


@needs_networks
@pytest.mark.parametrize("there", [True, False])
def test_a_filter_that_drops_one_way(cluster: Cluster, network: Network, there: bool) -> None:
    a, b, _ = three(cluster, network)
    source, target = (0, 1) if there else (1, 0)
    network.cut(source, target)

    def seen() -> bool:
        """The node has learnt that the other one does not answer it, and whether it speaks."""
        known = a.get("/explain?name=n2")
        if [probe["outcome"] for probe in known["probes"]][:1] != ["relayed"]:
            return False
        spoke, probed = float(known["spoke"]), float(known["probes"][0]["at"])
        return spoke > probed if there else time.time() - spoke > 3 * known["probed_every"]

    until(seen, 30, "n1 reaches n2 through n3 only")
    told = doctor(a)
    assert told.failures == ["udp"]
    found = told.of("udp", "n2")
    if there:
        assert "what this host sends gets lost on the way there" in found["text"]
        assert f"let it in to port {b.port} of that host" in found["advice"]
    else:
        assert "it lives, as other members reach it" in found["text"]
        assert "nothing that it sends arrives here" in found["text"]
        assert "from there to here" in found["advice"]
    assert told.of("udp", "n3")["result"] == "ok"
    network.heal(source, target)


@needs_networks
def test_a_firewall_that_lets_nothing_in_to_a_node_that_runs(
    cluster: Cluster, network: Network, tmp_path: Path
) -> None:
    """Whether it rejects or drops; and who has no node to ask cannot know that it runs."""
    a, b, c = three(cluster, network)
    without = Node("x", "127.0.0.9", tmp_path, 1, network.hosts[0])
    wall = network.hosts[1]
    with wall.entered():  # a reject is not to be silent because there were others
        Path("/proc/sys/net/ipv4/icmp_ratelimit").write_text("0")
    wall.nft("add table ip f; add chain ip f in { type filter hook input priority 0; }")

    def speaks(node: Node) -> bool:
        known = node.get("/explain?name=n2")
        return known["state"] == "failed" and float(known["spoke"]) > float(known["since"])

    refused, unreachable = "connection refused", "no route to host"
    for rule, text, alone in (
        ("reject", f"is rejected: {refused}", "nothing listens on UDP port 7946 there, or a fire"),
        (
            "reject with icmp type admin-prohibited",
            f"is rejected: {unreachable}",
            "a firewall, of that host or on the way, rejects what is sent to UDP port 7946",
        ),
        ("drop", "gets lost on the way there", "UDP port 7946 is silent"),
    ):
        wall.nft(f"flush chain ip f in; add rule ip f in udp dport {b.port} {rule}")
        for node in (a, c):  # of whom one may only have been told by the other one
            until(partial(speaks, node), 30, f"{node.name} hears n2, which is failed")
            found = doctor(node).of("udp", "n2")
            assert found["text"].startswith("what it sends arrives here, "), rule
            assert text in found["text"]
            assert f"let it in to port {b.port} of that host" in found["advice"]
        assert alone in doctor(without, b.address).of("udp")["text"]


@needs_networks
def test_a_path_that_carries_small_packets_only(cluster: Cluster, network: Network) -> None:
    """Larger ones vanish without a word, as where a tunnel's MTU is small and ICMP is dropped."""
    a, b, _ = three(cluster, network)
    network.hosts[1].ip("link", "set", "eth0", "mtu", "1000")
    told = doctor(a)
    assert told.failures == ["size"]
    lost = told.of("size", "n2")
    assert "datagrams of 1,200 bytes get lost, those of 900 get through" in lost["text"]
    assert "--datagram-size 900" in lost["advice"]
    assert told.of("size", "n3")["result"] == "ok"
    # Where both know of their small interfaces, they send larger ones in parts.
    network.hosts[0].ip("link", "set", "eth0", "mtu", "1000")
    parts = doctor(a, b.address).of("size")
    assert (parts["result"], "in parts only" in parts["text"]) == ("warning", True)
    assert "packets of 1,000" in parts["text"]


@needs_networks
def test_an_advertised_address_that_is_only_this_hosts(cluster: Cluster, network: Network) -> None:
    a = another(cluster, network, 0, 7946, "a")
    b = cluster.add(host=network.address(1), name="b", namespace=network.hosts[1])
    b.start("--advertise", "127.0.0.1:7946", join=[a])
    until(lambda: b.status()["name"] == "b", 10, "b serves")
    told = doctor(b)
    assert told.failures == ["address"]
    found = told.of("address")
    assert "advertises 127.0.0.1:7946, which other hosts cannot reach" in found["text"]
    assert f"set --advertise {b.address}" in found["advice"]


def test_buffers_that_are_too_small(cluster: Cluster) -> None:
    node = cluster.add()
    node.program = ("tests.e2e.tiny",)
    node.start()
    until(lambda: node.ready, 10, "it is ready")
    told = doctor(node)
    assert told.failures == ["buffer"]
    assert "bursts get lost" in told.of("buffer")["text"]
    node.send(signal.SIGSTOP)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as flood:
        for _ in range(200):
            flood.sendto(b"x" * 500, (node.host, node.port))
    node.send(signal.SIGCONT)
    until(lambda: node.ready, 10, "it goes on")
    text = doctor(node).of("buffer")["text"]
    assert 100 < int(text.rpartition("; ")[2].removesuffix(" were lost")) <= 200, text
    assert "sysctl -w net.core.rmem_max=" in told.of("buffer")["advice"]


def test_a_disk_that_is_full_or_hangs(cluster: Cluster, tmp_path: Path) -> None:
    with mounted(tmp_path) as disk, cluster:
        node = cluster.add()
        node.start("--data-dir", disk.data)
        until(lambda: node.ready, 10, "it is ready")
        assert doctor(node).of("disk")["result"] != "failed"
        disk.fill()
        told = doctor(node)
        assert told.failures == ["disk"]
        assert "the disk is full" in told.of("disk", disk.data)["text"]
        until(lambda: node.ask("POST", "/increment", {}).status == 503, 20, "it counts no more")
        assert "make room on the disk of data_dir" in doctor(node).of("alarm")["advice"]
        disk.free()
        disk.freeze()
        hanging = doctor(node)
        disk.thaw()
        assert hanging.failures == ["disk"]
        assert "does not answer: it hangs" in hanging.of("disk", disk.data)["text"]


def test_a_host_without_a_node_and_a_name_that_does_not_resolve(cluster: Cluster) -> None:
    other = cluster.add()
    other.start()
    until(lambda: other.ready, 10, "it is ready")
    absent = cluster.add()
    told = doctor(absent, other.address, "no-such-host.invalid")
    assert told.of("node")["result"] == "warning"
    assert told.of("udp", other.address)["result"] == "ok"
    assert told.failures == ["names"]
    alone = doctor(absent)
    assert alone.failures == ["node"]
    assert "gossipd run" in alone.of("node")["advice"]


def test_a_member_that_is_gone_is_explained_and_one_that_is_stopped(cluster: Cluster) -> None:
    a, b, c = cluster.start(3)
    b.kill()
    see([a], b.name, "failed", 15)
    told = doctor(a)
    assert told.failures == ["udp"]
    assert "nothing listens" in told.of("udp", b.name)["text"]
    assert told.of("member", b.name)["text"].startswith("failed: accused by ")
    row = next(row for row in a.get("/members") if row["name"] == b.name)
    assert told.of("member", b.name)["text"] == f"failed: {row['why']}"
    c.send(signal.SIGSTOP)
    stopped = doctor(a, c.address)
    assert "the process there hangs, or is stopped" in stopped.of("udp", c.name)["text"]
    itself = doctor(c)
    assert itself.of("node")["text"].endswith(": it hangs, or is stopped")
    c.send(signal.SIGCONT)


@needs_networks
def test_a_node_of_another_host_does_not_choose_what_is_opened_here(
    cluster: Cluster, network: Network, tmp_path: Path
) -> None:
    """Neither what is read nor what is changed, nor where the disk is tried."""
    file = Path(keyring(tmp_path / "ours", ours := Secret.fresh()))
    a, b, _ = three(cluster, network, "--keyring", str(file), "--api", ":7947", "--insecure-api")
    a.api = (a.host, 7947)
    api = f"{a.host}:7947"
    near, far = doctor(a), doctor_of(a, b)
    assert near.of("secret", api)["result"] == near.of("disk")["result"] == "ok"
    assert f"runs on another host, and so {file} is there" in far.of("secret", api)["text"]
    assert "run this on that host" in far.of("secret", api)["advice"]
    assert "disk" not in {each["check"] for each in far.checks}
    named = doctor_of(a, b, "--keyring", str(file))
    assert ours.fingerprint in named.of("secret")["text"]

    before = file.read_bytes()
    command = (sys.executable, "-m", "gossipd", "keys", "use", ours.fingerprint, "--api", api)
    refused = subprocess.run((*b.prefix, *command), cwd=ROOT, capture_output=True, timeout=60)
    assert b"is on another host: change its keyring there" in refused.stderr
    assert file.read_bytes() == before
    beside_it = subprocess.run((*a.prefix, *command), cwd=ROOT, capture_output=True, timeout=60)
    assert beside_it.returncode == 0, beside_it


@needs_networks
def test_secrets_that_differ_and_those_that_are_missing(
    cluster: Cluster, network: Network, tmp_path: Path
) -> None:
    """A cluster with a secret; beside it a node with another one, one without, one elsewhere."""
    ours, theirs = Secret.fresh(), Secret.fresh()
    file, other = keyring(tmp_path / "ours", ours), keyring(tmp_path / "theirs", theirs)
    a = three(cluster, network, "--keyring", file)[0]
    well = doctor(a)
    assert (well.code, well.failures) == (0, [])
    assert ours.fingerprint in well.of("secret")["text"]
    assert "1,400 bytes" in well.of("size", "n2")["text"]
    assert well.of("clock", "n2")["result"] == "ok"
    assert well.of("cluster", "n2")["result"] == "ok"

    another(cluster, network, 2, 8000, "stranger", "--keyring", other)
    another(cluster, network, 2, 8010, "bare")
    another(cluster, network, 2, 8020, "foreign", "--keyring", file, "--cluster", "other")
    place = network.address(2)
    stranger = doctor(a, f"{place}:8000")
    assert stranger.failures == ["secret"]
    assert (
        f"the secret {theirs.fingerprint}, which is none of those here"
        in (stranger.checks[-2]["text"])
    )
    bare = doctor(a, f"{place}:8010")
    assert bare.failures == ["secret"]
    assert "it has no secret" in bare.checks[-2]["text"]
    foreign = doctor(a, f"{place}:8020")
    assert foreign.failures == ["cluster"]
    assert "not to cluster gossipd" in foreign.of("cluster")["text"]
    from_bare = doctor(cluster.nodes[-2], a.address)
    assert from_bare.failures == ["secret"]
    assert (
        f"it seals with the secret {ours.fingerprint}, and here is none"
        in (from_bare.of("secret")["text"])
    )
    assert "nothing is sealed" in from_bare.of("alarm")["text"]
