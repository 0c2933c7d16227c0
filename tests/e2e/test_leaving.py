"""A node that is told to go hands over what it took, says so, and exits 0."""

from __future__ import annotations

import signal
import socket
import threading

import pytest

from tests.e2e import scenarios
from tests.e2e.bounds import allowed, report
from tests.e2e.cluster import Cluster, agree, counted
from tests.e2e.node import until
from tests.effort import THOROUGH, effort

COUNT = effort(300, 1000)
"""Increments of each node that leaves, just before."""

WAYS = ("SIGTERM", "SIGINT", "command") if THOROUGH else ("SIGTERM", "command")
"""To a node the signals differ by name only; `test_process` sends each of them."""


@pytest.mark.parametrize("how", WAYS)
def test_a_leaving_node_loses_nothing_and_may_return(cluster: Cluster, how: str) -> None:
    nodes = cluster.start(5)
    took = scenarios.leave(nodes, nodes[-1:], how, COUNT)
    assert nodes[-1].log.endswith('level=info msg="left"\n')
    report(f"{how}: the others say left", took)
    assert took <= allowed(1.0)
    nodes[-1].start(join=nodes[:1])
    agree(nodes, within=5)
    counted(nodes, COUNT, within=5)


def test_two_of_five_leaving_at_once_lose_nothing(cluster: Cluster) -> None:
    nodes = cluster.start(5)
    took = scenarios.leave(nodes, nodes[-2:], "SIGTERM", COUNT)
    report("two at once: the others say left", took)
    assert took <= allowed(1.0)


def test_what_was_answered_while_a_node_leaves_is_kept(cluster: Cluster) -> None:
    """The leave begins in the middle of a stream of increments."""
    nodes = cluster.start(3)
    answers: list[bytes] = []

    def pump() -> None:
        with nodes[2].connect() as connection, connection.makefile("rb") as lines:
            try:
                while len(answers) < 1_000_000:
                    connection.sendall(b"increment\n" * 50)
                    answers.extend(lines.readline() for _ in range(50))
                    if not answers[-1].strip().isdigit():
                        return
            except OSError:
                return

    client = threading.Thread(target=pump)
    client.start()
    until(lambda: len(answers) > 500, 10, "the node counts")
    nodes[2].send(signal.SIGTERM)
    assert nodes[2].ended() == 0
    client.join(10)
    answered = sum(answer.strip().isdigit() for answer in answers)
    until(lambda: nodes[0].count() == nodes[1].count() >= answered, 5, "nothing is missing")
    assert nodes[0].count() == answered
    refusals = {answer for answer in answers if answer and not answer.strip().isdigit()}
    assert all(b"leaving" in refusal for refusal in refusals), refusals


def test_the_last_one_leaves_at_once(cluster: Cluster) -> None:
    (node,) = cluster.start(1)
    node.increment()
    node.send(signal.SIGTERM)
    assert node.ended(3) == 0
    leaving, left = node.log.splitlines()[-2:]
    assert 'level=info msg="SIGTERM: leaving"' in leaving
    assert (
        'level=warning msg="left; what was counted here may be on this disk only" streams=1'
        in left
    )


def test_all_leaving_at_once_end(cluster: Cluster) -> None:
    nodes = cluster.start(3)
    for node in nodes:
        node.increment()
    for node in nodes:
        node.send(signal.SIGTERM)
    assert [node.ended(8) for node in nodes] == [0, 0, 0]


def test_a_leaving_node_closes_its_connections(cluster: Cluster) -> None:
    nodes = cluster.start(2)
    with nodes[1].connect() as idle:
        nodes[1].send(signal.SIGTERM)
        assert nodes[1].ended(8) == 0
        assert idle.recv(1) == b""
    with pytest.raises(ConnectionRefusedError), socket.create_connection(nodes[1].api, 1):
        pass
