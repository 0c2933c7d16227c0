"""Lines that repeat: a burst, then a pace; how many were left out."""

from __future__ import annotations

from gossipd.daemon.repeats import (
    BURST,
    BURST_OF_ALL,
    EVERY,
    EVERY_OF_ALL,
    THINGS_MAX,
    Repeats,
)


def test_a_burst_is_told_and_then_one_line_now_and_then() -> None:
    repeats = Repeats()
    told = [repeats.tell("a", 100.0 + number / 8) for number in range(8 * 60 + 1)]
    lines = [hidden for hidden in told if hidden is not None]
    assert lines[:BURST] == [0] * BURST
    assert BURST + 60 / EVERY - 1 <= len(lines) <= BURST + 60 / EVERY
    assert sum(lines) + len(lines) + told[::-1].index(lines[-1]) == len(told)


def test_things_have_budgets_of_their_own_which_fill_up_again() -> None:
    repeats = Repeats()
    for _ in range(BURST):
        assert repeats.tell("a", 0.0) == 0
    assert repeats.tell("a", 0.0) is None
    assert repeats.tell("b", 0.0) == 0
    after = BURST * EVERY
    assert repeats.tell("a", after) == 1
    assert [repeats.tell("a", after) for _ in range(BURST)] == [0] * (BURST - 1) + [None]


def test_all_things_together_have_a_budget_too() -> None:
    """As thousands of names have that a liar makes up."""
    repeats = Repeats()
    seconds = 10
    told = [repeats.tell(str(number), 100.0 + number / 2_000) for number in range(seconds * 2_000)]
    lines = [hidden for hidden in told if hidden is not None]
    assert abs(len(lines) - BURST_OF_ALL - seconds / EVERY_OF_ALL) <= 1
    assert told[:BURST_OF_ALL] == [0] * BURST_OF_ALL
    assert repeats.tell("19990", 200.0) == 1, "what was not told of it is counted"


def test_only_the_latest_things_are_told_apart() -> None:
    repeats = Repeats()
    for _ in range(BURST + 1):
        repeats.tell("first", 0.0)
    for number in range(THINGS_MAX):
        repeats.tell(str(number), number / 5)
    assert repeats.tell("first", THINGS_MAX / 5) == 0
