"""A hostile peer that speaks the wire, against real nodes: nobody's word ends one."""

from __future__ import annotations

import socket

from gossipd.core import MemberView, Status, TagFrame
from gossipd.core.identity import GENERATION_MAX
from gossipd.core.messages import Cookie, Envelope, Gossip, Message
from tests.unit.core.wire_examples import encode

from .cluster import Cluster, agree, counted
from .node import Node, until


def own_view(node: Node, of: Node) -> MemberView:
    """What a node holds of another one, or of itself."""
    (row,) = (member for member in node.get("/members") if member["address"] == of.address)
    host, _, port = of.address.rpartition(":")
    return MemberView(
        row["name"], (host, int(port)), row["generation"], row["incarnation"], Status.ALIVE
    )


def say(node: Node, speaker: MemberView, message: Message, *views: MemberView) -> None:
    """A datagram from an address that has proven nothing, in a member's name."""
    said = Envelope(speaker.name, speaker.generation, speaker.incarnation, message, views, (), 0)
    host, _, port = node.address.rpartition(":")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendto(TagFrame("gossipd").close(encode(said)), (host, int(port)))


def test_what_is_said_of_nodes_ends_none_and_keeps_none_away(cluster: Cluster) -> None:
    nodes = cluster.start(3)
    first, _, third = nodes
    first.increment(by=5)
    views = [own_view(first, node) for node in nodes]
    absurd = [view._replace(generation=GENERATION_MAX, status=Status.FAILED) for view in views]
    for number, node in enumerate(nodes):
        say(node, views[number - 1], Gossip(), *absurd)
        for step in (1, 2, 3, 4):
            later = views[0]._replace(generation=views[0].generation + step * 10**6)
            say(node, views[1], Gossip(), later)
        say(node, views[2], Gossip(), views[1]._replace(status=Status.LEFT))
        say(node, views[1], Cookie(0, b"12345678", views[0].address))
        elsewhere = views[0]._replace(address=("127.9.9.9", 9), generation=GENERATION_MAX // 4096)
        say(node, views[1], Gossip(), elsewhere)

    def refused() -> bool:
        return all(node.status()["dropped"].get("absurd", 0) for node in nodes)

    until(refused, 5, "what is absurd is counted")
    agree(nodes, within=10)
    third.increment(by=7)
    counted(nodes, 12, within=5)
    assert all(node.running for node in nodes)
    assert not any("is left" in node.log for node in nodes)
