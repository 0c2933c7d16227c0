"""How a node joins and takes others in: cookies, proven addresses, no amplification."""

from __future__ import annotations

import pytest

from gossipd.core import (
    Drop,
    FoundItself,
    JoinDoubtful,
    Joined,
    Left,
    NameLost,
    Send,
    Status,
)
from gossipd.core.swim import members
from gossipd.core.swim.joining import ASKED_MAX
from gossipd.core.wire.messages import (
    Ack,
    Cookie,
    Gossip,
    Join,
    Nack,
    Ping,
    PingReq,
    Refusal,
    Refuse,
    RelayedAck,
    Standing,
    Welcome,
)
from tests.unit.core.talk import Peer, Talk

NEWCOMER = Peer("new", ("10.0.9.9", 7946))
VICTIM = ("192.0.2.66", 53)


def names(talk: Talk) -> list[str]:
    return [view.name for view in talk.node.members]


def test_nothing_is_stored_of_a_joiner_before_it_echoes_the_cookie() -> None:
    talk = Talk(peers=1)
    said = talk.ask_in(NEWCOMER)
    assert said.sent(Cookie, NEWCOMER)
    assert names(talk) == ["me", "p0"]
    assert not talk.wait(5).views("new")


def test_the_echo_makes_the_joiner_a_member_and_tells_others() -> None:
    talk = Talk(peers=1)
    talk.settle()
    welcome = talk.admit(NEWCOMER)
    assert welcome.shown.ready
    assert talk.status("new") is Status.ALIVE
    assert talk.wait(1).views("new", talk.peer("p0"))


def test_the_cookie_goes_to_the_advertised_address_and_a_hint_to_the_source() -> None:
    talk = Talk()
    behind_nat = ("198.51.100.7", 4242)
    said = talk.ask_in(NEWCOMER, source=behind_nat)
    assert said.sent(Cookie, NEWCOMER)[0].cookie
    hint = said.sent(Cookie, behind_nat)[0]
    assert (hint.cookie, hint.seen) == (b"", behind_nat)


def test_a_cookie_of_another_address_is_of_no_use() -> None:
    talk = Talk()
    cookie = talk.ask_in(NEWCOMER).sent(Cookie)[0].cookie
    forger = Peer("forger", VICTIM)
    said = talk.ask_in(forger, cookie, source=NEWCOMER.address)
    assert not said.sent(Welcome)
    assert names(talk) == ["me"]


def test_a_cookie_is_good_for_half_a_minute_and_then_expires() -> None:
    talk = Talk()
    cookie = talk.ask_in(NEWCOMER).sent(Cookie)[0].cookie
    talk.wait(29)
    assert talk.ask_in(NEWCOMER, cookie).sent(Welcome)
    late = Peer("late", ("10.0.9.8", 7946))
    cookie = talk.ask_in(late).sent(Cookie)[0].cookie
    talk.wait(61)
    assert not talk.ask_in(late, cookie).sent(Welcome)


def test_forged_joins_never_send_a_victim_more_than_three_times_their_bytes() -> None:
    talk = Talk(peers=1)
    source = ("203.0.113.5", 9)
    forged = Peer("victim", VICTIM)
    paid = 0
    to_victim = 0
    for nonce in range(50):
        data = forged.says(Join(nonce, VICTIM, (), b"", Standing.NEWCOMER))
        paid += len(data)
        to_victim += talk.deliver(data, source).bytes_to(VICTIM)
    assert 0 < to_victim <= 3 * paid
    assert not talk.wait(5).bytes_to(VICTIM)


def test_what_would_be_more_than_three_times_is_not_sent_to_a_stranger() -> None:
    talk = Talk(name="m" * 64)
    stranger = Peer("s", VICTIM)
    small = stranger.says(Gossip())
    answers = [talk.deliver(small, VICTIM) for _ in range(4)]
    assert sum(said.bytes_to(VICTIM) for said in answers) <= 3 * 4 * len(small)
    own = talk.deliver(Peer("m" * 64, VICTIM, 1).says(Gossip()), ("203.0.113.5", 1))
    assert own.bytes_to(("203.0.113.5", 1)) <= 3 * len(small) + 3 * 64


