"""For all tests: how hypothesis runs, when garbage is looked for, and a state directory that is
nobody else's."""

from __future__ import annotations

import gc
import signal
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.effort import load_profile

load_profile()

# In the background of a script tests would ignore it, and so would what they start.
signal.signal(signal.SIGINT, signal.default_int_handler)

GARBAGE_AFTER = 10_000
"""Objects that are made before a search for garbage. By default it is 700, and with what thousands
of tests need in memory the searches take a fifth of the time of a simulation."""


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.set_threshold(GARBAGE_AFTER)


NUMBERS = count()
"""For what each test has of its own."""


@pytest.fixture(autouse=True)
def state_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory below which a node keeps its state by default: never in the home directory. It
    is not there yet, for few of thousands of tests need it, and to make one takes milliseconds."""
    path = tmp_path_factory.getbasetemp() / f"{next(NUMBERS)}" / "state"
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(path))
    return path / "gossipd"


@pytest.fixture
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slice of time (`sideport.turns`) lasts until it is spent: what a test expects within one
    does not depend on how fast the machine is."""
    monkeypatch.setattr("gossipd.sideport.turns.time", SimpleNamespace(perf_counter=lambda: 0.0))
