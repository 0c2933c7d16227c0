"""The failure detector: probes, relays, verdicts, second opinions, contact with failed members."""

from __future__ import annotations

import pytest

from gossipd.core import Drop, MemberChanged, Settings, Stalled, Status
from gossipd.core.messages import Ack, Cookie, Gossip, Nack, Ping, PingReq, RelayedAck

from .talk import Peer, Said, Talk


def until_probed(talk: Talk, name: str) -> Ping:
    """Let time pass until a member is probed; the ping."""
    for _ in range(1000):
        pings = talk.wait(0.01).sent(Ping, talk.peer(name))
        if pings:
            return pings[0]
    raise AssertionError(f"{name} was never probed")


def silent(talk: Talk, *names: str) -> None:
    for name in names:
        talk.peer(name).answers = False


def accused(said: Said) -> list[str]:
    return [
        change.view.name
        for change in said.of(MemberChanged)
        if change.view.status is Status.SUSPECT
    ]


def test_every_member_is_probed_once_in_each_round() -> None:
    talk = Talk(peers=4)
    talk.wait(4.0)
    targets = [ping.target for ping in talk.wait(4 * 8.0).sent(Ping)]
    assert len(targets) == 4 * 8
    assert {targets.count(name) for name in talk.peers} <= {7, 8, 9}
    assert all(len(set(targets[at : at + 7])) == 4 for at in range(4 * 8 - 7))


def test_a_direct_ack_ends_the_probe() -> None:
    talk = Talk(peers=3)
    until_probed(talk, "p0")
    said = talk.wait(0.9)
    assert not said.sent(PingReq)
    assert talk.node.round_trip("p0") == pytest.approx(0.002)


def test_a_node_alone_probes_nobody() -> None:
    assert not Talk().wait(5).envelopes()


def test_relays_are_asked_when_the_direct_ping_is_not_answered_in_time() -> None:
    talk = Talk(peers=5)
    silent(talk, "p0")
    ping = until_probed(talk, "p0")
    assert not talk.wait(0.45).sent(PingReq)
    said = talk.wait(0.1)
    requests = said.sent(PingReq)
    assert len(requests) == 3
    assert {(r.nonce, r.target) for r in requests} == {(ping.nonce, "p0")}
    assert 400 <= requests[0].timeout_ms <= 500
    assert said.sent(Ping, talk.peer("p0")), "and it is pinged once more"


def test_an_ack_through_a_relay_saves_the_probe() -> None:
    talk = Talk(peers=3)
    silent(talk, "p0")
    ping = until_probed(talk, "p0")
    talk.wait(0.6)
    talk.hear(talk.peer("p1"), RelayedAck(ping.nonce))
    assert not accused(talk.wait(0.39))
    assert talk.hear(talk.peer("p2"), RelayedAck(ping.nonce)).drops == [Drop.UNASKED]


def test_an_ack_from_another_source_address_counts() -> None:
    talk = Talk(peers=2)
    silent(talk, "p0")
    ping = until_probed(talk, "p0")
    said = talk.hear(talk.peer("p0"), Ack(ping.nonce, talk.shown), source=("10.9.9.9", 1))
    assert Drop.UNASKED not in said.drops
    assert not accused(talk.wait(0.98))


def test_an_ack_in_somebody_elses_name_does_not_count() -> None:
    talk = Talk(peers=2)
    silent(talk, "p0")
    ping = until_probed(talk, "p0")
    said = talk.hear(talk.peer("p1"), Ack(ping.nonce, talk.shown))
    assert said.drops == [Drop.UNASKED]


def test_a_cookie_in_answer_to_a_probe_shows_that_the_target_lives() -> None:
    talk = Talk(peers=2)
    silent(talk, "p0", "p1")
    ping = until_probed(talk, "p0")
    talk.hear(talk.peer("p0"), Cookie(ping.nonce, b"c", talk.me.address))
    assert not accused(talk.wait(0.98))


