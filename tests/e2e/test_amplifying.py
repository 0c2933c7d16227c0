"""What a real node answers to addresses that have proven nothing, kind by kind over UDP."""

from __future__ import annotations

import select
import socket
from contextlib import ExitStack
from itertools import repeat

from gossipd.core import TagFrame
from gossipd.core.gossip.amplification import AMPLIFICATION_MAX
from tests.e2e.cluster import Cluster
from tests.fuzz.attacks.amplifying import forged
from tests.fuzz.attacks.real import own_view, place

PLAIN = (b"ping", b"ping\n", b"ping\r\n", b"ping a", b"ping a" + b" " * 1000, b"pong", b"")
SPEAKERS = ("a stranger", "an earlier life of it")
SILENCE = 1.5
"""Seconds without an answer after which no more is expected: relays give up sooner."""


def test_a_node_answers_nobody_with_more_than_three_times_what_came(cluster: Cluster) -> None:
    node = cluster.start(2)[0]
    node.increment()
    with ExitStack() as stack:

        def opened(number: int) -> socket.socket:
            sock = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            sock.bind((f"{cluster.address()}{number}", 0))
            return sock

        victim = opened(7)
        made = forged(own_view(node, node), repeat(victim.getsockname()), TagFrame("gossipd"))
        datagrams = [(what, data) for what, data, _ in made if what.endswith(SPEAKERS)]
        datagrams += [(f"plain {data[:8]!r}", data) for data in PLAIN]
        asker = opened(9)
        asker.settimeout(10)
        sources = {}
        for what, data in datagrams:
            sock = opened(8)
            sock.sendto(data, place(node))
            sources[sock] = what, len(data)
            asker.sendto(b"ping", place(node))  # it has taken in what came before
            assert asker.recv(100) == b"pong"
        got = dict.fromkeys([*sources, victim], 0)
        while ready := select.select(list(got), [], [], SILENCE)[0]:
            for sock in ready:
                got[sock] += len(sock.recv(65536))
    for sock, (what, size) in sources.items():
        assert got[sock] <= AMPLIFICATION_MAX * size, f"{got[sock]} bytes for {size} of {what}"
    answered = {what.partition(" ")[0] for sock, (what, _) in sources.items() if got[sock]}
    assert {"plain", "Ping", "Gossip", "PassAsk"} <= answered
    said = sum(size for _, size in sources.values())
    assert 0 < got[victim] <= AMPLIFICATION_MAX * said
