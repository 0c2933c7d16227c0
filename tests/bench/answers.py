"""How long what clients ask holds a node's loop: a ping beside each question.

    python -m tests.bench.answers [--quick] [--json]

Three real nodes with 500,000 counters (`--quick`: 20,000). One of them is asked the largest things
that it answers while another process pings it, one `GET /health` after the other. The figure is
the longest ping of all while an answer was on its way, without the time for which the node's
thread and that which pings could run but other work had the CPU: that is the machine's, and told
beside. In the end nobody may have been suspected, which the incarnations show: who is suspected
takes a higher one.

About three minutes.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from typing import NamedTuple, Self
from uuid import uuid4

from tests.bench.durable import fill
from tests.bench.program import Row, options, report
from tests.e2e.cluster import Cluster, agree
from tests.e2e.node import Node, at_once

COUNTERS, QUICK_COUNTERS = 500_000, 20_000
TIMES, QUICK_TIMES = 5, 1
"""How often each question is asked."""

BATCH = 10_000
AT_ONCE = 8
BOUND = 10.0
"""Milliseconds."""

TIMEOUT = 120.0
REST = 3.0
"""Seconds of pings while nothing is asked."""

PAUSE = 0.0005
"""Seconds between two pings, which leave the node some rest."""

_PING = b"GET /health HTTP/1.1\r\nHost: here\r\n\r\n"


class Ping(NamedTuple):
    took: float
    held: float
    """Seconds without those for which one of both threads waited for a CPU."""


class Pinger:
    """Pings a node while it is open, from a process of its own."""

    def __init__(self, node: Node) -> None:
        self.pings: list[Ping] = []
        """There when it has closed."""
        self._here, there = multiprocessing.Pipe()
        arguments = node.api, node.process.pid, there
        self._process = multiprocessing.Process(target=_ping, args=arguments)

    def __enter__(self) -> Self:
        self._process.start()
        self._here.recv()
        return self

    def __exit__(self, *_: object) -> None:
        self._here.send(None)
        self.pings = self._here.recv()
        self._process.join()


def _ping(api: tuple[str, int], pid: int, parent: Connection) -> None:
    """Ping until the parent says anything; then send it the pings."""
    pings: list[Ping] = []
    tasks = Path(f"/proc/{pid}/task/{pid}/schedstat"), Path("/proc/thread-self/schedstat")
    with socket.create_connection(api, TIMEOUT) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while not pings or not parent.poll():
            before, began = _waited(tasks), time.perf_counter()
            connection.sendall(_PING)
            assert connection.recv(65536).startswith(b"HTTP/1.1 200")
            took = time.perf_counter() - began
            waited = _waited(tasks) - before
            pings.append(Ping(took, max(0.0, took - waited)))
            if len(pings) == 1:
                parent.send(None)
            time.sleep(PAUSE)
    parent.send(pings)


def _waited(tasks: tuple[Path, ...]) -> float:
    """Seconds for which threads could run and did not."""
    return sum(int(task.read_text().split()[1]) for task in tasks) / 1e9


# --- what is asked -------------------------------------------------------------------------------


def get(node: Node, path: str) -> None:
    _ask(node, f"GET {path} HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n".encode())


def text(node: Node, line: str) -> None:
    _ask(node, f"{line}\n".encode(), half_close=True)


def batch(node: Node, counters: int, keyed: bool) -> None:
    """Lines with a counter each."""
    lines = [
        json.dumps({"counter": f"counter-{number}", **({"key": str(uuid4())} if keyed else {})})
        for number in range(0, counters, max(1, counters // BATCH))
    ][:BATCH]
    body = "\n".join(lines)
    head = f"Host: here\r\nConnection: close\r\nContent-Length: {len(body)}"
    _ask(node, f"POST /increments HTTP/1.1\r\n{head}\r\n\r\n{body}".encode())


def several(node: Node, path: str) -> None:
    at_once(partial(get, node, path) for _ in range(AT_ONCE))


def _ask(node: Node, said: bytes, half_close: bool = False) -> None:
    """Ask, and read the answer to its end."""
    with node.connect(TIMEOUT) as connection:
        connection.sendall(said)
        if half_close:
            connection.shutdown(socket.SHUT_WR)
        beginning = connection.recv(65536)
        assert half_close or beginning.startswith(b"HTTP/1.1 200"), beginning[:300]
        while connection.recv(1 << 20):
            pass


def questions(counters: int) -> dict[str, Callable[[Node], None]]:
    middle = f"counter-{counters // 2}"
    return {
        "GET /counters": partial(get, path="/counters"),
        "GET /counters, as strings": partial(get, path="/counters?counts=string"),
        "GET /counters, the second half": partial(get, path=f"/counters?after={middle}"),
        "GET /counters, those of a prefix": partial(get, path="/counters?prefix=counter-4"),
        "GET /counters, a hundred": partial(get, path=f"/counters?after={middle}&limit=100"),
        f"GET /counters, {AT_ONCE} at once": partial(several, path="/counters"),
        "counters (text)": partial(text, line="counters"),
        "GET /counters, a prefix of none": partial(get, path="/counters?prefix=x"),
        "GET /log, 1,000": partial(get, path="/log?limit=1000"),
        "GET /log, 1,000 of a prefix": partial(get, path="/log?limit=1000&prefix=counter-4"),
        "GET /log, a prefix of none": partial(get, path="/log?limit=1000&prefix=x"),
        "GET /status": partial(get, path="/status"),
        f"POST /increments, {BATCH:,} counters": partial(batch, counters=counters, keyed=False),
        "  with keys": partial(batch, counters=counters, keyed=True),
    }


# --- measuring -----------------------------------------------------------------------------------


@contextmanager
def filled(counters: int) -> Iterator[list[Node]]:
    """Three nodes that hold so many counters."""
    with tempfile.TemporaryDirectory() as directory, Cluster(Path(directory)) as cluster:
        try:
            nodes = [cluster.add() for _ in range(3)]
            for node in nodes:
                asyncio.run(fill(node.data_directory, node.name, 1, counters))
                node.start(join=nodes[:1] if node is not nodes[0] else [])
            agree(nodes, within=TIMEOUT)
            yield nodes
            if mishaps := cluster.mishaps():
                raise AssertionError(f"mishaps in the logs: {mishaps}")
        except BaseException:
            cluster.show()
            raise


def measure(quick: bool) -> Iterator[Row]:
    counters, times = (QUICK_COUNTERS, QUICK_TIMES) if quick else (COUNTERS, TIMES)
    with filled(counters) as nodes:
        asked = nodes[0]
        before = incarnations(nodes)
        with Pinger(asked) as pinger:
            time.sleep(REST)
        yield _row("nothing", pinger.pings, None)
        for what, question in questions(counters).items():
            pings: list[Ping] = []
            took: list[float] = []
            for _ in range(times):
                with Pinger(asked) as pinger:
                    began = time.perf_counter()
                    question(asked)
                    took.append(time.perf_counter() - began)
                pings += pinger.pings
            yield _row(what, pings, BOUND, f"answered in {1000 * median(took):,.0f} ms; ")
        suspicions = sum(incarnations(nodes).values()) - sum(before.values())
        yield Row("suspicions of healthy nodes", suspicions, 0, "")


def _row(what: str, pings: list[Ping], bound: float | None, note: str = "") -> Row:
    long = sum(1000 * ping.held > BOUND for ping in pings)
    waits = f"with waits for a CPU {1000 * max(pings).took:,.1f} ms"
    return Row(
        what,
        1000 * max(ping.held for ping in pings),
        bound,
        "ms",
        note=f"{note}{len(pings):,} pings, {long} too long; {waits}",
    )


def incarnations(nodes: list[Node]) -> dict[str, int]:
    """The highest of each member that any node knows; the next where it has yet to object."""
    found: dict[str, int] = {}
    for member in (member for node in nodes for member in node.get("/members")):
        incarnation = member["incarnation"] + (member["state"] != "alive")
        found[member["name"]] = max(incarnation, found.get(member["name"], 0))
    return found


def main(arguments: list[str]) -> int:
    """Measure and print; 1 when a bound was missed."""
    wanted = options(__doc__).parse_args(arguments)
    return report(measure(wanted.quick), wanted.json)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
