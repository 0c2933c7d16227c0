"""A cluster is restarted node by node while clients count, and no client notices."""

from __future__ import annotations

import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from gossipd.cli.daemons import TRY_TIMEOUT, Daemons, Patience
from gossipd.cli.increment import Increment
from gossipd.config.endpoint import Endpoint
from tests.e2e.bounds import allowed, blames_nobody, report
from tests.e2e.cluster import Cluster, agree, counted
from tests.e2e.node import Node, until

WITHIN = 30.0
"""Seconds that a client tries for each increment, as the command does by itself."""

PAUSE = 0.08
"""Seconds between two increments of a client, so that the machine has time for the nodes."""

QUICK = "--profile", "local"


class Clients:
    """Each has the addresses of two nodes, and counts one thing after the other."""

    def __init__(self, nodes: list[Node]) -> None:
        self._stop = threading.Event()
        self.answered = [0] * (len(nodes) + 1)
        self._node = nodes[0]
        self._pairs = list(zip(nodes, [*nodes[1:], nodes[0]], strict=True))

    def count(self, number: int) -> None:
        """By the client's library, until it is over."""
        addresses = [Endpoint(*node.api) for node in self._pairs[number]]
        while not self._stop.wait(PAUSE):
            one = Increment({"counter": "default", "by": 1}, lambda _: None, several=True)
            daemons = Daemons(addresses, TRY_TIMEOUT)
            Patience(WITHIN, lambda _: None).ask(daemons, one.send, one.doubt)
            self.answered[number] += 1

    def command(self) -> None:
        """By `gossipd increment`, until it is over."""
        api = [word for node in self._pairs[0] for word in ("--api", f"{node.host}:{node.api[1]}")]
        while not self._stop.wait(5 * PAUSE):
            done = self._node.cli("increment", *api)
            assert done.returncode == 0, done.stderr
            self.answered[-1] += 1

    def stop(self) -> None:
        self._stop.set()


def test_a_rolling_restart_loses_and_refuses_nothing_and_no_member_fails(cluster: Cluster) -> None:
    nodes = cluster.start(5, *QUICK)
    clients = Clients(nodes)
    began = time.monotonic()
    with ThreadPoolExecutor() as pool:
        threads = [pool.submit(clients.count, number) for number in range(len(nodes))]
        threads.append(pool.submit(clients.command))
        try:
            for node in nodes:
                before = list(clients.answered)
                node.send(signal.SIGTERM)
                assert node.ended() == 0
                node.start(*QUICK, join=[other for other in nodes if other is not node][:2])
                agree(nodes, within=20)
                until(
                    lambda: all(new > old for new, old in zip(clients.answered, before)),  # noqa: B023,B905
                    20,
                    "every client goes on",
                )
        finally:
            clients.stop()
        for thread in threads:
            thread.result()
    took = time.monotonic() - began
    report(f"5 nodes restarted under load, {sum(clients.answered)} increments", took)
    assert took <= allowed(30)
    counted(nodes, sum(clients.answered), within=10)
    lives = (log.read_text() for node in nodes for log in node.logs)
    blames_nobody([line for life in lives for line in life.splitlines() if " is failed" in line])
