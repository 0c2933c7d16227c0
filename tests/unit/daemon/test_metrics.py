"""The table of metrics, and that a scrape of a large node holds nobody up."""

from __future__ import annotations

import time
from random import Random

from gossipd.core import MemberView, Node, Settings, Snapshot, Status, StreamSnapshot, TagFrame
from gossipd.daemon.diskwatch import DiskWatch
from gossipd.daemon.dropping import Drops
from gossipd.daemon.inbox import Inbox
from gossipd.daemon.metrics import COUNTERS_MAX, Metrics, Sources
from gossipd.daemon.numbers import Numbers
from gossipd.daemon.troubles import Troubles
from gossipd.daemon.udp import Udp, open_socket
from gossipd.daemon.waits import Waits
from gossipd.sideport.port import SidePort
from tests.e2e.scraping import Scrape
from tests.unit.sideport.fake import FakeBackend

MEMBERS, COUNTERS = 20_000, 50_000

HOLDS_MAX = 0.01
"""Seconds of CPU for which a scrape may hold the loop at once."""


def large() -> Node:
    own = MemberView("me", ("10.0.0.1", 7946), 1, 0, Status.ALIVE)
    node = Node(own, Settings(alone_after=0.0), TagFrame("test"), Random(1), 0.0)
    states = (Status.ALIVE, Status.FAILED)
    members = tuple(
        MemberView(f"m{number}", ("10.1.0.1", number + 1), 1, 0, states[number % 2])
        for number in range(MEMBERS - 1)
    )
    registers = tuple((f"c{number}", number + 1, number + 1) for number in range(COUNTERS))
    node.load(Snapshot((StreamSnapshot(bytes(10), COUNTERS, registers),), members), 0.0, met=True)
    node.start(True, 0.0)
    assert node.ready
    return node


async def test_a_scrape_of_a_large_node_holds_the_loop_for_a_few_milliseconds() -> None:
    node = large()
    with open_socket("127.0.0.1", 0) as sock:
        metrics = Metrics(
            Sources(
                node,
                Numbers(),
                Udp(sock, lambda *_: None),
                Inbox(lambda *_: None, node, lambda *_: False, lambda _: None),
                DiskWatch(5.0, Troubles()),
                Waits(node, lambda _: None),
                SidePort(FakeBackend()),
                Drops(Troubles()),
                "test",
                lambda: None,
                list,
            )
        )
        best: dict[int, float] = {}
        for _ in range(3):
            document = await metrics.scrape("", "")
            at, told = 0, b""
            while True:
                began = time.thread_time()
                piece = next(document.pieces, None)
                took = time.thread_time() - began
                if piece is None:
                    break
                told += piece
                best[at] = min(took, best.get(at, took))
                at += 1
    found = Scrape(told.decode())
    assert found.value("gossipd_members", state="failed") == MEMBERS // 2 - 1
    assert found.value("gossipd_log_entries", kind="counters") == COUNTERS
    assert len(found.families["gossipd_counters_value"].samples) == COUNTERS_MAX
    print(f"{sum(best.values()):.4f} s in {len(best)} pieces, {max(best.values()):.4f} s at most")
    assert max(best.values()) < HOLDS_MAX
