"""Whoever advertises what does not answer, and speaks from somewhere else, is told of."""

from __future__ import annotations

from gossipd.core import SpeaksElsewhere, Status
from gossipd.core.swim.moved import (
    APART,
    NAMES_MAX,
    PAUSE,
    SPEAKS_FOR,
    TOLD_EVERY,
    Elsewhere,
)
from gossipd.core.wire.messages import Gossip
from tests.unit.core.talk import Peer, Talk

A, B = ("10.0.0.1", 1), ("10.0.0.2", 2)
NEWCOMER = Peer("new", ("10.0.9.9", 7946))
BEHIND_NAT = ("198.51.100.7", 4242)


def test_who_has_spoken_from_elsewhere_for_a_while_is_told_of_and_then_rarely() -> None:
    elsewhere = Elsewhere()
    assert not elsewhere.spoke("n", A, 10.0)
    assert not elsewhere.spoke("n", A, 10.0 + SPEAKS_FOR / 2)
    assert elsewhere.spoke("n", A, 10.0 + SPEAKS_FOR)
    assert not elsewhere.spoke("n", A, 10.0 + TOLD_EVERY)
    assert elsewhere.spoke("n", A, 10.0 + SPEAKS_FOR + TOLD_EVERY)


def test_one_that_advertises_something_else_now_gets_its_time_anew() -> None:
    elsewhere = Elsewhere()
    assert not elsewhere.spoke("n", A, 10.0)
    assert not elsewhere.spoke("n", B, 20.0)
    assert elsewhere.spoke("n", B, 21.0)


def test_after_a_pause_the_time_begins_anew() -> None:
    elsewhere = Elsewhere()
    assert not elsewhere.spoke("n", A, 10.0)
    assert elsewhere.spoke("n", A, 10.0 + SPEAKS_FOR)
    later = 10.0 + SPEAKS_FOR + TOLD_EVERY + PAUSE
    assert not elsewhere.spoke("n", A, later)
    assert elsewhere.spoke("n", A, later + SPEAKS_FOR)


def test_one_that_has_answered_where_it_advertises_to_be_is_no_more_noted() -> None:
    elsewhere = Elsewhere()
    assert not elsewhere.spoke("n", A, 10.0)
    elsewhere.proven("n")
    elsewhere.proven("nobody")
    assert not elsewhere.spoke("n", A, 20.0)


def test_names_that_somebody_makes_up_fill_neither_the_log_nor_the_memory() -> None:
    elsewhere = Elsewhere()
    for name in ("first", "second"):
        assert not elsewhere.spoke(name, A, 10.0 - SPEAKS_FOR)
    assert elsewhere.spoke("first", A, 10.0)
    assert not elsewhere.spoke("second", A, 10.0 + APART / 2)
    assert elsewhere.spoke("second", A, 10.0 + APART)
    for number in range(NAMES_MAX):
        elsewhere.spoke(f"n{number}", A, 20.0)
    assert not elsewhere.spoke("first", A, 30.0)
    assert elsewhere.spoke("first", A, 30.0 + SPEAKS_FOR), (
        "it was noted longest ago, so nothing is known of it"
    )


def test_a_node_tells_of_a_newcomer_that_never_echoes_a_cookie() -> None:
    talk = Talk(peers=1)
    assert not talk.ask_in(NEWCOMER, source=BEHIND_NAT).of(SpeaksElsewhere)
    talk.wait(SPEAKS_FOR)
    said = talk.ask_in(NEWCOMER, source=BEHIND_NAT)
    told = SpeaksElsewhere("new", NEWCOMER.address, BEHIND_NAT)
    assert said.of(SpeaksElsewhere) == [told]


def test_a_node_tells_of_a_member_that_is_silent_and_speaks_from_elsewhere() -> None:
    talk = Talk(peers=2)
    silent = talk.peer("p0")
    assert not talk.hear(silent, Gossip(), source=BEHIND_NAT).of(SpeaksElsewhere)
    talk.fail("p0")
    assert not talk.hear(silent, Gossip()).of(SpeaksElsewhere)
    assert not talk.hear(silent, Gossip(), source=BEHIND_NAT).of(SpeaksElsewhere), "it may move"
    talk.wait(SPEAKS_FOR)
    told = SpeaksElsewhere("p0", silent.address, BEHIND_NAT)
    assert talk.hear(silent, Gossip(), source=BEHIND_NAT).of(SpeaksElsewhere) == [told]
    assert talk.status("p0") is Status.FAILED
