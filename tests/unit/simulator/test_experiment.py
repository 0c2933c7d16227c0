"""Experiments: what is asked for happens when it is said to, and what is told adds up."""

from __future__ import annotations

from typing import Any

import pytest

from gossipd.core import Settings
from gossipd.simulator.experiment import Experiment
from gossipd.simulator.report import Report
from gossipd.simulator.wishes import WishError, Wishes


def run(**wishes: Any) -> Report:
    experiment = Experiment(Wishes(**wishes))
    for _ in experiment.steps():
        pass
    return experiment.report()


@pytest.fixture(scope="module")
def report() -> Report:
    """Six nodes for a minute with everything that can be asked for."""
    return run(seed=1, nodes=6, loss=0.1, kill=2, partition=10, rate=5, minutes=1)


def test_kills_are_spread_over_the_time_before_the_partition(report: Report) -> None:
    assert [found.killed_at for found in report.detections] == pytest.approx([7.5, 22.5])
    assert len({found.name for found in report.detections}) == 2


def test_without_a_partition_kills_are_spread_over_the_whole_time() -> None:
    found = run(seed=1, nodes=5, kill=4, rate=0, minutes=0.5).detections
    assert [kill.killed_at for kill in found] == pytest.approx([3.75, 11.25, 18.75, 26.25])


def test_the_partition_begins_after_sixty_percent_of_the_rest(report: Report) -> None:
    assert report.partition is not None
    assert (report.partition.began_at, report.partition.healed_at) == (30, 40)
    assert report.partition.rejoined_after is not None
    assert report.false_verdicts["cut"].verdicts > 0


def test_every_kill_is_detected_in_order_and_summed_up(report: Report) -> None:
    known = []
    for found in report.detections:
        assert found.suspected_after is not None
        assert found.failed_after is not None
        assert found.known_after is not None
        assert 0 < found.suspected_after < found.failed_after <= found.known_after < 10
        known.append(found.known_after)
    assert (report.known_to_all.count, report.never_found) == (2, 0)
    assert report.known_to_all.median == pytest.approx(min(known), abs=1e-4)
    assert report.known_to_all.max == pytest.approx(max(known), abs=1e-4)


def test_kills_that_are_never_found_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gossipd.simulator.experiment.SETTLE_MAX", 0.0)
    report = run(seed=1, nodes=4, kill=2, rate=0, minutes=0.05)
    assert [found.known_after for found in report.detections] == [None, None]
    assert (report.known_to_all.count, report.never_found) == (0, 2)


def test_increments_come_at_the_rate_that_is_asked_for(report: Report) -> None:
    spread = report.convergence
    assert spread.increments == 5 * 60
    assert spread.whole.count + spread.apart.count == 300
    assert report.partition is not None
    assert report.partition.rejoined_after is not None
    until_rejoined = int(5 * (10 + report.partition.rejoined_after))
    on_their_way = spread.apart.count - until_rejoined
    assert 0 <= on_their_way <= 2, "those made before all had rejoined, and no others"
    assert spread.unfinished == 0
    assert sum(stretch.convergence.count for stretch in report.over_time) == 300


def test_increments_that_met_the_partition_wait_for_its_end(report: Report) -> None:
    spread = report.convergence
    assert spread.apart.max is not None
    assert spread.whole.median is not None
    assert 9 < spread.apart.max < 20
    assert spread.whole.median < 0.1


def test_the_end_is_exact(report: Report) -> None:
    assert report.final.exact
    assert report.final.acknowledged == 300
    assert report.final.settled_after is not None


def test_what_only_killed_nodes_knew_is_told_as_lost() -> None:
    ends = [
        run(seed=seed, nodes=4, loss=0.8, kill=3, rate=400, minutes=0.03).final
        for seed in range(3)
    ]
    assert sum(end.lost_with_the_killed for end in ends) > 0
    assert [end.counts for end in ends] == [[720 - end.lost_with_the_killed] for end in ends]
    assert all(end.exact for end in ends)


def test_the_stretches_add_up_to_the_traffic(report: Report) -> None:
    assert [stretch.begins_at for stretch in report.over_time] == pytest.approx(range(60))
    nodes = [6 if stretch.begins_at < 7 else 5 if stretch.begins_at < 22 else 4
             for stretch in report.over_time]  # fmt: skip
    packets = [
        stretch.packets_per_node_second * count
        for stretch, count in zip(report.over_time, nodes, strict=True)
    ]
    del packets[7], packets[21]  # within these seconds a node is killed
    assert sum(packets) == pytest.approx(report.traffic.packets, rel=0.05)
    made = report.traffic.messages_per_increment
    assert made == report.traffic.packets / 300


