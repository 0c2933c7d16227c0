"""How a node and those that it is told of prove to each other where they are."""

from __future__ import annotations

import pytest

from gossipd.core import (
    Drop,
    MemberChanged,
    Settings,
    Snapshot,
    Status,
)
from gossipd.core.wire.messages import (
    Ack,
    Cookie,
    DigestAsk,
    Gossip,
    Hello,
    Join,
    MembersAsk,
    PassAsk,
    Ping,
    PingReq,
    Shown,
    Welcome,
)
from gossipd.core.wire.records import BEGINNING, PassItem
from tests.inside import shared_members, snapshot_of
from tests.unit.core.talk import Peer, Talk, stream

NEW = Peer("new", ("10.0.9.9", 7946))
GHOST = Peer("ghost", ("203.0.113.7", 7946))
QUESTIONS = (
    DigestAsk(1, 0, 0, 1200),
    PassAsk(1, (PassItem(stream(1), 0, BEGINNING),), 32, 1200),
    MembersAsk(1, "", 32, 1200),
)


def names(talk: Talk) -> list[str]:
    return [view.name for view in talk.node.members]


def asked(talk: Talk, peer: Peer = NEW, seconds: float = 0.2) -> list[Hello]:
    return talk.wait(seconds).sent(Hello, peer)


def test_who_is_told_of_enters_once_it_has_echoed_a_nonce() -> None:
    talk = Talk(peers=1)
    talk.settle()
    assert not talk.hear_views(NEW.view).of(MemberChanged)
    (hello,) = asked(talk)
    assert (hello.echo, names(talk)) == (0, ["me", "p0"])
    said = talk.hear(NEW, Hello(0, hello.nonce))
    assert [change.view for change in said.of(MemberChanged)] == [NEW.view]
    assert not said.sent(Hello)
    assert talk.wait(0.1).views("new", talk.peer("p0")), "now it is news"
    assert talk.node.live_count == 3


def test_those_that_are_to_prove_where_they_are_are_counted() -> None:
    talk = Talk(peers=1)
    talk.settle()
    deadlines = talk.node.timer_count
    talk.hear_views(NEW.view)
    assert talk.node.newcomer_count == 1
    assert talk.node.timer_count > deadlines
    (hello,) = asked(talk)
    talk.hear(NEW, Hello(0, hello.nonce))
    assert talk.node.newcomer_count == 0


def test_two_that_are_told_of_each_other_need_three_datagrams() -> None:
    talk = Talk(peers=1)
    talk.hear_views(NEW.view)
    (answer,) = talk.hear(NEW, Hello(77, 0)).sent(Hello, NEW)
    assert answer.echo == 77
    assert not talk.hear(NEW, Hello(0, answer.nonce)).sent(Hello)
    assert talk.status("new") is Status.ALIVE
    assert not asked(talk, seconds=20)


def test_whoever_asks_gets_its_nonce_back_and_no_more() -> None:
    talk = Talk(peers=1)
    (answer,) = talk.hear(NEW, Hello(77, 0)).sent(Hello, NEW)
    assert answer == Hello(0, 77)
    assert talk.hear(NEW, Hello(0, 5)).drops == [Drop.UNASKED]
    assert talk.hear(talk.peer("p0"), Hello(78, 0)).sent(Hello, talk.peer("p0")) == [Hello(0, 78)]
    assert names(talk) == ["me", "p0"]


@pytest.mark.parametrize("wrong", [1, 2**64 - 1])
def test_a_wrong_echo_proves_nothing(wrong: int) -> None:
    talk = Talk(peers=1)
    talk.hear_views(NEW.view)
    (again,) = talk.hear(NEW, Hello(0, wrong)).sent(Hello, NEW)
    assert again.nonce
    assert names(talk) == ["me", "p0"]


def test_an_echo_of_another_address_or_name_proves_nothing() -> None:
    talk = Talk(peers=1)
    talk.hear_views(NEW.view, GHOST.view)
    (hello,) = asked(talk)
    talk.hear(GHOST, Hello(0, hello.nonce), source=NEW.address)
    talk.hear_views(NEW.view._replace(address=GHOST.address, generation=2000))
    moved = Peer("new", NEW.address, 2000)
    talk.hear(moved, Hello(0, hello.nonce))
    assert names(talk) == ["me", "p0"]


def test_a_nonce_is_good_for_half_a_minute_and_then_expires() -> None:
    talk = Talk(peers=1)
    talk.now = 120.0
    talk.hear_views(NEW.view)
    (hello,) = asked(talk)
    talk.wait(65)
    talk.hear_views(NEW.view)
    talk.hear(NEW, Hello(0, hello.nonce))
    assert names(talk) == ["me", "p0"]
    (hello,) = asked(talk)
    talk.wait(29)
    talk.hear_views(NEW.view)
    talk.hear(NEW, Hello(0, hello.nonce))
    assert names(talk) == ["me", "new", "p0"]


