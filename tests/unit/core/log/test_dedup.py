"""Whether an increment with a key is new, a retry, or too old to tell."""

from __future__ import annotations

import pytest

from gossipd.core import (
    CatchingUp,
    Duplicate,
    KeyedEvent,
    KeyExpired,
    KeyReused,
    KeysFull,
)
from gossipd.core.identity import STREAM_BYTES
from gossipd.core.log.dedup import AHEAD_MAX, AWAITED_MAX, COMES_WITHIN, Dedup, Judgement
from gossipd.core.log.log import Log
from gossipd.core.settings import Settings
from gossipd.core.wire.records import KeyRecord

A, B = bytes(9) + b"\x01", bytes(9) + b"\x02"
WALL = 1_700_000_000.0
SETTINGS = Settings(key_window=600.0, key_limit=2)
RANDOM = bytes.fromhex("0190a1b2c3d4450080a1b2c3d4e5f607")
"""A key of version 4, which does not tell its time."""


def timed(seconds: float, number: int = 0) -> bytes:
    """A UUIDv7 that was made so many seconds after `WALL`."""
    return (
        int(1000 * (WALL + seconds)).to_bytes(6, "big") + b"\x70" + bytes((0, 128, *[number] * 7))
    )


class Bench:
    def __init__(self) -> None:
        self.log = Log()
        self.ready = True
        self.dedup = Dedup(self.log, SETTINGS, lambda: self.ready)

    def hold(self, key: bytes, stream: bytes, seq: int, by: int = 1, present: bool = True) -> None:
        if present:
            self.log.merge(stream, [("hits", seq, by)])
        self.log.merge_keys(stream, [KeyRecord(key, seq, "hits", by, 0)], 0.0)

    def says(
        self, key: bytes, by: int = 1, stored: tuple[KeyedEvent, ...] = (), pending: int = 0
    ) -> Judgement | None:
        return self.dedup.judge(key, "hits", by, WALL, stored, pending)


def event(stream: bytes, seq: int, by: int = 1) -> KeyedEvent:
    return KeyedEvent(stream, seq, "hits", by)


@pytest.mark.parametrize("key", [RANDOM, timed(0), timed(-599), timed(59)])
def test_a_key_of_which_nothing_is_known_is_new(key: bytes) -> None:
    assert Bench().says(key) is None


@pytest.mark.parametrize("key", [RANDOM, timed(0), timed(-10_000), timed(10_000)])
def test_a_retry_is_answered_with_its_event_however_old_the_key(key: bytes) -> None:
    bench = Bench()
    bench.dedup.horizon = 2**48
    bench.hold(key, A, 3)
    assert bench.says(key) == Duplicate(event(A, 3))


def test_a_key_that_was_used_for_something_else_is_refused() -> None:
    bench = Bench()
    bench.hold(RANDOM, A, 3)
    assert bench.says(RANDOM, by=2) == KeyReused(event(A, 3))
    assert bench.dedup.judge(RANDOM, "other", 1, WALL, (), 0) == KeyReused(event(A, 3))


def test_a_retry_is_answered_with_the_smallest_event_that_is_present() -> None:
    bench = Bench()
    bench.hold(RANDOM, A, 9, present=False)
    bench.hold(RANDOM, B, 2)
    assert bench.says(RANDOM) == Duplicate(event(B, 2))
    bench.log.merge(A, [("hits", 9, 1)])
    assert bench.says(RANDOM) == Duplicate(event(A, 9))


@pytest.mark.parametrize("stored", [False, True])
def test_a_retry_of_an_event_that_is_not_present_is_no_duplicate(stored: bool) -> None:
    """Its register may be on its way. Where everything up to it is held, there is no such event:
    the record is made up."""
    bench = Bench()
    found = (event(A, 9),) if stored else ()
    if not stored:
        bench.hold(RANDOM, A, 9, present=False)
    for by in (1, 2):
        assert bench.says(RANDOM, by=by, stored=found) == CatchingUp()
    bench.log.merge(A, [("other", 9, 1)])
    bench.log.claim(A, 9)
    assert bench.says(RANDOM, stored=found) is None
    bench.log.merge(A, [("hits", 9, 1)])
    assert bench.says(RANDOM, stored=found) == Duplicate(event(A, 9))


