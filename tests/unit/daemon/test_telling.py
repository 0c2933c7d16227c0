"""What happened, in the log: words that an operator searches for, and fields beside them."""

from __future__ import annotations

import logging
import time

import pytest

from gossipd.core import (
    BecameReady,
    Cause,
    MemberChanged,
    MemberView,
    Reason,
    Refuted,
    SpeaksElsewhere,
    Stalled,
    Status,
)
from gossipd.daemon.repeats import BURST, EVERY
from gossipd.daemon.telling import Telling, tell
from gossipd.daemon.troubles import Troubles

HERE, THERE = ("10.0.0.2", 7946), ("10.0.0.3", 7946)
VIEW = MemberView("b", HERE, 1, 0, Status.FAILED)


@pytest.fixture(autouse=True)
def told(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO)
    return caplog


def last(told: pytest.LogCaptureFixture) -> tuple[str, str, dict[str, object]]:
    record = told.records[-1]
    return record.levelname, record.getMessage(), record.__dict__.get("fields", {})


def change(status: Status, before: Status | None, reason: Reason) -> MemberChanged:
    return MemberChanged(VIEW._replace(status=status), before, reason)


@pytest.mark.parametrize(
    ("effect", "level", "words", "fields"),
    [
        (change(Status.ALIVE, None, Reason(Cause.JOINED)), "INFO",
         "member b at 10.0.0.2:7946 is alive",
         {"state": "alive", "was": None, "why": "it has joined through this node"}),
        (change(Status.FAILED, Status.SUSPECT, Reason(Cause.UNREFUTED, by=("c", "d"))), "WARNING",
         "member b at 10.0.0.2:7946 is failed (was suspect)",
         {"state": "failed", "was": "suspect",
          "why": "accused by c, d, and nothing has come that refutes it"}),
        (change(Status.ALIVE, Status.ALIVE, Reason(Cause.SAID)), "INFO",
         "member b at 10.0.0.2:7946 is alive again",
         {"state": "alive", "was": "alive", "why": "it says so itself"}),
        (MemberChanged(VIEW._replace(status=Status.ALIVE, tags=(("a", "b"), ("c", ""))),
                       Status.ALIVE, Reason(Cause.TAGGED)), "INFO",
         "member b at 10.0.0.2:7946 has other tags",
         {"state": "alive", "was": "alive", "tags": ("a=b", "c="),
          "why": "its tags have changed, and its state has not"}),
    ],
)  # fmt: skip
def test_a_changed_member(
    told: pytest.LogCaptureFixture,
    effect: MemberChanged,
    level: str,
    words: str,
    fields: dict[str, object],
) -> None:
    tell(effect)
    always = {"member": "b", "address": "10.0.0.2:7946", "tags": None}
    assert last(told) == (level, words, always | fields)


def test_what_else_happens(told: pytest.LogCaptureFixture) -> None:
    tell(Refuted(Status.FAILED, 3))
    assert last(told)[1:] == (
        "refuted being failed with incarnation 3",
        {"claimed": "failed", "incarnation": 3},
    )
    tell(SpeaksElsewhere("b", HERE, THERE))
    assert last(told)[2] == {
        "member": "b",
        "address": "10.0.0.2:7946",
        "seen": "10.0.0.3:7946",
    }
    tell(BecameReady(alone=False))
    assert last(told)[:2] == ("INFO", "ready")
    tell(BecameReady(alone=True))
    assert last(told)[0] == "WARNING"


def work() -> None:
    until = time.thread_time() + 0.05
    while time.thread_time() < until:
        pass


def test_a_stall_tells_whose_fault_it_was(told: pytest.LogCaptureFixture) -> None:
    telling = Telling(Troubles())
    work()
    telling.in_time()
    telling.tell_again(Stalled(0.06))
    assert last(told)[2] == {"seconds": 0.06, "why": "its host did not let it run"}
    work()
    telling.tell_again(Stalled(0.06))
    assert last(told)[2] == {"seconds": 0.06, "why": "it was busy itself"}


def test_what_comes_again_and_again_is_counted(
    told: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    telling = Telling(Troubles())
    left = change(Status.LEFT, None, Reason(Cause.SAID))
    for effect in (Stalled(1.0), Refuted(Status.FAILED, 1), left):
        told.clear()
        for _ in range(2 * BURST):
            telling.tell_again(effect)
        assert len(told.records) == BURST
    told.clear()
    for _ in range(2 * BURST):
        telling.tell_again(change(Status.ALIVE, Status.ALIVE, Reason(Cause.TAGGED)))
    assert len(told.records) == BURST, "they have lines of their own"
    later = time.monotonic() + 60
    monkeypatch.setattr(time, "monotonic", lambda: later)
    told.clear()
    telling.tell_again(left)
    assert told.records[0].getMessage() == f"{BURST} more changes of member b, not logged"


def test_the_last_change_of_a_member_is_told_however_many_came_before(
    told: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    telling, now = Telling(Troubles()), time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now)
    left, failed = (
        change(status, None, Reason(Cause.SAID)) for status in (Status.LEFT, Status.FAILED)
    )
    for _ in range(BURST + 3):
        telling.tell_again(left)
    telling.tell_again(failed)
    told.clear()
    telling.catch_up(now + EVERY / 2)
    assert not told.records
    for _ in range(3):
        telling.catch_up(now + 2 * EVERY)
    first, second = (record.getMessage() for record in told.records)
    assert first == "3 more changes of member b, not logged"
    assert second == "member b at 10.0.0.2:7946 is failed"