def test_a_stranger_gets_a_cookie_and_what_it_says_is_ignored() -> None:
    talk = Talk(peers=1)
    talk.settle()
    ghost = Peer("ghost", ("10.0.7.7", 7946))
    said = talk.hear(NEWCOMER, Ping(5, "me", talk.shown), [ghost.view])
    assert said.drops == [Drop.STRANGER]
    assert [cookie.nonce for cookie in said.sent(Cookie, NEWCOMER)] == [5]
    assert not said.sent(Ack)
    assert names(talk) == ["me", "p0"]


def test_a_member_that_restarted_elsewhere_unheard_is_a_stranger() -> None:
    talk = Talk(peers=1)
    reborn = Peer("p0", talk.peer("p0").address, generation=2000)
    said = talk.hear(reborn, Gossip())
    assert said.drops == [Drop.STRANGER]
    assert said.sent(Cookie, reborn)


def test_a_restart_at_the_same_address_is_welcome() -> None:
    talk = Talk(peers=1)
    talk.admit(Peer("p0", talk.peer("p0").address, generation=2000))
    assert talk.held("p0").generation == 2000
    assert talk.status("p0") is Status.ALIVE


def test_a_joiner_whose_clock_went_back_is_told_what_is_held_of_it() -> None:
    talk = Talk(peers=1)
    reborn = Peer("p0", talk.peer("p0").address, generation=10)
    cookie = talk.ask_in(reborn).sent(Cookie)[0].cookie
    said = talk.ask_in(reborn, cookie)
    assert {view.generation for view in said.views("p0", reborn)} == {1000}
    assert talk.held("p0").generation == 1000


def test_a_node_whose_clock_went_back_rises_above_what_is_held_of_it() -> None:
    talk = Talk(alone=False, generation=10)
    seed = Peer("seed", ("10.0.8.8", 7946))
    nonce = talk.join(seed.address).sent(Join)[0].nonce
    held = talk.me.view._replace(generation=1000, status=Status.FAILED)
    talk.hear(seed, Welcome(nonce, talk.shown), [seed.view, held])
    assert (talk.own.generation, talk.own.status) == (1001, Status.ALIVE)


def test_a_node_does_not_ask_its_own_address() -> None:
    talk = Talk(alone=False)
    assert not talk.join(talk.me.address).of(Send)


def test_a_node_echoes_the_cookie_and_tells_who_accepted_it() -> None:
    talk = Talk(alone=False)
    seed = Peer("seed", ("10.0.8.8", 7946))
    asked = talk.join(seed.address).sent(Join, seed)[0]
    assert (asked.address, asked.cookie) == (talk.me.address, b"")
    echo = talk.hear(seed, Cookie(asked.nonce, b"secret", seed.address)).sent(Join, seed)[0]
    assert echo.cookie == b"secret"
    said = talk.hear(seed, Welcome(echo.nonce, talk.shown), [seed.view])
    assert said.of(Joined) == [Joined(seed.address, "seed")]
    assert talk.status("seed") is Status.ALIVE


def test_an_answer_to_a_join_that_was_not_asked_is_dropped() -> None:
    talk = Talk(alone=False)
    seed = Peer("seed", ("10.0.8.8", 7946))
    refuse = Refuse(99, Refusal.NAME_TAKEN, seed.address, 5)
    for message in (Welcome(99, talk.shown), refuse, Cookie(99, b"", seed.address)):
        assert talk.hear(seed, message, [seed.view]).drops == [Drop.UNASKED]
    assert names(talk) == ["me"]


def test_a_node_that_is_seen_elsewhere_says_so_as_often_as_it_is_told() -> None:
    talk = Talk(alone=False)
    seed = Peer("seed", ("10.0.8.8", 7946))
    nonce = talk.join(seed.address).sent(Join)[0].nonce
    outside = ("198.51.100.7", 4242)
    hint = Cookie(nonce, b"", outside)
    for _ in range(2):
        said = talk.hear(seed, hint)
        assert said.of(JoinDoubtful) == [JoinDoubtful(talk.me.address, outside)]
    assert not talk.hear(seed, Cookie(nonce, b"", talk.me.address)).effects


def test_only_so_many_open_joins_are_remembered() -> None:
    talk = Talk(alone=False)
    seed = Peer("seed", ("10.0.8.8", 7946))
    first = talk.join(seed.address).sent(Join)[0].nonce
    for _ in range(ASKED_MAX):
        talk.join(seed.address)
    assert talk.hear(seed, Welcome(first, talk.shown), [seed.view]).drops == [Drop.UNASKED]


