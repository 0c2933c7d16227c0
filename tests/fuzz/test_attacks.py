"""No attack ends a node or keeps it away, and the cluster agrees once the liar is silent."""

from __future__ import annotations

import pytest

from gossipd.core import Status
from tests.effort import effort, few

from .attacks import __main__ as table
from .attacks import counts, oneself, own_stream, repairs, verdicts


@pytest.mark.parametrize("name", list(oneself.ATTACKS))
def test_no_lie_about_a_node_ends_it(name: str) -> None:
    for seed in range(effort(1, 3)):
        outcome = oneself.run(name, seed)
        assert not outcome.ended
        assert not outcome.away
        assert outcome.agrees


@pytest.mark.parametrize("status", list(Status)[1:])
@pytest.mark.parametrize("count", few([3, 8], 1))
def test_no_verdict_keeps_a_member_away_that_answers(status: Status, count: int) -> None:
    found = verdicts.run(status, count=count)
    assert found.away == 0
    assert not found.ended
    assert not found.away_at_end
    assert found.agrees


@pytest.mark.parametrize("name", list(counts.ATTACKS))
def test_no_lie_makes_a_node_say_what_is_not_so(name: str) -> None:
    for seed in range(effort(1, 3)):
        assert counts.run(name, seed) is None


@pytest.mark.parametrize("name", list(own_stream.ATTACKS))
def test_no_lie_about_what_a_node_has_counted_takes_anything_of_it(name: str) -> None:
    assert own_stream.run(name) is None


@pytest.mark.parametrize("name", few(reversed(repairs.ATTACKS), 2))
def test_who_is_never_satisfied_keeps_nobody_from_repairing_with_others(name: str) -> None:
    outcome = repairs.run(name)
    assert outcome.is_harmless, outcome


def test_under_loss_a_verdict_that_is_believed_is_refuted_at_once() -> None:
    found = verdicts.run(Status.LEFT, loss=0.2)
    assert found.away < 0.1
    assert not found.away_at_end
    assert found.agrees


def test_the_table_tells_of_each_attack_and_of_harm(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [row.name for row in table.rows(7)]
    assert len(set(names)) == len(names) > 20
    assert set(table.ENDING) <= set(oneself.ATTACKS)
    harmful = table.Row("1", "harmful", "bad", lambda: ("worse", False))
    first = next(table.rows(7))
    monkeypatch.setattr(table, "rows", lambda _: iter((first, harmful)))
    assert table.main([]) == 1
    told = capsys.readouterr().out.splitlines()
    assert told[2].endswith("| all live and agree |")
    assert told[3] == "| 1 | harmful | bad | **harm:** worse |"
    assert told[4] == "1 of 2 attacks do harm"