def test_silence_for_the_whole_interval_is_an_accusation() -> None:
    talk = Talk(peers=3)
    silent(talk, "p0")
    until_probed(talk, "p0")
    said = talk.wait(1.0)
    assert accused(said) == ["p0"]
    assert talk.held("p0").accusers == ("me",)


def test_a_suspect_is_told_of_its_suspicion_in_every_message_to_it() -> None:
    talk = Talk(peers=3)
    silent(talk, "p0")
    talk.hear(talk.peer("p1"), Gossip(), [talk.peer("p0").seen(Status.SUSPECT)])
    for said in talk.wait(1.5).envelopes(talk.peer("p0")):
        assert "p0" in [view.name for view in said.views]


def test_a_member_that_refuted_during_the_probe_is_not_accused() -> None:
    talk = Talk(peers=3)
    silent(talk, "p0")
    until_probed(talk, "p0")
    talk.wait(0.7)
    talk.hear(talk.peer("p1"), Gossip(), [talk.peer("p0").seen(incarnation=1)])
    assert not accused(talk.wait(0.5))


def test_a_member_that_restarted_during_the_probe_is_not_accused() -> None:
    talk = Talk(peers=3)
    silent(talk, "p0")
    until_probed(talk, "p0")
    talk.wait(0.7)
    talk.admit(Peer("p0", talk.peer("p0").address, 2000, answers=False))
    assert not accused(talk.wait(0.4))


def test_a_member_that_left_during_the_probe_is_not_accused() -> None:
    talk = Talk(peers=3)
    silent(talk, "p0")
    until_probed(talk, "p0")
    talk.hear(talk.peer("p1"), Gossip(), [talk.peer("p0").seen(Status.LEFT)])
    assert not accused(talk.wait(1.5))
    assert talk.status("p0") is Status.LEFT


def test_silent_relays_worsen_the_local_health_and_nacks_do_not() -> None:
    for nacking, score in ((("p1", "p2", "p3"), 0), (("p1",), 2), ((), 3)):
        talk = Talk(peers=4)
        silent(talk, "p0")
        ping = until_probed(talk, "p0")
        talk.wait(0.6)
        for name in nacking:
            assert not talk.hear(talk.peer(name), Nack(ping.nonce)).drops
        talk.wait(0.4)
        assert talk.node.health_score == score


def test_bad_health_stretches_the_probe_and_good_probes_heal() -> None:
    talk = Talk(peers=4)
    silent(talk, "p0", "p1", "p2", "p3")
    talk.wait(2.0)
    assert talk.node.health_score == 3
    talk.wait(1.0)
    assert len([view for view in talk.node.members if view.status is Status.SUSPECT]) == 1
    for peer in talk.peers.values():
        peer.answers = True
        peer.incarnation = 1
        talk.hear(peer, Gossip())
    assert not accused(talk.wait(20))
    assert talk.node.health_score == 0


def test_the_timeout_follows_the_round_trip_but_stays_within_its_bounds() -> None:
    talk = Talk(peers=3)
    talk.wait(6)
    silent(talk, "p0")
    until_probed(talk, "p0")
    assert talk.wait(0.11).sent(PingReq), "0.1 s is the least, for a round trip of 2 ms"


def test_the_timeout_is_never_above_half_the_interval() -> None:
    talk = Talk(peers=3)
    silent(talk, "p0")
    for _ in range(3):
        ping = until_probed(talk, "p0")
        talk.wait(0.9)
        talk.hear(talk.peer("p0"), Ack(ping.nonce, talk.shown))
    assert talk.node.round_trip("p0") == pytest.approx(0.9, abs=0.05)
    until_probed(talk, "p0")
    assert talk.wait(0.51).sent(PingReq)


# --- as a relay ----------------------------------------------------------------------------------


def ask_relay(talk: Talk, target: Peer) -> Said:
    return talk.hear(talk.peer("p1"), PingReq(77, target.name, target.address, 500))


