"""What a node makes of what is said of members and of itself: refutation, telling, namesakes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NoReturn

import pytest

from gossipd.core import (
    Drop,
    Dropped,
    MemberChanged,
    NameLost,
    Refuted,
    Settings,
    Status,
)
from gossipd.core.dispatch import EXPIRE_INTERVAL
from gossipd.core.swim.members import MemberTable
from gossipd.core.swim.membership import EXPIRED_AT_ONCE
from gossipd.core.swim.plausible import GENERATION_SPAN
from gossipd.core.wire.messages import (
    Ack,
    Digest,
    Gossip,
    Held,
    Hold,
    Join,
    MemberView,
    Ping,
    Standing,
)
from tests.unit.core.talk import (
    Peer,
    Said,
    Talk,
    group,
)


def told_of_itself(talk: Talk, status: Status, generation: int, incarnation: int) -> Said:
    view = talk.me.view._replace(generation=generation, incarnation=incarnation, status=status)
    return talk.hear(talk.peer("p0"), Gossip(), [view])


@pytest.mark.parametrize("status", list(Status)[1:])
def test_whatever_is_said_against_a_node_it_refutes(status: Status) -> None:
    talk = Talk(peers=1)
    said = told_of_itself(talk, status, 1000, 4)
    assert said.of(Refuted) == [Refuted(status, 5)]
    assert (talk.own.incarnation, talk.own.status) == (5, Status.ALIVE)
    assert said.views("me", talk.peer("p0"))[0].incarnation == 5
    assert talk.node.health_score == 1


def test_a_higher_incarnation_of_itself_that_is_alive_is_exceeded_without_a_refutation() -> None:
    talk = Talk(peers=1)
    said = told_of_itself(talk, Status.ALIVE, 1000, 4)
    assert talk.own.incarnation == 5
    assert not said.of(Refuted)


def test_what_is_below_a_nodes_own_state_needs_no_answer() -> None:
    talk = Talk(peers=1, incarnation=3)
    assert not told_of_itself(talk, Status.FAILED, 1000, 2).effects


def test_a_node_that_has_left_does_not_refute_that() -> None:
    talk = Talk(peers=2)
    talk.leave()
    assert talk.own.status is Status.LEFT
    said = told_of_itself(talk, Status.LEFT, 1000, 0)
    assert not said.of(Refuted)
    assert talk.own.status is Status.LEFT


# --- telling members what is held of them --------------------------------------------------------


@pytest.mark.parametrize("status", list(Status)[1:])
def test_a_member_that_is_not_held_alive_is_told_so_when_it_speaks(status: Status) -> None:
    talk = Talk(peers=2)
    p0 = talk.peer("p0")
    talk.condemn("p0", status)
    assert {view.status for view in talk.hear(p0, Gossip()).views("p0", p0)} == {status}


def test_a_member_that_says_that_it_lives_is_not_believed_tags_that_others_told() -> None:
    talk = Talk(peers=2)
    p0 = talk.peer("p0")
    talk.hear(talk.peer("p1"), Gossip(), [p0.seen(incarnation=7)._replace(tags=(("a", "lie"),))])
    assert talk.held("p0").tags == (("a", "lie"),)
    p0.incarnation = 8
    talk.hear(p0, Gossip())
    assert (talk.held("p0").incarnation, talk.held("p0").tags) == (8, ())


def test_who_has_raised_itself_above_what_others_may_say_goes_a_minute_after_it_failed() -> None:
    talk = Talk(peers=2)
    late = Peer("late", ("10.0.0.77", 7946), generation=GENERATION_SPAN * 3 // 2)
    talk.admit(late)
    assert talk.status("late") is Status.ALIVE
    talk.condemn("late", Status.FAILED)
    assert talk.status("late") is Status.FAILED
    talk.wait(61)
    assert talk.node.member("late") is None


def test_however_many_are_gone_for_long_a_turn_looks_at_some_of_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    talk = Talk(peers=1, settings=Settings(remember=60.0))
    looked: list[int] = []
    sound = MemberTable.expire

    def expire(
        self: MemberTable,
        now: float,
        is_absurd: Callable[[MemberView], bool],
        names: Sequence[str],
    ) -> list[MemberView]:
        looked.append(len(names))
        return sound(self, now, is_absurd, names)

    count = EXPIRED_AT_ONCE + 50
    for number in range(count):
        gone = MemberView(f"x{number:03}", ("10.0.2.1", number + 1), 5, 0, Status.FAILED)
        talk.hear_views(gone)
    assert len(talk.node.members) == count + 2
    monkeypatch.setattr(MemberTable, "expire", expire)
    talk.wait(EXPIRE_INTERVAL + 1)
    assert looked == [EXPIRED_AT_ONCE, 52]
    assert [view.name for view in talk.node.members] == ["me", "p0"]
    talk.wait(EXPIRE_INTERVAL)
    assert looked[2:] == [2]


def test_a_mistake_with_members_that_are_too_old_stops_no_later_look(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    talk = Talk(peers=1, settings=Settings(remember=60.0))
    talk.hear_views(MemberView("x", ("10.0.2.1", 1), 5, 0, Status.FAILED))
    with monkeypatch.context() as patch:
        patch.setattr(MemberTable, "expire", mistaken)
        with pytest.raises(RuntimeError):
            talk.wait(EXPIRE_INTERVAL + 1)
    talk.wait(EXPIRE_INTERVAL + 1)
    assert talk.node.member("x") is None


def mistaken(*_: object) -> NoReturn:
    raise RuntimeError("a bug")


def test_a_member_of_an_older_incarnation_is_told_the_newer_one() -> None:
    talk = Talk(peers=2)
    p0 = talk.peer("p0")
    talk.hear(talk.peer("p1"), Gossip(), [p0.seen(incarnation=7)])
    assert {view.incarnation for view in talk.hear(p0, Gossip()).views("p0", p0)} == {7}


def test_a_member_of_an_older_generation_is_told_the_newer_one() -> None:
    talk = Talk(peers=2)
    before = talk.peer("p0")
    talk.admit(Peer("p0", before.address, generation=2000))
    assert {view.generation for view in talk.hear(before, Gossip()).views("p0")} == {2000}


def test_a_member_is_not_told_ten_times_a_second() -> None:
    talk = Talk(peers=2)
    p0 = talk.peer("p0")
    p0.answers = False
    talk.settle()
    talk.condemn("p0", Status.FAILED)
    talk.wait(0.5)
    assert talk.hear(p0, Gossip()).views("p0", p0)
    assert not talk.hear(p0, Gossip()).views("p0", p0)
    talk.wait(0.2)
    assert talk.hear(p0, Gossip()).views("p0", p0)


def test_a_verdict_too_old_to_be_shared_is_still_told_to_its_subject() -> None:
    talk = Talk(peers=2, settings=Settings(remember=1000.0))
    p0 = talk.peer("p0")
    talk.fail("p0")
    talk.wait(700)
    assert {view.status for view in talk.hear(p0, Gossip()).views("p0", p0)} == {Status.FAILED}


def test_two_that_have_left_do_not_tell_each_other_for_ever() -> None:
    talk = Talk(peers=2)
    talk.condemn("p0", Status.LEFT)
    talk.leave()
    assert not talk.hear(talk.peer("p0"), Gossip()).views("p0")


def test_a_member_that_speaks_with_a_higher_incarnation_is_alive() -> None:
    talk = Talk(peers=2)
    p0 = talk.peer("p0")
    talk.condemn("p0", Status.FAILED)
    p0.incarnation = 1
    said = talk.hear(p0, Gossip())
    assert talk.status("p0") is Status.ALIVE
    (change,) = said.of(MemberChanged)
    assert (change.view.status, change.before) == (Status.ALIVE, Status.FAILED)


def test_a_change_of_status_is_an_effect_and_a_confirmation_is_none() -> None:
    talk = Talk(peers=3)
    p0 = talk.peer("p0")
    suspected = talk.hear(talk.peer("p1"), Gossip(), [p0.seen(Status.SUSPECT, accusers=["p1"])])
    assert [change.before for change in suspected.of(MemberChanged)] == [Status.ALIVE]
    confirmed = talk.hear(talk.peer("p2"), Gossip(), [p0.seen(Status.SUSPECT, accusers=["p2"])])
    assert not confirmed.of(MemberChanged)


def test_members_are_named_in_order_and_each_can_be_looked_up() -> None:
    node = Talk(peers=2).node
    assert node.member_names() == ["me", "p0", "p1"]
    assert node.member_names("me") == node.member_names("o") == ["p0", "p1"]
    assert [node.member(name) for name in node.member_names()] == node.members
    assert node.member("stranger") is None


# --- forgetting ----------------------------------------------------------------------------------


def test_a_failed_member_can_be_forgotten_and_comes_back_by_refuting() -> None:
    talk = Talk(peers=2)
    talk.fail("p0")
    changes = talk.forget("p0").of(MemberChanged)
    assert [change.view.status for change in changes] == [Status.FORGOTTEN]
    assert talk.wait(1).views("p0", talk.peer("p1"))[0].status is Status.FORGOTTEN
    talk.peer("p0").incarnation = 1
    talk.hear(talk.peer("p0"), Gossip())
    assert talk.status("p0") is Status.ALIVE


def test_only_what_is_held_and_not_live_can_be_forgotten() -> None:
    talk = Talk(peers=2)
    with pytest.raises(KeyError):
        talk.forget("nobody")
    with pytest.raises(ValueError, match="p0 is alive"):
        talk.forget("p0")
    talk.fail("p0")
    talk.forget("p0")
    with pytest.raises(KeyError):
        talk.forget("p0")


def test_old_verdicts_leave_the_table_at_the_end_of_their_life() -> None:
    talk = Talk(peers=2, settings=Settings(remember=300.0))
    talk.fail("p0")
    talk.hear(talk.peer("p0"), Gossip())
    talk.wait(290)
    assert talk.status("p0") is Status.FAILED
    talk.wait(80)
    assert [view.name for view in talk.node.members] == ["me", "p1"]


# --- two holders of one name ---------------------------------------------------------------------

ELSEWHERE = ("10.0.6.6", 7946)


def other_holder(generation: int, status: Status = Status.ALIVE) -> MemberView:
    return MemberView("me", ELSEWHERE, generation, 0, status)


def test_the_holder_with_the_larger_generation_keeps_the_name_and_says_so_again() -> None:
    talk = Talk(peers=1)
    talk.settle()
    said = talk.hear(talk.peer("p0"), Gossip(), [other_holder(999)])
    assert not said.effects
    assert talk.wait(0.1).views("me", talk.peer("p0"))


@pytest.mark.parametrize("status", list(Status)[2:])
def test_a_holder_that_is_gone_is_no_rival_but_has_to_be_exceeded(status: Status) -> None:
    talk = Talk(peers=1)
    said = talk.hear(talk.peer("p0"), Gossip(), [other_holder(5000, status)])
    assert not said.of(NameLost)
    assert talk.own.generation == 5001
    assert not talk.hear(talk.peer("p0"), Gossip(), [other_holder(5, status)]).of(NameLost)


def test_a_namesake_with_a_smaller_generation_is_told_who_keeps_the_name() -> None:
    talk = Talk(peers=1)
    namesake = Peer("me", ELSEWHERE, generation=999)
    said = talk.hear(namesake, Gossip())
    assert said.views("me", ELSEWHERE)[0].generation == 1000
    assert said.drops == [Drop.STRANGER]


def test_namesakes_do_not_answer_each_other_for_ever() -> None:
    small, large = Talk(peers=1, generation=999), Talk(peers=1)
    older = Peer("me", small.me.address, generation=999)
    newer = Peer("me", large.me.address)
    told = large.hear(older, Gossip(), [older.view._replace(address=ELSEWHERE)])
    assert len(told.envelopes()) == 1
    view = large.own._replace(address=("10.0.6.6", 7946))
    answer = small.hear(newer, Gossip(), [view])
    assert not answer.envelopes()


def test_a_twin_of_the_same_generation_is_neither_itself_nor_answered() -> None:
    talk = Talk(peers=1)
    said = talk.hear(Peer("me", ELSEWHERE), Gossip())
    assert said.drops == [Drop.OWN]
    assert not said.envelopes()


def test_a_member_that_speaks_from_elsewhere_is_told_now_and_then_where_it_is_held() -> None:
    """Of two processes with one name and generation, the one that lost it hears of that."""
    talk = Talk(peers=1)
    twin = Peer("p0", ELSEWHERE)
    told = talk.hear(twin, Gossip()).views("p0", ELSEWHERE)
    assert [view.address for view in told] == [talk.peer("p0").address]
    assert not talk.hear(twin, Gossip()).envelopes()
    talk.wait(10)
    assert talk.hear(twin, Gossip()).views("p0", ELSEWHERE)


def test_a_drop_names_the_host_that_sent_it_and_an_answer_goes_to_where_the_member_is_held() -> (
    None
):
    talk = Talk(peers=1)
    bob = talk.peer("p0")
    said = talk.hear(bob, Digest(1, 0, 0, (), None), source=ELSEWHERE)
    assert said.of(Dropped) == [Dropped(ELSEWHERE, Drop.UNASKED)]
    said = talk.hear(bob, Ping(1, "me", talk.shown), source=ELSEWHERE)
    assert len(said.sent(Ack, bob)) == 1


def test_opinions_end_with_the_suspicion_they_are_about() -> None:
    talk = Talk(peers=3, settings=Settings(corroborators=1000, corroboration_delay=0.0))
    suspect = talk.peer("p0")
    suspect.answers = False
    for incarnation in range(3):
        view = suspect.seen(Status.SUSPECT, incarnation, ["p1"])
        talk.hear(talk.peer("p1"), Gossip(), [view])
        said = talk.wait(0.01)
        assert len(said.sent(Ping, suspect)) == 1, "the count begins anew"
        talk.hear(talk.peer("p1"), Gossip(), [suspect.seen(Status.ALIVE, incarnation + 1)])


def test_a_namesake_that_only_speaks_of_others_changes_nothing() -> None:
    talk = Talk(peers=1)
    namesake = Peer("me", ELSEWHERE, generation=2000)
    said = talk.hear(namesake, Gossip(), [Peer("x", ("10.0.7.7", 1)).view])
    assert said.drops == [Drop.STRANGER]
    assert len(talk.node.members) == 2
    assert not said.envelopes()


def test_a_verdict_on_another_holder_with_a_larger_address_is_exceeded_for_good() -> None:
    talk = Talk(peers=1)
    verdict = other_holder(1000, Status.FAILED)
    talk.hear(talk.peer("p0"), Gossip(), [verdict])
    assert talk.own.generation == 1001
    assert not talk.hear(talk.peer("p0"), Gossip(), [verdict]).of(Refuted)


def test_who_has_lost_its_name_is_answered_where_it_speaks_from() -> None:
    """Else what it asks while it drains would be answered to the new holder."""
    talk = Talk(peers=1)
    loser = Peer("p0", ELSEWHERE, generation=999)
    said = talk.hear(loser, Hold(5, (group(1, [("a", 1, 1)]),)))
    assert said.sent(Held, loser)


# --- what is dropped -----------------------------------------------------------------------------


def test_a_node_drops_what_it_has_sent_itself() -> None:
    talk = Talk(peers=1)
    assert talk.hear(talk.me, Join(1, talk.me.address, (), b"", Standing.NEWCOMER)).drops == [
        Drop.OWN
    ]


def test_a_ping_to_another_name_is_not_answered() -> None:
    talk = Talk(peers=1)
    said = talk.hear(talk.peer("p0"), Ping(1, "somebody", talk.shown))
    assert said.drops == [Drop.MISDIRECTED]
    assert not said.envelopes()
