"""What strangers can do to a cluster: hold its side port, flood its gossip port, all at once.

    python -m tests.bench.floods [--parts idle,slow,deaf,again,kinds,flood,together] [--quick]
        [--json] [--seconds 30] [--rates 20000,50000] [--sealed]

Five real nodes on loopback, in memory, of which the first is attacked, from other addresses. A
client in a process of its own increments on all of them in turn, one after another, alone and then
beside the attack: now and then on a new connection. What it did not get answered, members that
were suspected or failed, and descriptors that are left afterwards must be none.

- `idle`: 5,000 connections that say nothing. `slow`: 500 that send a byte a second. `deaf`: 200
  that follow what changes and never read. `again`: the 5,000 three times; the memory that each
  time takes besides.
- `kinds`: 20,000 datagrams a second, one kind after another. `flood`: all kinds, at each rate.
- `together`: all of that at once.

With `--sealed` the nodes have a secret, and the datagrams are those of who has none, but listens.

With the defaults it takes about five minutes and wants a machine that does nothing else.
"""

from __future__ import annotations

import multiprocessing
import re
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from multiprocessing.pool import AsyncResult, Pool
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from gossipd.sealing.keyring import Secret
from tests.bench.busy import cluster_of, part_of
from tests.bench.program import Row, chosen, options, report, with_parts
from tests.bench.pump import increment
from tests.e2e.node import Node, until
from tests.fuzz.attacks import floods, sideport
from tests.fuzz.attacks.floods import DEAF, IDLE, SLOW, Crowd

NODES = 5
ALONE = 5.0
"""Seconds for which the client is measured without any attack."""

KIND = 5.0
"""Seconds for each kind of datagram."""

PAUSE = 0.002
"""Seconds between two increments."""

NEW_EVERY = 20
"""One increment of so many is on a new connection."""

GROWN_MAX = 64.0
"""MiB that the attacked node may grow by."""

AGAIN_MAX = 4.0
"""By how much more it may hold after the same attack than after any of it before: what the C
library gives back after one it may take again for the next."""

AFTERWARDS = 15.0
"""Seconds within which all is as before: longer than anybody who is silent is kept."""

PATIENCE = 60.0
RATE = 20_000
QUICK = 10
"""Times less in a trial run."""


class Served(NamedTuple):
    """What the client got, milliseconds each."""

    kept: list[float]
    new: list[float]
    failed: int
    """Increments without an answer, or refused."""

    @property
    def counted(self) -> int:
        return len(self.kept) + len(self.new)


def serve(nodes: Sequence[Node], seconds: float) -> Served:
    """Increment on all nodes in turn."""
    served, ends = Served([], [], 0), time.monotonic() + seconds
    kept = [node.connect() for node in nodes]
    done = failed = 0
    while time.monotonic() < ends:
        is_new = done % NEW_EVERY == 0
        number = done % len(nodes)
        done += 1
        try:
            began = time.perf_counter()
            if is_new:
                number = 0
                with nodes[0].connect() as connection:
                    increment(connection)
                served.new.append(1000 * (time.perf_counter() - began))
            else:
                served.kept.append(1000 * increment(kept[number]))
        except (OSError, AssertionError):
            failed += 1
            if not is_new:
                kept[number].close()
                kept[number] = nodes[number].connect()
        time.sleep(PAUSE)
    for connection in kept:
        connection.close()
    return served._replace(failed=failed)


# --- one attack ----------------------------------------------------------------------------------


