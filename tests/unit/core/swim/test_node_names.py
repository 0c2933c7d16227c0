"""Two holders of one name: nobody's word ends a node, but what it has found out itself."""

from __future__ import annotations

import pytest

from gossipd.core import (
    Address,
    Drop,
    FoundItself,
    MemberView,
    NameLost,
    Status,
)
from gossipd.core.identity import GENERATION_MAX, INCARNATION_MAX
from gossipd.core.swim.name_conflict import RIVALS_MAX
from gossipd.core.swim.plausible import GENERATION_SPAN, INCARNATION_BELIEVED_MAX
from gossipd.core.wire.messages import (
    Cookie,
    Gossip,
    Join,
    Refusal,
    Refuse,
    Shown,
    Standing,
    Welcome,
)
from tests.inside import snapshot_of
from tests.unit.core.talk import Peer, Said, Talk

ELSEWHERE = ("10.0.6.6", 7946)
SEED = Peer("seed", ("10.0.8.8", 7946))


def other_holder(
    generation: int, status: Status = Status.ALIVE, address: Address = ELSEWHERE
) -> MemberView:
    return MemberView("me", address, generation, 0, status)


def tell(talk: Talk, view: MemberView) -> Said:
    """A member tells of a holder; what this node does at once."""
    said = talk.hear(talk.peer("p0"), Gossip(), [view])
    return Said(said.timed + talk.wait(0.001).timed)


def answer(
    talk: Talk,
    asked: Join,
    rival: Peer,
    standing: Standing = Standing.HOLDER,
    holder: Address | None = None,
) -> Said:
    """The rival answers a question of the node as whoever holds its name."""
    cookie = Cookie(asked.nonce, b"12345678", talk.me.address)
    (again,) = talk.hear(rival, cookie).sent(Join, rival)
    assert again.cookie == b"12345678"
    refuse = Refuse(
        again.nonce, Refusal.NAME_TAKEN, holder or rival.address, rival.generation, standing
    )
    return talk.hear(rival, refuse)


def meet(talk: Talk, rival: Peer, standing: Standing = Standing.HOLDER) -> list[NameLost]:
    """A member tells of a rival, and that answers."""
    (asked,) = tell(talk, other_holder(5000, address=rival.address)).sent(Join, rival)
    return answer(talk, asked, rival, standing).of(NameLost)


def settled() -> Talk:
    """A node that holds its name for good."""
    talk = Talk(peers=1)
    talk.wait(2 * talk.settings.name_check)
    return talk


# --- what is only said ---------------------------------------------------------------------------


def test_a_holder_that_is_told_of_is_asked_and_if_it_is_silent_nothing_comes_of_it() -> None:
    talk = settled()
    lost: list[NameLost] = []
    asked = 0
    for _ in range(100):
        said = tell(talk, other_holder(1001))
        lost += said.of(NameLost)
        asked += len(said.sent(Join, ELSEWHERE)) + len(talk.wait(0.2).sent(Join, ELSEWHERE))
    assert not lost
    assert asked == 11, "once in `name_check`"


def test_each_address_is_asked_in_its_own_time() -> None:
    talk = settled()
    other = ("10.0.7.7", 7946)
    tell(talk, other_holder(1001))
    talk.wait(1)
    tell(talk, other_holder(1001, address=other))
    for address in (ELSEWHERE, other):
        assert not tell(talk, other_holder(1001, address=address)).sent(Join)
    said = talk.wait(1.5)
    assert [len(said.sent(Join, at)) for at in (ELSEWHERE, other)] == [1, 0]
    assert talk.wait(1).sent(Join, other)


def test_many_addresses_that_are_told_of_are_not_all_asked() -> None:
    talk = settled()
    asked = 0
    for number in range(1000):
        talk.hear_views(other_holder(1001, address=("10.0.6.6", 1000 + number)))
        asked += len(talk.wait(0.002).sent(Join))
    assert asked == RIVALS_MAX


