"""What others say of members that live is believed once these are silent."""

from __future__ import annotations

import pytest

from gossipd.core import MemberChanged, Status
from gossipd.core.dispatch import EXPIRE_INTERVAL
from gossipd.core.swim.plausible import GENERATION_SPAN
from gossipd.core.swim.rumours import QUIET_MAX, Rumours
from gossipd.core.wire.messages import (
    Ack,
    Gossip,
    MembersAsk,
    MembersPage,
    Ping,
)
from tests.unit.core.talk import (
    CONDEMNED_AFTER,
    Peer,
    Said,
    Talk,
)

VERDICTS = [Status.FAILED, Status.LEFT, Status.FORGOTTEN]


def settled(peers: int = 3) -> Talk:
    talk = Talk(peers=peers)
    talk.settle()
    return talk


def told(said: Said, to: Peer) -> list[Status]:
    """The verdicts on a member that pings to it carried."""
    heard = said.envelopes(to)
    return [
        view.status
        for one in heard
        if isinstance(one.message, Ping)
        for view in one.views
        if view.name == to.name
    ]


@pytest.mark.parametrize("status", VERDICTS)
def test_a_verdict_on_who_answers_changes_nothing(status: Status) -> None:
    talk = settled()
    p0 = talk.peer("p0")
    said = talk.hear(talk.peer("p1"), Gossip(), [p0.seen(status)])
    assert not said.effects
    said = talk.wait(3)
    assert told(said, p0) == [status]
    assert talk.status("p0") is Status.ALIVE
    assert not said.of(MemberChanged)
    assert not said.views("p0", talk.peer("p2")), "nobody else is told"


@pytest.mark.parametrize("status", VERDICTS)
@pytest.mark.parametrize("by", ["p0", "p1"])
def test_a_verdict_on_who_is_silent_is_believed_after_two_pings(status: Status, by: str) -> None:
    """Even if it seems to say so itself: an address is easily forged."""
    talk = settled()
    p0 = talk.peer("p0")
    p0.answers = False
    talk.hear(talk.peer(by), Gossip(), [p0.seen(status)])
    said = talk.wait(1)
    assert told(said, p0)[:2] == [status, status]
    assert [change.view.status for change in said.of(MemberChanged)] == [status]
    assert said.views("p0", talk.peer("p2"))[0].status is status


def test_what_is_said_of_a_member_ends_when_that_is_let_go() -> None:
    """Who has raised itself above what others may say of it is, as soon as it has left."""
    talk = settled(peers=1)
    began = talk.now - 3.0
    far = Peer("far", ("10.0.9.9", 7946), generation=1000 + 3 * GENERATION_SPAN // 2)
    talk.admit(far)
    talk.wait(began + EXPIRE_INTERVAL - 2.0 - talk.now)
    far.answers = False
    (*_, ping) = talk.wait(1.9).sent(Ping, far)
    talk.hear(talk.peer("p0"), Gossip(), [far.seen(Status.FAILED, incarnation=5)])
    talk.wait(0.01)
    talk.hear(far, Ack(ping.nonce, talk.shown), [far.seen(Status.LEFT)])
    assert talk.status("far") is Status.LEFT
    said = talk.wait(1)
    assert "far" not in [view.name for view in talk.node.members]
    assert not said.sent(Ping, far)


def test_verdicts_on_a_suspect_are_rumours_too() -> None:
    talk = settled()
    p0 = talk.peer("p0")
    talk.hear(talk.peer("p1"), Gossip(), [p0.seen(Status.SUSPECT, accusers=["p1"])])
    talk.hear(talk.peer("p1"), Gossip(), [p0.seen(Status.FAILED)])
    assert talk.status("p0") is Status.SUSPECT
    talk.wait(0.05)
    assert talk.status("p0") is Status.SUSPECT


def test_verdicts_in_a_whole_table_are_rumours_too() -> None:
    talk = settled()
    p0, p1 = talk.peer("p0"), talk.peer("p1")
    ask = talk.hear(p1, Ping(1, "me", talk.shown._replace(members=5))).sent(MembersAsk)
    page = MembersPage(ask[0].nonce, "", "", (p0.seen(Status.LEFT),))
    talk.hear(p1, page)
    talk.wait(1)
    assert talk.status("p0") is Status.ALIVE


def test_who_has_left_says_so_in_its_answer() -> None:
    talk = settled()
    p0 = talk.peer("p0")
    p0.answers = False
    gone = p0.seen(Status.LEFT)
    talk.hear(p0, Gossip(), [gone])
    (ping,) = talk.wait(0.001).sent(Ping, p0)
    said = talk.hear(p0, Ack(ping.nonce, talk.shown), [gone])
    assert [change.view.status for change in said.of(MemberChanged)] == [Status.LEFT]
    assert not told(talk.wait(1), p0), "nothing is left to be found out"


def test_who_has_left_answers_with_that() -> None:
    talk = settled()
    talk.leave()
    talk.wait(0.03)
    assert talk.own.status is Status.LEFT
    said = talk.hear(talk.peer("p0"), Ping(9, "me", talk.shown))
    assert said.sent(Ack, talk.peer("p0"))
    assert said.views("me", talk.peer("p0"))[0].status is Status.LEFT


def test_who_has_just_answered_is_not_asked_again_at_once_however_often_others_say_so() -> None:
    talk = settled()
    p0 = talk.peer("p0")
    pings = 0
    for number in range(200):
        talk.hear(talk.peer("p1"), Gossip(), [p0.seen(Status.LEFT, incarnation=number)])
        pings += len(told(talk.wait(0.05), p0))
    assert talk.status("p0") is Status.ALIVE
    assert 8 <= pings <= 11, "once in a probe interval"


def test_a_rumour_ends_when_its_subject_refutes_it() -> None:
    talk = settled()
    p0 = talk.peer("p0")
    p0.answers = False
    talk.hear(talk.peer("p1"), Gossip(), [p0.seen(Status.FAILED)])
    talk.wait(0.05)
    p0.incarnation = 1
    talk.hear(p0, Gossip())
    assert not talk.wait(0.5).of(MemberChanged)
    assert talk.status("p0") is Status.ALIVE


def test_of_several_verdicts_the_largest_is_believed_in_the_time_of_the_first() -> None:
    talk = settled()
    p0 = talk.peer("p0")
    p0.answers = False
    talk.hear(talk.peer("p1"), Gossip(), [p0.seen(Status.FAILED)])
    talk.wait(0.1)
    talk.hear(talk.peer("p1"), Gossip(), [p0.seen(Status.LEFT)])
    talk.hear(talk.peer("p1"), Gossip(), [p0.seen(Status.FAILED)])
    talk.wait(CONDEMNED_AFTER - 0.1)
    assert talk.status("p0") is Status.LEFT


def test_an_own_verdict_needs_no_rumour() -> None:
    talk = settled()
    p0 = talk.peer("p0")
    p0.answers = False
    talk.wait(20)
    assert talk.status("p0") is Status.FAILED


def test_only_some_answers_are_remembered() -> None:
    rumours = Rumours(quiet=1.0)
    for number in range(3 * QUIET_MAX + 10):
        rumours.answered(str(number), number / QUIET_MAX)
    assert len(rumours._answered_at) <= QUIET_MAX
    view = Peer("0", ("10.0.0.9", 1)).seen(Status.LEFT)
    assert rumours.hear(view, "p1", 3.1) == 3.1
    view = view._replace(name=str(3 * QUIET_MAX - 1))
    assert rumours.hear(view, "p1", 3.1) == 4.0 - 1 / QUIET_MAX