def test_without_increments_there_is_nothing_to_divide_by() -> None:
    report = run(seed=1, nodes=2, kill=0, rate=0, minutes=0.1)
    assert report.traffic.messages_per_increment is None
    assert report.convergence.whole.count == 0
    assert (report.final.counts, report.final.exact) == ([0], True)
    assert report.theory.measured_first_suspicion is None
    assert report.theory.measured_rounds is None


def test_rounds_that_take_no_time_are_not_counted() -> None:
    report = run(
        seed=1, nodes=3, kill=0, minutes=0.1, latency=0.0, settings=Settings(flush_after=0.0)
    )
    assert report.convergence.whole.median == 0
    assert report.theory.measured_rounds is None


def test_theory_stands_beside_what_was_measured(report: Report) -> None:
    theory = report.theory
    assert theory.first_suspicion == pytest.approx(1.58, abs=0.01)
    assert theory.false_suspicions_per_probe == pytest.approx(0.19 * 0.3439**3)
    healthy, seconds = report.false_verdicts["healthy"], 6 * 7.5 + 5 * 15 + 4 * 37.5
    assert theory.measured_false_suspicions_per_probe == pytest.approx(
        healthy.suspicions / seconds
    )
    assert theory.rounds == pytest.approx(1.29, abs=0.01)
    assert report.convergence.whole.median is not None
    assert theory.measured_rounds == pytest.approx(report.convergence.whole.median / 0.0105)


def test_the_parts_done_rise_from_nothing_to_everything() -> None:
    done = list(Experiment(Wishes(seed=1, nodes=3, minutes=0.2)).steps())
    assert (done[0], done[-1]) == (0, 1)
    assert done == sorted(done)
    assert len(done) > 10


def test_settings_are_those_that_are_asked_for() -> None:
    slow = Settings(probe_interval=4.0, tail_size=1)
    report = run(seed=1, nodes=4, kill=0, rate=0, minutes=0.5, settings=slow)
    assert report.settings["probe_interval"] == 4
    assert report.settings["tail_size"] == 1
    assert report.theory.first_suspicion == pytest.approx(6.33, abs=0.01)
    usual = run(seed=1, nodes=4, kill=0, rate=0, minutes=0.5)
    assert 3 * report.traffic.packets < usual.traffic.packets


def test_a_slow_network_spreads_slowly() -> None:
    spread = run(seed=1, nodes=2, kill=0, minutes=0.2, latency=0.1).convergence
    assert spread.pairs.median is not None
    assert 0.08 <= spread.pairs.median <= 0.13


def test_a_report_is_plain_and_rounded() -> None:
    plain = run(seed=5, nodes=2, kill=1, minutes=0.1).plain()
    assert plain["seed"] == 5
    assert plain["partition"] is None
    final, theory = plain["final"], plain["theory"]
    assert isinstance(final, dict)
    assert final["exact"] is True
    assert isinstance(theory, dict)
    assert theory["first_suspicion"] == 1.581977


@pytest.mark.parametrize(
    ("wish", "name"),
    [
        ({"seed": -1}, "seed"), ({"seed": 2**53}, "seed"),
        ({"nodes": 1}, "nodes"), ({"nodes": 2001}, "nodes"),
        ({"loss": -0.1}, "loss"), ({"loss": 1.0}, "loss"),
        ({"latency": -1.0}, "latency"), ({"latency": 11.0}, "latency"),
        ({"kill": -1}, "kill"), ({"kill": 20}, "kill"), ({"kill": 3, "nodes": 3}, "kill"),
        ({"partition": -1.0}, "partition"), ({"partition": 60.0}, "partition"),
        ({"rate": -1.0}, "rate"), ({"rate": 10_001.0}, "rate"),
        ({"minutes": 0.0}, "minutes"), ({"minutes": 20_000.0}, "minutes"),
    ],
)  # fmt: skip
def test_an_impossible_wish_is_named(wish: dict[str, float], name: str) -> None:
    with pytest.raises(WishError) as raised:
        run(**{"seed": 1, **wish})
    assert raised.value.name == name
    assert raised.value.problem.startswith("must be ")