def test_a_leaving_node_takes_nobody_in() -> None:
    talk = Talk(peers=1)
    talk.leave()
    said = talk.ask_in(NEWCOMER)
    assert said.drops == [Drop.STRANGER]
    assert not said.of(Send)
    assert not said.of(Left)


def test_a_full_member_table_refuses_the_newcomer_silently_but_counts_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(members, "MEMBERS_MAX", 3)
    talk = Talk(peers=2)
    cookie = talk.ask_in(NEWCOMER).sent(Cookie)[0].cookie
    said = talk.ask_in(NEWCOMER, cookie)
    assert said.drops == [Drop.MEMBERS_FULL]
    assert not said.sent(Welcome)


def test_members_that_only_others_knew_make_room_for_a_newcomer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(members, "MEMBERS_MAX", 6)
    monkeypatch.setattr(members, "STRANGERS_SHARE", 4)
    talk = Talk(peers=1)
    for number in range(9):
        talk.hear_views(Peer(f"x{number}", (f"10.9.0.{number}", 1)).seen(Status.LEFT))
    assert names(talk) == ["me", "p0", "x0", "x1", "x2", "x3"]
    talk.admit(NEWCOMER)
    assert names(talk) == ["me", "new", "p0", "x1", "x2", "x3"]


# --- names ---------------------------------------------------------------------------------------


def rival_of(talk: Talk, name: str, generation: int = 5000) -> tuple[Peer, bytes]:
    """Somebody at another address who wants a name, and its cookie."""
    rival = Peer(name, ("10.0.6.6", 7946), generation)
    return rival, talk.ask_in(rival).sent(Cookie, rival)[0].cookie


def test_the_name_of_the_node_itself_is_taken() -> None:
    talk = Talk()
    rival, cookie = rival_of(talk, "me")
    said = talk.ask_in(rival, cookie)
    assert [r.reason for r in said.sent(Refuse, rival)] == [Refusal.NAME_TAKEN]
    assert not said.of(NameLost)


def test_a_joining_twin_in_the_same_generation_is_refused() -> None:
    talk = Talk()
    rival, cookie = rival_of(talk, "me", generation=1000)
    said = talk.ask_in(rival, cookie)
    assert [r.reason for r in said.sent(Refuse, rival)] == [Refusal.NAME_TAKEN]


def test_a_name_whose_holder_answers_directly_is_refused() -> None:
    talk = Talk(peers=4)
    rival, cookie = rival_of(talk, "p0")
    asked = talk.ask_in(rival, cookie)
    assert [ping.target for ping in asked.sent(Ping, talk.peer("p0"))] == ["p0"]
    refusals = talk.wait(2.5).sent(Refuse, rival)
    assert [(r.reason, r.holder) for r in refusals] == [
        (Refusal.NAME_TAKEN, talk.peer("p0").address)
    ]
    assert talk.held("p0").address == talk.peer("p0").address


def test_a_name_whose_holder_answers_only_through_a_relay_is_refused() -> None:
    talk = Talk(peers=4)
    talk.peer("p0").answers = False
    rival, cookie = rival_of(talk, "p0")
    asked = talk.ask_in(rival, cookie)
    request = asked.sent(PingReq)[0]
    assert len(asked.sent(PingReq)) == 3
    assert request.target == "p0"
    said = talk.hear(talk.peer("p1"), RelayedAck(request.nonce))
    assert [r.reason for r in said.sent(Refuse, rival)] == [Refusal.NAME_TAKEN]
    assert talk.hear(talk.peer("p2"), RelayedAck(request.nonce)).drops == [Drop.UNASKED]


def test_a_holder_that_asks_to_be_taken_in_lives() -> None:
    talk = Talk(peers=2)
    talk.peer("p0").answers = False
    rival, cookie = rival_of(talk, "p0")
    nonce = talk.ask_in(rival, cookie).sent(Ping, talk.peer("p0"))[0].nonce
    said = talk.hear(talk.peer("p0"), Cookie(nonce, b"c", talk.me.address))
    assert said.sent(Refuse, rival)


def test_a_name_is_checked_once_however_often_it_is_asked_for() -> None:
    talk = Talk(peers=2)
    talk.peer("p0").answers = False
    rival, cookie = rival_of(talk, "p0")
    assert talk.ask_in(rival, cookie).sent(Ping)
    assert not talk.ask_in(rival, cookie).sent(Ping)


