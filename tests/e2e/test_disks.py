"""File systems that turn read-only under a running node, hosts without a place for temporary
files, and what a crash left being damaged.

`mount -o remount,ro` is refused by the kernel while a node has its files open. What happens to a
running node is that the file system finds an error and lets nobody write any more, or that
somebody makes the files immutable; both are done here.
"""

from __future__ import annotations

import asyncio
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import pytest

from gossipd.store.checking import check
from tests.e2e.cluster import Cluster, agree, counted
from tests.e2e.filesystems import make_ext4, tool
from tests.e2e.node import Node, until
from tests.unit.store.keyed import record, told
from tests.unit.store.parts import opened

FIRST_PAGE = 32 + 24
"""Where in a write-ahead log the first page begins, behind the log's header and its own."""
MOUNT = 'mount -t ext4 -o loop "$1" "$2" && shift 2 && exec "$@"'
READ_ONLY = """state=$1 here=$PWD && shift
for place in /tmp /var/tmp "$here"; do mount --bind "$place" "$place" || exit; done
mount --bind "$state" "$state" || exit
for place in / /tmp /var/tmp "$here"; do mount -o remount,bind,ro "$place" || exit; done
cd "$here" && exec "$@"
"""
"""Runs a command where nothing can be written but its state, as in a container without volumes."""


def has_ext4(folder: Path) -> str:
    """Why no file system of one's own can be mounted here; empty if it can."""
    if not all(map(shutil.which, ("unshare", "nsenter"))):
        return "no unshare or nsenter"
    image, place = folder / "image", folder / "disk"
    place.mkdir()
    if why := make_ext4(image):
        return why
    mounted = tool("unshare", "-m", "sh", "-c", MOUNT, "sh", image, place, "true")
    return "" if mounted else "a file system cannot be mounted here"


def taking_nothing(node: Node) -> None:
    """Wait until increments are refused."""
    until(lambda: node.ask("POST", "/increment?counter=x").status == 503, 10, "it takes nothing")


def test_a_file_system_that_became_read_only_keeps_members_and_reads_and_what_was_told(
    cluster: Cluster, tmp_path: Path
) -> None:
    if why := has_ext4(tmp_path):
        pytest.skip(why)
    image, place = tmp_path / "image", tmp_path / "disk"
    nodes = cluster.start(2)
    node = cluster.add()
    # In a mount namespace of its own, which goes with the process.
    node.prefix = ("unshare", "-m", "sh", "-c", MOUNT, "sh", str(image), str(place))
    node.start("--data-dir", str(place / "data"), join=nodes)
    agree([*nodes, node], within=10)
    node.increment(by=2)
    inside = ("nsenter", "-t", str(node.process.pid), "-m")
    assert not tool(*inside, "mount", "-o", "remount,ro", place)
    assert tool(*inside, "sync", "-f", place)
    assert tool(*inside, "mount", "-o", "remount,abort", place)
    taking_nothing(node)
    nodes[0].increment(by=40)
    counted([*nodes, node], 42, within=3)
    assert set(node.states().values()) == {"alive"}
    node.send(signal.SIGTERM)
    assert node.ended() == 0
    until(lambda: not image_is_used(image), 10, "the file system is free")
    node.start("--data-dir", str(place / "data"), join=nodes)
    agree([*nodes, node], within=10)
    counted([*nodes, node], 42, within=3)
    node.increment(by=100)
    counted([*nodes, node], 142, within=3)


def image_is_used(image: Path) -> bool:
    used = subprocess.run(("losetup", "-j", image), check=True, capture_output=True)
    return bool(used.stdout)


@contextmanager
def immutable(directory: Path) -> Iterator[None]:
    """Nobody writes to the directory, the file and its log, not even who has them open.

    The index of the log is left out: it is mapped into memory, and who writes to it then dies.
    """
    paths = [directory, directory / "gossipd.db", directory / "gossipd.db-wal"]
    try:
        for path in paths:
            if not tool("chattr", "+i", path):
                pytest.skip("files cannot be made immutable here")
        with (directory.parent / "probe").open("wb", buffering=0) as probe:
            tool("chattr", "+i", probe.name)
            try:
                probe.write(b"x")
                pytest.skip("who has a file open may write to it here, immutable or not")
            except PermissionError:
                pass
        yield
    finally:
        tool("chattr", "-i", directory.parent / "probe", *paths)


def test_a_directory_that_is_made_unwritable_is_waited_for(cluster: Cluster) -> None:
    nodes = cluster.start(3)
    node = nodes[2]
    node.increment(by=2)
    with immutable(node.data_directory):
        taking_nothing(node)
        nodes[0].increment(by=40)
        counted(nodes, 42, within=3)
        assert set(node.states().values()) == {"alive"}
        assert node.ask("GET", "/ready").status == 503
        assert any("cannot write to the disk" in alarm for alarm in node.status()["alarms"])
    until(lambda: node.ready, 15, "it takes something again, which it found out by itself")
    assert not node.status()["alarms"]
    node.increment(by=100)
    counted(nodes, 142, within=3)
    node.kill()
    node.start(join=nodes[:1])
    agree(nodes, within=10)
    counted(nodes, 142, within=3)


def test_what_a_damaged_log_loses_comes_back_from_the_others_and_counts_once(
    cluster: Cluster,
) -> None:
    nodes = cluster.start(3)
    node = nodes[2]
    for number in range(20):
        node.increment(by=2)
        nodes[number % 2].increment(by=3)
    counted(nodes, 100, within=3)
    node.kill()
    whole = check(node.data_directory)
    log = node.data_directory / "gossipd.db-wal"
    data = bytearray(log.read_bytes())
    data[FIRST_PAGE + Random(1).randrange(100)] ^= 0x10
    log.write_bytes(data)
    left = check(node.data_directory)
    assert left.problems == ()
    assert left.registers < whole.registers
    node.start(join=nodes[:2])
    agree(nodes, within=10)
    counted(nodes, 100, within=3)
    node.increment(by=5)
    counted(nodes, 105, within=3)


def test_keys_expire_where_no_temporary_file_can_be_made(cluster: Cluster) -> None:
    """As in a container whose root is read-only: SQLite is not to spill to /tmp."""
    node = cluster.add()
    node.data_directory.mkdir(parents=True)
    node.prefix = ("unshare", "-m", "sh", "-c", READ_ONLY, "sh", str(node.data_directory))
    if not tool(*node.prefix, "true"):
        pytest.skip("mounting is not allowed here")
    assert not tool(*node.prefix, "touch", "/tmp/x")
    asyncio.run(fill_with_expired_keys(node.data_directory, 3000))
    window = ("--key-window", "60", "--key-retention", "120")
    node.start(*window, TMPDIR="/nowhere", SQLITE_TMPDIR="/nowhere")
    until(lambda: not node.running or not check(node.data_directory).keys, 20, "they are gone")
    assert node.increment() == 3001
    node.send(signal.SIGTERM)
    assert node.ended() == 0


async def fill_with_expired_keys(directory: Path, count: int) -> None:
    """Random ones, so that each lies in another page of the index."""
    rng = Random(1)
    records = [record(seq, rng.randbytes(16), age=3000.0) for seq in range(1, count + 1)]
    async with opened(directory) as store:
        await store.save(told(*records, version=count))
