"""The first node of a cluster, which has nobody to join, comes back without its state."""

from __future__ import annotations

import shutil
import time

from tests.e2e.cluster import Cluster, agree, counted
from tests.e2e.node import Node, until

COUNT = 1000

MANY = "".join(f'{{"counter": "c{number}"}}\n' for number in range(3000)).encode()
"""More than comes with the first datagrams: before it is whole, a node learns that it is not."""

OPTIONS = ("--contact-interval", "0.3")
"""However long the process takes to start: it is contacted in time, also if it was given up."""

LISTENING = (*OPTIONS, "--alone-after", "4")
"""Longer than by default: a busy machine may hold the others up."""

AT_ONCE = (*OPTIONS, "--alone-after", "0")


def ruin(node: Node) -> None:
    """A power cut, and a new disk."""
    node.kill()
    shutil.rmtree(node.data_directory)


def said_when_ready(node: Node, within: float) -> list[tuple[int, object]]:
    """What it answers when it is asked for its count, as often as can be until that is right."""
    answers: list[tuple[int, object]] = []

    def is_whole() -> bool:
        deadline = time.monotonic() + 0.2
        while time.monotonic() < deadline:
            if node.ask("GET", "/ready").status == 200:
                reply = node.ask("GET", "/count")
                answers.append((reply.status, reply.data.get("count")))
        return (200, COUNT) in answers

    until(is_whole, within, "its count is whole")
    return answers


def test_who_others_hold_as_a_member_is_not_ready_without_its_counts(cluster: Cluster) -> None:
    first, *others = nodes = [cluster.add() for _ in range(3)]
    first.start(*LISTENING)
    for node in others:
        node.start(*OPTIONS, join=[first])
    agree(nodes, within=20)
    assert others[0].ask("POST", "/increments", raw=MANY).status == 200
    others[0].increment(by=COUNT)
    counted(nodes, COUNT, within=20)
    agree(nodes, within=20)

    ruin(first)
    first.start(*LISTENING)
    assert set(said_when_ready(first, within=15)) == {(200, COUNT)}
    first.says("this node is not alone: n")
    first.says('level=info msg="ready"')
    assert first.log.index("not alone") < first.log.index('level=info msg="ready"')
    agree(nodes, within=10)

    ruin(first)
    first.start(*AT_ONCE)
    # It has not listened, so that it may be ready before the others speak to it.
    said_when_ready(first, within=15)
    until(lambda: "this node is not alone: n" in first.log, 20, "it learns it all the same")
    agree(nodes, within=10)
    counted(nodes, COUNT, within=5)


def test_who_is_alone_says_that_it_listens_and_counts_meanwhile(cluster: Cluster) -> None:
    node = cluster.add()
    node.start("--alone-after", "3600")
    until(lambda: node.increment(by=2) == 2, 10, "it counts")
    ready = node.ask("GET", "/ready")
    assert ready.status == 503
    assert "whether others hold this node as a member" in ready.data["detail"]
    assert node.status()["ready"] is False
    assert node.ask("GET", "/count").status == 503
    node.kill()
    node.start("--alone-after", "3600")
    until(lambda: node.ready, 10, "who has its state listens to nobody")
    assert node.count() == 2
