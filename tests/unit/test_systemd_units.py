"""The shipped units, as systemd sees them."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gossipd.core.settings import Settings

SYSTEMD = Path(__file__).parents[2] / "systemd"
UNITS = sorted(SYSTEMD.glob("*.service"))
ANALYZE = shutil.which("systemd-analyze")


def test_both_units_are_shipped() -> None:
    assert [unit.name for unit in UNITS] == ["gossipd.service", "gossipd@.service"]


@pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not installed")
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_systemd_has_nothing_to_say_about_a_unit(unit: Path, tmp_path: Path) -> None:
    text, count = re.subn(r"/opt/gossipd/bin/gossipd", sys.executable, unit.read_text())
    assert count == 1
    copy = tmp_path / unit.name.replace("@.", "@a.")
    copy.write_text(text)
    assert ANALYZE is not None
    verdict = subprocess.run([ANALYZE, "verify", copy], capture_output=True, text=True, timeout=60)
    assert (verdict.returncode, verdict.stdout + verdict.stderr) == (0, "")


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_unit_waits_for_readiness_and_for_the_leave(unit: Path) -> None:
    text = unit.read_text()
    for line in "Type=notify", "DynamicUser=yes", "Restart=on-failure":
        assert f"\n{line}\n" in text
    (stop,) = re.findall(r"^TimeoutStopSec=(\d+)$", text, re.MULTILINE)
    assert int(stop) > Settings().leave_timeout
