"""A late timer is not the peer's fault: what a node does after it has stood still."""

from __future__ import annotations

from gossipd.core import (
    BecameReady,
    Commit,
    Incremented,
    MemberChanged,
    Settings,
    Stalled,
    Status,
)
from gossipd.core.wire.messages import (
    Ack,
    Cookie,
    DigestAsk,
    Gossip,
    Ping,
    PingReq,
    Refuse,
    Shown,
)
from tests.unit.core.talk import Peer, Said, Talk

PATIENT = Settings(corroborators=0, suspicion_mult=2.0)


def stand_still(talk: Talk, seconds: float) -> Said:
    """Time passes without the node, then it looks at its clock."""
    talk.now += seconds
    return talk.timeout()


def begin_probe(talk: Talk, name: str) -> Ping:
    for _ in range(1000):
        pings = talk.wait(0.01).sent(Ping, talk.peer(name))
        if pings:
            return pings[0]
    raise AssertionError(f"{name} was never probed")


def suspects(talk: Talk) -> list[str]:
    return [view.name for view in talk.node.members if view.status is not Status.ALIVE]


def test_a_timer_that_is_a_little_late_is_no_stall() -> None:
    talk = Talk(peers=2)
    due = talk.node.next_timeout
    assert due is not None
    talk.now = due + 0.2
    assert not talk.timeout().of(Stalled)


def test_a_stall_voids_the_probe_which_is_repeated_at_once() -> None:
    talk = Talk(peers=3)
    talk.peer("p0").answers = False
    ping = begin_probe(talk, "p0")
    said = stand_still(talk, 30)
    assert 28 < said.of(Stalled)[0].seconds < 30
    (again,) = said.sent(Ping, talk.peer("p0"))
    assert again.nonce != ping.nonce
    assert not said.of(MemberChanged)
    assert talk.node.health_score == 1


def test_a_probe_is_voided_three_times_in_a_row_and_no_more() -> None:
    talk = Talk(peers=3)
    talk.peer("p0").answers = False
    begin_probe(talk, "p0")
    for _ in range(3):
        stand_still(talk, 60)
        assert not suspects(talk)
    stand_still(talk, 60)
    assert suspects(talk) == ["p0"]


def test_the_socket_is_read_before_the_clock() -> None:
    talk = Talk(peers=3)
    talk.peer("p0").answers = False
    ping = begin_probe(talk, "p0")
    talk.now += 30
    said = talk.hear(talk.peer("p0"), Ack(ping.nonce, talk.shown))
    assert said.of(Stalled)
    said = talk.timeout()
    assert not said.of(Stalled)
    assert not suspects(talk)


def test_a_stall_gives_suspects_the_time_that_was_lost() -> None:
    talk = Talk(peers=3, settings=PATIENT)
    view = talk.peer("p0").seen(Status.SUSPECT, accusers=["p1"])
    talk.hear(talk.peer("p1"), Gossip(), [view])
    talk.wait(10.5)
    stand_still(talk, 5)
    assert talk.status("p0") is Status.SUSPECT
    talk.wait(2.0)
    assert talk.status("p0") is Status.FAILED


def test_a_suspicion_that_is_heard_after_the_stall_is_not_moved_by_it() -> None:
    talk = Talk(peers=3, settings=PATIENT)
    talk.wait(5)
    talk.now += 30
    view = talk.peer("p0").seen(Status.SUSPECT, accusers=["p1"])
    talk.hear(talk.peer("p1"), Gossip(), [view])
    talk.timeout()
    talk.wait(12.5)
    assert talk.status("p0") is Status.FAILED


def test_a_repair_that_begins_after_the_stall_is_not_moved_by_it() -> None:
    talk = Talk(peers=1)
    talk.settle()
    talk.now += 30
    differing = Shown(12345, talk.shown.members, True)
    asked = talk.hear(talk.peer("p0"), Ping(1, "me", differing)).sent(DigestAsk)
    assert asked
    talk.timeout()
    assert talk.wait(1.0).sent(DigestAsk), "it is asked again in time"


def test_a_check_of_a_name_waits_for_the_time_that_was_lost() -> None:
    talk = Talk(peers=2)
    talk.settle()
    rival = Peer("p0", ("10.0.6.6", 7946), 5000)
    cookie = talk.ask_in(rival).sent(Cookie, rival)[0].cookie
    talk.ask_in(rival, cookie)
    talk.now += 10
    talk.timeout()
    assert talk.held("p0").address != rival.address
    assert talk.wait(0.1).sent(Refuse, rival)


def test_a_node_that_stood_still_does_not_count_that_as_waiting_for_a_ready_peer() -> None:
    talk = Talk(alone=False)
    assert not stand_still(talk, 30).of(BecameReady)
    assert not talk.wait(9.0).of(BecameReady)
    assert talk.wait(2.0).of(BecameReady) == [BecameReady(True)]


def test_a_node_that_is_late_every_time_does_not_wait_for_ever() -> None:
    talk = Talk(alone=False)
    for _ in range(5):
        said = stand_still(talk, 11)
    assert said.of(Stalled)
    assert talk.node.ready


def test_an_increment_after_a_stall_is_told() -> None:
    talk = Talk(peers=1)
    talk.now += 30
    talk.node.increment(1, "hits", 1)
    begun = talk.commit()
    assert begun.of(Stalled)
    assert talk.expose(begun.of(Commit)[0].batch).of(Incremented)


def test_a_relay_request_after_a_stall_is_served() -> None:
    talk = Talk(peers=2)
    talk.now += 30
    request = PingReq(1, "p0", talk.peer("p0").address, 500)
    assert talk.hear(talk.peer("p1"), request).sent(Ping, talk.peer("p0"))


def test_relays_are_not_asked_when_the_verdict_was_late_too() -> None:
    talk = Talk(peers=4)
    talk.peer("p0").answers = False
    begin_probe(talk, "p0")
    for _ in range(3):
        stand_still(talk, 60)
    said = stand_still(talk, 60)
    assert suspects(talk) == ["p0"]
    assert not said.sent(PingReq)
    assert talk.node.health_score == 4, "for its stalls, not for silent relays"
