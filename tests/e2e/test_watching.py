"""What a node tells those who watch it is exact, whatever happens to the cluster meanwhile."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import pytest

from tests.e2e import namespaces, scenarios
from tests.e2e.cluster import Cluster, agree, counted
from tests.e2e.namespaces import Network
from tests.e2e.node import Node, until
from tests.event_source import Books, Event, Interpreter

MANY = 10_000
BROWSER = ("node", "--experimental-eventsource", str(Path(__file__).with_name("following.js")))


@cache
def why_no_browser() -> str:
    """Why there is no `EventSource`; empty where there is."""
    if shutil.which("node") is None:
        return "needs nodejs"
    command = (*BROWSER[:2], "-e", "new EventSource('http://127.0.0.1:1').close()")
    known = subprocess.run(command, capture_output=True, check=False, timeout=60)
    return "" if known.returncode == 0 else "this nodejs has no EventSource"


@pytest.fixture
def network(cluster: Cluster) -> Iterator[Network]:
    with Network(3) as made:
        yield made
        cluster.close()


class Follower:
    """A program that follows a node; what it tells is entered into books."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.books = Books()
        self.failure: Exception | None = None
        self._ended = False
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._follow)
        self._thread.start()

    def _follow(self) -> None:
        try:
            while not self._ended:
                self._read(self._begin())
                time.sleep(0.05)  # until it comes back, as each client does
        except Exception as error:
            self.failure = error

    def _begin(self) -> subprocess.Popen[bytes]:
        command = (*self.node.prefix, *self.command())
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, bufsize=0)
        return self._process

    def command(self) -> Sequence[str]:
        raise NotImplementedError

    def events(self, data: bytes) -> Sequence[Event]:
        raise NotImplementedError

    def _read(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        with process.stdout:
            while data := process.stdout.read(65536):
                for event in self.events(data):
                    self.books.take(event)
        process.wait()

    def interrupt(self) -> None:
        """Break its connection."""
        if self._process is not None:
            self._process.kill()

    def end(self) -> None:
        self._ended = True
        self.interrupt()
        self._thread.join(10)

    def agrees(self) -> bool:
        """Whether it knows what the node knows."""
        assert self.failure is None, self.failure
        node = self.node
        counts, members = node.get("/counters"), node.states()
        return self.books.counts == counts and self.books.members == members


class Curl(Follower):
    def __init__(self, node: Node) -> None:
        self._interpreter = Interpreter()
        super().__init__(node)

    def command(self) -> Sequence[str]:
        self._interpreter = Interpreter(self._interpreter.last_event_id)
        last = self._interpreter.last_event_id
        headers = ("-H", f"Last-Event-ID: {last}") if last else ()
        host, port = self.node.api
        return ("curl", "-sN", *headers, f"http://{host}:{port}/events")

    def events(self, data: bytes) -> Sequence[Event]:
        return self._interpreter.feed(data)


class Browser(Follower):
    def __init__(self, node: Node) -> None:
        self._rest = b""
        super().__init__(node)

    def command(self) -> Sequence[str]:
        host, port = self.node.api
        return (*BROWSER, f"http://{host}:{port}/events")

    def events(self, data: bytes) -> Sequence[Event]:
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [Event(**json.loads(line)) for line in lines]


def count_many(nodes: Sequence[Node], followers: Sequence[Follower]) -> None:
    """10,000 increments in all; connections break meanwhile."""
    each = MANY // len(nodes)
    for number, node in enumerate(nodes):
        lines = [
            json.dumps({"counter": f"c{line % 7}", "by": line % 5 - 2 or 9})
            for line in range(each)
        ]
        reply = node.ask("POST", "/increments", raw="\n".join(lines).encode())
        assert reply.status == 200
        assert len(reply.data) == each
        if number:
            for follower in followers:
                follower.interrupt()


def restart(node: Node, others: Sequence[Node]) -> None:
    node.send(signal.SIGTERM)
    assert node.ended() == 0
    others[0].increment("while it was away", 3)
    node.start(join=others[:1])
    agree([node, *others], within=20)


@pytest.mark.skipif(bool(namespaces.why_none()), reason=namespaces.why_none())
def test_who_watches_knows_all_through_a_kill_a_partition_and_restarts(
    cluster: Cluster, network: Network
) -> None:
    nodes = scenarios.networked(cluster, network)
    nodes[0].increment("before", 5)
    curl = Curl(nodes[0])
    followers: list[Follower] = [curl]
    if not why_no_browser():
        followers.append(Browser(nodes[1]))
    try:
        scenarios.kill(nodes)
        scenarios.split(nodes, network, 1)
        count_many(nodes, [curl])
        restart(nodes[0], nodes[1:])
        restart(nodes[1], [nodes[2], nodes[0]])
        nodes[2].increment("after", -4)
        counted(nodes, -4, 10, "after")
        for follower in followers:
            until(follower.agrees, 10, f"{type(follower).__name__} knows all")
    finally:
        for follower in followers:
            follower.end()
    # What it was told once it was not told again: only after the node had restarted.
    for follower in followers:
        assert follower.books.kinds.count("counts") == 2
        assert len(follower.books.ids) == len(set(follower.books.ids))
