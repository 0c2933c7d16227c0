"""A running node gets other tags: a new incarnation tells them, and nothing older undoes them."""

from __future__ import annotations

from gossipd.core import Accepted, Cause, KeysFull, MemberChanged, Reason, Settings, Status
from gossipd.core.swim.plausible import INCARNATION_BELIEVED_MAX
from gossipd.core.wire.messages import Gossip, Ping
from tests.unit.core.talk import Said, Talk

OLD, NEW = (("zone", "b"),), (("zone", "a"),)
"""The new ones are the smaller ones, so that only the incarnation can make them win."""


def told(said: Said, name: str) -> list[tuple[Status, object, Cause]]:
    return [
        (change.view.status, change.view.tags, change.reason.cause)
        for change in said.of(MemberChanged)
        if change.view.name == name
    ]


def test_other_tags_are_a_new_incarnation_and_news() -> None:
    talk = Talk(peers=2)
    talk.settle()
    talk.retag(*OLD)
    assert (talk.own.incarnation, talk.own.tags) == (1, OLD)
    talk.wait(1)
    said = talk.retag(*NEW).timed + talk.wait(1).timed
    assert (talk.own.generation, talk.own.incarnation, talk.own.tags) == (1000, 2, NEW)
    views = Said(said).views("me", talk.peer("p0"))
    assert {(view.incarnation, view.tags) for view in views} == {(2, NEW)}


def test_the_same_tags_are_no_news_and_who_has_left_gets_none() -> None:
    talk = Talk(peers=1)
    talk.retag(*NEW)
    assert not talk.retag(*NEW).effects
    assert talk.own.incarnation == 1
    talk.leave()
    talk.wait(0.1)
    assert talk.own.status is Status.LEFT
    talk.retag(*OLD)
    assert (talk.own.status, talk.own.tags) == (Status.LEFT, NEW)


def test_behind_the_last_incarnation_comes_the_next_generation() -> None:
    talk = Talk(peers=1, incarnation=INCARNATION_BELIEVED_MAX)
    talk.retag(*NEW)
    assert (talk.own.generation, talk.own.incarnation, talk.own.tags) == (1001, 0, NEW)


def test_a_suspicion_ends_with_the_incarnation_that_it_was_about_and_health_stays() -> None:
    talk = Talk(peers=2)
    talk.retag(*NEW)
    suspect = talk.me.seen(Status.SUSPECT, 0, ["p1"])
    assert not talk.hear(talk.peer("p0"), Gossip(), [suspect]).views("me"), "it is out of date"
    assert (talk.own.incarnation, talk.node.health_score) == (1, 0)


def test_a_member_with_other_tags_is_told_once_and_keeps_the_reason_of_its_state() -> None:
    talk = Talk(peers=2)
    p0 = talk.peer("p0")
    assert talk.node.reason("p0") == Reason(Cause.JOINED)
    p0.incarnation = 1
    said = talk.hear(p0, Gossip(), [p0.view._replace(tags=OLD)])
    assert told(said, "p0") == [(Status.ALIVE, OLD, Cause.TAGGED)]
    assert talk.node.reason("p0") == Reason(Cause.JOINED)
    again = talk.hear(talk.peer("p1"), Gossip(), [p0.view._replace(tags=OLD)])
    assert not told(again, "p0")
    p0.incarnation = 2
    assert told(talk.hear(p0, Gossip(), [p0.view]), "p0") == []
    assert talk.held("p0").tags == ()


def test_a_word_without_tags_is_no_change_of_tags() -> None:
    """A datagram tells the incarnation, and its view with the tags comes later."""
    talk = Talk(peers=1)
    p0 = talk.peer("p0")
    p0.incarnation = 1
    talk.hear(p0, Gossip(), [p0.view._replace(tags=OLD)])
    p0.incarnation = 2
    assert not talk.hear(p0, Ping(1, "me", talk.shown)).of(MemberChanged)


def test_limits_grow_and_never_shrink() -> None:
    limits = Settings(streams_max=10, registers_max=20, key_limit=30, doubles_max=40)
    talk = Talk(settings=limits)
    node, log = talk.node, talk.node.log
    node.grow(Settings(streams_max=11, registers_max=1, key_limit=1, doubles_max=1))
    assert (log.streams_max, log.registers_max, log.doubles_max) == (11, 20, 40)
    assert (node.key_limit, log.keys_max) == (30, limits.keys_max)
    node.grow(Settings(streams_max=1, registers_max=21, key_limit=31, doubles_max=41))
    assert (log.streams_max, log.registers_max, log.doubles_max) == (11, 21, 41)
    assert (node.key_limit, log.keys_max) == (31, Settings(key_limit=31).keys_max)


def test_a_larger_limit_of_keys_takes_more_of_them() -> None:
    talk = Talk(settings=Settings(key_limit=1))
    assert talk.increment(key=b"\1" * 16).effects
    batch = talk.prepare(("hits", 1, b"\2" * 16))
    assert isinstance(batch.results[0], KeysFull)
    talk.expose(batch)
    talk.node.grow(Settings(key_limit=2))
    assert isinstance(talk.prepare(("hits", 1, b"\2" * 16)).results[0], Accepted)