def test_a_relay_pings_the_target_and_passes_its_ack_on() -> None:
    talk = Talk(peers=2)
    talk.settle()
    assert ask_relay(talk, talk.peer("p0")).sent(Ping, talk.peer("p0"))
    said = talk.wait(0.6)
    assert said.sent(RelayedAck, talk.peer("p1")) == [RelayedAck(77)]
    assert not said.sent(Nack)


def test_a_relay_does_not_wait_for_weeks() -> None:
    talk = Talk(peers=2)
    talk.settle()
    silent(talk, "p0")
    target = talk.peer("p0")
    talk.hear(talk.peer("p1"), PingReq(77, target.name, target.address, 2**31))
    assert talk.wait(6.5).sent(Nack) == [Nack(77)]


def test_a_relay_bounds_what_it_waits_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gossipd.core.pings.RELAYED_MAX", 2)
    talk = Talk(peers=2)
    talk.settle()
    silent(talk, "p0")
    for _ in range(5):
        ask_relay(talk, talk.peer("p0"))
    assert len(talk.wait(0.6).sent(Nack)) == 2


def test_a_relay_says_at_80_percent_that_the_target_is_silent() -> None:
    talk = Talk(peers=2)
    talk.settle()
    silent(talk, "p0")
    ask_relay(talk, talk.peer("p0"))
    assert not talk.wait(0.39).sent(Nack)
    assert talk.wait(0.02).sent(Nack, talk.peer("p1")) == [Nack(77)]


def test_a_relay_that_does_not_hold_the_target_there_says_so_at_once() -> None:
    talk = Talk(peers=2)
    for target in (Peer("x", ("10.0.7.7", 1)), Peer("p0", ("10.0.7.7", 1))):
        said = ask_relay(talk, target)
        assert said.sent(Nack, talk.peer("p1")) == [Nack(77)]
        assert not said.sent(Ping)


def test_a_relay_that_forgot_a_ping_for_too_many_others_stays_silent() -> None:
    talk = Talk(peers=2)
    talk.settle()
    silent(talk, "p0", "p1")
    for nonce in range(4200):
        talk.hear(talk.peer("p1"), PingReq(nonce, "p0", talk.peer("p0").address, 500))
    nacked = {nack.nonce for nack in talk.wait(0.41).sent(Nack, talk.peer("p1"))}
    assert 0 not in nacked
    assert 4199 in nacked


# --- suspicions ----------------------------------------------------------------------------------


def suspect(talk: Talk, *accusers: str) -> Said:
    view = talk.peer("p0").seen(Status.SUSPECT, accusers=accusers)
    return talk.hear(talk.peer("p1"), Gossip(), [view])


NO_CORROBORATION = Settings(corroborators=0, probe_interval=1000.0)


def test_a_suspicion_without_confirmation_lasts_long() -> None:
    talk = Talk(peers=6, settings=NO_CORROBORATION)
    suspect(talk, "p1")
    talk.wait(11_900)
    assert talk.status("p0") is Status.SUSPECT
    talk.wait(200)
    assert talk.status("p0") is Status.FAILED


def test_confirmations_shorten_a_suspicion() -> None:
    ends = []
    for accusers in (["p1"], ["p1", "p2"], ["p1", "p2", "p3"], ["p1", "p2", "p3", "p4"]):
        talk = Talk(peers=6, settings=NO_CORROBORATION)
        begun = talk.now
        for accuser in accusers:
            suspect(talk, accuser)
        while talk.status("p0") is Status.SUSPECT:
            talk.wait(100)
        ends.append(talk.now - begun)
    assert ends == sorted(ends, reverse=True)
    assert ends[0] == pytest.approx(12_000)
    assert ends[-1] == pytest.approx(2_000)


def test_a_confirmation_that_ends_a_suspicion_at_once_is_no_stall() -> None:
    talk = Talk(peers=6, settings=NO_CORROBORATION)
    suspect(talk, "p1")
    talk.wait(5000)
    suspect(talk, "p2", "p3", "p4")
    said = talk.timeout()
    assert talk.status("p0") is Status.FAILED
    assert not said.of(Stalled)
    assert talk.node.health_score == 0


