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
    bounded = [row.measured for row in rows if row.bound is not None]
    assert len(bounded) == 5
    assert all(measured is not None and measured > 0 for measured in bounded)
    (*_, file) = rows
    assert file.what == "5,000: file after a stop"
    assert file.kept
