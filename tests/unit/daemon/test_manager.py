"""Beats come only while the node makes progress."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from gossipd.daemon.lines import as_json
from gossipd.daemon.manager import Manager, Observer, stacks
from tests.deadline import DEADLINE
from tests.unit.daemon.waiting import until

LIMIT = 0.4


@pytest.fixture
def heard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(tmp_path / "notify"))
        receiver.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", str(int(LIMIT * 1e6)))
        monkeypatch.delenv("WATCHDOG_PID", raising=False)
        yield receiver


async def next_of(heard: socket.socket, within: float = 10.0) -> str:
    return (
        await asyncio.wait_for(asyncio.get_running_loop().sock_recv(heard, 999), within)
    ).decode()


def drain(heard: socket.socket) -> None:
    with suppress(BlockingIOError):
        while True:
            heard.recv(999)


async def test_a_core_that_is_asked_nothing_any_more_ends_the_beats(
    heard: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    manager, late = Manager(), 0.0
    manager.begin()
    assert await next_of(heard) == "WATCHDOG=1\nEXTEND_TIMEOUT_USEC=120000000"
    drain(heard)
    manager.serves(lambda: "it serves", lambda: time.monotonic() - late)
    assert await next_of(heard) == "READY=1\nSTATUS=it serves"
    assert await next_of(heard) == "WATCHDOG=1"
    late = LIMIT
    drain(heard)
    with pytest.raises(TimeoutError):
        await next_of(heard, LIMIT)
    await until(lambda: "no progress" in caplog.text)  # its thread tells that
    late = 0.0
    assert await next_of(heard) == "WATCHDOG=1"
    manager.end()


async def test_a_loop_that_forgets_its_sockets_does_not_beat(heard: socket.socket) -> None:
    manager = Manager()
    manager.begin()
    await next_of(heard)
    assert manager._pair is not None
    asyncio.get_running_loop().remove_reader(manager._pair[1])
    drain(heard)
    with pytest.raises(TimeoutError):
        await next_of(heard, LIMIT)
    manager.end()


async def test_what_has_not_changed_is_not_told_again(heard: socket.socket) -> None:
    manager, standing = Manager(), "1 member"
    manager.serves(lambda: standing, lambda: None)
    manager.begin()
    assert await next_of(heard) == "READY=1\nSTATUS=1 member"
    assert await next_of(heard) == "WATCHDOG=1"
    standing = "2 members"
    while (told := await next_of(heard)) == "WATCHDOG=1":
        pass
    assert told == "WATCHDOG=1\nSTATUS=2 members"
    assert await next_of(heard) == "WATCHDOG=1"
    manager.end()


async def test_without_a_manager_nothing_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    monkeypatch.setenv("WATCHDOG_USEC", "1000000")
    before = threading.active_count()
    manager = Manager()
    manager.begin()
    manager.serves(lambda: "it serves", lambda: None)
    assert threading.active_count() == before
    manager.end()


async def test_a_manager_without_a_watchdog_hears_how_the_node_stands(
    heard: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WATCHDOG_USEC")
    before = threading.active_count()
    manager = Manager()
    manager.begin()
    assert await next_of(heard) == "EXTEND_TIMEOUT_USEC=120000000"
    assert threading.active_count() == before
    manager.end()


def test_who_hears_nothing_tells_it_one_time(caplog: pytest.LogCaptureFixture) -> None:
    observer, deadline = Observer(0.15), time.monotonic() + DEADLINE
    observer.start()
    while not any("MainThread" in as_json(record) for record in caplog.records):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    time.sleep(0.2)  # in which it would tell it again
    told, *traces = caplog.records
    assert {record.levelno for record in caplog.records} == {logging.CRITICAL}
    assert "no progress for 0.1 s" in told.getMessage()
    (main,) = (each for each in map(as_json, traces) if '"thread": "MainThread"' in each)
    assert "in test_who_hears_nothing_tells_it_one_time" in main
    observer.end()


def test_the_stacks_are_those_of_all_other_threads() -> None:
    ending = threading.Event()
    thread = threading.Thread(target=ending.wait, name="some other")
    thread.start()
    told = dict(stacks())
    ending.set()
    thread.join()
    assert "in run" in told["some other"]
    assert threading.current_thread().name not in told
