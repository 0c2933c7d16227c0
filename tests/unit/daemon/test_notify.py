"""What the service manager hears."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from gossipd.daemon import notify


@pytest.fixture(params=["path", "abstract"])
def manager(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[socket.socket]:
    path = str(tmp_path / "notify")
    abstract = f"gossipd-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(path if request.param == "path" else f"\0{abstract}")
        receiver.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", path if request.param == "path" else f"@{abstract}")
        yield receiver


def test_the_manager_hears_that_the_daemon_serves(manager: socket.socket) -> None:
    assert notify.ready("serving\nas a")
    assert manager.recv(1000) == b"READY=1\nSTATUS=serving as a"


def test_the_manager_hears_that_the_daemon_leaves(manager: socket.socket) -> None:
    assert notify.stopping(6)
    told = b"STOPPING=1\nEXTEND_TIMEOUT_USEC=6000000\nSTATUS=leaving the cluster"
    assert manager.recv(1000) == told


def test_the_manager_hears_since_when_the_daemon_reloads(manager: socket.socket) -> None:
    before = time.monotonic_ns() // 1000
    assert notify.reloading()
    state, _, since = manager.recv(1000).decode().partition("\nMONOTONIC_USEC=")
    assert state == "RELOADING=1"
    assert before <= int(since) <= time.monotonic_ns() // 1000


def test_the_manager_hears_a_status(manager: socket.socket) -> None:
    assert notify.notify(notify.status_line("3 members"))
    assert manager.recv(1000) == b"STATUS=3 members"


def test_a_long_status_is_cut_between_two_signs() -> None:
    line = notify.status_line("ä" * 3000 + "\ud800")
    assert line == "STATUS=" + "ä" * 500


@pytest.mark.parametrize(
    ("limit", "pid", "seconds"),
    [
        ("30000000", None, 30.0),
        ("30000000", "own", 30.0),
        ("30000000", "1", None),
        ("0", None, None),
        ("", None, None),
        ("-1", None, None),
    ],
)
def test_the_watchdog_is_that_of_this_process(
    limit: str, pid: str | None, seconds: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", limit)
    monkeypatch.delenv("WATCHDOG_PID", raising=False)
    if pid is not None:
        monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()) if pid == "own" else pid)
    assert notify.watchdog_seconds() == seconds


@pytest.mark.parametrize("address", [None, "", "relative", "/no/such/socket", "@nobody-there",
                                     "/" + "x" * 200])  # fmt: skip
def test_without_a_manager_nothing_happens(
    address: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    if address is not None:
        monkeypatch.setenv("NOTIFY_SOCKET", address)
    assert not notify.notify("READY=1")


def test_a_manager_that_does_not_read_holds_up_nobody(manager: socket.socket) -> None:
    address = manager.getsockname()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as full:
        full.setblocking(False)
        with suppress(BlockingIOError):
            while full.sendto(b"x", address):
                pass
    told: list[bool] = []
    telling = threading.Thread(target=lambda: told.append(notify.ready("serving")), daemon=True)
    telling.start()
    telling.join(10)
    assert told == [False]
