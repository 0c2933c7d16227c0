"""The failure detector: probes, relays, verdicts, second opinions, contact with failed members."""

from __future__ import annotations

from itertools import pairwise
from typing import get_args

import pytest

from gossipd.core import (
    Drop,
    MemberChanged,
    Settings,
    Stalled,
    Status,
)
from gossipd.core.settings import ProbeOrder
from gossipd.core.swim.pinging import RECENT
from gossipd.core.wire.messages import (
    Ack,
    Cookie,
    Gossip,
    Nack,
    Ping,
    PingReq,
    RelayedAck,
)
from tests.unit.core.talk import Peer, Said, Talk

SHUFFLED = Settings(probe_order="shuffled")


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


# --- whom and when -------------------------------------------------------------------------------


def test_in_the_ring_every_member_is_probed_once_in_each_cycle() -> None:
    talk = Talk(peers=4)
    talk.wait(4.0)
    targets = [ping.target for ping in talk.wait(4 * 8.0).sent(Ping)]
    assert len(targets) == 4 * 8
    assert set(targets[:4]) == set(talk.peers)
    assert targets == targets[:4] * 8


def test_shuffled_every_member_is_probed_once_in_each_cycle_in_a_new_order() -> None:
    talk = Talk(peers=4, settings=SHUFFLED)
    talk.wait(4.0)
    targets = [ping.target for ping in talk.wait(4 * 8.0).sent(Ping)]
    assert len(targets) == 4 * 8
    assert {targets.count(name) for name in talk.peers} <= {7, 8, 9}
    assert all(len(set(targets[at : at + 7])) == 4 for at in range(4 * 8 - 7))
    assert len({tuple(targets[at : at + 4]) for at in range(4 * 8 - 4)}) > 4


@pytest.mark.parametrize("order", get_args(ProbeOrder))
def test_who_is_not_live_is_not_probed(order: ProbeOrder) -> None:
    talk = Talk(peers=5, settings=Settings(probe_order=order, contact_interval=1e6))
    talk.wait(1.5)
    talk.fail("p0")
    talk.condemn("p2", Status.LEFT)
    targets = [ping.target for ping in talk.wait(30.0).sent(Ping)]
    assert {targets.count(name) for name in ("p1", "p3", "p4")} <= {9, 10, 11}
    assert len(targets) == 30


def test_pings_and_acks_show_the_round_and_the_largest_one_is_followed() -> None:
    talk = Talk(peers=3)
    talk.wait(3.0)
    numbers = [ping.shown.round for ping in talk.wait(5.0).sent(Ping)]
    assert numbers == list(range(numbers[0], numbers[0] + 5))
    p0 = talk.peer("p0")
    (ack,) = talk.hear(p0, Ping(1, "me", talk.shown._replace(round=1000))).sent(Ack)
    assert ack.shown.round == numbers[-1]
    assert [ping.shown.round for ping in talk.wait(2.0).sent(Ping)] == [1000, 1001]
    (ack,) = talk.hear(p0, Ping(2, "me", talk.shown._replace(round=1000))).sent(Ack)
    assert ack.shown.round == 1001


def test_a_round_shown_by_who_is_no_live_member_is_not_followed() -> None:
    talk = Talk(peers=3)
    talk.wait(3.0)
    talk.fail("p0")
    far = talk.shown._replace(round=1000)
    talk.hear(talk.peer("p0"), Ping(1, "me", far))
    talk.hear(Peer("stranger", ("10.0.9.9", 1)), Ping(1, "me", far))
    assert max(ping.shown.round for ping in talk.wait(3.0).sent(Ping)) < 20


def test_while_a_silent_target_is_waited_for_the_rounds_go_on() -> None:
    talk = Talk(peers=4, settings=Settings(corroborators=0))
    talk.wait(8.0)
    silent(talk, "p0")
    begun = until_probed(talk, "p0").shown.round
    (ping,) = talk.wait(2.0).sent(Ping)[-1:]
    assert (ping.shown.round, ping.target == "p0") == (begun + 2, False)


# --- the probe -----------------------------------------------------------------------------------


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
    silent(talk, *talk.peers)
    ping = until_probed(talk, "p3")
    assert not talk.wait(0.48).sent(PingReq)
    requests = talk.wait(0.04).sent(PingReq)
    assert len(requests) == 3
    assert {(r.nonce, r.target) for r in requests} == {(ping.nonce, "p3")}
    assert {request.timeout_ms for request in requests} == {1000}


