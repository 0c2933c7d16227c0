"""A node whose address changes, one that has no way to anybody, one that answers do not reach."""

from __future__ import annotations

import pytest

from gossipd.core import (
    Address,
    Drop,
    JoinDoubtful,
    MemberChanged,
    Send,
    Status,
)
from gossipd.core.identity import GENERATION_MAX
from gossipd.core.swim.joining import ANEW_MAX, FORMER_MAX
from gossipd.core.wire.messages import (
    Cookie,
    Gossip,
    Join,
    Nack,
    Ping,
    Refusal,
    Refuse,
    Standing,
)
from tests.unit.core.talk import Peer, Said, Talk

ELSEWHERE = ("10.9.9.9", 7946)
SEED = Peer("seed", ("10.0.8.8", 7946))


def silence(talk: Talk) -> None:
    for peer in talk.peers.values():
        peer.answers = False


def blamed(said: Said) -> list[str]:
    return [effect.view.name for effect in said.of(MemberChanged)]


def begin_probe(talk: Talk) -> Ping:
    for _ in range(1000):
        if pings := talk.wait(0.01).sent(Ping):
            return pings[0]
    raise AssertionError("nobody was probed")


# --- another address -----------------------------------------------------------------------------


def test_a_node_that_moves_says_so_as_after_a_restart() -> None:
    talk = Talk(peers=2)
    talk.settle()
    before = talk.own
    said = talk.readdress(ELSEWHERE)
    assert (talk.own.address, talk.own.generation) == (ELSEWHERE, before.generation + 1)
    assert {ask.address for ask in said.sent(Join)} == {ELSEWHERE}
    told = talk.wait(1).views("me")
    assert told
    assert {view.address for view in told} == {ELSEWHERE}


def test_a_node_that_is_where_it_is_does_not_move() -> None:
    talk = Talk(peers=1)
    assert not talk.readdress(talk.own.address).effects
    assert talk.own.generation == 1000


def test_nobody_moves_beyond_the_last_generation_nor_after_leaving() -> None:
    last = Talk(peers=1, generation=GENERATION_MAX)
    assert not last.readdress(ELSEWHERE).effects
    left = Talk(peers=1)
    left.leave()
    left.wait(10)
    assert left.own.status is Status.LEFT
    assert not left.readdress(ELSEWHERE).effects
    assert left.own.address == left.me.address


def test_who_moves_repeats_the_probe_whose_answer_goes_to_the_old_address() -> None:
    talk = Talk(peers=1)
    talk.settle()
    silence(talk)
    ping = begin_probe(talk)
    again = talk.readdress(ELSEWHERE).sent(Ping)
    assert [each.target for each in again] == [ping.target]
    assert again[0].nonce != ping.nonce


def test_a_ghost_at_an_old_address_of_the_node_is_no_rival() -> None:
    """Whoever has not heard of the move yet still holds it there, and may refuse the join."""
    talk = Talk(alone=False)
    old = talk.own.address
    talk.readdress(ELSEWHERE)
    nonce = talk.join(SEED.address).sent(Join)[0].nonce
    assert not talk.hear(SEED, Refuse(nonce, Refusal.NAME_TAKEN, old, 1000)).effects
    assert not talk.wait(1).sent(Join, old)


def asks_there(talk: Talk, nonce: int, holder: Address, generation: int) -> bool:
    """Whether a refusal leads to a question at the address of the holder."""
    talk.hear(SEED, Refuse(nonce, Refusal.NAME_TAKEN, holder, generation))
    return bool(talk.wait(0.01).sent(Join, holder))


def test_somebody_else_at_an_old_address_is_one() -> None:
    talk = Talk(alone=False)
    old = talk.own.address
    talk.readdress(ELSEWHERE)
    nonce = talk.join(SEED.address).sent(Join)[0].nonce
    assert asks_there(talk, nonce, old, 5000)


def test_only_the_latest_addresses_of_a_node_are_remembered() -> None:
    talk = Talk(alone=False)
    old = talk.own.address
    for port in range(FORMER_MAX + 1):
        talk.readdress((ELSEWHERE[0], port + 1))
    talk.readdress((ELSEWHERE[0], 1))  # it may come back
    nonce = talk.join(SEED.address).sent(Join)[0].nonce
    assert asks_there(talk, nonce, old, 1000)


@pytest.mark.parametrize("is_member", [False, True])
def test_only_who_is_a_member_holds_its_name_at_a_new_address(is_member: bool) -> None:
    talk = Talk(peers=int(is_member), alone=False)
    talk.readdress(ELSEWHERE)
    (asked,) = talk.join(SEED.address).sent(Join, SEED)
    assert (asked.standing is Standing.HOLDER) is is_member