class Stage(NamedTuple):
    """A cluster that is to be attacked."""

    nodes: list[Node]
    pool: Pool
    wanted: Namespace
    secret: Secret | None

    @property
    def sources(self) -> list[str]:
        """The strangers' addresses."""
        net = self.nodes[0].host.rpartition(".")[0]
        return [f"{net}.{number}" for number in range(101, 109)]

    @property
    def bare(self) -> list[Node]:
        """Nodes of which another process knows where they are, and no more."""
        return [Node(node.name, node.host, Path(), node.port) for node in self.nodes]

    def hold(self, crowd: Crowd) -> AsyncResult[int]:
        size = crowd.size // QUICK if self.wanted.quick else crowd.size
        of_size = crowd._replace(size=size), self.wanted.seconds
        return self.pool.apply_async(floods.hold, (self.nodes[0].api, self.sources, *of_size))

    def flood(self, data: list[bytes], rate: float, seconds: float) -> list[AsyncResult[int]]:
        to = self.nodes[0].host, self.nodes[0].port
        if self.wanted.quick:
            rate /= QUICK
        return [self.pool.apply_async(floods.flood, (to, self.sources, data, rate, seconds))]

    @property
    def kinds(self) -> dict[str, list[bytes]]:
        """Forged joins name an address at which nobody is."""
        if self.secret is not None:
            return floods.of_every_sealed_kind(self.nodes, self.secret)
        net = self.nodes[0].host.rpartition(".")[0]
        return floods.of_every_kind(self.nodes, (f"{net}.200", 9))


@contextmanager
def stage(wanted: Namespace) -> Iterator[Stage]:
    sideport.allow_files()
    secret = Secret.fresh() if wanted.sealed else None
    cluster = cluster_of(NODES, "--in-memory", secret=secret)
    with cluster as (_, nodes), multiprocessing.Pool(6) as pool:
        nodes[0].get("/metrics")  # loads a library, once
        yield Stage(nodes, pool, wanted, secret)


class Held(NamedTuple):
    """What a node holds at a moment."""

    memory: float
    """MiB."""
    files: int
    connections: int


def held(node: Node) -> Held:
    status = node.status()
    (text,) = re.findall(r"(?m)^gossipd_connections (\S+)$", str(node.get("/metrics")))
    return Held(node.resident / 2**20, status["files"]["open"], int(float(text)))


def attacked(
    on: Stage,
    what: str,
    seconds: float,
    attack: Callable[[], Sequence[AsyncResult[int]]],
    kept: float | None = None,
) -> Iterator[Row]:
    """What becomes of a cluster beside an attack. `kept`: MiB that the attacked node held at most
    after the same one before, if it came before."""
    node, bare, pool = on.nodes[0], on.bare, on.pool
    alone = pool.apply_async(serve, (bare, min(ALONE, seconds))).get(PATIENCE)
    before, blamed, received = held(node), _blamed(on.nodes), _received(node)
    began, cpu, attacks = time.monotonic(), node.cpu, attack()
    beside = pool.apply_async(serve, (bare, seconds))
    most = before.memory
    while not beside.ready():
        most = max(most, node.resident / 2**20)
        beside.wait(0.5)
    took, busy = time.monotonic() - began, node.cpu - cpu
    served: Served = beside.get(PATIENCE)
    done = sum(each.get(PATIENCE) for each in attacks)
    read = _received(node) - received
    note = f"alone {_times(alone.kept)}, beside {_times(served.kept)}"
    yield Row(f"{what}: increments, p99", part_of(served.kept, 0.99), unit="ms", note=note)
    p99, note = part_of(served.new, 0.99), f"alone {_times(alone.new)}"
    yield Row("  on new connections, p99", p99, unit="ms", note=note)
    note = f"of {served.counted + served.failed:,}"
    yield Row("  not answered", served.failed, 0, "", note=note)
    yield Row("  members suspected or failed", _blamed(on.nodes) - blamed, 0, "")
    note = f"{done:,} connections or datagrams, {read:,} datagrams read; of all nodes"
    yield Row("  CPU of the attacked node", 100 * busy / took, unit="%", note=note)
    yield Row("  memory more, at most", most - before.memory, GROWN_MAX, "MiB")
    yield from _afterwards(node, before)
    more_than, more_max = (before.memory, GROWN_MAX) if kept is None else (kept, AGAIN_MAX)
    yield Row("  memory more, then", node.resident / 2**20 - more_than, more_max, "MiB")
    until(partial(_agree, on.nodes), PATIENCE, "all count the same")


