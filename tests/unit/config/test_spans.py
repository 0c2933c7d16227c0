"""Lengths of time in words."""

from __future__ import annotations

import pytest

from gossipd.config.spans import span


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.4, "0 s"),
        (119, "119 s"),
        (120, "2 min"),
        (899.6, "15 min"),
        (7170, "120 min"),
        (7200, "2 h"),
        (9000, "2 h 30 min"),
        (36 * 3600, "36 h"),
        (60 * 3600, "2 days 12 h"),
        (3 * 86_400 - 1, "3 days"),
    ],
)
def test_a_length_of_time_is_told_in_the_units_that_fit(seconds: float, said: str) -> None:
    assert span(seconds) == said