def test_a_refusal_by_somebody_else_makes_a_newcomer_ask_the_holder_itself() -> None:
    talk = Talk(alone=False)
    holder = Peer("me", ("10.0.3.3", 1), 5)
    nonce = talk.join(SEED.address).sent(Join)[0].nonce
    said = talk.hear(SEED, Refuse(nonce, Refusal.NAME_TAKEN, holder.address, 5))
    assert not said.of(NameLost)
    (asked,) = talk.wait(0.001).sent(Join, holder)
    (lost,) = answer(talk, asked, holder).of(NameLost)
    assert lost.detail == "the name 'me' is taken by a live node at 10.0.3.3 port 1"


def test_who_says_to_be_the_holder_must_be_where_it_was_asked() -> None:
    """A seed that refuses in the name of the node, for somebody elsewhere, is only a rumour."""
    talk = Talk(alone=False)
    (asked,) = talk.join(SEED.address).sent(Join)
    liar = Peer("me", SEED.address, 5000)
    assert not answer(talk, asked, liar, holder=ELSEWHERE).of(NameLost)
    assert talk.wait(0.001).sent(Join, ELSEWHERE)


def test_a_refusal_that_answers_nothing_is_dropped() -> None:
    talk = settled()
    refuse = Refuse(5, Refusal.NAME_TAKEN, ELSEWHERE, 5000)
    assert talk.hear(Peer("me", ELSEWHERE, 5000), refuse).drops == [Drop.UNASKED]


def test_a_cookie_that_answers_nothing_is_echoed_to_nobody_but_members_where_they_are() -> None:
    talk = settled()
    cookie = Cookie(5, b"12345678", talk.me.address)
    for name in ("me", "nobody"):
        said = talk.hear(Peer(name, ELSEWHERE, 5000), cookie)
        assert said.drops == [Drop.UNASKED]
        assert not said.sent(Join)
    p0 = talk.peer("p0")
    said = talk.hear(p0, cookie, source=ELSEWHERE)
    assert len(said.sent(Join, p0)) == len(said.sent(Join)) == 1


def test_what_a_stranger_says_under_the_name_of_a_node_does_not_end_it() -> None:
    talk = Talk(peers=1)
    view = talk.own._replace(address=ELSEWHERE, generation=5000)
    said = talk.hear(Peer("me", ELSEWHERE, generation=5000), Gossip(), [view])
    assert not said.of(NameLost)
    assert talk.own.generation == 1000


# --- what answers --------------------------------------------------------------------------------


def test_of_two_holders_the_one_with_the_smaller_generation_loses_the_name() -> None:
    (lost,) = meet(settled(), Peer("me", ELSEWHERE, 1001))
    assert lost.detail == "the name 'me' was taken over by the node at 10.0.6.6 port 7946"
    assert not meet(settled(), Peer("me", ELSEWHERE, 999))


@pytest.mark.parametrize(("host", "loses"), [("10.0.0.0", False), ("10.0.6.6", True)])
def test_of_two_holders_in_one_generation_the_larger_address_keeps_the_name(
    host: str, loses: bool
) -> None:
    assert bool(meet(settled(), Peer("me", (host, 7946), 1000))) is loses


@pytest.mark.parametrize("standing", [Standing.NEWCOMER, Standing.ALONE, Standing.MEMBER])
def test_a_holder_keeps_its_name_from_whoever_is_less_whatever_the_generation(
    standing: Standing,
) -> None:
    assert not meet(settled(), Peer("me", ELSEWHERE, 5000), standing)


def test_how_well_a_node_holds_its_name() -> None:
    talk = Talk(alone=False)

    def standing() -> Standing:
        return talk.join(SEED.address).sent(Join)[0].standing

    assert standing() is Standing.NEWCOMER
    talk.wait(talk.settings.ready_after + 1)
    assert standing() is Standing.ALONE
    talk.admit(Peer("p0", ("10.0.1.1", 7946)))
    assert standing() is Standing.MEMBER
    talk.wait(2 * talk.settings.name_check)
    assert standing() is Standing.HOLDER
    talk.peer("p0").answers = False
    talk.wait(60)
    assert talk.status("p0") is Status.FAILED
    assert standing() is Standing.ALONE
    talk.peer("p0").answers = True
    talk.wait(10)
    assert standing() is Standing.HOLDER, "it is contacted, and answers"


