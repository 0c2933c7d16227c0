"""Each change of a member comes with its reason, and the reason stays with the member."""

from __future__ import annotations

from gossipd.core import Cause, MemberChanged, Reason, Snapshot, Status
from gossipd.core.wire.messages import (
    Ack,
    Cookie,
    Gossip,
    Hello,
    Join,
    Nack,
    Ping,
    PingReq,
    Welcome,
)
from tests.unit.core.talk import Peer, Said, Talk

NEW = Peer("new", ("10.0.9.9", 7946))


def told(said: Said, name: str) -> list[tuple[Status, Reason]]:
    """The changes of one member."""
    return [
        (change.view.status, change.reason)
        for change in said.of(MemberChanged)
        if change.view.name == name
    ]


def silenced(talk: Talk, name: str = "p0") -> tuple[Peer, Ping]:
    """A member that answers nothing any more, and the ping of the probe that finds out."""
    peer = talk.peer(name)
    peer.answers = False
    for _ in range(1000):
        if pings := talk.wait(0.01).sent(Ping, peer):
            return peer, pings[0]
    raise AssertionError(f"{name} was never probed")


def test_a_member_joined_through_this_node() -> None:
    talk = Talk(peers=1)
    cookie = talk.ask_in(NEW).sent(Cookie, NEW)[0]
    assert told(talk.ask_in(NEW, cookie.cookie), "new") == [(Status.ALIVE, Reason(Cause.JOINED))]
    assert talk.node.reason("new") == Reason(Cause.JOINED)
    assert talk.node.reason("me") is None


def test_a_member_has_taken_this_node_in_and_others_are_told_by_it() -> None:
    talk = Talk()
    (join,) = talk.join(NEW.address).sent(Join, NEW)
    (again,) = talk.hear(NEW, Cookie(join.nonce, b"c", talk.me.address)).sent(Join, NEW)
    gone = Peer("gone", ("10.0.9.8", 7946)).seen(Status.FAILED)
    said = talk.hear(NEW, Welcome(again.nonce, talk.shown), [NEW.view, gone])
    assert told(said, "new") == [(Status.ALIVE, Reason(Cause.TOOK_IN))]
    assert not told(said, "gone"), "nobody here has known it"
    assert talk.node.reason("gone") == Reason(Cause.TOLD, by=("new",))


def test_a_member_that_others_told_of_has_answered() -> None:
    talk = Talk(peers=1)
    talk.settle()
    talk.hear_views(NEW.view)
    (hello,) = talk.wait(0.2).sent(Hello, NEW)
    said = talk.hear(NEW, Hello(0, hello.nonce))
    assert told(said, "new") == [(Status.ALIVE, Reason(Cause.INTRODUCED))]


def test_a_member_says_itself_that_it_lives_and_that_it_has_left() -> None:
    talk = Talk(peers=2)
    p0 = talk.peer("p0")
    talk.fail("p0")
    p0.incarnation = 1
    assert told(talk.hear(p0, Gossip()), "p0") == [(Status.ALIVE, Reason(Cause.SPOKEN))]
    p0.answers = False
    talk.hear(p0, Gossip(), [p0.seen(Status.LEFT)])
    (ping,) = talk.wait(0.001).sent(Ping, p0)
    said = talk.hear(p0, Ack(ping.nonce, talk.shown), [p0.seen(Status.LEFT)])
    assert told(said, "p0") == [(Status.LEFT, Reason(Cause.SAID))]


def test_a_suspicion_is_told_by_somebody() -> None:
    talk = Talk(peers=3)
    suspected = talk.peer("p0").seen(Status.SUSPECT, accusers=["p2"])
    said = talk.hear(talk.peer("p1"), Gossip(), [suspected])
    assert told(said, "p0") == [(Status.SUSPECT, Reason(Cause.TOLD, by=("p1",)))]
    assert said.of(MemberChanged)[0].view.accusers == ("p2",)


