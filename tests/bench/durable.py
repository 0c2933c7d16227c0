"""What it costs that nothing acknowledged is lost: commits, the size of the log, and a start.

    python -m tests.bench.durable [--parts commits,starting,counting] [--quick] [--json]

Real processes with the default store, on the disk that holds the directory for temporary files
(`TMPDIR`). It takes about six minutes, most of them for ten million increments (part `counting`).

- One client, and a bare `fdatasync` after a small append to a file in the same directory: one
  increment, one sync, and so on, so that each finds the disk and the CPU as the other has left
  them. Syncs in a row, which find both awake and warm, are faster, and told beside. The bound is
  on medians; where other work wants the CPU these show its turns, and the 10th percentile shows
  the disk. Then 64 clients, each with one request under way.
- Two fresh nodes, one counts 10 thousand increments and the other 10 million on one counter, with
  the same number of requests under way: what they keep must be the same.
- A million registers, stored by the code of the store, in many and in few counters a stream: from
  the start of the process until `/ready`, and its memory beside that of an empty node.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from random import Random
from statistics import median
from typing import NamedTuple

from gossipd.core import Changes, Settings
from gossipd.core.identity import new_stream
from gossipd.store import DiskStore
from tests.bench.program import Row, chosen, options, report, with_parts
from tests.bench.pump import TEXT, increment, pump
from tests.e2e.cluster import Cluster
from tests.e2e.node import Node, until

BLOCKS = 20
BLOCK = 100
"""So many syncs in a row, then as many in turn with increments."""

LINE = bytes(64)

COMMIT_MAX = 3.0
"""Times a bare sync that an increment may take."""

CLIENTS = 64
AT_ONCE = 60_000
AT_ONCE_MIN = 10.0
"""Times the rate of one client."""

FEW = 10_000
MANY = 10_000_000
CONNECTIONS, DEPTH = 16, 100
GROWTH_MAX = 1.1

START_MAX = 10.0
SHAPES = ((1_000, 1_000), (100_000, 10))
"""(streams, counters of each)."""

QUICK = 100
"""What is large is so many times smaller in a trial run."""


@contextmanager
def alone() -> Iterator[Node]:
    """A node that was not started yet; nothing may go wrong in its log."""
    with tempfile.TemporaryDirectory() as directory, Cluster(Path(directory)) as cluster:
        try:
            yield cluster.add()
            if mishaps := cluster.mishaps():
                raise AssertionError(f"mishaps in the logs: {mishaps}")
        except BaseException:
            cluster.show()
            raise


def start(node: Node) -> float:
    """Seconds from the start of the process until it is ready."""
    began = time.monotonic()
    node.start()
    until(lambda: node.ready, 120, f"{node.name} is ready")
    return time.monotonic() - began


def data(node: Node) -> Path:
    """Where a node keeps its state by default."""
    return node.state_home / "gossipd" / node.name


# --- commits -------------------------------------------------------------------------------------


def commits(quick: bool) -> Iterator[Row]:
    with alone() as node:
        start(node)
        in_a_row: list[float] = []
        syncs: list[float] = []
        increments: list[float] = []
        with (data(node) / "syncs").open("wb", buffering=0) as file, node.connect() as client:
            for _ in range(BLOCKS // 4 if quick else BLOCKS):
                in_a_row += [sync(file) for _ in range(BLOCK)]
                for _ in range(BLOCK):
                    syncs.append(sync(file))
                    increments.append(increment(client))
        bare, counted, again = median(syncs), median(increments), median(in_a_row)
        yield Row("fdatasync after an append, in a row, p50", 1000 * again, unit="ms")
        yield Row("  in turn with increments, p50", 1000 * bare, unit="ms")
        note = (
            f"{counted / bare:.2f} times, {counted / again:.2f} times one in a row; "
            f"p99 {1000 * percentile(increments, 99):.2f}"
        )
        bound = round(1000 * COMMIT_MAX * bare, 3)
        yield Row("one client: an increment, p50", 1000 * counted, bound, "ms", note=note)
        calm, calm_sync = percentile(increments, 10), percentile(syncs, 10)
        note = f"{calm / calm_sync:.2f} times {1000 * calm_sync:.3f} ms"
        yield Row("  undisturbed, p10", 1000 * calm, unit="ms", note=note)
        before = node.cpu
        many = pump(node, AT_ONCE // 10 if quick else AT_ONCE, CLIENTS)
        busy = (node.cpu - before) / many.seconds
        each, alone_each = many.seconds / many.answered, sum(increments) / len(increments)
        note = (
            f"{1 / alone_each:,.0f}/s to {many.rate:,.0f}/s, {alone_each / each:.1f} times; "
            f"CPU: node {busy:.0%}, clients {many.busy:.0%}"
        )
        what = f"{CLIENTS} clients: time per increment, of one client's"
        yield Row(what, each / alone_each, 1 / AT_ONCE_MIN, "", note=note)


def sync(file: FileIO) -> float:
    """Seconds that a small append with its `fdatasync` took."""
    began = time.perf_counter()
    file.write(LINE)
    os.fdatasync(file)
    return time.perf_counter() - began


def percentile(samples: list[float], share: int) -> float:
    """By nearest rank."""
    return sorted(samples)[len(samples) * share // 100]


# --- the log does not grow with what is counted --------------------------------------------------


class Kept(NamedTuple):
    memory: int
    file: int
    rate: float
    busy: float
    """Share of one CPU that the node used."""


def counting(quick: bool) -> Iterator[Row]:
    most = MANY // QUICK if quick else MANY
    few, many = kept(FEW), kept(most)
    note = f"{many.rate:,.0f}/s, CPU of the node {many.busy:.0%}"
    for name, before, after in (
        ("memory", few.memory, many.memory),
        ("file after a stop", few.file, many.file),
    ):
        yield Row(f"{FEW:,} increments: {name}", before / 1024, unit="KiB")
        bound = round(GROWTH_MAX * before / 1024, 1)
        yield Row(f"{most:,}: {name}", after / 1024, bound, "KiB", note=note)


def kept(increments: int) -> Kept:
    """What a fresh node keeps of so many increments on one counter."""
    with alone() as node:
        start(node)
        before = node.cpu
        done = pump(node, increments, CONNECTIONS, DEPTH, TEXT)
        busy = (node.cpu - before) / done.seconds
        assert node.count() == increments
        memory = node.resident
        node.send(signal.SIGTERM)
        assert node.ended() == 0
        return Kept(memory, (data(node) / "gossipd.db").stat().st_size, done.rate, busy)


# --- a start -------------------------------------------------------------------------------------


def starting(quick: bool) -> Iterator[Row]:
    with alone() as node:
        took = start(node)
        empty = node.resident
        note = f"{node.cpu:.1f} s of CPU, {empty / 2**20:.0f} MiB"
        yield Row("start of an empty node until /ready", took, note=note)
    for streams, counters in SHAPES:
        streams = streams // QUICK if quick else streams
        with alone() as node:
            asyncio.run(fill(data(node), node.name, streams, counters))
            size = (data(node) / "gossipd.db").stat().st_size
            took = start(node)
            assert node.status()["registers"] == streams * counters
            note = f"{node.cpu:.1f} s of CPU, file {size / 2**20:.0f} MiB"
            yield Row(f"start with {streams:,} x {counters:,}", took, START_MAX, note=note)
            memory = node.resident - empty
            note = f"{memory / 2**20:.0f} MiB"
            yield Row(
                "  memory for a register", memory / (streams * counters), unit="B", note=note
            )


async def fill(directory: Path, name: str, streams: int, counters: int) -> None:
    """Store a log as a node would, in which every stream has touched every counter."""
    rng = Random(1)
    store = DiskStore.open(
        directory,
        durability="normal",
        node=name,
        cluster="gossipd",
        key_window=Settings().key_window,
        key_retention=Settings().key_retention,
    )
    names = [f"counter-{number}" for number in range(counters)]
    ids = [new_stream(rng) for _ in range(streams)]
    rows = tuple((id_, counter, seq, seq) for id_ in ids for seq, counter in enumerate(names, 1))
    await store.save(Changes(rows, tuple((id_, counters) for id_ in ids), (), ()))
    await store.close()


PARTS: dict[str, Callable[[bool], Iterator[Row]]] = {
    "commits": commits,
    "starting": starting,
    "counting": counting,
}


def main(arguments: list[str]) -> int:
    """Measure and print; 1 when a bound was missed."""
    wanted = with_parts(options(__doc__), PARTS).parse_args(arguments)
    return report(chosen(PARTS, wanted.parts, wanted.quick), wanted.json)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
