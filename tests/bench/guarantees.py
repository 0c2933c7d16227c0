"""What is promised to clients that retry, wait for copies and read what they have written.

    python -m tests.bench.guarantees [--parts retries,after,acks,speed] [--quick] [--json]

Real processes. `retries` and `after` need root for network namespaces.

retries: 100,000 keyed increments, each sent 1 to 4 times to random nodes of 5: while all is well,
while the network is cut for 20 s, and after a node was killed. after: 10,000 increments, each read
at once on another of 5 nodes while 20 % of the datagrams are lost. acks: 100 rounds in which a
node of 3 answers increments with ack=2 and is destroyed right after an answer, disk included.
speed: keyed against unkeyed increments on one node and on five, in alternating blocks; the bound
is for HTTP, as a plain line of text costs a node half of a plain HTTP request.

About 12 minutes, two with --quick.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from typing import NamedTuple

from tests.bench.program import Row, chosen, options, report, with_parts
from tests.e2e import retries, scenarios, waiting
from tests.e2e.cluster import Cluster
from tests.e2e.namespaces import Network
from tests.e2e.node import Node, at_once

LOSS = 20
BLOCKS = 6
PER_BLOCK = 4_000
"""Increments on each node in one block."""
AT_ONCE = 500
"""Of them under way together."""


@contextmanager
def _networked() -> Iterator[tuple[list[Node], Network]]:
    with (
        tempfile.TemporaryDirectory() as directory,
        Network(5) as network,
        Cluster(Path(directory)) as cluster,
    ):
        yield scenarios.networked(cluster, network), network


def _retries(wanted: Namespace) -> Iterator[Row]:
    total, cut = (3_000, 8.0) if wanted.quick else (100_000, 20.0)
    with _networked() as (nodes, network):
        found = retries.run(nodes, network, total, cut, wanted.seed)
    yield Row(f"{total} operations, tries", found.tries, unit="")
    yield Row("  counted beyond them, any node", max(found.counts) - total, 0, "")
    yield Row("  counted fewer, any node", total - min(found.counts), 0, "")
    doubles = found.fresh - total
    yield Row("  answered as new beyond them", doubles, unit="")
    off = max(abs(told - doubles) for told in found.doubles)
    yield Row("  off from that: doubles told", off, 0, "")
    yield Row("  refused", len(found.refused), 0, "", note=" ".join(found.refused[:1]))
    yield Row("  it took", found.seconds)


def _after(wanted: Namespace) -> Iterator[Row]:
    tries = 400 if wanted.quick else 10_000
    with _networked() as (nodes, network):
        network.lose(LOSS)
        wrong = waiting.reads(nodes, tries, wanted.seed)
    yield Row(f"{tries} reads after an increment, without it", len(wrong), 0, "")


def _acks(wanted: Namespace) -> Iterator[Row]:
    rounds = 5 if wanted.quick else 100
    with tempfile.TemporaryDirectory() as directory, Cluster(Path(directory)) as cluster:
        lost = waiting.destroyed(cluster.start(3), rounds, wanted.seed)
    yield Row(f"{rounds} nodes destroyed after ack=2: rounds with a loss", len(lost), 0, "")


def _speed(wanted: Namespace) -> Iterator[Row]:
    blocks = 2 if wanted.quick else BLOCKS
    for size in (1, 5):
        with tempfile.TemporaryDirectory() as directory, Cluster(Path(directory)) as cluster:
            nodes = cluster.start(size)
            for dialect in (HTTP, TEXT):
                rates: dict[bool, list[float]] = {False: [], True: []}
                for block in range(2 * blocks):
                    keyed = bool(block % 2)
                    rates[keyed].append(_rate(nodes, dialect, keyed, wanted.seed + block))
                plain, with_key = median(rates[False]), median(rates[True])
                bound = 2 if dialect is HTTP else None
                yield Row(f"{size} nodes, {dialect.name}: unkeyed per second", plain, unit="")
                yield Row("  keyed", with_key, unit="")
                yield Row("  unkeyed / keyed", plain / with_key, bound, "")


class Dialect(NamedTuple):
    """How increments are sent so that they cost the client next to nothing."""

    name: str
    plain: str
    keyed: str
    """With the key for `{}`."""
    answered: bytes
    """What stands in each answer once, and only in one that is no error."""


_HEAD = " HTTP/1.1\r\nHost: n\r\nContent-Length: 0\r\n\r\n"
HTTP = Dialect(
    "HTTP", f"POST /increment{_HEAD}", f"POST /increment?key={{}}{_HEAD}", b'"duplicate": false'
)
TEXT = Dialect("text", "increment\n", "increment key={}\n", b"\n")


def _rate(nodes: Sequence[Node], dialect: Dialect, keyed: bool, seed: int) -> float:
    """Increments per second over all nodes."""
    rng = random.Random(seed)
    asked = [
        [
            dialect.keyed.format(retries.minted(rng)) if keyed else dialect.plain
            for _ in range(PER_BLOCK)
        ]
        for _ in nodes
    ]
    began = time.monotonic()
    at_once(
        partial(_pump, node, requests, dialect.answered)
        for node, requests in zip(nodes, asked, strict=True)
    )
    return PER_BLOCK * len(nodes) / (time.monotonic() - began)


def _pump(node: Node, requests: Sequence[str], answered: bytes) -> None:
    with node.connect(30.0) as connection:
        for at in range(0, len(requests), AT_ONCE):
            part = requests[at : at + AT_ONCE]
            connection.sendall("".join(part).encode())
            answers = b""
            while answers.count(answered) < len(part):
                received = connection.recv(65536)
                assert received, "the connection ended"
                answers += received
                assert b"error" not in answers, answers


PARTS: dict[str, Callable[[Namespace], Iterator[Row]]] = {
    "retries": _retries,
    "after": _after,
    "acks": _acks,
    "speed": _speed,
}


def main(arguments: list[str]) -> int:
    """Measure and print; 1 when a promise was broken."""
    parser = with_parts(options(__doc__), PARTS)
    parser.add_argument("--seed", type=int, default=1, help="of nodes, moments and keys (1)")
    wanted = parser.parse_args(arguments)
    return report(chosen(PARTS, wanted.parts, wanted), wanted.json)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