def test_a_verdict_of_others_is_believed_as_nothing_answers() -> None:
    talk = Talk(peers=3)
    p0 = talk.peer("p0")
    p0.answers = False
    talk.hear(talk.peer("p1"), Gossip(), [p0.seen(Status.SUSPECT, accusers=["p1"])])
    talk.hear(talk.peer("p1"), Gossip(), [p0.seen(Status.FAILED)])
    talk.hear(talk.peer("p2"), Gossip(), [p0.seen(Status.FAILED)])
    reason = Reason(Cause.CHECKED, by=("p1",), pings=2)
    assert told(talk.wait(1.1), "p0") == [(Status.FAILED, reason)]


def test_the_larger_verdict_is_that_of_who_told_it() -> None:
    talk = Talk(peers=3)
    p0 = talk.peer("p0")
    p0.answers = False
    talk.hear(talk.peer("p1"), Gossip(), [p0.seen(Status.FAILED)])
    talk.hear(talk.peer("p2"), Gossip(), [p0.seen(Status.LEFT)])
    reason = Reason(Cause.CHECKED, by=("p2",), pings=2)
    assert told(talk.wait(1.1), "p0") == [(Status.LEFT, reason)]


def test_the_own_probe_tells_its_pings_its_relays_and_who_of_them_lives() -> None:
    talk = Talk(peers=4)
    _, ping = silenced(talk)
    asked = talk.wait(0.6)
    relays = [name for name in ("p1", "p2", "p3") if asked.sent(PingReq, talk.peer(name))]
    assert len(relays) == 3
    for _ in range(2):  # a datagram may come twice
        assert not talk.hear(talk.peer("p2"), Nack(ping.nonce)).drops
    ((status, reason),) = told(talk.wait(1.0), "p0")
    assert (status, reason.cause, reason.nacks) == (Status.SUSPECT, Cause.SILENT, ("p2",))
    assert sorted(reason.relays) == relays
    assert reason.pings > 1
    assert talk.held("p0").accusers == ("me",)


def test_only_relays_that_were_asked_deny() -> None:
    talk = Talk(peers=5)
    _, ping = silenced(talk)
    asked = talk.wait(0.6)
    (other,) = (p for p in talk.peers.values() if p.name != "p0" and not asked.sent(PingReq, p))
    assert talk.hear(other, Nack(ping.nonce)).drops
    talk.wait(0.91)
    assert talk.node.health_score == 3


def test_a_suspicion_that_nobody_refutes_tells_who_had_accused() -> None:
    talk = Talk(peers=3)
    p0 = talk.peer("p0")
    p0.answers = False
    talk.hear(talk.peer("p1"), Gossip(), [p0.seen(Status.SUSPECT, accusers=["p1"])])
    changes = told(talk.wait(30), "p0")
    assert [status for status, _ in changes] == [Status.FAILED]
    assert changes[0][1] == Reason(Cause.UNREFUTED, by=("p1", "me"))
    assert talk.node.reason("p0") == changes[0][1], "it stays with the member"


def test_an_operator_has_it_forgotten() -> None:
    talk = Talk(peers=2)
    talk.fail("p0")
    assert told(talk.forget("p0"), "p0") == [(Status.FORGOTTEN, Reason(Cause.FORGOTTEN))]


def test_what_an_earlier_life_held_and_who_has_not_answered_this_one() -> None:
    talk = Talk(alone=False)
    gone = Peer("gone", ("10.0.9.8", 7946)).seen(Status.FAILED)
    effects = talk.node.load(Snapshot((), (NEW.view, gone)), talk.now)
    loaded = [(effect.view.name, effect.reason) for effect in effects
              if isinstance(effect, MemberChanged)]  # fmt: skip
    assert loaded == [("gone", Reason(Cause.LOADED))]
    assert told(talk.wait(120), "new") == [(Status.FAILED, Reason(Cause.ABSENT))]
