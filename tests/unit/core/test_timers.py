from __future__ import annotations

from random import Random

import pytest

from gossipd.core.timers import Timer, Timers


def _drained(timers: Timers, now: float) -> list[tuple[Timer, str]]:
    fired = []
    while key := timers.pop(now):
        fired.append(key)
    return fired


def test_timers_fire_in_the_order_of_their_deadlines() -> None:
    timers = Timers()
    timers.set(Timer.PULL, 2.0)
    timers.set(Timer.PROBE, 1.0)
    timers.set(Timer.LEAVE, 3.0)
    assert timers.next == 1.0
    assert timers.pop(0.9) is None
    assert _drained(timers, 2.0) == [(Timer.PROBE, ""), (Timer.PULL, "")]
    assert timers.next == 3.0


def test_equal_deadlines_fire_in_the_order_in_which_they_were_set() -> None:
    timers = Timers()
    for name in "cab":
        timers.set(Timer.SUSPICION, 1.0, name)
    timers.set(Timer.SUSPICION, 1.0, "c")
    assert [name for _, name in _drained(timers, 1.0)] == ["a", "b", "c"]


def test_a_timer_that_may_come_sooner_fires_with_another_one_and_wakes_nobody_itself() -> None:
    timers = Timers()
    timers.set_between(Timer.SAVE, 1.0, 2.0)
    timers.set(Timer.PROBE, 0.9)
    timers.set(Timer.PULL, 1.5)
    assert _drained(timers, 0.9) == [(Timer.PROBE, "")]
    assert timers.next == 1.5
    assert _drained(timers, 1.5) == [(Timer.PULL, ""), (Timer.SAVE, "")]
    timers.set_between(Timer.SAVE, 3.0, 4.0)
    assert timers.next == 4.0
    timers.set(Timer.SAVE, 5.0)
    assert _drained(timers, 4.0) == []
    timers.set_between(Timer.SAVE, 6.0, 7.0)
    timers.cancel(Timer.SAVE)
    assert _drained(timers, 9.0) == []


def test_setting_a_timer_again_replaces_its_deadline() -> None:
    timers = Timers()
    timers.set(Timer.PROBE, 1.0)
    timers.set(Timer.PROBE, 5.0)
    assert timers.next == 5.0
    timers.set(Timer.PROBE, 2.0)
    assert _drained(timers, 9.0) == [(Timer.PROBE, "")]
    assert timers.next is None


def test_a_timer_is_set_sooner_but_never_later_on_request() -> None:
    timers = Timers()
    timers.set_if_sooner(Timer.GOSSIP, 2.0)
    timers.set_if_sooner(Timer.GOSSIP, 3.0)
    assert timers.next == 2.0
    timers.set_if_sooner(Timer.GOSSIP, 1.0)
    assert timers.next == 1.0


def test_a_cancelled_timer_does_not_fire() -> None:
    timers = Timers()
    timers.set(Timer.PROBE, 1.0)
    assert timers.count == 1
    timers.cancel(Timer.PROBE)
    timers.cancel(Timer.PULL)
    assert timers.count == 0
    assert timers.next is None
    assert timers.pop(9.0) is None


def test_some_timers_are_postponed_and_keep_their_order() -> None:
    timers = Timers()
    timers.set(Timer.SUSPICION, 1.0, "a")
    timers.set(Timer.PROBE, 1.0)
    timers.set(Timer.SUSPICION, 1.0, "b")
    timers.set(Timer.SUSPICION, 1.0, "a")
    timers.postpone(frozenset({Timer.SUSPICION}), 0.5)
    assert _drained(timers, 1.0) == [(Timer.PROBE, "")]
    assert _drained(timers, 1.5) == [(Timer.SUSPICION, "b"), (Timer.SUSPICION, "a")]


def test_a_timer_that_is_set_for_ever_costs_no_memory_for_ever() -> None:
    timers = Timers()
    timers.set(Timer.PROBE, 1e9)
    for step in range(1000):
        timers.set(Timer.GOSSIP, 1000.0 - step)
    assert timers.next == 1.0
    assert _drained(timers, 1e9) == [(Timer.GOSSIP, ""), (Timer.PROBE, "")]


class Deadline(float):
    """Counts how often it is compared."""

    compared = 0

    def __eq__(self, other: object) -> bool:
        Deadline.compared += 1
        return float(self) == other

    def __lt__(self, other: float) -> bool:
        Deadline.compared += 1
        return super().__lt__(other)

    __hash__ = float.__hash__


@pytest.mark.untraced
def test_no_setting_costs_as_much_as_there_are_deadlines() -> None:
    """What was replaced is swept a few at a time, and nothing is lost or doubled by that."""
    timers, count, worst = Timers(), 2_000, 0
    expected: dict[str, float] = {}
    for number in range(12 * count):
        name = str(number * 7 % count)
        at = float(number * 31 % 1_000)
        before = Deadline.compared
        timers.set(Timer.INTRODUCE, Deadline(at), name)
        worst = max(worst, Deadline.compared - before)
        expected[name] = at
    assert worst < 500
    for at in range(1_000):
        due = {name for name, held in expected.items() if held == at}
        fired = [name for _, name in _drained(timers, at)]
        assert sorted(fired) == sorted(due)
    assert timers.next is None


@pytest.mark.untraced
@pytest.mark.parametrize("hidden", [False, True])
@pytest.mark.parametrize("order", ["rising", "falling", "shuffled"])
def test_those_that_are_cancelled_in_a_row_are_not_left_to_one_turn(
    order: str, hidden: bool
) -> None:
    """Also where another deadline comes before all of them."""
    timers, names = Timers(), [str(number) for number in range(1, 4_001)]
    for name in names:
        timers.set(Timer.COPIES, Deadline(name), name)
    if hidden:
        timers.set(Timer.PROBE, Deadline(0.0))
    if order == "falling":
        names.reverse()
    elif order == "shuffled":
        Random(1).shuffle(names)
    worst, left = 0, {float(name) for name in names} | ({0.0} if hidden else set())
    for first in range(0, len(names), 10):
        before = Deadline.compared
        for name in names[first : first + 10]:
            timers.cancel(Timer.COPIES, name)
            left.discard(float(name))
        assert timers.next == min(left, default=None)
        worst = max(worst, Deadline.compared - before)
    assert worst < 12_000, "each leaves something to do, not all to one"
