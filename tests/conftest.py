"""For all tests: how hypothesis runs, and a state directory that is nobody else's."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.effort import load_profile

load_profile()

# In the background of a script tests would ignore it, and so would what they start.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def state_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory below which a node keeps its state by default: never in the home directory."""
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "gossipd"
