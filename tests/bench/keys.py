"""What a remembered idempotency key costs in memory.

    python -m tests.bench.keys [--quick] [--json]

A node that is ready counts keyed increments of the default counter on a stream of its own and
hears those of four others, as many of each, until it holds a million keys (`--quick`: 100,000).
What its process takes more at the end than before, by key: resident memory, and what was allocated
(`tracemalloc`) in a second process.

About half a minute with two jobs.
"""

from __future__ import annotations

import resource
import sys
import tracemalloc
from argparse import Namespace
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from random import Random

from gossipd.core import (
    Accepted,
    KeyRecord,
    MemberView,
    Node,
    Settings,
    Status,
    TagFrame,
)
from gossipd.core.identity import new_stream
from tests.bench.program import (
    Row,
    options,
    report,
    spread,
)
from tests.commits import prepared

KEYS, QUICK_KEYS = 1_000_000, 100_000
STREAMS = 5
BATCH = 1_000
BYTES_MAX = 250.0
WALL = 1_700_000_000.0


def _new_keys(rng: Random) -> Iterator[bytes]:
    """UUIDs of version 7, a millisecond apart in tens."""
    number = 0
    while True:
        number += 1
        bits = int(1000 * WALL + number / 10) << 80 | 7 << 76 | rng.getrandbits(76)
        yield bits.to_bytes(16, "big")


def _hold(node: Node, count: int) -> None:
    """Let a node hold so many keys."""
    rng = Random(2)
    streams = [new_stream(rng) for _ in range(STREAMS - 1)]
    keys = _new_keys(rng)
    for seq in range(0, count // STREAMS, BATCH):
        batch = prepared(node, [("default", 1)] * BATCH, 0.0, WALL + 60, list(islice(keys, BATCH)))
        assert all(isinstance(result, Accepted) for result in batch.results)
        node.committed(batch, 0.0)
        for stream in streams:
            node.log.merge(stream, [("default", seq + BATCH, seq + BATCH)])
            node.log.claim(stream, seq + BATCH)
            records = [
                KeyRecord(key, seq + place, "default", 1, 0)
                for place, key in enumerate(islice(keys, BATCH), 1)
            ]
            node.log.merge_keys(stream, records, 0.0)


def _bytes_per_key(task: tuple[int, bool]) -> float:
    count, traced = task
    own = MemberView("n", ("10.0.0.1", 1), 1, 0, Status.ALIVE)
    node = Node(own, Settings(), TagFrame("keys"), Random(1), 0.0)
    node.start(True, 0.0)
    if traced:
        tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0] if traced else _resident()
    _hold(node, count)
    assert len(node.log.keys) == count
    after = tracemalloc.get_traced_memory()[0] if traced else _resident()
    return (after - before) / count


def _resident() -> int:
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * resource.getpagesize()


def measure(wanted: Namespace) -> Iterator[Row]:
    """The rows, each as soon as it is known."""
    count = QUICK_KEYS if wanted.quick else KEYS
    tasks = [(count, False), (count, True)]
    resident, allocated = spread(_bytes_per_key, tasks, wanted.jobs)
    yield Row(f"{count:,} keys of {STREAMS} streams: resident", resident, BYTES_MAX, "bytes/key")
    yield Row("  allocated", allocated, BYTES_MAX, "bytes/key")


def main(arguments: list[str]) -> int:
    """Measure and print; 1 when a bound was missed."""
    wanted = options(__doc__).parse_args(arguments)
    return report(measure(wanted), wanted.json)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
