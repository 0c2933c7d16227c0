"""Benches of real nodes with little of everything, so that they do not rot between long runs.

How long something took says nothing here; what must hold at any size is looked at.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from argparse import Namespace
from functools import partial
from pathlib import Path
from typing import get_args

import pytest

from gossipd.core.wire.messages import Message
from tests.bench import (
    answers,
    busy,
    costs,
    durable,
    floods,
    hedged,
    servers,
    speed,
    start,
    walk,
)
from tests.bench.machine import why_not
from tests.bench.program import chosen
from tests.e2e.cluster import Cluster
from tests.e2e.forge import Forge
from tests.e2e.node import ROOT, environment, until
from tests.effort import few, later


@pytest.fixture(autouse=True)
def forged(monkeypatch: pytest.MonkeyPatch, forge: Forge) -> None:
    """What starts its nodes is not measured."""
    for bench in answers, busy, durable, hedged, servers:
        monkeypatch.setattr(bench, "Cluster", partial(Cluster, forge=forge))


def test_the_bench_of_the_store_measures_all_that_it_promises(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(durable, "BLOCK", 5)
    monkeypatch.setattr(durable, "AT_ONCE", 2_000)
    monkeypatch.setattr(durable, "FEW", 2_000)
    monkeypatch.setattr(durable, "MANY", 500_000)
    monkeypatch.setattr(durable, "SHAPES", ((500, 10),))
    rows = list(chosen(durable.PARTS, tuple(durable.PARTS), True))
    bounded = [row.measured for row in rows if row.bound is not None]
    assert len(bounded) == 5
    assert all(measured is not None and measured > 0 for measured in bounded)
    (*_, file) = rows
    assert file.what == "5,000: file after a stop"
    assert file.kept


def test_the_bench_of_floods_finds_a_cluster_as_it_was_before() -> None:
    wanted = Namespace(quick=True, seconds=1.0, sealed=False)
    rows = list(chosen(floods.PARTS, ("slow",), wanted))
    assert [row.what for row in rows if row.what.startswith("  not answered")]
    assert [row.what for row in rows if not row.kept and "suspected" not in row.what] == []


@later
def test_the_bench_of_answers_asks_all_its_questions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "QUICK_COUNTERS", 2_000)
    monkeypatch.setattr(answers, "BATCH", 1_000)
    monkeypatch.setattr(answers, "REST", 0.1)
    rows = list(answers.measure(quick=True))
    assert [row.what for row in rows[1:-1]] == list(answers.questions(2_000))
    assert all(row.measured is not None and row.measured >= 0 for row in rows)


def test_the_bench_of_hedged_increments_finds_them_counted_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hedged, "QUICK_COUNT", 500)
    monkeypatch.setattr(hedged, "BATCH", 25)
    rows = list(hedged.measure(Namespace(quick=True, seed=1)))
    assert [row.what for row in rows if not row.kept] == []
    assert sum(row.what == "  off, on any node" for row in rows) == 2


def test_the_bench_of_costs_has_every_kind_of_message() -> None:
    assert {case.kind for case in costs.CASES} == {kind.__name__ for kind in get_args(Message)}


@later
def test_the_bench_of_costs_sends_all_that_is_dear(monkeypatch: pytest.MonkeyPatch) -> None:
    small = [case._replace(size=640) for case in costs.CASES]
    monkeypatch.setattr(costs, "CASES", small)
    rows = list(costs.measure(quick=True))
    assert len(rows) == 2 * len(small)
    assert all(row.measured is not None and row.measured > 0 for row in rows)


@pytest.mark.parametrize("asked", ["increment", "text"])
def test_the_bench_of_the_walk_follows_a_request_to_its_answer(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], asked: str
) -> None:
    monkeypatch.setattr(sys, "argv", ["walk", "--request", asked, "--calls"])
    walk.main()
    walked = capsys.readouterr().out
    assert "Connection.data_received" in walked
    assert "Connection._write" in walked
    assert "whole: " in walked


@pytest.mark.skipif(bool(why_not()), reason=why_not())
@pytest.mark.parametrize(
    ("parts", "contest", "names"),
    few(
        [
            ("durable latency", "durable http latency 1 p1 one", "gossipd redis bare fdatasync"),
            ("memory text increment many p1", "memory text increment 32 p1 many", "gossipd redis"),
            ("memory http keyed p16", "memory http keyed 32 p16 one", "gossipd unkeyed"),
        ],
        2,
    ),
)
def test_the_bench_of_speed_loads_all_servers_in_turn_and_finds_the_counts_exact(
    monkeypatch: pytest.MonkeyPatch, parts: str, contest: str, names: str
) -> None:
    monkeypatch.setattr(speed, "QUICK_LATENCY_BLOCKS", 1)
    monkeypatch.setattr(speed, "LATENCY_BLOCK", 5)
    asked = ["--rounds", "1", "--seconds", "0.1", "--parts", *parts.split()]
    lines = list(speed.measure(speed.options().parse_args(asked)))
    assert [(line.contest, line.name) for line in lines] == [
        (contest, name) for name in names.split()
    ]
    assert all(line.rate for line in lines)
    assert all(verdict.ratio for line in lines[1:] for verdict in line.verdicts[:1])
    (_, title, first, *_) = speed.table(lines)
    assert title == contest
    assert first.split()[0] == "gossipd"


def test_the_bench_of_the_start_lists_what_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(start, "QUICK_TURNS", 3)
    monkeypatch.setattr(start, "IMPORTS", 2)
    rows = list(start.measure(Namespace(quick=True, python=sys.executable)))
    took = {row.what: row.measured for row in rows}
    assert all(took.values())
    assert (took["python -c pass: wall, median of 3"] or 0) < (rows[0].measured or 0)
    assert "  click, and what it imports" in took


STARTS_A_NODE = """
import sys, time
from pathlib import Path
from tests.e2e.cluster import Cluster
with Cluster(Path(sys.argv[1])) as cluster:
    node = cluster.add()
    node.start("--in-memory")
    print(node.process.pid, flush=True)
    while True:  # Python forgets a signal that comes as a long sleep begins until that is over
        time.sleep(0.1)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_what_a_bench_has_started_ends_with_it(tmp_path: Path, number: signal.Signals) -> None:
    bench = subprocess.Popen(
        (sys.executable, "-c", STARTS_A_NODE, str(tmp_path)),
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert bench.stdout is not None
    with bench.stdout:
        node = Path("/proc") / bench.stdout.readline().decode().strip()
    assert node.exists()
    bench.send_signal(number)
    assert bench.wait(60) != 0
    until(lambda: not node.exists(), 20, "the node has ended")
