"""The bench of the store with little of everything, so that it does not rot between its long runs.

How long something took says nothing here; what must hold at any size is looked at.
"""

from __future__ import annotations

from argparse import Namespace

import pytest

from tests.bench import durable


def test_the_bench_of_the_store_measures_all_that_it_promises(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(durable, "BLOCK", 5)
    monkeypatch.setattr(durable, "AT_ONCE", 2_000)
    monkeypatch.setattr(durable, "FEW", 2_000)
    monkeypatch.setattr(durable, "MANY", 500_000)
    monkeypatch.setattr(durable, "SHAPES", ((500, 10),))
    rows = list(durable.measure(Namespace(quick=True, parts=tuple(durable.PARTS))))
    assert all(row.measured is not None and row.measured > 0 for row in rows)
    assert [row.bound is not None for row in rows].count(True) == 5
    (*_, file) = rows
    assert file.what == "5,000: file after a stop"
    assert file.kept