def lonely(talk: Talk) -> None:
    """Let it be a member for nobody."""
    talk.peer("p0").answers = False
    talk.wait(10)


def states(talk: Talk, rival: Peer) -> Standing:
    """What the node tells a rival that joins of how well it holds the name."""
    cookie = talk.ask_in(rival).sent(Cookie, rival)[0].cookie
    return talk.ask_in(rival, cookie).sent(Refuse, rival)[0].standing


def test_what_a_node_has_told_a_rival_it_goes_by_until_nobody_can_any_more() -> None:
    """Else both may give way: each to what the other one has said before."""
    talk = settled()
    rival = Peer("me", ELSEWHERE, 5000)
    assert states(talk, rival) is Standing.HOLDER
    lonely(talk)
    talk.wait(40)
    assert states(talk, rival) is Standing.ALONE
    assert not meet(talk, rival, Standing.MEMBER)
    talk.wait(61)
    assert meet(talk, rival, Standing.MEMBER)


def test_what_was_told_long_ago_does_not_bind() -> None:
    talk = settled()
    rival = Peer("me", ELSEWHERE, 5000)
    states(talk, rival)
    lonely(talk)
    talk.wait(61)
    states(talk, rival)
    assert meet(talk, rival, Standing.MEMBER)


def test_an_answer_that_took_long_does_not_count() -> None:
    talk = settled()
    rival = Peer("me", ELSEWHERE, 5000)
    (asked,) = tell(talk, other_holder(5000)).sent(Join, rival)
    cookie = Cookie(asked.nonce, b"12345678", talk.me.address)
    (again,) = talk.hear(rival, cookie).sent(Join, rival)
    talk.wait(11)
    refuse = Refuse(again.nonce, Refusal.NAME_TAKEN, rival.address, 5000, Standing.HOLDER)
    assert not talk.hear(rival, refuse).effects
    assert meet(talk, rival)


def test_the_holder_of_the_name_itself_is_a_seed_like_any_other() -> None:
    talk = Talk(alone=False)
    holder = Peer("me", SEED.address, generation=999)
    (asked,) = talk.join(holder.address).sent(Join)
    assert answer(talk, asked, holder, Standing.ALONE).of(NameLost)


def test_whoever_answers_and_has_to_give_way_is_asked_again_until_it_does() -> None:
    talk = settled()
    rival = Peer("me", ELSEWHERE, 999)
    assert not meet(talk, rival)
    asked = talk.wait(talk.settings.name_check + 0.1).sent(Join, rival)
    assert len(asked) == 1
    assert not answer(talk, asked[0], rival).of(NameLost)
    assert talk.wait(talk.settings.name_check + 0.1).sent(Join, rival)
    assert not talk.wait(60).sent(Join, rival), "it is gone"


def test_who_has_given_its_name_up_is_silent_about_that() -> None:
    """So it cannot rise above whom it has given way to, and end that, too."""
    talk = settled()
    rival = Peer("me", ELSEWHERE, 1001)
    assert meet(talk, rival)
    cookie = talk.ask_in(rival).sent(Cookie, rival)[0].cookie
    assert not talk.ask_in(rival, cookie).sent(Refuse)
    (asked,) = talk.join(SEED.address).sent(Join)
    assert not talk.hear(SEED, Refuse(asked.nonce, Refusal.NAME_TAKEN, ELSEWHERE, 1001)).effects


def test_a_larger_holder_that_joins_is_refused_and_asked() -> None:
    for standing in Standing:
        talk = settled()
        rival = Peer("me", ELSEWHERE, 1001)
        cookie = talk.ask_in(rival).sent(Cookie, rival)[0].cookie
        said = talk.hear(rival, Join(7, rival.address, (), cookie, standing))
        (refusal,) = said.sent(Refuse, rival)
        assert (refusal.reason, refusal.standing) == (Refusal.NAME_TAKEN, Standing.HOLDER)
        asked = talk.wait(0.001).sent(Join, rival)
        assert bool(asked) is (standing is Standing.HOLDER)


