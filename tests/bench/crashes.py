"""Three nodes killed again and again under full load: is everything counted that was acknowledged?

    python -m tests.bench.crashes [--power] [--rounds 200] [--seed 1] [--json]

Each round kills a random node (every tenth one all three) at a random moment and starts it again.
With `--power` the power of its disk is cut, too: what was not synced is gone, or survives in part.
Every acknowledged increment is asked for by its id on every node in the end; the count may exceed
them by the requests that were under way, unanswered, when a node died. About 4 s a round, as three
nodes that were killed together wait 10 s for a ready peer.
"""

from __future__ import annotations

import sys
import tempfile
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

from tests.bench.program import Row, options, report
from tests.e2e import crashes
from tests.e2e.cluster import Cluster
from tests.e2e.node import Node

QUICK_ROUNDS = 11


def measure(wanted: Namespace) -> Iterator[Row]:
    count = QUICK_ROUNDS if wanted.quick else wanted.rounds
    with tempfile.TemporaryDirectory() as directory, Cluster(Path(directory)) as cluster:
        nodes, cuts = [cluster.add() for _ in range(3)], crashes.PowerCuts(wanted.seed)
        for node in nodes if wanted.power else ():
            cuts.put(node)
        die = cuts.cut if wanted.power else Node.kill
        outcome = crashes.rounds(cluster.form(nodes), count, wanted.seed, die)
        mishaps = cluster.mishaps()
    yield Row(f"{count} rounds: acknowledged increments", outcome.acknowledged, unit="")
    yield Row("  not counted by some node", outcome.lost, 0, "")
    yield Row("  counted beyond these", outcome.beyond, outcome.unanswered, "")
    yield Row("  fewer counted than acknowledged", -min(0, outcome.beyond), 0, "")
    if wanted.power:
        yield Row("  power cuts", len(cuts.took_back), unit="")
        yield Row("  that took back what was written", sum(cuts.took_back), unit="")
    yield Row("  mishaps in the logs", len(mishaps), 0, "")


def main(arguments: list[str]) -> int:
    """Measure and print; 1 when something was lost or counted twice."""
    parser = options(__doc__)
    parser.add_argument("--rounds", type=int, default=200, help="kills (200)")
    parser.add_argument("--power", action="store_true", help="cut the power of the disk, too")
    parser.add_argument("--seed", type=int, default=1, help="of the victims and moments (1)")
    wanted = parser.parse_args(arguments)
    return report(measure(wanted), wanted.json)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
