"""The formulas against values computed by hand or in another way."""

from __future__ import annotations

import math
from random import Random

import pytest

from gossipd.simulator.theory import (
    dissemination_rounds,
    false_suspicion_probability,
    first_detection_periods,
    missed_by_push,
)


def test_the_first_detection_takes_one_and_a_half_periods() -> None:
    assert first_detection_periods() == pytest.approx(1.5819767)
    assert first_detection_periods() == pytest.approx(math.e / (math.e - 1))


def test_the_first_detection_is_that_of_a_drawn_probe() -> None:
    rng = Random(1)
    periods = []
    for _ in range(4000):
        period = 1
        while not any(rng.randrange(50) == 0 for _ in range(50)):
            period += 1
        periods.append(period)
    assert sum(periods) / len(periods) == pytest.approx(first_detection_periods(), rel=0.05)


def test_faulty_members_detect_nothing() -> None:
    assert first_detection_periods(0.5) == pytest.approx(2.5414941)


@pytest.mark.parametrize(
    ("loss", "relays", "expected"),
    [
        (0.0, 3, 0.0),
        (0.1, 0, 0.19),
        (0.1, 3, 0.19 * 0.3439**3),
        (0.5, 1, 0.75 * 0.9375),
        (1.0, 3, 1.0),
    ],
)
def test_a_false_suspicion_needs_the_direct_way_and_all_relays_to_fail(
    loss: float, relays: int, expected: float
) -> None:
    assert false_suspicion_probability(loss, relays) == pytest.approx(expected)


def test_those_who_know_multiply_by_fan_out_and_one() -> None:
    assert dissemination_rounds(64, 3) == pytest.approx(3)
    assert dissemination_rounds(1000, 9) == pytest.approx(3)


@pytest.mark.parametrize(
    ("sends", "loss", "expected"),
    [(2, 0, 0.2031879), (3, 0, 0.0595202), (4, 0.5, 0.2031879), (1, 0, 1.0), (0.5, 0, 1.0)],
)
def test_push_alone_misses_what_an_epidemic_misses(
    sends: float, loss: float, expected: float
) -> None:
    assert missed_by_push(sends, loss) == pytest.approx(expected, abs=1e-6)
