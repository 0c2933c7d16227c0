"""What a node tells those who watch it is exact, whatever happens to the cluster meanwhile."""

from __future__ import annotations

import json
import os
import pty
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from tests.e2e import namespaces, proxies, scenarios
from tests.e2e.bounds import allowed, report
from tests.e2e.browser import PROGRAM, Browser
from tests.e2e.cluster import Cluster, agree, counted
from tests.e2e.namespaces import Namespace, Network
from tests.e2e.node import ROOT, Node, environment, until
from tests.effort import effort
from tests.event_source import Books, Event, Interpreter

MANY = effort(4_000, 10_000)

FOLLOW = """
told = [], opened = 0, source = new EventSource('/events');
source.onopen = () => { opened++; };
for (const kind of ['member', 'present', 'counts', 'increment', 'end']) {
  source.addEventListener(kind, (event) => {
    told.push({ kind, id: event.lastEventId, data: JSON.parse(event.data) });
  });
}
0"""
"""The browser's own client of a stream comes back by itself, and says where it was."""


@pytest.fixture
def network(cluster: Cluster) -> Iterator[Network]:
    with Network(3) as made:
        yield made
        cluster.close()


class Follower:
    """Who follows a node; what it is told is entered into books."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.books = Books()

    @property
    def connections(self) -> int:
        """How often it connected."""
        raise NotImplementedError

    def interrupt(self) -> None:
        """Break its connection."""
        raise NotImplementedError

    def agrees(self) -> bool:
        """Whether it knows what the node knows."""
        node = self.node
        counts, members = node.get("/counters"), node.states()
        return self.books.counts == counts and self.books.members == members


class Curl(Follower):
    def __init__(self, node: Node, by: str = "") -> None:
        """`by`: the proxy that is asked."""
        super().__init__(node)
        host, port = node.api
        self._url = f"http://{by or f'{host}:{port}'}/events"
        self._interpreter = Interpreter()
        self._connections = 0
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
        self._connections += 1
        self._interpreter = Interpreter(self._interpreter.last_event_id)
        last = self._interpreter.last_event_id
        headers = ("-H", f"Last-Event-ID: {last}") if last else ()
        command = (*self.node.prefix, "curl", "-sN", *headers, self._url)
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, bufsize=0)
        return self._process

    def _read(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        with process.stdout:
            while data := process.stdout.read(65536):
                for event in self._interpreter.feed(data):
                    self.books.take(event)
        process.wait()

    @property
    def connections(self) -> int:
        return self._connections

    def interrupt(self) -> None:
        if self._process is not None:
            self._process.kill()

    def agrees(self) -> bool:
        assert self.failure is None, self.failure
        return super().agrees()

    def end(self) -> None:
        self._ended = True
        self.interrupt()
        self._thread.join(10)


class Chromium(Follower):
    def __init__(self, node: Node, other: Node, network: Namespace, browser: Browser) -> None:
        """`other`: through whom there is something to be told; `network`: where all of it runs."""
        super().__init__(node)
        self._other = other
        self._network = network
        self._tab = browser.open(f"http://{node_api(node)}/")
        self._tab.run(FOLLOW)

    @property
    def connections(self) -> int:
        return int(self._tab.run("opened"))

    def interrupt(self) -> None:
        before = self.connections
        with self._network.refused(self.node.api[1]):
            self._other.increment("told")
            until(lambda: self._tab.run("source.readyState") == 0, 20, "the browser is cut off")
        until(lambda: self.connections > before, 20, "the browser is back")

    def agrees(self) -> bool:
        for told in self._tab.run("told.splice(0)"):
            self.books.take(Event(**told))
        return super().agrees()


def count_many(nodes: Sequence[Node], followers: Sequence[Follower]) -> None:
    """Many increments in all; connections break meanwhile."""
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
    for other in others[:1]:
        other.increment("while it was away", 3)
    node.start(join=others[:1])
    agree([node, *others], within=20)


@contextmanager
def following(
    nodes: Sequence[Node], network: Network, directory: Path
) -> Iterator[list[Follower]]:
    """Two who follow a node each, or one where there is no browser."""
    with ExitStack() as ends:
        curl = Curl(nodes[0])
        ends.callback(curl.end)
        followers: list[Follower] = [curl]
        if PROGRAM is not None and shutil.which("nft"):
            browser = ends.enter_context(Browser(directory, nodes[1].prefix))
            followers.append(Chromium(nodes[1], nodes[2], network.hosts[1], browser))
        yield followers


@pytest.mark.skipif(bool(namespaces.why_none()), reason=namespaces.why_none())
def test_who_watches_knows_all_through_a_kill_a_partition_and_restarts(
    cluster: Cluster, network: Network, tmp_path: Path
) -> None:
    nodes = scenarios.networked(cluster, network, *scenarios.SWIFT)
    nodes[0].increment("before", 5)
    with following(nodes, network, tmp_path / "browser") as followers:
        scenarios.kill(nodes)
        scenarios.split(nodes, network, 1)
        count_many(nodes, followers)
        restart(nodes[0], nodes[1:])
        restart(nodes[1], [nodes[2], nodes[0]])
        nodes[2].increment("after", -4)
        counted(nodes, -4, 10, "after")
        for follower in followers:
            until(follower.agrees, 10, f"{type(follower).__name__} knows all")
            assert follower.connections >= 4
    # What it was told once it was not told again: only after the node had restarted.
    for follower in followers:
        assert follower.books.kinds.count("counts") == 2
        assert follower.books.kinds.count("end") == 1
        assert len(follower.books.ids) == len(set(follower.books.ids))


@pytest.fixture
def nodes(cluster: Cluster) -> list[Node]:
    return cluster.start(2, "--in-memory")


@pytest.mark.skipif(bool(proxies.why_none("nginx")), reason=proxies.why_none("nginx"))
def test_a_proxy_passes_on_at_once_what_is_told(
    cluster: Cluster, nodes: list[Node], tmp_path: Path
) -> None:
    """One that ends what is silent for a second: who comes back goes on where it was."""
    node = nodes[0]
    with proxies.Proxy("nginx", cluster.address(), node.api, tmp_path) as proxy:
        curl = Curl(node, by=proxy.address)
        try:
            until(lambda: "counts" in curl.books.kinds, 20, "the counts were told")
            connections = curl.connections
            took: list[float] = []
            for number in range(1, 4):
                node.increment()
                took.append(until(curl.agrees, 20, "the increment was told"))
                if number == 2:
                    until(lambda: curl.connections > connections, 20, "the proxy has cut it off")
        finally:
            curl.end()
    assert curl.books.kinds.count("counts") == 1
    assert len(curl.books.ids) == 3
    report("told through a proxy", min(took))
    assert min(took) < proxies.PATIENCE / 2, "it waited until there was more"


def node_api(node: Node) -> str:
    host, port = node.api
    return f"{host}:{port}"


def test_two_hundred_that_never_read_cost_little(cluster: Cluster) -> None:
    """Neither those who count, nor memory, nor the time in which the node leaves."""
    node, other = cluster.add(), cluster.add()
    node.forge = None  # its memory is looked at
    cluster.form([node, other], "--in-memory")
    before, silent = node.resident, []
    for _ in range(200):
        connection = node.connect()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall(b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n")
        silent.append(connection)
    try:
        curl = Curl(node)
        try:
            until(lambda: "counts" in curl.books.kinds, 20, "the counts were told")
            lines = "\n".join(f'{{"counter": "c{number}"}}' for number in range(5000)).encode()
            slowest = 0.0
            for _ in range(2):
                assert other.ask("POST", "/increments", raw=lines).status == 200
                began = time.monotonic()
                node.increment()
                slowest = max(slowest, time.monotonic() - began)
            until(curl.agrees, 60, "who reads knows all")
        finally:
            curl.end()
        report("the slowest increment beside 200 that watch", slowest)
        assert slowest <= allowed(0.25)
        taken = (node.resident - before) / 2**20
        print(f"memory: {taken:.1f} MiB more")
        assert taken < 80
        began = time.monotonic()
        node.send(signal.SIGTERM)
        assert node.ended() == 0
        assert time.monotonic() - began <= allowed(1.0)
    finally:
        for connection in silent:
            connection.close()


def test_commands_follow_a_node_over_its_restart(
    cluster: Cluster, nodes: list[Node], tmp_path: Path
) -> None:
    node, other = nodes
    node.increment("before", 5)
    shell = 'cat > /dev/null; echo "$GOSSIPD_EVENT $GOSSIPD_MEMBER_NAME"'
    main, terminal = pty.openpty()
    told = {name: tmp_path / name for name in ("watch", "on-event")}
    commands = [
        start(node, told["watch"], "watch", "--json"),
        start(node, told["on-event"], "on-event", "--present", "--", "sh", "-c", shell),
        start(node, terminal, "members", "--watch"),
    ]
    os.close(terminal)
    drawn = Drawn(main)
    try:
        until(lambda: "alive" in drawn.last("n2"), 20, "the table is drawn")
        until(lambda: books_of(told["watch"]).counts == {"before": 5}, 20, "it follows")
        handled = "member-alive n1\nmember-alive n2\n"
        until(lambda: told["on-event"].read_text() == handled, 20, "who is there is handled")
        other.send(signal.SIGTERM)
        assert other.ended() == 0
        handled += "member-left n2\n"
        until(lambda: told["on-event"].read_text() == handled, 20, "it is handled")
        until(lambda: "left" in drawn.last("n2"), 20, "the table is drawn again")
        restart(node, [])
        other.start(join=[node])
        until(lambda: other.ready, 20, "n2 is back")
        node.increment("after", 7)
        until(
            lambda: books_of(told["watch"]).counts == {"before": 5, "after": 7}, 20, "it is told"
        )
        until(lambda: "alive" in drawn.last("n2"), 20, "the table is drawn again")
        until(lambda: told["on-event"].read_text().endswith("alive n2\n"), 20, "it is handled")
    finally:
        for command in commands:
            command.kill()
            command.wait(10)
        drawn.end()


def start(node: Node, told: Path | int, *arguments: str) -> subprocess.Popen[bytes]:
    command = (sys.executable, "-m", "gossipd", *arguments)
    where = environment(GOSSIPD_API=node_api(node), TERM="xterm")
    if isinstance(told, int):
        return subprocess.Popen(command, stdout=told, cwd=ROOT, env=where)
    with told.open("wb") as file:
        return subprocess.Popen(command, stdout=file, cwd=ROOT, env=where)


def books_of(told: Path) -> Books:
    books = Books()
    for line in told.read_text().splitlines():
        event = json.loads(line)
        books.take(Event(event["event"], event["data"], ""))
    return books


class Drawn:
    """What was drawn on a terminal."""

    def __init__(self, terminal: int) -> None:
        self._text = ""
        self._terminal = terminal
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        with suppress(OSError):  # nobody draws any more
            while data := os.read(self._terminal, 65536):
                self._text += data.decode()

    def last(self, name: str) -> str:
        """A member's line in the last whole table."""
        table = self._text.rpartition("\x1b[H\x1b[J")[2]
        return next((line for line in table.splitlines() if line.startswith(name)), "")

    def end(self) -> None:
        self._thread.join(10)
        os.close(self._terminal)
