"""Clients that hold a node's side port, and what becomes of those who want to use it:

    python -m tests.fuzz.attacks.sideport

One real node with many counters. Beside each attack somebody asks `/health`, each time on a
connection of its own. What is told: the slowest answer, how many had none, the node's memory, and
how long the attack's connections last.
"""

from __future__ import annotations

import json
import resource
import socket
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple, TypeAlias

from tests.e2e.cluster import Cluster
from tests.e2e.node import Node, until

SECONDS = 12.0
"""An attack lasts so long: longer than a silent connection is kept."""

PATIENCE = 1.0
"""Seconds for an answer to `/health`."""

INTERVAL = 0.1
COUNTERS = 100_000
BATCH = 5_000
EVERYBODY = 4096 + 300
READERS = 200
FILES = 8192

LIST = b"GET /counters HTTP/1.1\r\nHost: a\r\n\r\n"


class Outcome(NamedTuple):
    """What somebody else had of the node meanwhile."""

    worst: float
    """Seconds of the slowest answer."""
    failed: int
    asked: int
    grown: int
    """Bytes that the node's memory has grown."""
    left: int
    """Connections of the attack that the node still holds at the end."""


Attack: TypeAlias = Callable[[Node], list[socket.socket]]


def connected(node: Node, count: int, said: bytes = b"") -> list[socket.socket]:
    """Connections that have said something, and read nothing."""
    sockets = []
    for _ in range(count):
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.settimeout(5)
        sockets.append(sock)
        with suppress(OSError):
            sock.connect(node.api)
            sock.sendall(said)
    return sockets


def silence(node: Node) -> list[socket.socket]:
    """More connections than the node takes, which say nothing."""
    return connected(node, EVERYBODY)


def half_a_head(node: Node) -> list[socket.socket]:
    """The same, each in the middle of a request."""
    return connected(node, EVERYBODY, b"GET /counters HT")


def unread_lists(node: Node) -> list[socket.socket]:
    """Many who ask for all counters and never read them."""
    return connected(node, READERS, LIST)


def many_unread_lists(node: Node) -> list[socket.socket]:
    """Each asks for them many times."""
    return connected(node, READERS, LIST * 30)


def unread_lists_everywhere(node: Node) -> list[socket.socket]:
    """On every connection that there is."""
    return connected(node, EVERYBODY, LIST)


def joins(node: Node) -> list[socket.socket]:
    """30 calls of 256 addresses."""
    sockets = []
    for call in range(30):
        peers = [f"127.88.{call}.{number % 254 + 1}:{7000 + number}" for number in range(256)]
        body = json.dumps({"peers": peers}).encode()
        head = f"POST /join HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n"
        sockets += connected(node, 1, head.encode() + body)
    return sockets


ATTACKS: tuple[Attack, ...] = (
    silence, half_a_head, unread_lists, many_unread_lists, unread_lists_everywhere, joins,
)  # fmt: skip


def health(node: Node, patience: float) -> float | None:
    """Seconds of an answer; None where there was none in so many."""
    began = time.monotonic()
    try:
        with socket.create_connection(node.api, patience) as sock:
            sock.settimeout(patience)
            sock.sendall(b"GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            if not sock.recv(4096).startswith(b"HTTP/1.1 200"):
                return None
    except OSError:
        return None
    return time.monotonic() - began


def run(
    attack: Attack,
    seconds: float = SECONDS,
    counters: int = COUNTERS,
    patience: float = PATIENCE,
) -> Outcome:
    """One attack on a node of its own."""
    with tempfile.TemporaryDirectory() as directory, Cluster(Path(directory)) as cluster:
        node = cluster.add()
        node.start("--in-memory")
        until(lambda: node.ready, 20, "the node is ready")
        for start in range(0, counters, BATCH):
            lines = (f'{{"counter": "c{start + number}"}}\n' for number in range(BATCH))
            assert node.ask("POST", "/increments", raw="".join(lines).encode()).status == 200
        before, answers = node.resident, list[float | None]()
        sockets = attack(node)
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            answers.append(health(node, patience))
            time.sleep(INTERVAL)
        grown = node.resident - before
        left = _held(node)
        for sock in sockets:
            sock.close()
        assert not cluster.mishaps(), cluster.mishaps()
    worst = max((answer for answer in answers if answer is not None), default=patience)
    return Outcome(worst, answers.count(None), len(answers), grown, left)


def _held(node: Node) -> int:
    """Sockets that the process has."""
    names = Path(f"/proc/{node.process.pid}/fd").iterdir()
    found = 0
    for name in names:
        with suppress(OSError):
            found += str(name.readlink()).startswith("socket:")
    return found


def allow_files() -> None:
    """Let this process, and the node that it starts, have as many sockets as the attacks take."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, hard))


def main() -> int:
    """The program."""
    allow_files()
    failed = 0
    for attack in ATTACKS:
        found = run(attack)
        failed += found.failed
        print(
            f"{attack.__name__:24} /health {found.worst:6.3f} s at worst, {found.failed:3} of "
            f"{found.asked:3} without answer, {found.grown / 2**20:7.1f} MiB more, "
            f"{found.left:5} sockets at the end",
            flush=True,
        )
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
