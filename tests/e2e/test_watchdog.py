"""What a service manager hears of a node, also of one whose event loop stands still."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.e2e.bounds import crowding
from tests.e2e.cluster import Cluster
from tests.e2e.node import Node, until

LIMIT = 1.2
"""Seconds that the manager waits for a beat; a crowded machine may need more for one."""


class ServiceManager:
    """The other end of NOTIFY_SOCKET."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self.heard: list[str] = []
        """All lines so far."""
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.path)
        self._socket.settimeout(0.02)

    def listen(self) -> list[str]:
        """What has come since; of beats that wait, all."""
        came: list[str] = []
        with suppress(TimeoutError):
            while len(came) < 1000:
                came += self._socket.recv(8192).decode().split("\n")
        self.heard += came
        return came

    def hears(self, start: str, within: float = 10.0) -> None:
        """Wait for a line that begins so."""
        until(lambda: any(line.startswith(start) for line in self.listen()), within, start)

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[ServiceManager]:
    opened = ServiceManager(tmp_path / "notify")
    yield opened
    opened.close()


def watched(
    cluster: Cluster, manager: ServiceManager, *options: str, join: list[Node] | None = None
) -> Node:
    """A node that is to beat, not waited for."""
    node = cluster.add()
    limit = str(int(LIMIT * crowding() * 1e6))
    node.start(*options, join=join or [], NOTIFY_SOCKET=manager.path, WATCHDOG_USEC=limit)
    return node


def test_the_manager_hears_of_the_start_of_each_beat_of_members_and_of_the_end(
    cluster: Cluster, manager: ServiceManager
) -> None:
    (seed,) = cluster.start(1)
    node = watched(cluster, manager, join=[seed])
    manager.hears("READY=1")
    before = manager.heard[: manager.heard.index("READY=1")]
    assert set(before) <= {"WATCHDOG=1", "EXTEND_TIMEOUT_USEC=120000000"}
    assert before
    assert node.ask("GET", "/health").status == 200
    manager.hears(f"STATUS=n2 at {node.address}: ready; members: 2 alive")
    manager.hears("WATCHDOG=1")
    seed.send(signal.SIGTERM)
    manager.hears(f"STATUS=n2 at {node.address}: ready; members: 1 alive, 1 left")
    manager.hears("WATCHDOG=1")
    node.send(signal.SIGTERM)
    manager.hears("STOPPING=1")
    assert {"EXTEND_TIMEOUT_USEC=6000000", "STATUS=leaving the cluster"} <= set(manager.heard)
    assert node.ended() == 0
    statuses = [line for line in manager.heard if line.startswith("STATUS=")]
    assert len(statuses) == len(dict.fromkeys(statuses))  # none is told again


@pytest.mark.parametrize("how", ["turning", "waiting", "holding"])
def test_a_loop_that_stands_still_does_not_beat_and_says_where_it_is(
    cluster: Cluster, manager: ServiceManager, how: str
) -> None:
    node = cluster.add()
    node.program = ("tests.e2e.stuck", how)
    limit = str(int(LIMIT * 1e6))
    node.start(NOTIFY_SOCKET=manager.path, WATCHDOG_USEC=limit)
    manager.hears("READY=1")
    node.send(signal.SIGUSR1)
    if how != "holding":
        node.says('level=critical msg="no progress for 0.8 s')
        node.says(f"in {how}")
    manager.listen()
    quiet = time.monotonic() + LIMIT
    until(lambda: time.monotonic() > quiet, 10, "the manager has waited for long enough")
    assert manager.listen() == []
    node.send(signal.SIGABRT)
    assert node.ended() == -signal.SIGABRT
    assert "Fatal Python error: Aborted" in node.log
    assert f"in {how}" in node.log.partition("Fatal Python error")[2]


def test_a_node_whose_disk_hangs_beats_on(cluster: Cluster, manager: ServiceManager) -> None:
    node = watched(cluster, manager, "--disk-timeout", "0.2")
    manager.hears("READY=1")
    keeper = int(node.processes[-1].name)
    os.kill(keeper, signal.SIGSTOP)
    assert node.ask("POST", "/increment").status == 503
    manager.hears(f"STATUS=n1 at {node.address}: not ready; members: 1 alive (the disk hangs")
    manager.listen()
    for _ in range(6):
        manager.hears("WATCHDOG=1")
    os.kill(keeper, signal.SIGCONT)
    manager.hears(f"STATUS=n1 at {node.address}: ready; members: 1 alive")
    assert "no progress" not in node.log


def test_a_node_that_was_stopped_goes_on(cluster: Cluster, manager: ServiceManager) -> None:
    node = watched(cluster, manager)
    manager.hears("READY=1")
    node.send(signal.SIGSTOP)
    manager.listen()
    quiet = time.monotonic() + LIMIT * crowding()
    until(lambda: time.monotonic() > quiet, 30, "it has been silent for too long")
    assert manager.listen() == []
    node.send(signal.SIGCONT)
    manager.hears("WATCHDOG=1")
    assert "no progress" not in node.log
