"""Every simulated bench on the smallest clusters, so that none of them rots between its long runs.

The figures of so short runs say nothing, so only those are looked at that must hold at any length.
"""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Iterator

import pytest

from tests.bench import (
    convergence,
    cost,
    detection,
    program,
    quiet,
    scale,
    sealing,
    soak,
)
from tests.bench.classic import CLASSIC
from tests.bench.program import OURS, Row


def smallest(**options: object) -> Namespace:
    """The options of a program that does little, in one process beside this one."""
    return Namespace(quick=True, seeds=1, jobs=1, **options)


def told(rows: Iterator[Row]) -> dict[str, Row]:
    """The rows by what they say; all of them in a table and as JSON."""
    found = list(rows)
    for as_json in (False, True):
        assert program.report(found, as_json) in (0, 1)
    return {row.what: row for row in found}


@pytest.fixture(autouse=True)
def five(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clusters of five, or nearly so, for seconds."""
    monkeypatch.setattr(detection, "QUICK_SIZES", (5,))
    monkeypatch.setattr(detection, "MANY", {2: 12.0})
    monkeypatch.setattr(detection, "OF_NODES", 5)
    monkeypatch.setattr(cost, "QUICK_SIZES", (5,))
    monkeypatch.setattr(convergence, "SETTINGS", convergence.SETTINGS[:1])
    monkeypatch.setattr(convergence, "QUICK_SECONDS", 2.0)
    monkeypatch.setattr(quiet, "NODES", 5)
    monkeypatch.setattr(quiet, "QUICK_HOURS", 0.1)
    monkeypatch.setattr(quiet, "QUICK_STALL_HOURS", 0.01)
    monkeypatch.setattr(quiet, "QUICK_SEEDS", 1)
    monkeypatch.setattr(quiet, "STALLING", ((1, 5),))
    monkeypatch.setattr(quiet, "MULTS", (0.7,))
    monkeypatch.setattr(scale, "QUICK_NODES", (5,))
    monkeypatch.setattr(sealing, "NODES", 5)


def test_detection_finds_every_kill() -> None:
    rows = told(detection.measure(smallest(seeds_large=1)))
    assert rows["  all others know: median"].measured is not None
    assert rows["2 of 5 killed at once: all known, median"].measured is not None
    assert rows["  not all found in 90 s"].measured == 0


def test_seals_make_no_difference_to_what_a_cluster_does() -> None:
    rows = told(sealing.measure(smallest(parts=("packets", "simulated"))))
    assert len(rows) == 2 * len(sealing.SIZES) + 2
    for what in ("a killed node is found", "an increment is known"):
        assert rows[f"{what} by all: times"].measured == pytest.approx(1, abs=0.01)


def test_cost_at_rest_is_two_packets_a_second_and_a_failure_costs_no_more_than_derived() -> None:
    rows = told(cost.measure(smallest()))
    assert rows["N = 5: sent at rest, per node"].measured == pytest.approx(2, abs=0.1)
    assert rows["  one failure adds, per node"].kept


@pytest.mark.parametrize("registers", [0, 500])
def test_cost_at_rest_does_not_depend_on_what_is_held(registers: int) -> None:
    assert cost.cost(cost.Ask(1, OURS, 3, registers)).packets == pytest.approx(2, abs=0.1)


def test_the_bound_of_a_failure_grows_with_confirmations_and_the_logarithm_of_the_size() -> None:
    ours = [cost.extra_packets_max(OURS, nodes) for nodes in (1000, 100, 20)]
    assert ours == sorted(ours, reverse=True)
    assert cost.extra_packets_max(CLASSIC, 1000) == pytest.approx(4 * 16, abs=0.5)


def test_convergence_brings_everything_to_all() -> None:
    rows = told(convergence.measure(smallest()))
    assert rows["  never on all nodes"].measured == 0
    assert rows["  messages per increment"].measured is not None


def test_convergence_pools_increments_before_it_takes_percentiles() -> None:
    setting = convergence.SETTINGS[0]._replace(seconds=1.0)
    loads = [convergence.load(convergence.Load(seed, OURS, setting)) for seed in (1, 2)]
    both = convergence.pooled(loads)
    assert both.made == both.whole.count == sum(one.made for one in loads)
    assert both.packets == sum(one.packets for one in loads)
    assert both.whole.max == max(one.whole.max or 0.0 for one in loads)


@pytest.mark.parametrize(
    ("part", "what"),
    [
        ("loss", "0 % loss, 0.1 node-hours: healthy failed"),
        ("stall", "1 of 5 stall for 0.01 h: healthy failed"),
        ("trade", "classic: a kill is known to all, median"),
    ],
)
def test_quiet_runs_each_part_alone(part: str, what: str) -> None:
    options = smallest(losses=(0.0,), classic_hours=0.0, parts=(part,))
    assert what in told(quiet.measure(options))


def test_quiet_may_run_the_classic_rule_for_another_time() -> None:
    first, _ = quiet.lossy((0.0,), 0.05, 0.02, 1)
    assert first.note == "classic: 0.02 node-hours"


@pytest.mark.parametrize("option", ["--losses=1", "--losses=x", "--parts=loss,gain"])
def test_quiet_refuses_what_is_none_of_its_options(option: str) -> None:
    with pytest.raises(SystemExit) as end:
        quiet.main([option])
    assert end.value.code == 2


def test_scale_knows_of_the_kill() -> None:
    rows = told(scale.measure(smallest()))
    assert rows["  the kill is known to all others"].kept


def test_soak_ends_with_exact_counts_after_each_kind_of_event() -> None:
    restless = soak.Restless(1)
    for _ in range(8):
        restless.event()
    restless.renew()
    restless.check()
    assert restless.names_used > soak.NODES


def test_a_missed_bound_shows_in_the_exit_code_the_table_and_the_json(
    capsys: pytest.CaptureFixture[str],
) -> None:
    kept, missed = Row("kept", 1.0, 2.0), Row("missed", None, 2.0)
    assert program.report([kept], as_json=False) == 0
    assert "0 bounds missed" in capsys.readouterr().out
    assert program.report([kept, missed], as_json=False) == 1
    assert "1 bounds missed" in capsys.readouterr().out
    assert program.report([kept, missed], as_json=True) == 1
    assert [row["kept"] for row in json.loads(capsys.readouterr().out)] == [True, False]
