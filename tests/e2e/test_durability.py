"""Nothing acknowledged is lost: kills under load, all nodes down, old copies, copies beside."""

from __future__ import annotations

import shutil
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from tests.e2e import crashes
from tests.e2e.cluster import Cluster, agree, counted
from tests.e2e.namespaces import why_none
from tests.e2e.node import until
from tests.effort import effort

ROUNDS = effort(3, 11)
ALL_EVERY = effort(3, 10)
"""In one of so many rounds all three are killed."""


def test_nodes_killed_under_load_lose_nothing_and_count_nothing_twice(cluster: Cluster) -> None:
    nodes = cluster.start(3)
    outcome = crashes.rounds(nodes, ROUNDS, seed=1, all_every=ALL_EVERY)
    print(outcome)
    assert outcome.acknowledged > 100
    assert outcome.lost == 0
    assert 0 <= outcome.beyond <= outcome.unanswered


def test_all_nodes_stopped_and_started_without_seeds_know_each_other_and_the_counts(
    cluster: Cluster,
) -> None:
    nodes = cluster.start(3)
    for number, node in enumerate(nodes, 1):
        for _ in range(10):
            node.increment(by=number)
    counted(nodes, 60, within=5)
    for node in nodes:
        node.kill()
    for node in nodes:
        node.start("--ready-after", "3")
    agree(nodes, within=20)
    counted(nodes, 60, within=1)
    nodes[0].increment()
    counted(nodes, 61, within=3)


def test_an_old_copy_brings_nothing_back_and_takes_nothing_away(cluster: Cluster) -> None:
    nodes = cluster.start(3)
    nodes[1].increment(by=5)
    counted(nodes, 5, within=3)
    nodes[1].kill()
    copy = nodes[1].data_directory.with_name("copy")
    shutil.copytree(nodes[1].data_directory, copy)
    nodes[1].start(join=nodes[:1])
    agree(nodes, within=10)
    nodes[1].increment(by=7)
    counted(nodes, 12, within=3)
    nodes[1].kill()
    shutil.rmtree(nodes[1].data_directory)
    copy.rename(nodes[1].data_directory)
    nodes[1].start(join=nodes[:1])
    agree(nodes, within=10)
    counted(nodes, 12, within=3)
    nodes[1].increment(by=100)
    counted(nodes, 112, within=3)


def test_a_copy_beside_its_original_counts_for_itself(cluster: Cluster) -> None:
    nodes = cluster.start(2)
    nodes[0].increment(by=5)
    counted(nodes, 5, within=3)
    copy = cluster.add()
    shutil.copytree(nodes[0].data_directory, copy.data_directory)
    copy.start(join=nodes)
    agree([*nodes, copy], within=10)
    for node in (*nodes, copy):
        node.increment(by=10)
    counted([*nodes, copy], 35, within=3)


@pytest.mark.fresh  # what its processes have loaded is looked at
def test_a_second_process_on_a_directory_and_a_damaged_file_are_refused(cluster: Cluster) -> None:
    (node,) = cluster.start(1)
    node.increment(by=3)
    parsers = ["/httptools/" in (process / "maps").read_text() for process in node.processes]
    assert parsers == [True, *(len(parsers) - 1) * [False]], "what the node alone needs"
    assert len(parsers) > 1
    second = cluster.add()
    second.start("--data-dir", str(node.data_directory))
    assert second.ended() == 1
    assert f"in use by process {node.process.pid}" in second.log
    node.kill()
    file = node.data_directory / "gossipd.db"
    for path in node.data_directory.iterdir():
        if path.name.startswith("gossipd.db-"):
            path.unlink()
    damaged = file.read_bytes()[:100] + b"no page" + file.read_bytes()[107:]
    file.write_bytes(damaged)
    node.start()
    assert node.ended() == 1
    assert "damaged" in node.log
    assert file.read_bytes() == damaged


@pytest.mark.skipif(bool(why_none()), reason=f"a small file system needs root: {why_none()}")
def test_a_full_disk_keeps_members_and_reads_and_counts_again_with_space(
    cluster: Cluster, tmp_path: Path
) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mount = ("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(small))
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("a file system cannot be mounted here")
    try:
        nodes = cluster.start(2)
        full = cluster.add()
        full.start("--data-dir", str(small / "data"), join=nodes)
        agree([*nodes, full], within=10)
        full.increment(by=2)
        ballast = small / "ballast"
        fill(ballast)
        until(lambda: full.ask("POST", "/increment?counter=x").status == 503, 30, "it is full")
        counted([*nodes, full], 2, within=3)
        nodes[0].increment(by=40)
        counted([*nodes, full], 42, within=3)
        assert set(full.states().values()) == {"alive"}
        ballast.unlink()
        until(lambda: full.increment(by=100), 15, "it counts again")
        counted([*nodes, full], 142, within=3)
        full.kill()
        full.start("--data-dir", str(small / "data"), join=nodes)
        agree([*nodes, full], within=10)
        counted([*nodes, full], 142, within=3)
    finally:
        cluster.close()
        subprocess.run(("umount", "-l", str(small)), check=True)


def fill(path: Path) -> None:
    """Take all space that is left."""
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))


def test_a_node_that_knew_another_is_not_ready_before_it_has_met_it(cluster: Cluster) -> None:
    """Its counts may be behind, whether it is given seeds or not."""
    one, two = cluster.start(2)
    one.send(signal.SIGTERM)
    assert one.ended() == 0
    two.increment(by=3)
    two.kill()
    one.start("--ready-after", "60")
    until(lambda: one.ask("GET", "/health").status == 200, 10, "it serves")
    assert one.ask("GET", "/ready").status == 503
    two.start("--ready-after", "1")
    agree([one, two], within=20)
    assert one.count() == 3
