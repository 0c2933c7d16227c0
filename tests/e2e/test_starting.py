"""What cannot start says why in one line and a code."""

from __future__ import annotations

import signal
import socket
import time

import pytest

from gossipd.core import Settings
from tests.e2e import namespaces
from tests.e2e.cluster import (
    Cluster,
    agree,
    counted,
    see,
)
from tests.e2e.namespaces import Namespace
from tests.e2e.node import SECRET, Node, gossipd, until


def complaint(node: Node, within: float = 10.0) -> str:
    """The log of a node that does not start: exit code 1."""
    assert node.ended(within) == 1
    return node.log


def one_line(text: str) -> str:
    """Text that has to be one line from gossipd."""
    assert text.count("\n") == 1
    assert text.startswith("gossipd: ")
    return text


def test_a_gossip_port_in_use_is_one_line(cluster: Cluster) -> None:
    (node,) = cluster.start(1)
    second = cluster.add(node.host)
    second.start()
    line = one_line(complaint(second))
    assert line == f"gossipd: cannot bind {node.address}: Address already in use\n"


def test_a_side_port_in_use_is_one_line(cluster: Cluster) -> None:
    node = cluster.add()
    with socket.create_server(node.api):
        node.start()
        line = one_line(complaint(node))
    assert "cannot bind the API port" in line
    assert "already in use" in line


def test_an_address_of_another_host_is_one_line(cluster: Cluster) -> None:
    node = cluster.add("192.0.2.1")
    node.start()
    assert "Cannot assign requested address" in one_line(complaint(node))


def test_one_seed_that_resolves_is_enough(cluster: Cluster) -> None:
    (seed,) = cluster.start(1)
    node = cluster.add()
    node.start("--join", "nobody.invalid", join=[seed])
    agree([seed, node], within=30)
    until(lambda: "cannot resolve the seed nobody.invalid:7946: " in node.log, 20, "it is said")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("run", "--bind", "7946"), 2),
        (("run", "--join", ":7946"), 2),
        (("run", "--nonsense"), 2),
        (("nonsense",), 2),
        (("increment", "--by", "0"), 2),
        (("run", "--bind", "[fe80::1]:7946"), 2),
        (("run", "--join", "[fe80::1]:7946"), 2),
        (("run", "--advertise", "[fe80::1%lo]:7946"), 2),
        (("run", "--bind", "nobody.invalid:7946"), 1),
        (("count", "--api", "127.0.0.1:1"), 3),
    ],
)
def test_exit_codes_tell_mistakes_from_failures(arguments: tuple[str, ...], code: int) -> None:
    done = gossipd(*arguments)
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    assert done.stderr
    assert "Traceback" not in done.stderr


def test_a_name_that_is_taken_is_refused(cluster: Cluster) -> None:
    nodes = cluster.start(2)
    twin = cluster.add(name="n2")
    twin.start(join=nodes[:1])
    text = complaint(twin)
    assert "the name 'n2' is taken by a live node at" in text
    assert nodes[1].host in text
    agree(nodes, within=5)
    assert nodes[1].running


def test_a_name_is_refused_by_its_very_holder(cluster: Cluster) -> None:
    (holder,) = cluster.start(1)
    holder.increment()
    twin = cluster.add(name="n1")
    twin.start(join=[holder])
    assert "the name 'n1' is taken by a live node at" in complaint(twin)
    assert holder.running
    assert holder.count() == 1


def newer_is_settled(gate: Node) -> bool:
    (newer,) = (member for member in gate.get("/members") if member["name"] == "n3")
    return time.time() - float(newer["since"]) > 2 * Settings().name_check


def test_of_two_holders_that_meet_the_newer_one_stays(cluster: Cluster) -> None:
    older = cluster.start(3)
    gate, newer = cluster.add(), cluster.add(name="n3")
    gate.start()
    newer.start(join=[gate])
    agree([gate, newer], within=5)
    until(lambda: newer_is_settled(gate), 10, "no refusal would end it any more")
    older[2].increment(by=5)
    newer.increment(by=7)
    assert older[0].cli("join", gate.address).returncode == 0
    assert older[2].ended(30) == 1
    assert "the name 'n3' was taken over by" in older[2].log
    staying = [*older[:2], gate, newer]
    agree(staying, within=5)
    counted(staying, 12, within=5)


def test_the_name_of_a_dead_holder_is_taken_over(cluster: Cluster) -> None:
    nodes = cluster.start(3)
    nodes[2].increment(by=5)
    counted(nodes, 5, within=5)
    nodes[2].kill()
    twin = cluster.add(name="n3")
    twin.start(join=nodes[:1])
    until(lambda: nodes[1].get("/members")[2]["address"] == twin.address, 15, "it has the name")
    agree([*nodes[:2], twin], within=5)
    counted([*nodes[:2], twin], 5, within=5)