def test_who_leaves_anyway_does_not_lose_its_name() -> None:
    talk = settled()
    rival = Peer("me", ELSEWHERE, 1001)
    (asked,) = tell(talk, other_holder(1001)).sent(Join, rival)
    talk.increment()  # so it waits for somebody to hold that
    talk.leave()
    assert not answer(talk, asked, rival).of(NameLost)
    assert not tell(talk, other_holder(1001)).sent(Join, rival)


# --- the same address ----------------------------------------------------------------------------


def test_a_larger_generation_of_itself_is_exceeded_and_the_own_address_is_asked() -> None:
    """Two processes may share it; what comes back to the one that asked proves nothing."""
    talk = settled()
    for generation in (2000, 3000, 4000, 5000):
        view = talk.me.view._replace(generation=generation)
        said = tell(talk, view)
        assert not said.of(NameLost)
        assert talk.own.generation == generation + 1
        for asked in said.sent(Join, talk.me):
            back = talk.hear(Peer("me", talk.me.address, talk.own.generation), asked)
            assert not back.effects, "it is this node"
        talk.wait(3)


def test_of_two_processes_behind_one_address_one_gives_way() -> None:
    talk = settled()
    twin = Peer("me", talk.me.address, 9000)
    (asked,) = tell(talk, talk.me.view._replace(generation=2000)).sent(Join, talk.me)
    assert answer(talk, asked, twin).of(NameLost)


def test_an_earlier_life_is_refused_where_it_was() -> None:
    talk = Talk()
    before = Peer("me", talk.me.address, generation=10)
    cookie = talk.ask_in(before).sent(Cookie)[0].cookie
    said = talk.ask_in(before, cookie)
    assert said.sent(Refuse, talk.me)
    assert not talk.wait(1).sent(Join)


def test_what_comes_back_from_the_address_of_a_rival_is_no_rival() -> None:
    """It was said to live at another address of this very host."""
    talk = settled()
    (asked,) = tell(talk, other_holder(1001)).sent(Join, ELSEWHERE)
    back = talk.hear(Peer("me", talk.me.address), asked, source=ELSEWHERE)
    assert back.effects == [FoundItself(ELSEWHERE)]


# --- what ends by itself -------------------------------------------------------------------------


@pytest.mark.parametrize("status", [Status.FAILED, Status.LEFT])
def test_a_holder_that_has_ended_is_exceeded(status: Status) -> None:
    talk = settled()
    assert not tell(talk, other_holder(1001)).of(NameLost)
    assert not tell(talk, other_holder(1001, status)).of(NameLost)
    assert talk.own.generation == 1002


# --- absurd generations and incarnations ---------------------------------------------------------

CLOCK = 1_700_000_000_000


def old() -> Talk:
    """A node of today, at which a clock was seen."""
    talk = Talk(peers=2, generation=CLOCK)
    talk.see_clock(CLOCK / 1000)
    return talk


@pytest.mark.parametrize("status", list(Status))
@pytest.mark.parametrize("generation", [GENERATION_MAX, CLOCK + 2 * GENERATION_SPAN + 1])
def test_an_absurd_generation_of_itself_is_refused(generation: int, status: Status) -> None:
    talk = old()
    view = talk.me.view._replace(generation=generation, status=status)
    assert talk.hear_views(view).drops == [Drop.ABSURD]
    assert talk.own.generation == CLOCK


@pytest.mark.parametrize("incarnation", [INCARNATION_MAX, INCARNATION_BELIEVED_MAX + 1])
def test_an_absurd_incarnation_is_refused(incarnation: int) -> None:
    talk = old()
    for view in (talk.me.view, talk.peer("p1").view):
        lie = view._replace(incarnation=incarnation, status=Status.FAILED)
        assert talk.hear_views(lie).drops == [Drop.ABSURD]
    assert talk.own.incarnation == 0
    assert talk.status("p1") is Status.ALIVE
    p1 = talk.peer("p1")
    p1.incarnation = incarnation
    assert talk.hear(p1, Gossip()).drops == [Drop.ABSURD]
    assert talk.held("p1").incarnation == 0


