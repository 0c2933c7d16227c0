"""Lengths of time as people write them."""

from __future__ import annotations

import pytest

from gossipd.cli.durations import duration, duration_or_seconds


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("20s", 20), ("500ms", 0.5), ("2m", 120), ("1.5h", 5400), ("10us", 1e-5), ("0s", 0)],
)
def test_a_duration_has_a_unit(text: str, seconds: float) -> None:
    assert duration(text) == pytest.approx(seconds)
    assert duration_or_seconds(text) == pytest.approx(seconds)


def test_a_number_alone_may_mean_seconds() -> None:
    assert duration_or_seconds("2.5") == 2.5
    with pytest.raises(ValueError, match=r"not '2\.5'"):
        duration("2.5")


@pytest.mark.parametrize("text", ["", "s", "-1s", "1 s", "nan", "inf", "1d", "1e3", "٣", "1s2"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected a duration like 20s, 500ms or 2m"):
        duration_or_seconds(text)