def test_a_name_whose_holder_is_silent_is_taken_over() -> None:
    talk = Talk(peers=2)
    talk.peer("p0").answers = False
    rival, cookie = rival_of(talk, "p0")
    talk.ask_in(rival, cookie)
    assert talk.wait(2.1).sent(Welcome, rival)
    assert talk.held("p0").address == rival.address


def test_two_names_are_checked_side_by_side() -> None:
    talk = Talk(peers=3)
    for name in ("p0", "p1"):
        talk.peer(name).answers = False
    rivals = [Peer(name, ("10.0.6.6", port), 5000) for name, port in (("p0", 1), ("p1", 2))]
    nonces = []
    for rival in rivals:
        cookie = talk.ask_in(rival).sent(Cookie, rival)[0].cookie
        nonces.append(talk.ask_in(rival, cookie).sent(PingReq)[0].nonce)
    said = talk.hear(talk.peer("p2"), RelayedAck(nonces[1]))
    assert said.sent(Refuse, rivals[1])
    assert talk.wait(2.1).sent(Welcome, rivals[0])


def test_a_holder_that_answers_too_late_has_lost_the_name() -> None:
    talk = Talk(peers=2)
    talk.peer("p0").answers = False
    rival, cookie = rival_of(talk, "p0")
    nonce = talk.ask_in(rival, cookie).sent(Ping, talk.peer("p0"))[0].nonce
    talk.wait(2.1)
    said = talk.hear(talk.peer("p0"), Ack(nonce, talk.shown))
    assert {view.address for view in said.views("p0")} == {rival.address}
    assert talk.held("p0").address == rival.address
    late = Cookie(nonce, b"c", talk.me.address)
    assert not talk.hear(talk.peer("p0"), late).sent(Refuse)


def test_a_newcomer_below_the_silent_holders_generation_is_told_to_rise_and_then_let_in() -> None:
    talk = Talk(peers=2)
    talk.peer("p0").answers = False
    rival, cookie = rival_of(talk, "p0", generation=10)
    talk.ask_in(rival, cookie)
    refusals = talk.wait(2.1).sent(Refuse, rival)
    assert [(r.reason, r.generation) for r in refusals] == [(Refusal.GENERATION_TOO_LOW, 1000)]
    risen = Peer("p0", rival.address, generation=1001)
    assert talk.ask_in(risen, cookie).sent(Welcome, risen)


def test_a_name_found_vacant_is_kept_for_the_newcomer_for_some_seconds_only() -> None:
    talk = Talk(peers=2)
    talk.peer("p0").answers = False
    rival, cookie = rival_of(talk, "p0", generation=10)
    talk.ask_in(rival, cookie)
    talk.wait(13)
    risen = Peer("p0", rival.address, generation=1001)
    assert talk.ask_in(risen, cookie).sent(Ping), "the name is checked again"
    talk.wait(2.1)
    assert talk.held("p0").address == rival.address


def test_the_name_of_a_member_that_left_is_free() -> None:
    talk = Talk(peers=2)
    talk.condemn("p0", Status.LEFT)
    rival, cookie = rival_of(talk, "p0")
    assert talk.ask_in(rival, cookie).sent(Welcome, rival)


def test_a_larger_holder_is_taken_in_where_the_smaller_one_is_held_and_a_newcomer_is_not() -> None:
    for standing in Standing:
        holds_name = standing is Standing.HOLDER
        talk = Talk(peers=1)
        rival = Peer("p0", ("10.0.6.6", 7946), 1001)
        cookie = talk.ask_in(rival).sent(Cookie, rival)[0].cookie
        said = talk.hear(rival, Join(7, rival.address, (), cookie, standing))
        assert bool(said.sent(Welcome, rival)) is holds_name
        assert talk.held("p0").address == (rival if holds_name else talk.peer("p0")).address
        smaller = Peer("p0", ("10.0.7.7", 7946), 999)
        cookie = talk.ask_in(smaller).sent(Cookie, smaller)[0].cookie
        said = talk.hear(smaller, Join(7, smaller.address, (), cookie, standing))
        assert not said.sent(Welcome, smaller)


def test_a_node_told_that_its_generation_is_too_low_rises_and_asks_again() -> None:
    talk = Talk(alone=False, generation=10)
    seed = Peer("seed", ("10.0.8.8", 7946))
    nonce = talk.join(seed.address).sent(Join)[0].nonce
    refuse = Refuse(nonce, Refusal.GENERATION_TOO_LOW, ("10.0.3.3", 1), 500)
    said = talk.hear(seed, refuse)
    assert talk.own.generation == 501
    assert said.sent(Join, seed)