def test_who_does_not_answer_gets_what_was_said_of_it_three_times_at_most() -> None:
    talk = Talk(peers=1)
    talk.settle()
    before = talk.deliver(talk.peer("p0").says(Gossip()), ("192.0.2.1", 1))
    assert not before.bytes_to(GHOST.address)
    data = talk.peer("p0").says(Gossip(), [GHOST.view])
    said = talk.deliver(data, talk.peer("p0").address)
    assert said.bytes_to(GHOST.address) + talk.wait(60).bytes_to(GHOST.address) > 0
    assert talk.wait(60).bytes_to(GHOST.address) == 0, "it is forgotten"
    for _ in range(9):
        talk.hear_views(GHOST.view)
    assert 2 < len(asked(talk, GHOST, 8.0)) < 9, "each pause is longer"
    assert "ghost" not in names(talk)


def test_what_is_larger_than_was_earned_is_not_sent_before_more_is_told() -> None:
    talk = Talk(peers=1, name="m" * 64)
    talk.hear_views(GHOST.view._replace(name="g", generation=1, incarnation=0))
    assert not asked(talk, GHOST)
    talk.hear_views(GHOST.view._replace(name="g", generation=1, incarnation=0))
    assert asked(talk, GHOST)


def test_one_origin_cannot_make_this_node_wait_for_thousands(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gossipd.core.swim.newcomers.WAIT_MAX", 0.0)
    talk = Talk(peers=2)
    views = [GHOST.view._replace(name=f"g{n}", address=("203.0.113.7", n + 1)) for n in range(150)]
    for at in range(0, 150, 25):
        talk.hear_views(*views[at : at + 25])
    talk.hear(talk.peer("p1"), Gossip(), [NEW.view])
    assert asked(talk)
    assert len(names(talk)) == 3


def test_a_newcomer_that_speaks_is_asked_to_prove_where_it_is() -> None:
    talk = Talk(peers=1)
    talk.hear_views(NEW.view)
    said = talk.hear(NEW, Ping(5, "me", talk.shown))
    assert said.drops == [Drop.STRANGER]
    assert not said.sent(Ack)
    assert not said.sent(Cookie)
    (hello,) = said.sent(Hello, NEW)
    assert not talk.hear(NEW, Gossip()).sent(Hello), "once in a while"
    talk.hear(NEW, Hello(0, hello.nonce))
    assert talk.hear(NEW, Ping(5, "me", talk.shown)).sent(Ack, NEW)


def test_one_that_speaks_in_a_later_life_is_asked_to_join() -> None:
    talk = Talk(peers=1)
    talk.hear_views(NEW.view)
    later = Peer("new", NEW.address, 2000)
    assert talk.hear(later, Ping(5, "me", talk.shown)).sent(Cookie, later)
    talk.admit(later)
    assert not asked(talk), "there is nothing to find out any more"
    assert talk.held("new").generation == 2000


def test_somebody_who_is_gone_is_not_looked_for() -> None:
    talk = Talk(peers=1)
    talk.hear_views(NEW.view)
    talk.hear_views(NEW.seen(Status.LEFT))
    assert not asked(talk)
    talk.hear_views(NEW.view)
    assert not asked(talk)
    assert talk.status("new") is Status.LEFT


def test_a_live_member_is_not_where_others_say_before_it_answers_there() -> None:
    talk = Talk(peers=2)
    p1 = talk.peer("p1")
    moved = Peer("p1", GHOST.address, 2000)
    talk.hear_views(moved.view)
    talk.hear_views(moved.seen(Status.FAILED))
    talk.hear(moved, Ping(1, "me", talk.shown))
    assert talk.held("p1") == p1.view
    talk.hear_views(moved.view)
    talk.let_prove(moved)
    assert talk.held("p1") == moved.view


def test_who_refutes_being_elsewhere_is_not_looked_for_there() -> None:
    talk = Talk(peers=2)
    moved = Peer("p1", GHOST.address, 2000)
    talk.hear_views(moved.view)
    talk.hear_views(Peer("p1", talk.peer("p1").address, 3000).view)
    assert not asked(talk, GHOST, 20)
    assert talk.held("p1").generation == 3000


def test_a_member_in_a_new_life_is_greeted_for_it_knows_nobody() -> None:
    talk = Talk(peers=2)
    talk.settle()
    reborn = Peer("p1", talk.peer("p1").address, 2000)
    talk.hear_views(reborn.view)
    assert talk.held("p1") == reborn.view
    assert talk.wait(0.1).sent(Hello, reborn) == [Hello(0, 0)]
    assert talk.hear(reborn, Hello(9, 0)).sent(Hello, reborn) == [Hello(0, 9)]
    talk.hear_views(Peer("p1", reborn.address, 3000).view)
    talk.fail("p1")
    talk.hear_views(Peer("p1", reborn.address, 3000).seen(Status.FAILED))
    assert not talk.wait(0.1).sent(Hello)


def test_who_has_left_is_found_by_nobody() -> None:
    talk = Talk(peers=1)
    talk.leave()
    talk.wait(1)
    assert not talk.hear(NEW, Hello(1, 0)).sent(Hello)


# --- who is asked and answered -------------------------------------------------------------------


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: type(question).__name__)
def test_long_answers_go_to_members_that_are_proven_and_live(question: MembersAsk) -> None:
    talk = Talk(peers=2)
    for _ in range(30):
        talk.increment()
    talk.settle()
    p0, p1 = talk.peers.values()
    assert talk.hear(p0, question).bytes_to(p0.address)
    talk.hear_views(GHOST.seen(Status.FAILED))
    said = talk.hear(GHOST, question, source=("192.0.2.1", 1))
    assert said.drops[0] is Drop.UNPROVEN
    assert not said.bytes_to(GHOST.address)
    talk.fail("p1")
    assert talk.hear(p1, question).drops == [Drop.UNPROVEN]
    assert talk.hear(p0, question, source=("192.0.2.1", 1)).bytes_to(p0.address)