def test_a_silent_target_is_pinged_again_every_timeout_and_relays_are_asked_once() -> None:
    talk = Talk(peers=5, settings=Settings(corroborators=0, probe_patience=1.45))
    talk.settle()
    silent(talk, "p0")
    begun = until_probed(talk, "p0")
    said = talk.wait(1.6)
    pings = said.sent(Ping, talk.peer("p0"))
    assert len(pings) == 14, "every 0.1 s, the least timeout, until the verdict"
    assert len({ping.nonce for ping in pings} | {begun.nonce}) == 15
    assert [request.nonce for request in said.sent(PingReq)] == [begun.nonce] * 3


def test_an_answer_to_any_of_the_pings_ends_the_probe() -> None:
    talk = Talk(peers=5)
    talk.settle()
    silent(talk, "p0")
    until_probed(talk, "p0")
    pings = talk.wait(1.2).sent(Ping, talk.peer("p0"))
    assert not talk.hear(talk.peer("p0"), Ack(pings[4].nonce, talk.shown)).drops
    said = talk.wait(1.5)
    assert not accused(said)
    assert not said.sent(PingReq)


def test_each_of_the_answers_tells_a_round_trip() -> None:
    talk = Talk(peers=5)
    talk.wait(8)
    silent(talk, "p0")
    first = until_probed(talk, "p0")
    begun = talk.now
    second = talk.wait(0.195).sent(Ping, talk.peer("p0"))[0]
    held = talk.node.round_trip("p0") or 0.0
    talk.hear(talk.peer("p0"), Ack(second.nonce, talk.shown))
    trips = [talk.node.round_trip("p0") or 0.0]
    assert trips[0] == pytest.approx(held + (0.1 - held) / 8, abs=0.002)
    assert not talk.hear(talk.peer("p0"), Ack(first.nonce, talk.shown)).drops
    late = talk.now - begun
    assert talk.node.round_trip("p0") == pytest.approx(trips[0] + (late - trips[0]) / 8, abs=0.002)


def test_an_ack_through_a_relay_saves_the_probe() -> None:
    talk = Talk(peers=3)
    silent(talk, "p0")
    ping = until_probed(talk, "p0")
    talk.wait(0.6)
    talk.hear(talk.peer("p1"), RelayedAck(ping.nonce))
    assert not accused(talk.wait(1.5))
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


@pytest.mark.parametrize("patience", [1.0, 1.5, 3.0])
def test_silence_for_as_long_as_patience_lasts_is_an_accusation(patience: float) -> None:
    talk = Talk(peers=3, settings=Settings(probe_patience=patience))
    silent(talk, "p0")
    until_probed(talk, "p0")
    assert not accused(talk.wait(patience - 0.02))
    assert accused(talk.wait(0.03)) == ["p0"]
    assert talk.held("p0").accusers == ("me",)


def test_relays_may_answer_until_the_verdict() -> None:
    talk = Talk(peers=3)
    silent(talk, "p0")
    ping = until_probed(talk, "p0")
    talk.wait(1.48)
    talk.hear(talk.peer("p1"), RelayedAck(ping.nonce))
    assert not accused(talk.wait(0.5))


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
    assert not accused(talk.wait(1.0))


def test_a_member_that_restarted_during_the_probe_is_not_accused() -> None:
    talk = Talk(peers=3)
    silent(talk, "p0")
    until_probed(talk, "p0")
    talk.wait(0.7)
    talk.admit(Peer("p0", talk.peer("p0").address, 2000, answers=False))
    assert not accused(talk.wait(1.0))


def test_a_suspect_whom_this_node_probes_in_vain_is_accused_by_it_too() -> None:
    talk = Talk(peers=3, settings=Settings(corroborators=0))
    silent(talk, "p0")
    until_probed(talk, "p0")
    suspect(talk, "p1")
    talk.wait(1.6)
    assert talk.held("p0").accusers == ("p1", "me")


def test_a_member_that_left_during_the_probe_is_not_accused() -> None:
    talk = Talk(peers=3)
    silent(talk, "p0")
    until_probed(talk, "p0")
    talk.condemn("p0", Status.LEFT)
    assert not accused(talk.wait(1.5))
    assert talk.status("p0") is Status.LEFT