def test_an_event_that_does_not_come_within_a_minute_keeps_its_key_no_longer() -> None:
    """The node that made it may be gone for good."""
    bench = Bench()
    bench.hold(RANDOM, A, 9, present=False)
    bench.dedup.see_clocks(100.0, WALL)
    assert bench.says(RANDOM) == CatchingUp()
    bench.dedup.see_clocks(100.0 + COMES_WITHIN - 1, WALL)
    assert bench.says(RANDOM) == CatchingUp()
    bench.log.claim(A, 3)  # more of that stream has come
    assert bench.says(RANDOM) == CatchingUp()
    bench.dedup.see_clocks(100.0 + 2 * COMES_WITHIN - 2, WALL)
    assert bench.says(RANDOM) == CatchingUp()
    bench.dedup.see_clocks(100.0 + 2 * COMES_WITHIN, WALL)
    assert bench.says(RANDOM) is None


def test_all_events_of_a_key_have_the_same_minute() -> None:
    bench = Bench()
    found = (event(A, 9), event(B, 9))
    bench.dedup.see_clocks(100.0, WALL)
    assert bench.says(RANDOM, stored=found) == CatchingUp()
    bench.dedup.see_clocks(100.0 + COMES_WITHIN, WALL)
    assert bench.says(RANDOM, stored=found) is None


def test_of_too_many_streams_that_are_awaited_the_first_is_forgotten() -> None:
    bench = Bench()
    for number in range(AWAITED_MAX + 1):
        found = (event(number.to_bytes(STREAM_BYTES, "big"), 9),)
        bench.dedup.see_clocks(100.0, WALL)
        assert bench.says(RANDOM, stored=found) == CatchingUp()
    bench.dedup.see_clocks(100.0 + COMES_WITHIN, WALL)
    assert bench.says(RANDOM, stored=(event(bytes(STREAM_BYTES), 9),)) == CatchingUp()
    assert bench.says(RANDOM, stored=found) is None


def test_a_retry_that_equals_any_of_the_events_of_a_key_is_a_duplicate_of_that() -> None:
    bench = Bench()
    bench.hold(RANDOM, A, 3, by=1)
    bench.hold(RANDOM, B, 1, by=2)
    assert bench.says(RANDOM, by=2) == Duplicate(event(B, 1, by=2))
    assert bench.says(RANDOM, by=3) == KeyReused(event(A, 3))


def test_what_the_disk_holds_of_a_key_counts_as_held() -> None:
    bench = Bench()
    bench.hold(RANDOM, B, 1)
    assert bench.says(RANDOM, stored=(event(A, 3),)) == Duplicate(event(B, 1))
    bench.log.merge(A, [("hits", 3, 1)])
    assert bench.says(RANDOM, stored=(event(A, 3),)) == Duplicate(event(A, 3))
    assert bench.says(timed(0), 2, (event(A, 3),)) == KeyReused(event(A, 3))


@pytest.mark.parametrize("seconds", [-600.5, -1e6, AHEAD_MAX + 0.5, 1e6])
def test_a_key_too_old_or_too_far_ahead_without_a_record_is_expired(seconds: float) -> None:
    judgement = Bench().says(timed(seconds))
    assert isinstance(judgement, KeyExpired)
    assert judgement.seconds == pytest.approx(-seconds, abs=0.01)


def test_a_key_not_above_the_horizon_is_expired() -> None:
    bench = Bench()
    bench.dedup.dropped(timed(-550))
    assert isinstance(bench.says(timed(-550)), KeyExpired)
    assert isinstance(bench.says(timed(-551)), KeyExpired)
    assert bench.says(timed(-549.9)) is None
    assert bench.says(RANDOM) is None, "it does not tell its time"


def test_the_horizon_never_moves_back() -> None:
    dedup = Bench().dedup
    for seconds in (-50, -70):
        dedup.dropped(timed(seconds))
    dedup.dropped(RANDOM)
    assert dedup.horizon == int(1000 * (WALL - 50))


def test_more_keys_than_the_limit_are_refused_and_retries_are_not() -> None:
    bench = Bench()
    bench.hold(RANDOM, A, 1)
    assert bench.says(timed(0)) is None
    assert bench.says(timed(0), pending=1) == KeysFull()
    bench.hold(timed(0), A, 2)
    assert bench.says(timed(1)) == KeysFull()
    assert bench.says(RANDOM) == Duplicate(event(A, 1))
    assert isinstance(bench.says(timed(-601)), KeyExpired), "a try later on would not help"


def test_a_node_that_is_not_ready_judges_no_key() -> None:
    bench = Bench()
    bench.hold(RANDOM, A, 1)
    bench.ready = False
    assert bench.says(RANDOM) == bench.says(timed(0)) == CatchingUp()


def test_keys_that_only_the_disk_may_know_are_doubtful() -> None:
    dedup = Bench().dedup
    dedup.dropped(timed(-50))
    assert dedup.is_doubtful(RANDOM, WALL)
    assert dedup.is_doubtful(timed(-50), WALL)
    assert dedup.is_doubtful(timed(-601), WALL)
    assert not dedup.is_doubtful(timed(-49), WALL)
    dedup.horizon = 0
    assert not dedup.is_doubtful(timed(-599), WALL)


