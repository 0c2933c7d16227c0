"""`gossipd bench` on real nodes: what it says is what the nodes count."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.bench.loaders import speaks_resp
from tests.deadline import DEADLINE
from tests.e2e.cluster import Cluster
from tests.e2e.node import ROOT, Node, environment, until
from tests.terminal import on_a_terminal


def bench(node: Node, *arguments: str) -> dict[str, Any]:
    done = node.cli("bench", "--json", *arguments)
    assert done.returncode == 0, done
    return dict(json.loads(done.stdout))


@pytest.mark.parametrize("dialect", ["http", "text", "resp"])
def test_a_bench_in_each_dialect_is_exact_on_every_node(cluster: Cluster, dialect: str) -> None:
    one, two = cluster.start(2, "--in-memory")
    if dialect == "resp" and not speaks_resp(one.api):
        pytest.skip("this port does not speak RESP")
    other = f"{two.api[0]}:{two.api[1]}"
    both = ("--api", f"{one.api[0]}:{one.api[1]}", "--api", other, "--dialect", dialect)
    many = ("--clients", "8", "--pipeline", "16", "--requests", "2001")
    found = bench(one, *both, *many, "--by", "3")
    assert (found["answered"], found["refused"], found["in_doubt"]) == (2001, 0, 0)
    assert (found["exact"], found["exactness"]) == (True, "yes, on 2 nodes")
    assert set(found["milliseconds"]) == {"p50", "p95", "p99", "p99.9", "max"}
    assert one.count("bench") == two.count("bench") == 3 * 2001
    spread = bench(one, *both, "--counters", "50", "--counter", "a b", "--duration", "0.3s")
    assert spread["exact"] is True
    counts = {name: count for name, count in two.get("/counters").items() if name != "bench"}
    assert len(counts) == 50
    assert sum(counts.values()) == spread["answered"]


def begun(node: Node, directory: Path) -> subprocess.Popen[str]:
    """A bench that has counted something."""
    with (directory / "said").open("w") as said:
        process = subprocess.Popen(
            (sys.executable, "-m", "gossipd", "bench", "--duration", "1m"),
            cwd=ROOT,
            env=environment(GOSSIPD_API=f"{node.api[0]}:{node.api[1]}"),
            stdout=said,
            stderr=subprocess.PIPE,
            text=True,
        )
    until(lambda: node.count("bench"), 20, "the bench counts")
    return process


def test_an_interrupt_shows_what_was_measured_so_far(cluster: Cluster, tmp_path: Path) -> None:
    (node,) = cluster.start(1)
    process = begun(node, tmp_path)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=DEADLINE)
    assert process.returncode == 130, errors
    fresh, interrupted = errors.splitlines()
    assert fresh == "gossipd: new counters, which stay in the cluster as all do: 1"
    assert interrupted.startswith("gossipd: interrupted after ")
    said = dict(line.split("\t") for line in (tmp_path / "said").read_text().splitlines())
    assert said["exact"] == "yes, on 1 node"
    counted, _, seconds = said["counted"].partition(" in ")
    assert int(counted.replace(",", "")) == node.count("bench")
    assert seconds.endswith(" s")


def test_a_node_that_dies_leaves_open_what_was_counted(cluster: Cluster, tmp_path: Path) -> None:
    (node,) = cluster.start(1)
    process = begun(node, tmp_path)
    node.kill()
    _, errors = process.communicate(timeout=DEADLINE)
    assert process.returncode == 1, errors
    said = dict(line.split("\t") for line in (tmp_path / "said").read_text().splitlines())
    assert 0 < int(said["in doubt"]) <= 50
    said_of_it = said["exact"]  # refused, or taken by the dying node's socket and closed
    assert said_of_it.startswith("unknown: ")
    assert f"{node.api[0]}:{node.api[1]}" in said_of_it
    assert " times: connection " in errors
    assert errors.endswith("gossipd: all connections have ended early\n")


def test_progress_is_told_on_a_terminal_only(cluster: Cluster, tmp_path: Path) -> None:
    (node,) = cluster.start(1, "--in-memory")
    with (tmp_path / "out").open("wb") as out:
        code, told = on_a_terminal(
            (sys.executable, "-m", "gossipd", "bench", "--duration", "1.2s"),
            "stderr",
            cwd=ROOT,
            env=environment(GOSSIPD_API=f"{node.api[0]}:{node.api[1]}"),
            stdout=out,
        )
    assert code == 0
    assert b"\r" not in (tmp_path / "out").read_bytes()
    fresh, progress = told.split("\r\n")
    assert fresh.endswith(": 1")
    assert progress.startswith("\r")
    assert " counted " in progress
    assert told.endswith("\r\x1b[K")
