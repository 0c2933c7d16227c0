"""Percentiles by nearest rank, whatever the order."""

from __future__ import annotations

import pytest

from gossipd.simulator.distribution import Distribution


def distribution(*seconds: float) -> Distribution:
    made = Distribution()
    for duration in seconds:
        made.add(duration)
    return made


@pytest.mark.parametrize(
    ("share", "expected"), [(0, 1), (0.2, 1), (0.21, 2), (0.5, 3), (0.6, 3), (0.99, 5), (1, 5)]
)
def test_a_percentile_is_the_duration_at_the_nearest_rank(share: float, expected: float) -> None:
    assert distribution(5, 3, 1, 4, 2).percentile(share) == expected


def test_of_a_hundred_durations_the_p99_is_the_ninety_ninth() -> None:
    made = distribution(*range(1, 101))
    assert (made.count, made.median, made.p99, made.max) == (100, 50, 99, 100)


def test_what_two_distributions_hold_can_be_taken_together() -> None:
    both, other = distribution(1, 3), distribution(1, 2, 7)
    both.include(other)
    assert (both.count, both.median, both.percentile(0.4), both.max) == (5, 2, 1, 7)
    assert other.count == 3


def test_equal_durations_count_each() -> None:
    assert distribution(1, 1, 1, 7).percentile(0.75) == 1
    assert distribution(1, 7, 7, 7).median == 7


def test_nothing_has_no_percentile() -> None:
    made = Distribution()
    assert (made.count, made.median, made.p99, made.max) == (0, None, None, None)


def test_durations_are_kept_to_a_tenth_of_a_millisecond() -> None:
    assert distribution(0.012_34).max == 0.0123