def test_a_node_that_returns_quickly_is_the_same_member(cluster: Cluster) -> None:
    nodes = cluster.start(3)
    before = nodes[0].get("/members")[2]
    nodes[2].kill()
    nodes[2].start(join=nodes[:1])
    agree(nodes, within=5)
    until(
        lambda: nodes[0].get("/members")[2]["generation"] > before["generation"],
        within=5,
        what="its new life is known",
    )
    assert [member["name"] for member in nodes[0].get("/members")] == ["n1", "n2", "n3"]


def test_a_second_signal_ends_a_leave_that_waits(cluster: Cluster) -> None:
    """The only peer hangs, so the first signal has nobody to hand over to."""
    nodes = cluster.start(2)
    nodes[1].send(signal.SIGSTOP)
    nodes[0].increment()
    nodes[0].send(signal.SIGTERM)
    until(lambda: "SIGTERM: leaving" in nodes[0].log, 2, "the leave has begun")
    nodes[0].send(signal.SIGTERM)
    assert nodes[0].ended(2) == 1
    assert "second signal" in nodes[0].log


def test_a_leave_with_nobody_to_hand_over_to_is_bounded_and_logged(cluster: Cluster) -> None:
    nodes = cluster.start(2)
    nodes[1].send(signal.SIGSTOP)
    nodes[0].increment()
    nodes[0].send(signal.SIGTERM)
    assert nodes[0].ended(10) == 0
    assert "what was counted here may be on this disk only" in nodes[0].log


def test_a_wrong_advertise_is_named(cluster: Cluster) -> None:
    (seed,) = cluster.start(1)
    node = cluster.add()
    node.start("--advertise", f"{cluster.address()}:{seed.port}", join=[seed])
    until(lambda: "is --advertise wrong" in node.log, 5, "the mistake is named")
    assert seed.states() == {"n1": "alive"}


def test_what_is_seen_of_a_dead_node_is_its_failure(cluster: Cluster) -> None:
    nodes = cluster.start(2)
    nodes[1].kill()
    see(nodes[:1], "n2", "failed", within=10)
    nodes[0].says('level=warning msg="member n2 at')
    assert nodes[0].get("/peers") == []


@pytest.mark.skipif(bool(namespaces.why_none()), reason=namespaces.why_none())
def test_a_node_whose_host_was_renamed_is_told_where_its_state_is(cluster: Cluster) -> None:
    with Namespace() as namespace:
        _renamed(cluster.add(namespace=namespace))
        cluster.close()


def _renamed(node: Node) -> None:
    network = node.prefix

    def start_on(host: str, *options: str) -> None:
        renamed = ("unshare", "--uts", "sh", "-c", f'hostname {host} && exec "$@"', "-")
        node.prefix = (*network, *renamed)
        node.start_as("run", *options, GOSSIPD_SECRET=SECRET)
        until(lambda: node.ready, 20.0, f"it is ready on {host}")

    start_on("before")
    node.increment()
    node.says("\n")
    assert str(node.state_home / "gossipd" / "before") in node.log.splitlines()[0]
    assert node.status()["data_dir"] == str(node.state_home / "gossipd" / "before")
    node.kill()
    start_on("after")
    assert node.count() == 0
    (alarm,) = node.status()["alarms"]
    assert "was renamed" in alarm
    assert "--name before" in alarm
    node.says(alarm)
    node.kill()
    start_on("after", "--name", "before")
    assert node.count() == 1
    assert node.status()["alarms"] == []


def test_two_clusters_that_meet_are_told_once_and_a_restart_is_no_meeting(
    cluster: Cluster,
) -> None:
    ours, theirs = cluster.start(2), cluster.start(2)
    for node in (ours[0], theirs[0]):
        node.increment()
    counted(ours, 1, 10.0)
    counted(theirs, 1, 10.0)
    assert not any(node.status()["alarms"] for node in (*ours, *theirs))
    theirs[1].ask("POST", "/join", {"peers": [ours[0].address]})
    agree([*ours, *theirs], within=20.0)
    counted([*ours, *theirs], 2, 10.0)
    until(lambda: theirs[1].status()["alarms"], 10.0, "who has joined says so")
    (alarm,) = theirs[1].status()["alarms"]
    assert alarm.startswith("two clusters called 'gossipd' have met, ")
    assert all(node.name in alarm for node in (*ours, *theirs))
    ours[1].kill()
    ours[1].start(join=[theirs[0]])
    agree([*ours, *theirs], within=20.0)
    assert not any(node.status()["alarms"] for node in (*ours, theirs[0]))