# --- clocks that are wrong ----------------------------------------------------------------------

MINUTE, DAY, YEAR = 60.0, 86_400.0, 365 * 86_400.0


@pytest.mark.parametrize("ahead", [120.0, 599.0, 601.0, 659.0, 661.0, 3600.0, 30 * DAY, 10 * YEAR])
def test_a_horizon_from_a_clock_that_is_ahead_refuses_no_fresh_key(ahead: float) -> None:
    """A host that is ahead, and goes on counting, must not end all others; nor what an earlier
    version has stored of it."""
    bench = Bench()
    for seconds in range(0, 1200, 60):
        wall = WALL + seconds
        bench.dedup.see_clocks(5000.0 + seconds, wall)
        bench.dedup.dropped(timed(seconds - 600 + ahead))
        for age in (0, 300, 599 - AHEAD_MAX):
            assert bench.dedup.judge(timed(seconds - age), "hits", 1, wall, (), 0) is None
    assert bench.dedup.is_doubtful(timed(seconds), wall) is (ahead >= 600)


def test_a_horizon_is_believed_as_far_as_a_key_may_be_ahead() -> None:
    bench = Bench()
    bench.dedup.dropped(timed(30 * DAY))
    assert isinstance(bench.says(timed(-600 + AHEAD_MAX)), KeyExpired)
    assert bench.says(timed(-599 + AHEAD_MAX)) is None


def test_a_window_below_two_minutes_leaves_half_of_itself() -> None:
    dedup = Dedup(Log(), Settings(key_window=10.0), lambda: True)
    dedup.dropped(timed(50))
    assert isinstance(dedup.judge(timed(-5), "hits", 1, WALL, (), 0), KeyExpired)
    assert dedup.judge(timed(-4.9), "hits", 1, WALL, (), 0) is None


def test_only_the_record_speaks_for_a_key_that_is_far_ahead() -> None:
    dedup = Bench().dedup
    assert not dedup.may_seem_new(timed(1000), 7.0), "no clock was seen yet"
    dedup.see_clocks(1007.0, WALL + 1000)
    assert not dedup.may_seem_new(RANDOM, 7.0)
    assert not dedup.may_seem_new(timed(-540), 7.0)
    assert dedup.may_seem_new(timed(-539), 7.0)
    assert not dedup.may_seem_new(timed(-539), 8.0)
    assert dedup.may_seem_new(timed(10 * YEAR), 8.0)


@pytest.mark.parametrize("back", [100.0, 3600.0, 10 * YEAR])
def test_what_went_before_the_clock_was_set_back_is_not_judged_for_a_while(back: float) -> None:
    """Its record may have gone: by that clock the key was old."""
    bench = Bench()
    for seconds in (0.0, 1.0):
        bench.dedup.see_clocks(1000.0 + seconds, WALL + back + seconds)
    bench.dedup.dropped(timed(back - 540))
    bench.dedup.see_clocks(1001.0, WALL)
    assert bench.says(timed(min(back - 540, 50))) == CatchingUp()
    if back == 100:
        assert bench.says(timed(back - 539)) is None, "newer than all that went"
    bench.dedup.see_clocks(1001.0 + 659, WALL + 659)
    assert bench.dedup.judge(timed(min(659, 659 + back)), "hits", 1, WALL + 659, (), 0) == (
        None if back == 100 else CatchingUp()
    )
    bench.dedup.see_clocks(1001.0 + 661, WALL + 661)
    assert bench.dedup.judge(timed(661), "hits", 1, WALL + 661, (), 0) is None


def test_with_a_disk_a_clock_that_was_set_back_is_no_matter_as_the_disk_is_asked() -> None:
    bench = Bench()
    bench.log.keeps_marks = True
    bench.dedup.see_clocks(1000.0, WALL + 3600)
    bench.dedup.dropped(timed(3000))
    bench.dedup.see_clocks(1000.0, WALL)
    assert bench.dedup.is_doubtful(timed(0), WALL)
    assert bench.says(timed(0)) is None
    bench.log.merge(A, [("hits", 3, 1)])
    assert bench.says(timed(0), stored=(event(A, 3),)) == Duplicate(event(A, 3))


def test_a_clock_that_is_set_forward_judges_at_once() -> None:
    bench = Bench()
    bench.dedup.see_clocks(1000.0, WALL - YEAR)
    bench.dedup.dropped(timed(-600))
    bench.dedup.see_clocks(1000.0, WALL)
    assert bench.says(timed(0)) is None