def test_relays_are_drawn_from_the_living_who_have_spoken_lately() -> None:
    talk = Talk(peers=9)
    silent(talk, "p3")
    until_probed(talk, "p3")
    for name in ("p1", "p8", "p6", "p3", "p5", "p7"):
        talk.hear(talk.peer(name), Gossip())
    suspects = ["p1", "p7"]
    views = [talk.peer(name).seen(Status.SUSPECT) for name in suspects]
    talk.hear(talk.peer("p5"), Gossip(), views)
    since = talk.now - RECENT * talk.settings.probe_interval
    spoke = {name: talk.node.explanation(name, talk.now).contact.spoke_at for name in talk.peers}
    lately = {name for name, at in spoke.items() if at is not None and at >= since}
    asked = talk.wait(0.6)
    relays = {name for name in talk.peers if asked.sent(PingReq, talk.peer(name))}
    assert relays == lately - {"p3", *suspects}
    assert len(relays) == 3


def test_local_health_worsens_where_all_relays_are_silent() -> None:
    for nacking, score in ((("p1", "p2", "p3"), 0), (("p1",), 0), ((), 3)):
        talk = Talk(peers=4)
        silent(talk, "p0")
        ping = until_probed(talk, "p0")
        talk.wait(0.6)
        talk.hear(talk.peer("p1"), Gossip())
        for name in nacking:
            assert not talk.hear(talk.peer(name), Nack(ping.nonce)).drops
        talk.wait(0.91)
        assert talk.node.health_score == score


def test_where_nobody_speaks_a_node_does_not_blame_itself() -> None:
    """It is cut off, or all others died at once: longer probes would be as silent."""
    talk = Talk(peers=4)
    silent(talk, *talk.peers)
    talk.wait(4.0)
    assert len([view for view in talk.node.members if view.status is Status.SUSPECT]) == 2
    assert talk.node.health_score == 0


def test_bad_health_stretches_the_probe_and_good_probes_heal() -> None:
    talk = Talk(peers=4)
    silent(talk, "p0", "p1", "p2", "p3")
    talk.wait(0.9)
    talk.hear(talk.peer("p1"), Gossip())
    talk.wait(1.1)
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
        talk.wait(0.45)
        talk.hear(talk.peer("p0"), Ack(ping.nonce, talk.shown))
    assert talk.node.round_trip("p0") == pytest.approx(0.45, abs=0.05)
    until_probed(talk, "p0")
    assert talk.wait(0.51).sent(PingReq)


def test_an_answer_after_a_stall_tells_nothing_of_the_way() -> None:
    talk = Talk(peers=3)
    silent(talk, "p0")
    ping = until_probed(talk, "p0")
    talk.wait(1.2)
    talk.hear(talk.peer("p0"), Ack(ping.nonce, talk.shown))
    assert talk.node.round_trip("p0") is None


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
    monkeypatch.setattr("gossipd.core.swim.pinging.RELAYED_MAX", 2)
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


@pytest.mark.untraced
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


NO_CORROBORATION = Settings(corroborators=0, probe_interval=1000.0, suspicion_mult=2.0)


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

NO_RELAYS = Settings(indirect_probes=0)
"""So that silent ones do not worsen the local health."""

CORROBORATING = Settings(probe_interval=1000.0, probe_timeout=0.5, corroborators=100)


@pytest.mark.untraced
@pytest.mark.parametrize("corroborators", [1, 5, 12, 100])
def test_of_those_who_hear_of_a_suspicion_exactly_so_many_ping_the_suspect(
    corroborators: int,
) -> None:
    names = [f"p{number:02}" for number in range(13)]
    settings = Settings(probe_interval=1000.0, corroborators=corroborators)
    looked_into = []
    for own in names:
        if own == "p07":
            continue
        talk = Talk(name=own, settings=settings)
        for number, name in enumerate(names):
            if name != own:
                talk.admit(Peer(name, (f"10.0.1.{number + 1}", 7946)))
        accuser = talk.peer("p03" if own != "p03" else "p02")
        view = talk.peer("p07").seen(Status.SUSPECT, accusers=[accuser.name])
        talk.hear(accuser, Gossip(), [view])
        if talk.wait(0.15).sent(Ping, talk.peer("p07")):
            looked_into.append(names.index(own))
    assert len(looked_into) == min(corroborators, 12)
    if corroborators == 5:
        places = sorted((place - 8) % 13 for place in looked_into)
        assert {after - before for before, after in pairwise(places)} <= {2, 3}


