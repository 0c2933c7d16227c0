"""A disk that hangs, and one that is full: told everywhere, waited for by nobody, nothing lost.

The disk is a file system that is frozen: who writes to it waits, and cannot be ended, not even by
SIGKILL, before it is thawed.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from uuid import uuid4

import pytest

from tests.e2e.bounds import crowding
from tests.e2e.cluster import (
    Cluster,
    agree,
    counted,
    see,
)
from tests.e2e.filesystems import Disk, mounted
from tests.e2e.node import (
    Node,
    Reply,
    at_once,
    until,
)

LIMIT = 1.0
"""Seconds for which the disk may be silent."""

LEAVE = 2.0
"""Seconds that a leave may take."""

BUSY = 2.0
"""What a busy machine may add."""

OPTIONS = ("--disk-timeout", str(LIMIT), "--leave-timeout", str(LEAVE))


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    with mounted(tmp_path) as made:
        yield made


@pytest.fixture
def cluster(disk: Disk, cluster: Cluster) -> Cluster:
    """Made after the disk, so ended before it."""
    assert disk.place.is_mount()
    return cluster


def start_on(disk: Disk, cluster: Cluster, others: list[Node]) -> Node:
    """One more node, whose state is on that disk."""
    node = cluster.add()
    node.start("--data-dir", disk.data, *OPTIONS, join=others)
    agree([*others, node], within=10)
    return node


def add_one(node: Node, key: str) -> tuple[Reply, float]:
    """Ask for an increment; the answer and the seconds it took."""
    began = time.monotonic()
    reply = node.ask("POST", "/increment", {"key": key})
    return reply, time.monotonic() - began


def hangs(node: Node) -> bool:
    """Whether the node says so."""
    return "the disk hangs" in str(node.ask("GET", "/ready").data)


def test_a_disk_that_hangs_is_told_and_everything_counts_once(
    cluster: Cluster, disk: Disk
) -> None:
    others = cluster.start(2)
    node = start_on(disk, cluster, others)
    node.increment(by=100)
    counted([*others, node], 100, within=3)
    disk.freeze()
    keys = [str(uuid4()) for _ in range(12)]
    for reply, took in at_once(partial(add_one, node, key) for key in keys):
        assert reply.status == 503
        assert "counted: the disk has not answered" in reply.data["detail"]
        assert int(reply.headers["Retry-After"]) >= 1
        assert took < LIMIT + BUSY * crowding()
    reply, took = add_one(node, keys[0])
    assert (reply.status, "not counted" in reply.data["detail"]) == (503, True)
    assert took < BUSY * crowding(), "at once"
    assert node.ask("GET", "/ready").status == 503
    assert hangs(node)
    assert any("the disk hangs" in alarm for alarm in node.status()["alarms"])
    assert node.status()["ready"] is False
    assert "the disk hangs" in node.cli("status").stdout
    assert node.ask("GET", f"/increments?key={uuid4()}").status == 503
    copies = others[0].ask("POST", "/increment?by=1000&ack=3&timeout=3")
    assert (copies.status, copies.data["acks"]) == (202, 2)
    until(lambda: node.count() == 1100, 3, "what others count is seen")
    assert set(node.states().values()) == {"alive"}
    disk.thaw()
    until(lambda: node.ready, 5, "it is ready again")
    until(lambda: not node.status()["alarms"], 5, "there is no alarm")
    node.says("cleared: the disk hangs")
    assert 1100 <= node.count() <= 1100 + len(keys)
    for place, key in enumerate(keys):
        reply, _ = add_one([node, *others][place % 3], key)
        assert reply.status == 200
    counted([*others, node], 1100 + len(keys), within=5)
    node.kill()
    node.start("--data-dir", disk.data, *OPTIONS)
    agree([*others, node], within=10)
    counted([*others, node], 1100 + len(keys), within=5)


def test_a_node_whose_disk_hangs_hands_over_what_it_has_and_ends(
    cluster: Cluster, disk: Disk
) -> None:
    others = cluster.start(2)
    node = start_on(disk, cluster, others)
    node.increment(by=10)
    disk.freeze()
    reply = node.ask("POST", "/increment")
    assert "it may have been counted" in reply.data["detail"]
    began = time.monotonic()
    node.send(signal.SIGTERM)
    assert node.ended() == 0
    assert time.monotonic() - began < LEAVE + BUSY * crowding()
    assert "may be counted" in node.log
    assert "the disk has not answered: leaving it as it is" in node.log
    see(others, node.name, "left", within=3)
    counted(others, 10, within=1)
    node.start("--data-dir", disk.data, *OPTIONS, join=others)
    assert node.ended() == 1, "its disk is still somebody's"
    assert "left behind: its disk has not answered yet" in node.log
    disk.thaw()
    node.start("--data-dir", disk.data, *OPTIONS, join=others)
    agree([*others, node], within=10)
    counted([*others, node], node.count(), within=5)
    assert node.count() in (10, 11)


def test_a_disk_that_begins_to_hang_as_a_node_leaves_holds_up_nobody(
    cluster: Cluster, disk: Disk
) -> None:
    node = start_on(disk, cluster, [])
    disk.freeze()
    # The commit is under way, and the disk hangs for longer than that only after the leave.
    with node.connect() as client:
        client.sendall(b"increment\n")
        until(lambda: writes(node), 5, "it is being committed")
        began = time.monotonic()
        node.send(signal.SIGTERM)
        assert client.recv(1000).startswith(b"error: it may have been counted")
    assert node.ended() == 0
    assert time.monotonic() - began < LEAVE + BUSY * crowding()
    disk.thaw()
    node.start("--data-dir", disk.data, *OPTIONS)
    agree([node], within=10)
    assert node.count() in (0, 1)


def writes(node: Node) -> bool:
    """Whether the process that has the node's disk waits for it."""
    stats = [(process / "stat").read_text() for process in node.processes]
    return any(stat.rpartition(")")[2].split()[0] == "D" for stat in stats)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_a_node_whose_disk_hangs_at_once(
    cluster: Cluster, disk: Disk, number: signal.Signals
) -> None:
    node = start_on(disk, cluster, [])
    disk.freeze()
    assert add_one(node, str(uuid4()))[0].status == 503
    began = time.monotonic()
    node.send(number)
    until(lambda: "leaving" in node.log, 5, "the first signal was heard")
    node.send(number)
    node.ended()
    assert time.monotonic() - began < LEAVE + BUSY * crowding()


