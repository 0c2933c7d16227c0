"""Who follows a node is told of every event since the last look."""

from __future__ import annotations

from tests.unit.core.talk import Talk


def test_each_event_is_taken_once_from_the_beginning_on() -> None:
    talk = Talk(peers=0)
    following = talk.node.following
    talk.increment("before")
    following.begin()
    seen = following.event_count
    talk.increment("a", 2)
    talk.increment("b", 3)
    taken = [(event.advance.counter, event.advance.by) for event in following.take_events()]
    assert taken == [("a", 2), ("b", 3)]
    assert following.event_count == seen + len(taken)
    assert following.take_events() == []