def test_where_a_node_is_seen_is_told_of_its_new_address_too() -> None:
    talk = Talk(alone=False)
    outside = ("198.51.100.7", 4242)
    talk.readdress(ELSEWHERE)
    nonce = talk.join(SEED.address).sent(Join)[0].nonce
    told = talk.hear(SEED, Cookie(nonce, b"", outside)).of(JoinDoubtful)
    assert told == [JoinDoubtful(ELSEWHERE, outside)]


def test_live_members_are_asked_first_and_only_a_few() -> None:
    talk = Talk(peers=3)
    talk.fail("p0")
    assert {ask for ask in talk.peers if talk.ask_members().sent(Join, talk.peer(ask))} == {
        "p0",
        "p1",
        "p2",
    }
    crowd = Talk(peers=2 * ANEW_MAX)
    crowd.fail("p0")
    said = crowd.ask_members()
    assert len(said.sent(Join)) == ANEW_MAX
    assert not said.sent(Join, crowd.peer("p0"))


# --- no way to anybody ---------------------------------------------------------------------------


def test_a_node_without_a_way_to_anybody_blames_nobody() -> None:
    talk = Talk(peers=3)
    talk.settle()
    silence(talk)
    assert not talk.cut_off(True).effects
    assert not blamed(talk.wait(60))
    assert talk.node.health_score == 0


def test_once_there_is_a_way_members_are_asked_and_who_is_silent_is_blamed() -> None:
    talk = Talk(peers=3)
    talk.settle()
    silence(talk)
    talk.cut_off(True)
    talk.wait(10.5)
    assert len(talk.cut_off(False).sent(Join)) == 3
    assert set(blamed(talk.wait(60))) == {"p0", "p1", "p2"}


def test_a_suspect_gets_the_time_back_for_which_there_was_no_way() -> None:
    talk = Talk(peers=3)
    talk.settle()
    talk.peer("p0").answers = False
    talk.hear(talk.peer("p1"), Gossip(), [talk.peer("p0").seen(Status.SUSPECT, accusers=["p1"])])
    talk.cut_off(True)
    talk.wait(30)
    assert talk.status("p0") is Status.SUSPECT
    talk.cut_off(False)
    assert talk.status("p0") is Status.SUSPECT
    talk.wait(10)
    assert talk.status("p0") is Status.FAILED


def test_the_probe_that_was_under_way_is_repeated_once_there_is_a_way_again() -> None:
    talk = Talk(peers=1)
    talk.settle()
    silence(talk)
    ping = begin_probe(talk)
    talk.cut_off(True)
    again = talk.cut_off(False).sent(Ping)
    assert [each.target for each in again] == [ping.target]


def test_to_be_cut_off_or_not_is_no_news_the_second_time() -> None:
    talk = Talk(peers=1)
    talk.settle()
    assert not talk.cut_off(False).effects
    talk.cut_off(True)
    assert not talk.cut_off(True).effects
    assert talk.cut_off(False).of(Send)


# --- answers that do not come --------------------------------------------------------------------


def test_who_is_spoken_to_and_never_answered_blames_itself_not_the_others() -> None:
    """Its answers go to an address that it has no more. It takes some seconds to know that."""
    talk = Talk(peers=3)
    talk.settle()
    silence(talk)

    def speak(seconds: int) -> list[str]:
        said = []
        for _ in range(seconds):
            talk.hear(talk.peer("p0"), Gossip())
            said += blamed(talk.wait(1))
        return said

    assert speak(6)
    for peer in talk.peers.values():
        peer.incarnation = 1
    talk.hear(talk.peer("p0"), Gossip(), [peer.view for peer in talk.peers.values()])
    assert not speak(20)
    assert blamed(talk.wait(20)), "now they are silent"


def test_when_somebody_last_answered_is_known() -> None:
    talk = Talk(peers=2)
    assert talk.node.heard_at == float("-inf")
    talk.settle()
    assert talk.now - talk.node.heard_at < 1.1
    silence(talk)
    at = talk.now
    ping = begin_probe(talk)
    assert talk.node.heard_at <= at
    relay = next(peer for peer in talk.peers.values() if peer.name != ping.target)
    talk.wait(0.6)
    talk.hear(relay, Nack(ping.nonce))
    assert talk.node.heard_at == talk.now
    assert talk.hear(relay, Nack(99)).drops == [Drop.UNASKED]
    assert talk.node.failed_count == 0


def test_where_live_members_are_is_told_up_to_a_number() -> None:
    talk = Talk(peers=3)
    talk.fail("p0")
    assert talk.node.failed_count == 1
    assert set(talk.node.live_addresses(9)) == {talk.peer("p1").address, talk.peer("p2").address}
    assert len(talk.node.live_addresses(1)) == 1
