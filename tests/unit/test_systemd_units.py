"""The shipped units, as systemd sees them."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from gossipd.config.endpoint import API_PORT, GOSSIP_PORT
from gossipd.core.settings import Settings

SYSTEMD = Path(__file__).parents[2] / "systemd"
SOCKETS = SYSTEMD / "gossipd.socket"
UNITS = sorted(SYSTEMD.glob("*.service"))
EXPOSURE_MAX = 2.0
ANALYZE = shutil.which("systemd-analyze")


def test_both_units_are_shipped_with_sockets() -> None:
    assert [unit.name for unit in UNITS] == ["gossipd.service", "gossipd@.service"]
    assert SOCKETS.exists()


def test_the_sockets_are_where_a_node_is_by_default() -> None:
    listened = re.findall(r"^Listen(\w+)=(.*)$", SOCKETS.read_text(), re.MULTILINE)
    api = {("Stream", f"127.0.0.1:{API_PORT}"), ("Stream", f"[::1]:{API_PORT}")}
    assert set(listened) == {("Datagram", f"{GOSSIP_PORT}"), *api}


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


@pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not installed")
def test_systemd_has_nothing_to_say_about_the_sockets(tmp_path: Path) -> None:
    service = UNITS[0].read_text().replace("/opt/gossipd/bin/gossipd", sys.executable)
    (tmp_path / "gossipd.service").write_text(service)
    copy = Path(shutil.copy(SOCKETS, tmp_path))
    assert ANALYZE is not None
    verdict = subprocess.run([ANALYZE, "verify", copy], capture_output=True, text=True, timeout=60)
    assert (verdict.returncode, verdict.stdout + verdict.stderr) == (0, "")


@pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not installed")
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_unit_is_exposed_to_little(unit: Path) -> None:
    """To 1.3 of 10 with systemd 252: the network and sockets are what remains."""
    assert ANALYZE is not None
    asked = (ANALYZE, "security", "--offline=yes", f"--threshold={EXPOSURE_MAX * 10:.0f}", unit)
    verdict = subprocess.run(asked, capture_output=True, text=True, timeout=60)
    assert verdict.returncode == 0, verdict.stdout[-2000:] + verdict.stderr


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_a_unit_waits_for_readiness_and_for_the_leave(unit: Path) -> None:
    text = unit.read_text()
    for line in "Type=notify", "DynamicUser=yes", "Restart=on-failure":
        assert f"\n{line}\n" in text
    (stop,) = re.findall(r"^TimeoutStopSec=(\d+)$", text, re.MULTILINE)
    assert int(stop) > Settings().leave_timeout


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_no_core_dump_holds_the_secrets(unit: Path) -> None:
    assert "\nLimitCORE=0\n" in unit.read_text()


def test_both_units_run_a_node_in_the_same_way() -> None:
    """All that differs is the name of the instance."""
    one, many = (set(unit.read_text().partition("[Unit]")[2].splitlines()) for unit in UNITS)
    differing = one ^ many
    assert {line.partition("=")[0] for line in differing if not line.startswith("#")} == {
        *("Description", "Environment", "EnvironmentFile", "StateDirectory", "RuntimeDirectory")
    }