def test_after_the_last_believed_incarnation_comes_the_next_generation() -> None:
    talk = old()
    last = INCARNATION_BELIEVED_MAX
    talk.hear_views(talk.me.view._replace(incarnation=last, status=Status.SUSPECT))
    assert (talk.own.generation, talk.own.incarnation) == (CLOCK + 1, 0)


def test_what_others_believe_of_a_node_it_can_always_refute() -> None:
    """Even where clocks are a lifetime apart: each bound is a span above the one before."""
    skew = GENERATION_SPAN - 1000
    ahead, behind = Talk(peers=1, generation=CLOCK), Talk(peers=1, generation=CLOCK)
    ahead.see_clock((CLOCK + skew) / 1000)
    behind.see_clock(CLOCK / 1000)
    most = CLOCK + skew + GENERATION_SPAN
    victim = Peer("victim", ("10.0.9.9", 7946), CLOCK)
    ahead.admit(victim)
    lie = victim.view._replace(generation=most, status=Status.FAILED)
    assert Drop.ABSURD in ahead.hear_views(lie._replace(generation=most + 1)).drops
    assert Drop.ABSURD not in ahead.hear_views(lie).drops
    behind.hear_views(behind.me.view._replace(generation=most, status=Status.FAILED))
    assert behind.own.generation == most + 1
    victim.generation = most + 1
    ahead.admit(victim)
    assert ahead.held("victim").generation == most + 1
    assert ahead.status("victim") is Status.ALIVE


def test_what_is_said_of_others_is_believed_up_to_one_span_only_but_what_is_held_stays() -> None:
    talk = old()
    p1 = talk.peer("p1")
    talk.admit(Peer("p1", p1.address, CLOCK + 2 * GENERATION_SPAN))
    own_word = talk.held("p1")
    said = talk.hear_views(own_word._replace(status=Status.SUSPECT, accusers=("p0",)))
    assert said.drops == []
    assert talk.status("p1") is Status.SUSPECT
    said = talk.hear_views(own_word._replace(generation=own_word.generation + 1))
    assert said.drops == [Drop.ABSURD]


def test_a_member_in_a_welcome_is_believed_of_itself() -> None:
    talk = Talk(alone=False, generation=CLOCK)
    (asked,) = talk.join(SEED.address).sent(Join)
    seed = Peer("seed", SEED.address, CLOCK + 2 * GENERATION_SPAN)
    ghost = Peer("ghost", ELSEWHERE, CLOCK + 2 * GENERATION_SPAN)
    said = talk.hear(seed, Welcome(asked.nonce, Shown(0, 0, True)), [seed.view, ghost.view])
    assert said.drops == [Drop.ABSURD]
    assert [view.name for view in talk.node.members] == ["me", "seed"]


def test_no_refusal_lets_a_generation_rise_to_where_it_is_absurd() -> None:
    talk = Talk(alone=False)
    (asked,) = talk.join(SEED.address).sent(Join)
    refuse = Refuse(asked.nonce, Refusal.GENERATION_TOO_LOW, ELSEWHERE, GENERATION_MAX)
    assert talk.hear(SEED, refuse).drops == [Drop.ABSURD]
    assert talk.own.generation == 1000


@pytest.mark.parametrize("status", [Status.ALIVE, Status.FAILED])
def test_absurd_members_that_an_earlier_life_has_kept_are_let_go(status: Status) -> None:
    before = Talk(peers=2)
    snapshot = snapshot_of(before.node, before.now)
    poisoned = tuple(
        view._replace(generation=GENERATION_MAX, status=status) if view.name == "p0" else view
        for view in snapshot.members
    )
    talk = Talk(alone=False)
    talk.node.load(snapshot._replace(members=poisoned), talk.now)
    assert [view.name for view in snapshot_of(talk.node, talk.now).members] == ["p1"]