def test_a_ghost_is_not_pinged_for_others_nor_asked_for_relays_nor_contacted() -> None:
    talk = Talk(peers=2)
    talk.hear_views(GHOST.seen(Status.FAILED))
    talk.hear(talk.peer("p0"), PingReq(1, "ghost", GHOST.address, 500))
    assert not talk.wait(30).bytes_to(GHOST.address)


# --- those of an earlier life --------------------------------------------------------------------


def with_kept(status: Status) -> Talk:
    talk = Talk(alone=False)
    talk.node.load(Snapshot((), (NEW.seen(status),)), talk.now)
    return talk


def test_a_member_of_an_earlier_life_is_asked_to_take_this_node_in() -> None:
    talk = with_kept(Status.ALIVE)
    assert names(talk) == ["me"]
    (join,) = talk.wait(0.01).sent(Join, NEW)
    (echo,) = talk.hear(NEW, Cookie(join.nonce, b"c", NEW.address)).sent(Join, NEW)
    talk.hear(NEW, Welcome(echo.nonce, talk.shown), [NEW.view])
    assert talk.status("new") is Status.ALIVE
    assert not talk.wait(0.9).sent(Join)


@pytest.mark.parametrize("status", list(Status))
def test_a_node_that_knew_others_that_have_not_left_is_not_alone(status: Status) -> None:
    assert with_kept(status).node.knows_others is (status < Status.LEFT)
    assert not Talk(alone=False).node.knows_others


def test_one_that_does_not_answer_is_failed_and_asked_on() -> None:
    talk = with_kept(Status.ALIVE)
    assert 3 < len(talk.wait(9).sent(Join, NEW)) < 9
    assert names(talk) == ["me"]
    talk.wait(2)
    assert talk.status("new") is Status.FAILED
    assert shared_members(talk.node, talk.now) == [talk.own]
    asks = talk.wait(20).sent(Join, NEW)
    assert asks
    said = talk.hear(NEW, Welcome(asks[-1].nonce, Shown(0, 0, True)), [NEW.view])
    assert {view.status for view in said.views("new", NEW)} == {Status.FAILED}, "it may refute"
    talk.hear(Peer("new", NEW.address, incarnation=1), Gossip())
    assert talk.status("new") is Status.ALIVE


def test_a_node_without_a_way_to_anybody_fails_none_of_them_and_asks_once_it_has_one() -> None:
    talk = with_kept(Status.ALIVE)
    talk.cut_off(True)
    talk.wait(25)
    assert names(talk) == ["me"], "nobody is blamed"
    talk.cut_off(False)
    assert talk.wait(0.01).sent(Join, NEW)
    talk.wait(9)
    assert names(talk) == ["me"], "it has its whole time again"
    talk.wait(2)
    assert talk.status("new") is Status.FAILED


def test_a_node_that_moves_asks_those_of_an_earlier_life_at_once() -> None:
    talk = Talk(peers=1)
    talk.node.load(Snapshot((), (NEW.seen(Status.ALIVE),)), talk.now)
    talk.wait(5)
    talk.hear_views(GHOST.view)
    assert not talk.wait(0.01).sent(Join, NEW)
    talk.readdress(("10.0.7.7", 7946))
    said = talk.wait(0.01)
    assert said.sent(Join, NEW)
    assert not said.sent(Join, GHOST)


def test_an_earlier_image_is_no_reason_to_ask_a_member_again() -> None:
    talk = Talk(peers=1)
    talk.node.load(Snapshot((), (talk.peer("p0").view,)), talk.now)
    assert not talk.wait(5).sent(Join)
    assert snapshot_of(talk.node, talk.now).members == (talk.peer("p0").view,)


def test_of_those_that_only_others_knew_the_next_life_is_told_nothing() -> None:
    talk = Talk(peers=1, durable=True, settings=Settings())
    talk.hear_views(GHOST.seen(Status.FAILED))
    assert names(talk) == ["ghost", "me", "p0"]
    assert snapshot_of(talk.node, talk.now).members == (talk.peer("p0").view,)
    assert [view.name for view in talk.take().members] == ["p0"]
