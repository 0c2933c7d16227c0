"""Rounds of probes that all members count together, and a target for each member in each of them.

SWIM's shuffled round robin (4.3) leaves a member unprobed for some periods by chance. Here a
member's target follows from its place among the names and the number of the round, so the targets
of one round are a permutation. The number is shown in every ping and ack and the largest one is
followed, one step ahead of the fastest clock; where views or numbers differ, targets coincide for
a while, which is no worse than chance. Each member still probes each other one once per cycle.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence

from gossipd.core.wire.messages import ROUND_MAX

_GOLDEN = (math.sqrt(5) - 1) / 2


class Rounds:
    """The number of the present round on one node."""

    def __init__(self) -> None:
        self.number = 0
        self._heard = 0

    def hear(self, number: int) -> None:
        """A member is in that round."""
        if _is_after(number, self._heard):
            self._heard = number

    def next(self) -> None:
        """The node's own interval is over: go on, to where others are if they are further."""
        self.number = (self.number + 1) & ROUND_MAX
        if _is_after(self._heard, self.number):
            self.number = self._heard
        self._heard = self.number

    def target(self, own: str, others: Sequence[str]) -> str:
        """Whom `own` probes in this round; `others` are names in order, at least one."""
        count = len(others)
        step = self.number * _stride(count) % count
        return others[(bisect_left(others, own) + step) % count]


def is_spread(position: int, count: int, chosen: int) -> bool:
    """Whether `position` (0 to `count` - 1) is one of `chosen` positions spread evenly."""
    return position * chosen // count != (position + 1) * chosen // count


def _is_after(number: int, other: int) -> bool:
    """Serial number arithmetic (RFC 1982): no number is the last one."""
    return 0 < (number - other) & ROUND_MAX <= ROUND_MAX // 2


def _stride(count: int) -> int:
    """A number without a common divisor, near the golden section: neighbours in the order of
    names, which often fail together, are not probed one after the other."""
    stride = round(count * _GOLDEN)
    while math.gcd(stride, count) != 1:
        stride += 1
    return stride
