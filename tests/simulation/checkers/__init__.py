"""Checks of the invariants against ghost records: what was made, and what was said.

One idea a file; every failure is an `AssertionError` that begins with the invariant's name
(gossipd/core/README.md#invariants). Nothing here trusts what it checks: ranks, sums and hashes are
computed again.

| file | invariants |
|---|---|
| `ghosts.py` | I1 and I11 of what was made |
| `disks.py` | I4 of what is said and held, and of what is on the disks |
| `wire.py` | I1, I2, I3, I10, I12 of what is said |
| `logs.py` | I1, I2, I3, I6, I7, I8, I9 of what is held of the log |
| `doubles.py` | what doubles take from values (I7) |
| `keyed.py` | I1 and Q3 of keys: the record of logical operations |
| `keepers.py` | I3, I4, I7 and I10 of key records |
| `retries.py` | Q4: what clients are told when they retry |
| `tables.py` | I6, I9, I12 of what is held of members |
| `bounds.py` | I10: memory |
| `merging.py` | I5: merging in any order, and again |
| `liveness.py` | Q1, Q2, Q3, Q6: what must be true once the faults have stopped |
| `promises.py` | I4 of copies that clients wait for, Q5 |
| `traffic.py` | Q7: what rest costs |

"""

from __future__ import annotations

from .checker import Checker
from .liveness import (
    check_survival,
    demand_agreement,
    demand_rounds,
    rounds_max,
)
from .merging import check_merging, check_replay
from .tables import demand_calm
from .traffic import Traffic, compare_idle, idle_traffic

__all__ = [
    "Checker",
    "Traffic",
    "check_merging",
    "check_replay",
    "check_survival",
    "compare_idle",
    "demand_agreement",
    "demand_calm",
    "demand_rounds",
    "idle_traffic",
    "rounds_max",
]
