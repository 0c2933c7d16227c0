"""Rounds of probes: whom each member probes, and how all of them count together."""

from __future__ import annotations

from itertools import pairwise

import pytest

from gossipd.core.swim.rounds import Rounds, is_spread
from gossipd.core.wire.messages import ROUND_MAX

SIZES = [2, 3, 4, 5, 8, 20, 21, 100, 145]


def _names(count: int) -> list[str]:
    return [f"n{number:03}" for number in range(count)]


def _targets(names: list[str], number: int) -> list[str]:
    """Whom each of the members probes in that round."""
    rounds = _in_round(number)
    return [rounds.target(own, [name for name in names if name != own]) for own in names]


def _in_round(number: int) -> Rounds:
    """Heard in steps, for only half of the circle of numbers is ahead."""
    rounds = Rounds()
    while rounds.number != number:
        rounds.hear(min(number, rounds.number + 2**30))
        rounds.next()
    return rounds


@pytest.mark.parametrize("count", SIZES)
@pytest.mark.parametrize("number", [2, 3, 1000, ROUND_MAX // 2, ROUND_MAX])
def test_in_a_round_every_member_is_probed_once_and_by_somebody_else(
    count: int, number: int
) -> None:
    names = _names(count)
    targets = _targets(names, number)
    assert sorted(targets) == names
    assert all(target != own for target, own in zip(targets, names, strict=True))


@pytest.mark.parametrize("count", SIZES)
def test_in_a_cycle_of_rounds_each_member_probes_each_other_one_once(count: int) -> None:
    names = _names(count)
    rounds = _in_round(7)
    targets = []
    for _ in range(count - 1):
        targets.append(rounds.target("n001", ["n000", *names[2:]]))
        rounds.next()
    assert sorted(targets) == ["n000", *names[2:]]


@pytest.mark.parametrize("count", [20, 21, 100, 145])
def test_neighbours_by_name_are_not_probed_one_after_the_other(count: int) -> None:
    others = _names(count)[1:]
    rounds = _in_round(7)
    places = []
    for _ in range(count):
        places.append(others.index(rounds.target("n000", others)))
        rounds.next()
    for one, next_one in pairwise(places):
        assert 1 < (next_one - one) % len(others) < len(others) - 1


def test_a_member_that_is_alone_with_another_always_probes_that_one() -> None:
    rounds = Rounds()
    for _ in range(5):
        rounds.next()
        assert rounds.target("b", ["a"]) == "a"


# --- counting together ---------------------------------------------------------------------------


def test_a_round_is_over_with_the_own_interval() -> None:
    rounds = Rounds()
    assert rounds.number == 0
    rounds.next()
    rounds.next()
    assert rounds.number == 2


def test_the_largest_number_heard_is_followed() -> None:
    rounds = Rounds()
    for heard in (7, 9, 8):
        rounds.hear(heard)
    assert rounds.number == 0, "until the own interval is over"
    rounds.next()
    assert rounds.number == 9


def test_who_is_ahead_waits_for_nobody_and_goes_on_step_by_step() -> None:
    rounds = _in_round(50)
    rounds.hear(3)
    rounds.next()
    assert rounds.number == 51
    rounds.hear(52)
    rounds.next()
    assert rounds.number == 52


def test_members_that_hear_each_other_are_in_one_round_though_their_intervals_differ() -> None:
    slow, fast = _in_round(2), _in_round(100)
    for step in range(1, 200):
        fast.next()
        slow.hear(fast.number)
        if step % 3 == 0:  # its clock is a third as fast
            slow.next()
            assert slow.number == fast.number
        fast.hear(slow.number)
    assert fast.number == 299


def test_after_the_last_number_comes_zero() -> None:
    rounds = _in_round(ROUND_MAX)
    rounds.next()
    assert rounds.number == 0
    rounds.hear(ROUND_MAX)
    rounds.next()
    assert rounds.number == 1


def test_a_number_behind_the_last_one_is_larger() -> None:
    rounds = _in_round(ROUND_MAX - 3)
    rounds.hear(5)
    rounds.hear(ROUND_MAX)
    rounds.next()
    assert rounds.number == 5


@pytest.mark.parametrize("jump", [2, 10**6, 2**31 - 1])
def test_a_jump_far_ahead_takes_everybody_along_and_counting_goes_on(jump: int) -> None:
    names = _names(20)
    members = [_in_round(10) for _ in names]
    for rounds in members:
        rounds.hear((rounds.number + jump) & ROUND_MAX)
    seen = dict.fromkeys(names, 0)
    for _ in range(19):
        for own, rounds in zip(names, members, strict=True):
            rounds.next()
            seen[rounds.target(own, [name for name in names if name != own])] += 1
    assert {rounds.number for rounds in members} == {(10 + jump + 18) & ROUND_MAX}
    assert set(seen.values()) == {19}


def test_a_number_from_the_other_half_of_the_circle_is_behind() -> None:
    rounds = _in_round(10)
    rounds.hear(10 + 2**31)
    rounds.next()
    assert rounds.number == 11


# --- spread --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("count", "chosen"), [(1, 0), (5, 0), (5, 5), (19, 5), (19, 1), (100, 7)])
def test_exactly_so_many_positions_are_chosen(count: int, chosen: int) -> None:
    assert sum(is_spread(place, count, chosen) for place in range(count)) == chosen


@pytest.mark.parametrize(("count", "chosen"), [(1, 5), (4, 5)])
def test_of_too_few_positions_all_are_chosen(count: int, chosen: int) -> None:
    assert all(is_spread(place, count, chosen) for place in range(count))


def test_chosen_positions_are_as_far_apart_as_they_can_be() -> None:
    places = [place for place in range(19) if is_spread(place, 19, 5)]
    gaps = {after - before for before, after in pairwise(places)}
    assert gaps <= {3, 4}
