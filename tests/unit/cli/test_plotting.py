"""`gossipd simulate --plot`, with the extra `gossipd[plot]`."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gossipd.cli import gossipd

drawn = pytest.mark.skipif(
    find_spec("matplotlib") is None, reason="needs matplotlib (pip install -e '.[plot]')"
)


def plot(path: Path, *args: str) -> Result:
    tiny = ("--nodes", "3", "--minutes", "0.05", "--seed", "1")
    return CliRunner().invoke(gossipd, ["simulate", *tiny, *args, "--plot", str(path)])


@drawn
def test_a_figure_is_drawn_and_the_same_for_the_same_seed(tmp_path: Path) -> None:
    paths = tmp_path / "first.svg", tmp_path / "second.SVG"
    for path in paths:
        result = plot(path)
        assert (result.exit_code, result.stderr) == (0, "")
    first, second = (path.read_bytes() for path in paths)
    assert first == second
    assert first.startswith(b"<?xml")
    for text in (b"Detection of kills", b"Convergence of increments", b"Traffic per node"):
        assert text in first
    assert b"dc:date" not in first


@drawn
@pytest.mark.parametrize(("name", "magic"), [("a.png", b"\x89PNG"), ("a.pdf", b"%PDF")])
def test_a_figure_has_the_format_that_its_name_says(
    tmp_path: Path, name: str, magic: bytes
) -> None:
    assert plot(tmp_path / name).exit_code == 0
    assert (tmp_path / name).read_bytes().startswith(magic)


@drawn
def test_a_figure_of_nothing_is_drawn_too(tmp_path: Path) -> None:
    path = tmp_path / "empty.svg"
    assert plot(path, "--kill", "0", "--rate", "0").exit_code == 0
    assert path.stat().st_size > 1000


@drawn
def test_a_figure_that_cannot_be_written_exits_1(tmp_path: Path) -> None:
    path = tmp_path / "directory.svg"
    path.mkdir()
    result = plot(path)
    assert result.exit_code == 1
    assert result.stderr == f"gossipd: cannot write {path}: Is a directory\n"


def test_without_matplotlib_the_error_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.delitem(sys.modules, "gossipd.cli.plotting", raising=False)
    result = plot(tmp_path / "figure.svg")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "gossipd: --plot needs matplotlib: pip install 'gossipd[plot]'\n"