def test_a_node_that_cannot_begin_as_its_disk_hangs_can_be_ended(
    cluster: Cluster, disk: Disk
) -> None:
    disk.freeze()
    node = cluster.add()
    node.start("--data-dir", disk.data, *OPTIONS)
    until(lambda: "does the disk hang?" in node.log, 10, "it says what it waits for")
    node.send(signal.SIGTERM)
    node.ended(within=3)


def test_a_full_disk_is_told_though_nobody_counts_there_and_so_is_its_end(
    cluster: Cluster, disk: Disk
) -> None:
    others = cluster.start(1)
    node = start_on(disk, cluster, others)
    disk.fill()
    number = 0

    def refused() -> bool:
        nonlocal number
        number += 1
        others[0].increment(f"{number} {'x' * 100}")
        return "cannot write to the disk" in str(node.ask("GET", "/ready").data)

    until(refused, 30, "what others count finds no room")
    assert node.ask("GET", "/ready").status == 503
    assert any("cannot write to the disk" in alarm for alarm in node.status()["alarms"])
    assert "cannot write to the disk" in node.cli("status").stdout
    assert node.ask("GET", "/count").status == 200
    disk.free()
    until(lambda: node.ready, 20, "it takes something again, and is ready by itself")
    assert not node.status()["alarms"]
    node.increment("mine", by=2)
    counted([*others, node], 2, within=3, counter="mine")


def test_a_log_on_a_disk_that_hangs_or_is_full_holds_up_nobody(
    cluster: Cluster, disk: Disk
) -> None:
    cluster.directory = disk.place
    node = cluster.add()
    node.start("--in-memory", *OPTIONS)
    agree([node], within=10)
    disk.fill()

    def alarms_after_a_line() -> str:
        node.send(signal.SIGHUP)
        return str(node.status()["alarms"])

    until(lambda: "No space left" in alarms_after_a_line(), 20, "lines find no room")
    disk.free()
    until(lambda: alarms_after_a_line() == "[]", 20, "they are written again")
    node.says("log lines were dropped: stderr: No space left on device")
    disk.freeze()
    node.send(signal.SIGUSR1)
    until(lambda: writes(node), 5, "a line is being written")
    node.increment()
    began = time.monotonic()
    node.send(signal.SIGTERM)
    assert node.ended() == 0
    assert time.monotonic() - began < LEAVE + BUSY * crowding()
    disk.thaw()
    node.says("SIGUSR1: nothing to reopen")
