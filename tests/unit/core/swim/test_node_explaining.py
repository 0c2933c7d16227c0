"""What a node can tell of why a member is in its state."""

from __future__ import annotations

import pytest

from gossipd.core import Cause, Explanation, Outcome, Settings, Status
from gossipd.core.swim.contacts import Contact
from gossipd.core.wire.messages import Gossip, Nack, Ping, PingReq, RelayedAck
from tests.unit.core.talk import ROUND_TRIP, Peer, Talk


def explained(talk: Talk, name: str) -> Explanation:
    return talk.node.explanation(name, talk.now)


def outcomes(talk: Talk, name: str) -> list[Outcome]:
    """What came of the last probes, the newest first."""
    return [probe.outcome for probe in explained(talk, name).contact.probes]


def silenced(talk: Talk, name: str = "p0") -> Ping:
    """The ping of a probe that is not answered any more."""
    talk.peer(name).answers = False
    for _ in range(1000):
        if pings := talk.wait(0.01).sent(Ping, talk.peer(name)):
            return pings[0]
    raise AssertionError(f"{name} was never probed")


def test_a_live_member_has_answered_the_last_probes() -> None:
    talk = Talk(peers=2)
    talk.wait(20.0)
    known = explained(talk, "p0")
    assert set(outcomes(talk, "p0")) == {Outcome.ANSWERED}
    assert len(known.contact.probes) == 5
    (newest, *_) = known.contact.probes
    assert newest.seconds == pytest.approx(ROUND_TRIP)
    assert (newest.pings, newest.relays, newest.nacks) == (1, (), ())
    assert known.contact.answered_at == known.contact.spoke_at
    assert known.contact.answered_at == pytest.approx(newest.began_at + ROUND_TRIP)
    assert known.contact.spoke_from == talk.peer("p0").address
    assert (known.view, known.proven) == (talk.held("p0"), True)
    assert known.reason is not None
    assert known.reason.cause is Cause.JOINED
    assert known.timeout == talk.settings.probe_timeout_min
    assert (known.every, Talk().node.explanation("me", 100.0).every) == (2.0, 1.0)
    nothing = known.probe, known.suspicion, known.corroborating, known.rumour, known.newcomer
    assert nothing == (None,) * 5


def test_a_silent_one_is_explained_while_it_is_probed_suspected_and_failed() -> None:
    talk = Talk(peers=3)
    ping = silenced(talk)
    asked = talk.wait(0.6).sent(PingReq)
    talk.hear(talk.peer("p1"), Nack(ping.nonce))
    probe = explained(talk, "p0").probe
    assert probe is not None
    assert (probe.outcome, probe.pings > 1, len(probe.relays)) == (Outcome.OPEN, True, len(asked))
    assert (probe.nacks, 0.6 <= probe.seconds <= 0.62) == (("p1",), True)
    assert explained(talk, "p1").probe is None
    talk.wait(0.91)
    known = explained(talk, "p0")
    assert outcomes(talk, "p0")[0] is Outcome.SILENT
    assert known.contact.probes[0].nacks == ("p1",)
    assert known.contact.probes[0].seconds == pytest.approx(1.5)
    assert known.suspicion is not None
    assert (known.suspicion.confirmations, known.suspicion.confirmations_max) == (0, 2)
    assert known.corroborating == 0, "none but those of the probe"
    pings = [sent for sent in talk.wait(0.5).sent(Ping) if sent.target == "p0"]
    assert len(pings) > talk.settings.corroboration_pings, "it is pinged on"
    reason, known = known.reason, explained(talk, "p0")
    assert (known.corroborating, known.reason) == (len(pings), reason)
    assert known.suspicion is not None
    before = known.suspicion.deadline
    talk.hear(talk.peer("p1"), Gossip(), [talk.peer("p0").seen(Status.SUSPECT, accusers=["p1"])])
    confirmed = explained(talk, "p0").suspicion
    assert confirmed is not None
    assert (confirmed.confirmations, confirmed.deadline < before) == (1, True)
    talk.wait(10.0)
    known = explained(talk, "p0")
    assert talk.status("p0") is Status.FAILED
    assert (known.suspicion, known.corroborating, known.probe) == (None, None, None)
    assert outcomes(talk, "p0")[0] is Outcome.SILENT, "it stays known"


def test_who_answers_only_others_is_told_apart() -> None:
    talk = Talk(peers=3)
    ping = silenced(talk)
    talk.wait(0.6)
    talk.hear(talk.peer("p1"), RelayedAck(ping.nonce))
    assert outcomes(talk, "p0")[0] is Outcome.RELAYED
    known = explained(talk, "p0")
    assert known.contact.answered_at != talk.now


def test_probes_that_prove_nothing_are_void() -> None:
    talk = Talk(peers=2, settings=Settings(contact_interval=1e6))
    talk.settle()
    silenced(talk)
    talk.now += 10.0
    talk.timeout()
    assert outcomes(talk, "p0")[0] is Outcome.VOID
    talk.cut_off(True)
    talk.wait(3.0)
    assert outcomes(talk, "p0")[:2] == [Outcome.VOID] * 2


def test_what_others_say_and_who_is_no_member_yet_is_told() -> None:
    talk = Talk(peers=2)
    talk.settle()
    silenced(talk)
    talk.hear(talk.peer("p1"), Gossip(), [talk.peer("p0").seen(Status.FAILED)])
    rumour = explained(talk, "p0").rumour
    assert rumour is not None
    assert (rumour.view.status, rumour.by) == (Status.FAILED, "p1")
    new = Peer("new", ("10.0.9.9", 7946))
    talk.hear_views(new.view)
    known = explained(talk, "new")
    assert (known.view, known.reason, known.proven) == (None, None, False)
    assert known.newcomer is not None
    assert known.newcomer.view == new.view
    assert known.contact == Contact()


def test_a_node_explains_itself_and_knows_nothing_of_strangers() -> None:
    talk = Talk(peers=1)
    assert explained(talk, "me").view == talk.own
    nobody = explained(talk, "nobody")
    assert (nobody.view, nobody.newcomer) == (None, None)
