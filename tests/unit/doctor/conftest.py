"""What visits tell is judged at one moment, however long the tests take."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from tests.unit.doctor.visits import NOW


@pytest.fixture(autouse=True)
def at_that_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(time=lambda: NOW)
    monkeypatch.setattr("gossipd.doctor.judging_way.time", clock)