def test_a_refuted_suspicion_never_ends_in_a_verdict() -> None:
    talk = Talk(peers=3)
    suspect(talk, "p1")
    talk.peer("p0").incarnation = 1
    talk.hear(talk.peer("p0"), Gossip())
    talk.wait(60)
    assert talk.status("p0") is Status.ALIVE


# --- corroboration -------------------------------------------------------------------------------

CORROBORATING = Settings(probe_interval=1000.0, probe_timeout=0.5, corroborators=100)


def test_who_hears_of_a_suspicion_pings_the_suspect_twice_and_then_agrees() -> None:
    talk = Talk(peers=6, settings=CORROBORATING)
    silent(talk, "p0")
    suspect(talk, "p1")
    said = talk.wait(0.15)
    assert len(said.sent(Ping, talk.peer("p0"))) == 1
    assert {view.status for view in said.views("p0", talk.peer("p0"))} == {Status.SUSPECT}
    assert len(talk.wait(0.5).sent(Ping, talk.peer("p0"))) == 1
    assert talk.held("p0").accusers == ("p1",)
    talk.wait(0.5)
    assert talk.held("p0").accusers == ("p1", "me")


def test_who_gets_an_answer_from_the_suspect_does_not_agree() -> None:
    talk = Talk(peers=6, settings=CORROBORATING)
    suspect(talk, "p1")
    assert len(talk.wait(3).sent(Ping, talk.peer("p0"))) == 1
    assert talk.held("p0").accusers == ("p1",)


def test_each_suspicion_gets_pings_of_its_own() -> None:
    talk = Talk(peers=6, settings=CORROBORATING)
    silent(talk, "p0")
    suspect(talk, "p1")
    talk.wait(0.7)
    talk.peer("p0").incarnation = 1
    talk.hear(talk.peer("p0"), Gossip())
    suspect(talk, "p1")
    said = talk.wait(0.7)
    assert len(said.sent(Ping, talk.peer("p0"))) == 2
    assert talk.held("p0").accusers == ("p1",)


def test_corroboration_can_be_switched_off() -> None:
    talk = Talk(peers=6, settings=NO_CORROBORATION)
    suspect(talk, "p1")
    assert not talk.wait(3).sent(Ping, talk.peer("p0"))


# --- failed members ------------------------------------------------------------------------------


def test_failed_members_are_contacted_for_ever_at_the_rate_of_the_cluster() -> None:
    talk = Talk(peers=4)
    talk.fail("p0")
    talk.fail("p1")
    for _ in range(3):
        said = talk.wait(600)
        count = len(said.sent(Ping, talk.peer("p0"))) + len(said.sent(Ping, talk.peer("p1")))
        # Each failed member once per 2 s by 3 live members: 2 x 600 / (2 x 3) by this one.
        assert 160 <= count <= 240


def test_contact_ends_when_nobody_is_failed() -> None:
    talk = Talk(peers=3)
    talk.fail("p0")
    talk.peer("p0").incarnation = 1
    talk.peer("p0").answers = True
    talk.wait(10)
    talk.hear(talk.peer("p0"), Gossip())
    talk.wait(3)
    gaps = talk.wait(60).times(Ping, talk.peer("p0"))
    assert len(gaps) <= 21


def test_a_failed_member_is_told_so_by_the_contact() -> None:
    talk = Talk(peers=3)
    talk.fail("p0")
    told = talk.wait(30).views("p0", talk.peer("p0"))
    assert {view.status for view in told} == {Status.FAILED}


def test_an_ack_that_nobody_asked_for_is_dropped() -> None:
    talk = Talk(peers=1)
    assert talk.hear(talk.peer("p0"), Ack(12345, talk.shown)).drops == [Drop.UNASKED]