def test_a_corroborator_goes_on_to_ping_until_the_suspicion_ends() -> None:
    talk = Talk(peers=6, settings=Settings(corroborators=100, probe_interval=10.0))
    talk.wait(100)
    silent(talk, "p0")
    suspect(talk, "p1")
    said = talk.wait(5.0)
    assert 47 <= len(said.sent(Ping, talk.peer("p0"))) <= 51, "every 0.1 s, the least timeout"
    suspect(talk, "p2", "p3", "p4")
    while talk.status("p0") is Status.SUSPECT:
        talk.wait(0.1)
    contacts = Settings().contact_interval
    assert len(talk.wait(1.0).sent(Ping, talk.peer("p0"))) <= 1 / contacts + 1


def test_the_accuser_goes_on_to_ping_until_the_suspect_refutes() -> None:
    talk = Talk(peers=6, settings=NO_RELAYS)
    talk.settle()
    silent(talk, "p0")
    until_probed(talk, "p0")
    talk.wait(1.5)
    assert talk.held("p0").accusers == ("me",)
    said = talk.wait(0.5)
    assert 4 <= len(said.sent(Ping, talk.peer("p0"))) <= 6
    assert {view.status for view in said.views("p0", talk.peer("p0"))} == {Status.SUSPECT}
    talk.hear(talk.peer("p0"), Gossip(), [talk.peer("p0").seen(incarnation=1)])
    talk.peer("p0").incarnation = 1
    assert talk.status("p0") is Status.ALIVE
    assert not talk.wait(0.5).sent(Ping, talk.peer("p0"))


def test_the_accusers_pings_end_when_one_of_them_is_answered() -> None:
    talk = Talk(peers=6, settings=NO_RELAYS)
    talk.settle()
    silent(talk, "p0")
    until_probed(talk, "p0")
    talk.wait(1.5)
    ping = talk.wait(0.15).sent(Ping, talk.peer("p0"))[-1]
    talk.hear(talk.peer("p0"), Ack(ping.nonce, talk.shown))
    assert not talk.wait(0.3).sent(Ping, talk.peer("p0"))


def test_without_corroboration_the_accuser_does_not_ping_on() -> None:
    talk = Talk(peers=6, settings=Settings(corroborators=0))
    talk.settle()
    silent(talk, "p0")
    until_probed(talk, "p0")
    talk.wait(1.5)
    assert talk.status("p0") is Status.SUSPECT
    assert not talk.wait(0.5).sent(Ping, talk.peer("p0"))


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


def test_a_prober_whose_probe_fails_during_a_suspicion_of_others_pings_on() -> None:
    talk = Talk(peers=9, settings=Settings(corroborators=1, indirect_probes=0))
    silent(talk, "p0")
    until_probed(talk, "p0")
    talk.wait(1.3)
    suspect(talk, "p1")
    talk.wait(0.25)
    assert set(talk.held("p0").accusers) == {"p1", "me"}
    assert len(talk.wait(0.5).sent(Ping, talk.peer("p0"))) >= 3


def test_each_new_suspicion_is_told_though_the_refutation_was_missed() -> None:
    talk = Talk(peers=6)
    assert accused(suspect(talk, "p1")) == ["p0"]
    talk.peer("p0").incarnation = 1
    assert accused(suspect(talk, "p1")) == ["p0"]
    assert accused(suspect(talk, "p2")) == []


# --- failed members ------------------------------------------------------------------------------


@pytest.mark.untraced
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


@pytest.mark.parametrize("nacks", [True, False])
def test_a_node_that_takes_itself_for_slow_accuses_as_well_if_a_relay_has_answered(
    nacks: bool,
) -> None:
    """Its verdict takes longer than the time after which nobody's answer means that answers go
    elsewhere, and in all of that it asks nobody but the relay."""
    talk = Talk(peers=2)
    talk.settle()
    talk.node._state.health.worse(6)
    talk.peer("p0").answers = False
    asked: list[PingReq] = []
    for _ in range(100):
        asked = asked or talk.wait(0.1).sent(PingReq, talk.peer("p1"))
        if asked:
            break
    talk.peer("p1").answers = False
    if nacks:
        talk.hear(talk.peer("p1"), Nack(asked[0].nonce))
    for _ in range(13):
        talk.wait(1.0)
        talk.hear(talk.peer("p1"), Gossip())
    assert (talk.status("p0") > Status.ALIVE) == nacks
