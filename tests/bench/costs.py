"""What one datagram of a peer costs at most: the dearest of each kind, and how that grows.

    python -m tests.bench.costs [--quick] [--json]

A peer that is a member sends what costs most, to a core that holds much: the median of the last
datagrams of a case, in CPU time of this process, then the same with ten times as much held. No
input may cost more than a millisecond, and ten times the size at most twelve times the cost (a
core that answers within some 100 us is not looked at for growth). It takes a minute or two.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

from tests.bench import dear_members, dear_news, dear_questions
from tests.bench.program import Row, options, report
from tests.bench.victim import Case

COST_MAX = 1.0
"""Milliseconds that one datagram may take."""

GROWTH_MAX = 12.0
"""Times the cost of ten times the size."""

CHEAP = 0.1
"""Milliseconds: what costs less is not looked at for growth: that is the way through Python."""

CASES: tuple[Case, ...] = (*dear_news.CASES, *dear_questions.CASES, *dear_members.CASES)


def measure(quick: bool) -> Iterator[Row]:
    for kind, what, size, cost in CASES:
        size = size // 10 if quick else size
        few, many = cost(size), cost(10 * size)
        growth = many / max(few, CHEAP)
        yield Row(f"{kind}: {10 * size:,} {what}", many, COST_MAX, "ms", note=f"x{growth:.1f}")
        yield Row("  times the cost of a tenth", growth, GROWTH_MAX, "")


def main(arguments: list[str]) -> int:
    """Measure and print; 1 when a bound was missed."""
    wanted = options(__doc__).parse_args(arguments)
    return report(measure(wanted.quick), wanted.json)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
