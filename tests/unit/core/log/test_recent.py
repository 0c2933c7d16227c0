from __future__ import annotations

from gossipd.core.log.recent import RecentEvent, RecentEvents
from gossipd.core.log.registers import Advance

A = [Advance(b"a" * 10, "x", seq, 1, seq) for seq in range(1, 6)]


def test_the_tail_keeps_the_newest_events() -> None:
    recent = RecentEvents(3)
    recent.append(A[:2], 1.0)
    recent.append(A[2:], 2.0)
    assert recent.newest(9) == [RecentEvent(A[n], 2.0) for n in (4, 3, 2)]
    assert recent.newest(1) == [RecentEvent(A[4], 2.0)]
    assert recent.newest(0) == []


def test_the_tail_knows_which_events_it_has() -> None:
    recent = RecentEvents(2)
    recent.append(A[:3], 1.0)
    assert recent.has(b"a" * 10, 3)
    assert not recent.has(b"a" * 10, 1)
    assert not recent.has(b"b" * 10, 3)


def test_who_follows_gets_all_events_however_few_are_remembered() -> None:
    recent = RecentEvents(2)
    recent.append(A[:1], 1.0)
    recent.follow()
    recent.append(A[1:4], 2.0)
    recent.append(A[4:], 3.0)
    followed = recent.take_followed()
    assert followed == [RecentEvent(A[n], 2.0 if n < 4 else 3.0) for n in (1, 2, 3, 4)]
    assert recent.count == 5
    assert recent.take_followed() == []
    recent.stop_following()
    recent.append(A[:1], 4.0)
    assert recent.take_followed() == []
    assert recent.count == 6
