"""Where a node keeps its state when nobody says otherwise."""

from __future__ import annotations

from pathlib import Path

import pytest

from gossipd.datadir import data_directory, left_behind
from gossipd.store import StoreError
from gossipd.store.lock import Lock


def test_a_directory_that_is_given_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/gossipd")
    assert data_directory("/data", "web-3") == Path("/data")
    monkeypatch.setenv("HOME", "/home/me")
    assert data_directory("~/state", "web-3") == Path("/home/me/state")


def test_the_services_directory_comes_before_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.delenv("XDG_STATE_HOME")
    assert data_directory(None, "web-3") == Path("/home/me/.local/state/gossipd/web-3")
    monkeypatch.setenv("XDG_STATE_HOME", "relative")
    assert data_directory(None, "web-3") == Path("/home/me/.local/state/gossipd/web-3")
    monkeypatch.setenv("XDG_STATE_HOME", "/state")
    assert data_directory(None, "web-3") == Path("/state/gossipd/web-3")
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/gossipd:/var/lib/other")
    assert data_directory(None, "web-3") == Path("/var/lib/gossipd/web-3")


@pytest.mark.parametrize(
    ("name", "directory"),
    [
        ("web-3:7956", "web-3%3A7956"),
        ("a/b", "a%2Fb"),
        ("..", "%2E%2E"),
        (".", "%2E"),
        ("höhe 1", "h%C3%B6he%201"),
    ],
)
def test_every_name_is_one_directory(name: str, directory: str, state_home: Path) -> None:
    assert data_directory(None, name) == state_home / directory


def test_without_a_home_one_must_be_given(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError

    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setattr(Path, "home", homeless)
    with pytest.raises(StoreError, match="--data-dir or --in-memory"):
        data_directory(None, "web-3")


def kept(directory: Path) -> Path:
    """A directory with state that nobody uses."""
    directory.mkdir(parents=True)
    (directory / "gossipd.db").touch()
    (directory / "gossipd.lock").touch()
    return directory


def test_state_of_the_same_port_under_another_host_name_was_left_behind(tmp_path: Path) -> None:
    new = tmp_path / "new%3A7946"
    assert left_behind(new, 7946) == []
    for name in ("old%3A7946", "older%3A7946", "old%3A7956", "web-3", "old%3A17946"):
        kept(tmp_path / name)
    (tmp_path / "empty%3A7946").mkdir()
    assert left_behind(new, 7946) == ["old:7946", "older:7946"]
    kept(new)
    assert left_behind(new, 7946) == []
    assert left_behind(tmp_path / "nowhere" / "new%3A7946", 7946) == []


def test_state_that_is_in_use_was_not_left_behind(tmp_path: Path) -> None:
    """As that of other nodes on the host."""
    lock = Lock(kept(tmp_path / "old%3A7946"))
    try:
        assert left_behind(tmp_path / "new%3A7946", 7946) == []
    finally:
        lock.release()
    assert left_behind(tmp_path / "new%3A7946", 7946) == ["old:7946"]


def test_what_cannot_be_looked_at_is_somebody_elses(tmp_path: Path) -> None:
    (kept(tmp_path / "old%3A7946") / "gossipd.lock").unlink()
    assert left_behind(tmp_path / "new%3A7946", 7946) == []
