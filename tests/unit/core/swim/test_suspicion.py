from __future__ import annotations

import pytest

from gossipd.core.settings import Settings
from gossipd.core.swim.suspicion import Suspicions
from gossipd.core.wire.messages import MemberView, Status

SETTINGS = Settings(suspicion_mult=2.0)
LOW, HIGH = 2.0, 12.0


def _suspect(accusers: int = 1, incarnation: int = 0) -> MemberView:
    names = tuple(f"n{n}" for n in range(accusers))
    return MemberView("x", ("10.0.0.1", 1), 1, incarnation, Status.SUSPECT, accusers=names)


def _raised(live_count: int = 10, accusers: int = 1) -> tuple[Suspicions, float]:
    suspicions = Suspicions(SETTINGS)
    deadline, new = suspicions.raise_(_suspect(accusers), live_count, 0.0)
    assert new
    return suspicions, deadline


def _stalled(suspicions: Suspicions, stalled_at: float, now: float) -> float:
    ((name, deadline),) = suspicions.stall(stalled_at, now)
    assert name == "x"
    return deadline


def test_a_suspicion_is_long_until_others_confirm_it() -> None:
    suspicions, deadline = _raised()
    assert deadline == pytest.approx(HIGH)
    deadlines = [suspicions.raise_(_suspect(n), 10, 1.0) for n in (2, 3, 4, 5)]
    assert [new for _, new in deadlines] == [False] * 4
    assert [at for at, _ in deadlines] == pytest.approx([7.0, 4.0752, LOW, LOW], abs=1e-3)


@pytest.mark.parametrize(("growth", "scale"), [(0.0, 1.0), (0.5, 2**0.5), (1.0, 2.0)])
def test_a_suspicion_grows_with_the_logarithm_of_the_cluster(growth: float, scale: float) -> None:
    settings = Settings(suspicion_mult=2.0, suspicion_growth=growth)
    for live_count, expected in ((100, scale * HIGH), (10, HIGH), (5, HIGH)):
        deadline, _ = Suspicions(settings).raise_(_suspect(), live_count, 0.0)
        assert deadline == pytest.approx(expected)


def test_a_suspicion_is_by_default_short_and_grows_with_the_root_of_the_logarithm() -> None:
    deadline, _ = Suspicions(Settings()).raise_(_suspect(4), 100, 0.0)
    assert deadline == pytest.approx(0.7 * 2**0.5)


def test_where_nobody_can_confirm_a_suspicion_is_short_at_once() -> None:
    assert _raised(2)[1] == pytest.approx(LOW)
    assert _raised(3)[1] == pytest.approx(HIGH)


def test_a_view_without_accusers_is_not_confirmed() -> None:
    assert _raised(accusers=0)[1] == pytest.approx(HIGH)


def test_another_incarnation_is_another_suspicion() -> None:
    suspicions, _ = _raised()
    deadline, new = suspicions.raise_(_suspect(incarnation=1), 10, 5.0)
    assert new
    assert deadline == pytest.approx(5.0 + HIGH)


def test_a_suspicion_that_was_lifted_starts_anew() -> None:
    suspicions, _ = _raised()
    suspicions.lift("x")
    suspicions.lift("nobody")
    assert suspicions.stall(0.0, 9.0) == []
    deadline, new = suspicions.raise_(_suspect(), 10, 5.0)
    assert new
    assert deadline == pytest.approx(5.0 + HIGH)


def test_a_stall_moves_a_deadline_by_its_length() -> None:
    suspicions, _ = _raised(2)
    assert _stalled(suspicions, 1.0, 1.5) == pytest.approx(LOW + 0.5)


def test_stalls_move_a_deadline_by_no_more_than_its_own_length_in_all() -> None:
    suspicions, _ = _raised(2)
    at = 0.0
    deadline = 0.0
    for _ in range(20):
        at += 0.4
        deadline = _stalled(suspicions, at - 0.3, at)
    assert deadline == pytest.approx(2 * LOW)


def test_after_a_stall_longer_than_the_suspicion_what_was_left_is_left() -> None:
    suspicions, _ = _raised(2)
    assert _stalled(suspicions, 1.5, 100.0) == pytest.approx(100.5)
    assert _stalled(suspicions, 100.2, 101.0) == pytest.approx(100.5)


def test_a_stall_gives_no_more_than_what_is_left_of_the_budget() -> None:
    suspicions, _ = _raised(2)
    assert _stalled(suspicions, 0.5, 2.3) == pytest.approx(LOW + 1.8)
    assert _stalled(suspicions, 2.4, 50.0) == pytest.approx(50.2)


def test_a_stall_that_ended_as_the_suspicion_began_does_not_move_it() -> None:
    suspicions = Suspicions(SETTINGS)
    deadline, _ = suspicions.raise_(_suspect(), 2, 10.0)
    assert _stalled(suspicions, 1.0, 10.0) == deadline


def test_a_confirmation_after_a_stall_still_shortens_the_suspicion() -> None:
    suspicions, _ = _raised(10)
    suspicions.stall(1.0, 6.0)
    deadline, _ = suspicions.raise_(_suspect(4), 10, 6.0)
    assert deadline == pytest.approx(LOW + 5.0)
    assert _stalled(suspicions, 6.5, 6.9) == deadline
