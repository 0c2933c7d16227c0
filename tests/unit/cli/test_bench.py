"""`gossipd bench`: what it refuses, and what it says of the counts of nodes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
from click.testing import CliRunner

from gossipd.cli import bench_counts, gossipd
from gossipd.cli.bench_counts import Counts
from gossipd.config.endpoint import Endpoint
from tests.unit.cli.fake_daemon import FakeDaemon, fake_daemon


@pytest.fixture
def daemons() -> Iterator[list[FakeDaemon]]:
    with fake_daemon() as one, fake_daemon() as two:
        yield [one, two]


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_counts, "WITHIN", 0.3)
    monkeypatch.setattr(bench_counts, "PAUSE", 0.01)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("--clients 0", "0 is not in the range"),
        ("--requests 10 --duration 1s", "exclude each other"),
        ("--duration 0s", "must be above 0"),
        ("--duration soon", "expected a duration like 20s"),
        ("--pipeline 1001", "1001 is not in the range"),
        ("--by 0", "must be a whole number other than 0"),
        ("--dialect gopher", "'gopher' is not one of 'http', 'text', 'resp'"),
        ("--api localhost:1:2", "localhost:1:2"),
    ],
)
def test_what_is_impossible_is_refused(arguments: str, said: str) -> None:
    result = CliRunner().invoke(gossipd, ["bench", *arguments.split()])
    assert result.exit_code == 2
    assert said in result.stderr


def test_it_says_so_where_no_daemon_answers() -> None:
    result = CliRunner().invoke(gossipd, ["bench", "--api", "127.0.0.1:1"])
    assert result.exit_code == 3
    assert "no daemon answers at 127.0.0.1:1" in result.stderr


def counts_of(daemons: Sequence[FakeDaemon], counter: str, *names: str) -> Counts:
    addresses = [Endpoint.parse(daemon.address) for daemon in daemons]
    return Counts(addresses, 5.0, counter, names or (counter,))


def answer(daemons: Sequence[FakeDaemon], *counts: int) -> None:
    for daemon, count in zip(daemons, counts, strict=True):
        daemon.answers({"counter": "a", "count": count})


def test_nodes_that_count_what_was_answered_are_exact(daemons: list[FakeDaemon]) -> None:
    counts = counts_of(daemons, "a")
    answer(daemons, 5, 5)
    assert counts.begin() == 0
    answer(daemons, 35, 35)
    assert counts.end([(10, 10)], 3) == (True, "yes, on 2 nodes")
    answer(daemons, -25, -25)
    assert counts.end([(10, 10)], -3) == (True, "yes, on 2 nodes")


def test_what_is_lacking_and_what_is_too_much_is_told_of_each_node(
    daemons: list[FakeDaemon],
) -> None:
    counts = counts_of(daemons, "a")
    answer(daemons, 5, 5)
    counts.begin()
    answer(daemons, 14, 17)
    exact, text = counts.end([(10, 10)], 1)
    assert exact is False
    one, two = (daemon.address for daemon in daemons)
    assert text == (
        f"{one} lacks 1 of what was answered; "
        f"{two} has 2 more than was sent, its own or somebody else's"
    )
    answer(daemons, -6, -3)
    exact, text = counts.end([(10, 10)], -1)
    assert exact is False
    assert text.startswith(f"{one} has 1 more than was sent")


def test_where_answers_were_lost_it_says_how_many_of_them_were_counted(
    daemons: list[FakeDaemon],
) -> None:
    counts = counts_of(daemons, "a")
    answer(daemons, 5, 5)
    counts.begin()
    answer(daemons, 31, 31)
    exact, text = counts.end([(10, 15)], 2)
    assert exact is None
    assert text == "as far as was answered, on 2 nodes; of 5 in doubt 3 were counted"
    answer(daemons, 31, 33)
    assert counts.end([(10, 15)], 2) == (False, "the nodes count differently")


def test_nothing_is_judged_where_nodes_differ_before(daemons: list[FakeDaemon]) -> None:
    counts = counts_of(daemons, "a")
    answer(daemons, 5, 6)
    counts.begin()
    exact, text = counts.end([(10, 10)], 1)
    assert exact is None
    assert text.startswith("unknown: ")


def test_a_node_that_answers_no_more_leaves_it_open(daemons: list[FakeDaemon]) -> None:
    counts = counts_of(daemons, "a")
    answer(daemons, 5, 5)
    counts.begin()
    daemons[1].refuses(503, detail="leaving")
    assert counts.end([(10, 10)], 1) == (None, "unknown: leaving")


def test_of_many_counters_each_is_looked_at(daemons: list[FakeDaemon]) -> None:
    counts = counts_of(daemons[:1], "a", "a:0", "a:1", "a:2")
    daemons[0].pages = {"a:1": 4, "b": 7}
    assert counts.begin() == 2
    daemons[0].pages = {"a:0": 2, "a:1": 6, "a:2": 2, "b": 9}
    added = [(2, 2), (2, 2), (2, 2)]
    assert counts.end(added, 1) == (True, "yes, on 1 node")
    daemons[0].pages["a:2"], daemons[0].pages["a:0"] = 1, 3
    exact, text = counts.end(added, 1)
    assert exact is False
    assert "lacks 1 of what was answered and has 1 more than was sent" in text
