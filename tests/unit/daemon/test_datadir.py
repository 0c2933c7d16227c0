"""Where a node keeps its state when nobody says otherwise."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote

import pytest

from gossipd.daemon.datadir import data_directory, left_behind
from gossipd.store import DiskStore, StoreError
from gossipd.store.lock import Lock


def test_a_directory_that_is_given_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/gossipd")
    assert data_directory("/data", "web-3") == Path("/data")
    monkeypatch.setenv("HOME", "/home/me")
    assert data_directory("~/state", "web-3") == Path("/home/me/state")


def test_a_home_that_is_not_known_is_refused_in_one_line() -> None:
    with pytest.raises(StoreError, match="no home directory is known any more"):
        data_directory("~nosuch/x", "web-3")


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


async def kept(directory: Path, port: int) -> None:
    """State of a node that nobody uses; it was named after its host where it has a port."""
    store = DiskStore.open(
        directory,
        durability="normal",
        node=unquote(directory.name),
        cluster="c",
        key_window=600.0,
        key_retention=600.0,
        port=port,
    )
    await store.begin_life(1.0)
    await store.close()


async def test_state_of_a_node_that_was_named_after_its_host_was_left_behind(
    tmp_path: Path,
) -> None:
    new = tmp_path / "new%3A7956"
    assert left_behind(new, 7956) == []
    for name, port in (("old%3A7956", 7956), ("older%3A7956", 7956), ("old", 7946), ("web", 0)):
        await kept(tmp_path / name, port)
    (tmp_path / "empty%3A7956").mkdir()
    assert left_behind(new, 7956) == ["old:7956", "older:7956"]
    assert left_behind(tmp_path / "new", 7946) == ["old"]
    assert left_behind(tmp_path / "older%3A7956", 7956) == []
    assert left_behind(tmp_path / "nowhere" / "new", 7946) == []


async def test_state_that_is_in_use_was_not_left_behind(tmp_path: Path) -> None:
    """As that of other nodes on the host."""
    await kept(tmp_path / "old", 7946)
    lock = Lock(tmp_path / "old")
    try:
        assert left_behind(tmp_path / "new", 7946) == []
    finally:
        lock.release()
    assert left_behind(tmp_path / "new", 7946) == ["old"]


async def test_what_cannot_be_read_is_somebody_elses(tmp_path: Path) -> None:
    await kept(tmp_path / "old", 7946)
    (tmp_path / "old" / "gossipd.db").write_bytes(b"no database")
    assert left_behind(tmp_path / "new", 7946) == []
    (tmp_path / "old" / "gossipd.lock").unlink()
    assert left_behind(tmp_path / "new", 7946) == []
