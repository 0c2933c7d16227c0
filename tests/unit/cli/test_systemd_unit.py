"""What a unit would hide of an installation is told."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from gossipd.cli.systemd_unit import HOMES, is_below, places, program, troubles


def test_what_others_may_not_enter_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = tmp_path / "closed"
    (closed / "venv").mkdir(parents=True)
    closed.chmod(0o700)
    monkeypatch.setattr(sys, "prefix", str(closed / "venv"))
    monkeypatch.setattr("gossipd.cli.systemd_unit.TEMPORARY", ())
    (told,) = (text for text in troubles() if str(closed) in text)
    assert "the unit's user may not enter /" in told
    assert f", which has {closed / 'venv'}: " in told


def test_a_temporary_place_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "prefix", "/tmp/venv")
    assert any("without /tmp/venv: install it elsewhere" in text for text in troubles())


def test_the_package_and_the_interpreter_are_among_the_places() -> None:
    assert Path(sys.executable).resolve().parent in places()
    assert Path(__file__).parents[3] / "gossipd" in places()


def test_a_home_is_below_the_homes() -> None:
    assert is_below(Path("/home/me/venv"), HOMES)
    assert not is_below(Path("/homes/me"), HOMES)


def test_without_a_script_the_interpreter_runs_the_package(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("sysconfig.get_path", lambda name: str(tmp_path))
    monkeypatch.setattr(sys, "executable", "/usr/bin/python3")
    assert program() == "/usr/bin/python3 -m gossipd"
