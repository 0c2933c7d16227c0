"""Joins that are not answered: told when that begins, then ever more seldom, with the reason."""

from __future__ import annotations

import logging

import pytest

from gossipd.daemon.retrying import AGAIN_MAX, WARN_AFTER, Retrying


@pytest.fixture(autouse=True)
def told(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO)
    return caplog


def ask(retrying: Retrying, until: float, since: float = 0.0, alone: bool = True) -> None:
    """Ask two seeds once a second, from the first second on."""
    for second in range(int(since) + 1, int(until)):
        retrying.silent(["a:1", "b:1"], since, alone, float(second))


def at(told: pytest.LogCaptureFixture) -> list[tuple[str, float]]:
    return [(record.levelname, record.__dict__["fields"]["seconds"]) for record in told.records]


def test_a_day_of_silence_is_a_few_lines(told: pytest.LogCaptureFixture) -> None:
    ask(Retrying(lambda: None), 86400.0)
    first, *later = at(told)
    assert first == ("INFO", 1.0)
    assert {level for level, _ in later} == {"WARNING"}
    seconds = [after for _, after in later]
    assert seconds[:3] == [1 + WARN_AFTER, 2 * (1 + WARN_AFTER), 4 * (1 + WARN_AFTER)]
    assert seconds[-1] - seconds[-2] == AGAIN_MAX
    assert len(seconds) < 40


def test_a_line_says_who_and_why(told: pytest.LogCaptureFixture) -> None:
    retrying = Retrying(lambda: "this host has no route to any other")
    retrying.silent([f"{letter}:1" for letter in "abcde"], 2.0, True, 4.5)
    (record,) = told.records
    assert record.getMessage() == (
        "no answer from a:1, b:1, c:1 and 2 more, asked to take this node in; "
        "it is tried again and again"
    )
    assert record.__dict__["fields"] == {
        "silent": 5,
        "tries": 1,
        "seconds": 2.5,
        "alone": True,
        "why": "this host has no route to any other",
    }


def test_who_has_members_only_remarks_it(told: pytest.LogCaptureFixture) -> None:
    ask(Retrying(lambda: None), 1000.0, alone=False)
    assert {level for level, _ in at(told)} == {"INFO"}


def test_after_an_answer_it_begins_anew(told: pytest.LogCaptureFixture) -> None:
    retrying = Retrying(lambda: None)
    ask(retrying, 10.0)
    retrying.answered()
    ask(retrying, 120.0, since=100.0)
    assert at(told) == [("INFO", 1.0), ("INFO", 1.0)]
