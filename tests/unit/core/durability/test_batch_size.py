"""How much is committed at once."""

from __future__ import annotations

import pytest

from gossipd.core.durability.batch_size import COST_MAX, Part


def size(*, distinct: bool, keyed: bool, alone: bool) -> int:
    part, chosen = Part(), 0
    while part.takes(f"c{chosen}" if distinct else "c", keyed=keyed, alone=alone):
        chosen += 1
    return chosen


@pytest.mark.parametrize("alone", [False, True])
def test_what_costs_more_is_committed_in_smaller_parts(alone: bool) -> None:
    sizes = [
        size(distinct=distinct, keyed=keyed, alone=alone)
        for distinct, keyed in ((False, False), (False, True), (True, True))
    ]
    assert COST_MAX > sizes[0] > sizes[1] > sizes[2] > COST_MAX / 10
    assert size(distinct=True, keyed=False, alone=alone) < sizes[0]
