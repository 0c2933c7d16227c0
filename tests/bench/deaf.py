"""How long increments take beside many who follow what changes and never read, by when they came.

    python -m tests.bench.deaf [--watchers 200] [--quick] [--json]

One real node in memory, and 16 clients of text at full speed: alone, in the second in which the
watchers come, and afterwards. `chrt -f 3` keeps other programs out of it.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import sys
from argparse import Namespace
from collections.abc import Iterator

from gossipd.bench.dialects import DIALECTS
from gossipd.bench.load import Load, Plan
from gossipd.config.endpoint import Endpoint
from tests.bench.busy import cluster_of
from tests.bench.program import Row, options, report
from tests.e2e.node import Node
from tests.fuzz.attacks.floods import DEAF, hold

CLIENTS = 16
COMING = 1.0
"""Seconds in which the watchers come."""

BESIDE_MAX = 1.25
"""Times the p99 of who is alone, at most, beside those who have come."""

QUICK = 10
"""Times less in a trial run."""


def loaded(node: Node, seconds: float) -> tuple[float, float]:
    """(p99 in ms, increments a second) of clients at full speed."""
    plan = Plan(
        dialect=DIALECTS["text"],
        addresses=(Endpoint(*node.api),),
        clients=CLIENTS,
        pipeline=1,
        counters=("default",),
        by=1,
        requests=None,
        seconds=seconds,
        patience=30.0,
    )
    load = Load(plan)
    asyncio.run(load.run(lambda _: None))
    assert not load.reasons, load.reasons
    (p99,) = load.latencies.at((0.99,))
    return p99, load.answered / load.seconds


def measured(wanted: Namespace) -> Iterator[Row]:
    seconds = wanted.seconds / (QUICK if wanted.quick else 1)
    with cluster_of(1, "--in-memory") as (_, (node,)), multiprocessing.Pool(1) as pool:
        loaded(node, seconds / 2)
        alone, rate = loaded(node, seconds)
        yield Row("alone: p99", alone, unit="ms", note=f"{rate:,.0f} a second")
        before, net = node.resident, node.host.rpartition(".")[0]
        crowd = DEAF._replace(size=wanted.watchers)
        pool.apply_async(hold, (node.api, [f"{net}.{n}" for n in range(101, 109)], crowd, 999.0))
        for what, time, bound in (
            ("while they come: p99", COMING, None),
            ("beside them: p99", seconds, BESIDE_MAX * alone),
        ):
            p99, rate = loaded(node, time)
            yield Row(what, p99, bound, "ms", note=f"{rate:,.0f} a second")
        yield Row("memory more", (node.resident - before) / 2**20, unit="MiB")


def main(arguments: list[str]) -> int:
    """Measure and print; 1 when a bound was missed."""
    parser = options(__doc__)
    parser.add_argument("--watchers", type=int, default=DEAF.size, help="how many (200)")
    parser.add_argument("--seconds", type=float, default=10.0, help="alone, and beside them (10)")
    wanted = parser.parse_args(arguments)
    return report(measured(wanted), wanted.json)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