def test_a_node_that_leaves_does_not_come_to_life_for_a_name() -> None:
    talk = Talk(peers=1, generation=10)
    seed = Peer("seed", ("10.0.8.8", 7946))
    nonce = talk.join(seed.address).sent(Join)[0].nonce
    talk.node.leave(talk.now)
    refuse = Refuse(nonce, Refusal.GENERATION_TOO_LOW, ("10.0.3.3", 1), 500)
    assert not talk.hear(seed, refuse).sent(Join)
    assert talk.own.generation == 10


def test_a_cookie_is_good_for_one_name_only() -> None:
    talk = Talk(peers=1)
    rival, cookie = rival_of(talk, "someone")
    other = Peer("another", rival.address, rival.generation)
    assert not talk.ask_in(other, cookie).sent(Welcome, other)
    assert talk.ask_in(rival, cookie).sent(Welcome, rival)


def test_a_node_already_above_the_generation_named_does_nothing() -> None:
    talk = Talk(alone=False)
    seed = Peer("seed", ("10.0.8.8", 7946))
    nonce = talk.join(seed.address).sent(Join)[0].nonce
    said = talk.hear(seed, Refuse(nonce, Refusal.GENERATION_TOO_LOW, ("10.0.3.3", 1), 5))
    assert not said.effects


def test_a_nack_that_nobody_waits_for_is_dropped() -> None:
    talk = Talk(peers=1)
    assert talk.hear(talk.peer("p0"), Nack(3)).drops == [Drop.UNASKED]


def test_a_node_finds_itself_at_another_address_of_its_host() -> None:
    talk = Talk()
    loopback = ("127.0.1.1", 7946)
    (send,) = talk.join(loopback).of(Send)
    said = talk.deliver(send.data, ("127.0.0.1", 7946))
    assert said.effects == [FoundItself(loopback)]
    talk.wait(60.1)
    talk.join(("127.0.1.2", 7946))
    assert talk.deliver(send.data, ("127.0.0.1", 7946)).drops == [Drop.OWN], "no question is open"


def test_a_join_that_an_observer_sends_back_can_still_be_answered() -> None:
    talk = Talk()
    seed = Peer("seed", ("10.0.1.1", 7946))
    asking = talk.join(seed.address)
    (send,), (join,) = asking.of(Send), asking.sent(Join)
    assert talk.deliver(send.data, seed.address).of(FoundItself) == [FoundItself(seed.address)]
    echo = talk.hear(seed, Cookie(join.nonce, b"8 bytes!", talk.me.address)).sent(Join, seed)[0]
    said = talk.hear(seed, Welcome(echo.nonce, talk.shown), [seed.view])
    assert said.of(Joined) == [Joined(seed.address, "seed")]


def test_a_node_finds_itself_though_it_has_restated_itself_meanwhile() -> None:
    talk = Talk(peers=1)
    loopback = ("127.0.1.1", 7946)
    (send,) = talk.join(loopback).of(Send)
    talk.hear_views(talk.me.seen(Status.FAILED, 7))
    assert talk.deliver(send.data, loopback).of(FoundItself) == [FoundItself(loopback)]


def test_who_is_answered_from_another_address_has_joined_where_it_asked() -> None:
    talk = Talk()
    seed, virtual = Peer("seed", ("10.0.1.1", 7946)), ("10.0.7.7", 7946)
    (join,) = talk.join(virtual).sent(Join)
    echo = talk.hear(seed, Cookie(join.nonce, b"8 bytes!", talk.me.address)).sent(Join, seed)[0]
    welcome = Welcome(echo.nonce, talk.shown)
    assert talk.hear(seed, welcome, [seed.view]).of(Joined) == [Joined(virtual, "seed")]


def test_the_answers_of_many_seeds_that_are_asked_at_once_are_known() -> None:
    talk = Talk()
    seeds = [Peer(f"s{number}", (f"10.0.2.{number}", 7946)) for number in range(1, 201)]
    joins = talk.join(*(seed.address for seed in seeds)).sent(Join)
    for seed, join in zip(seeds, joins, strict=True):
        said = talk.hear(seed, Welcome(join.nonce, talk.shown), [seed.view])
        assert said.of(Joined) == [Joined(seed.address, seed.name)]