def _agree(nodes: Sequence[Node]) -> bool:
    return len({node.count() for node in nodes}) == 1


def _afterwards(node: Node, before: Held) -> Iterator[Row]:
    """Descriptors and connections are as before, soon."""
    now = held(node)

    def as_before() -> bool:
        nonlocal now
        now = held(node)
        return now.files <= before.files and now.connections <= before.connections

    took: float | None
    try:
        took = until(as_before, AFTERWARDS, "descriptors are as before")
    except AssertionError:
        took = None
    note = f"{now.files} descriptors, {now.connections} connections"
    yield Row("  all descriptors are free again after", took, AFTERWARDS, "s", note=note)


def _blamed(nodes: Sequence[Node]) -> int:
    return sum(len(re.findall(r"member n\d .* is (?:suspect|failed)", node.log)) for node in nodes)


def _received(node: Node) -> int:
    return int(node.status()["udp"]["received"])


def _times(found: Sequence[float]) -> str:
    return f"p50 {median(found):.2f} p99 {part_of(found, 0.99):.2f} max {max(found):.0f}"


# --- the parts -----------------------------------------------------------------------------------


def crowds(what: str, *crowd: Crowd) -> Callable[[Namespace], Iterator[Row]]:
    def part(wanted: Namespace) -> Iterator[Row]:
        with stage(wanted) as on:
            yield from attacked(on, what, wanted.seconds, lambda: [*map(on.hold, crowd)])

    return part


def again(wanted: Namespace) -> Iterator[Row]:
    with stage(wanted) as on:
        kept: float | None = None
        for number in range(1, 4):
            what = f"5,000 idle connections, time {number} of 3"
            yield from attacked(on, what, wanted.seconds, lambda: [on.hold(IDLE)], kept)
            kept = max(kept or 0.0, on.nodes[0].resident / 2**20)


def kinds(wanted: Namespace) -> Iterator[Row]:
    with stage(wanted) as on:
        seconds = min(KIND, wanted.seconds)
        for kind, data in on.kinds.items():
            what = f"{kind}, {RATE:,}/s"
            yield from attacked(on, what, seconds, partial(on.flood, data, RATE, seconds))


def flood(wanted: Namespace) -> Iterator[Row]:
    with stage(wanted) as on:
        data, seconds = floods.mixed(on.kinds), wanted.seconds
        for rate in wanted.rates:
            what = f"datagrams of all kinds, {rate:,}/s"
            yield from attacked(on, what, seconds, partial(on.flood, data, rate, seconds))


def together(wanted: Namespace) -> Iterator[Row]:
    with stage(wanted) as on:
        data, seconds = floods.mixed(on.kinds), wanted.seconds

        def everything() -> list[AsyncResult[Any]]:
            return [*map(on.hold, (IDLE, SLOW, DEAF)), *on.flood(data, RATE, seconds)]

        yield from attacked(on, "all of that", seconds, everything)


PARTS: dict[str, Callable[[Namespace], Iterator[Row]]] = {
    "idle": crowds("5,000 idle connections", IDLE),
    "slow": crowds("500 that send a byte a second", SLOW),
    "deaf": crowds("200 that never read", DEAF),
    "again": again,
    "kinds": kinds,
    "flood": flood,
    "together": together,
}


def _rates(text: str) -> tuple[int, ...]:
    return tuple(map(int, text.split(",")))


def main(arguments: list[str]) -> int:
    """Measure and print; 1 when a bound was missed."""
    parser = with_parts(options(__doc__), PARTS)
    parser.add_argument("--seconds", type=float, default=30.0, help="of each attack (30)")
    parser.add_argument(
        "--rates", type=_rates, default=(RATE, 50_000), help="datagrams a second (20000,50000)"
    )
    parser.add_argument("--sealed", action="store_true", help="at nodes that have a secret")
    wanted = parser.parse_args(arguments)
    if wanted.quick:
        wanted.seconds = wanted.seconds / QUICK
    return report(chosen(PARTS, wanted.parts, wanted), wanted.json)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
