"""Repair of the member table, from both sides."""

from __future__ import annotations

import itertools

import pytest

from gossipd.core import Drop, Settings, Status
from gossipd.core.repair.member_repair import NEWCOMERS_PAUSE_MAX, VAIN_MAX, VAIN_PAUSE_MAX
from gossipd.core.repair.turns import PEER_SECONDS
from gossipd.core.settings import DATAGRAM_SIZE_FLOOR
from gossipd.core.swim.showing import Showing
from gossipd.core.wire.messages import (
    PAGES_MAX,
    DigestAsk,
    Gossip,
    MembersAsk,
    MembersPage,
    MemberView,
    Ping,
    Shown,
)
from tests.unit.core.talk import (
    CONDEMNED_AFTER,
    Peer,
    Said,
    Talk,
)

DIFFERENT = 0x1234


def quiet(peers: int = 3, settings: Settings | None = None) -> Talk:
    talk = Talk(peers=peers, settings=settings)
    talk.settle()
    return talk


def shows_other_table(talk: Talk, peer: Peer, table: int = DIFFERENT) -> Said:
    return talk.hear(peer, Ping(1, "me", Shown(talk.shown.log, table, True)))


def some_views(first: int, count: int) -> tuple[Peer, ...]:
    return tuple(
        Peer(f"x{number:03}", (f"10.7.{number // 250}.{number % 250 + 1}", 7946))
        for number in range(first, first + count)
    )


def test_a_different_member_table_is_pulled_page_by_page() -> None:
    talk = quiet()
    p0 = talk.peer("p0")
    ask = shows_other_table(talk, p0).sent(MembersAsk, p0)[0]
    assert (ask.after, ask.pages, ask.size) == ("", 32, 1200)
    first, second = some_views(0, 5), some_views(5, 5)
    talk.hear(p0, MembersPage(ask.nonce, "", "x004", tuple(peer.view for peer in first)))
    talk.hear(p0, MembersPage(ask.nonce, "x004", "", tuple(peer.view for peer in second)))
    talk.let_prove(*first, *second)
    assert [view.name for view in talk.node.members if view.name[0] == "x"] == [
        f"x{number:03}" for number in range(10)
    ]
    assert not talk.wait(0.1).views("x000"), "others have it"


def test_a_pull_of_the_table_waits_while_there_is_news_but_not_for_ever() -> None:
    talk = quiet(settings=Settings(retransmit_mult=1000))
    p0 = talk.peer("p0")
    pulls = []
    for _ in range(25):
        talk.peer("p1").incarnation += 1
        talk.hear(p0, Gossip(), [talk.peer("p1").view])
        for peer in talk.peers.values():
            peer.shown = Shown(talk.shown.log, DIFFERENT, True)
        said = talk.wait(0.1)
        pulls += [bool(said.sent(MembersAsk) or shows_other_table(talk, p0).sent(MembersAsk))]
    assert not any(pulls[:19])
    assert any(pulls[19:])


def test_a_lost_page_of_the_table_is_asked_for_again_and_at_last_smaller() -> None:
    talk = quiet()
    p0 = talk.peer("p0")
    ask = shows_other_table(talk, p0).sent(MembersAsk, p0)[0]
    told = some_views(5, 5)
    talk.hear(p0, MembersPage(ask.nonce, "x004", "x009", tuple(peer.view for peer in told)))
    talk.let_prove(*told)
    assert len(talk.node.members) == 9, "what came is used"
    asks = talk.wait(0.7).sent(MembersAsk)
    assert [(a.after, a.size) for a in asks] == [("", 1200), ("", DATAGRAM_SIZE_FLOOR)]
    assert not talk.wait(0.05).sent(MembersAsk)


def test_the_pull_of_the_table_goes_to_the_next_peer_after_three_silent_asks() -> None:
    talk = quiet()
    shows_other_table(talk, talk.peer("p0"))
    talk.wait(1.21)
    assert shows_other_table(talk, talk.peer("p1")).sent(MembersAsk, talk.peer("p1"))


def test_a_long_table_is_asked_for_in_several_turns() -> None:
    talk = quiet()
    p0 = talk.peer("p0")
    ask = shows_other_table(talk, p0).sent(MembersAsk, p0)[0]
    after = ""
    for peer in some_views(0, 32):
        said = talk.hear(p0, MembersPage(ask.nonce, after, peer.name, (peer.view,)))
        after = peer.name
    (more,) = said.sent(MembersAsk)
    assert more.after == "x031"


def test_pages_of_the_table_that_nobody_asked_for_are_dropped() -> None:
    talk = quiet()
    page_ = MembersPage(1, "", "", (some_views(0, 1)[0].view,))
    assert talk.hear(talk.peer("p0"), page_).drops == [Drop.UNASKED]
    assert len(talk.node.members) == 4


def test_equal_tables_are_not_pulled() -> None:
    talk = quiet()
    assert not talk.hear(talk.peer("p0"), Ping(1, "me", talk.shown)).sent(MembersAsk)


def test_what_was_pulled_and_contradicts_the_table_is_news() -> None:
    talk = quiet()
    p0 = talk.peer("p0")
    ask = shows_other_table(talk, p0).sent(MembersAsk, p0)[0]
    view = talk.peer("p1").seen(Status.LEFT)
    talk.peer("p1").answers = False
    talk.hear(p0, MembersPage(ask.nonce, "", "", (view,)))
    assert talk.wait(CONDEMNED_AFTER).views("p1", p0)


def test_the_table_is_told_in_pages_by_name() -> None:
    talk = quiet()
    p0 = talk.peer("p0")
    for peer in some_views(0, 100):
        talk.hear(p0, Gossip(), [peer.seen(Status.LEFT)])
    said = [*talk.hear(p0, MembersAsk(5, "x009", 32, 1200)).timed, *talk.wait(0.01).timed]
    pages = Said(said).sent(MembersPage, p0)
    assert len(pages) > 2
    assert [view.name for page in pages for view in page.views] == [
        f"x{number:03}" for number in range(10, 100)
    ]
    assert [page.after for page in pages] == ["x009", *(page.upto for page in pages[:-1])]
    assert pages[-1].upto == ""


def test_a_peer_that_is_not_live_starts_no_repair() -> None:
    talk = quiet()
    talk.fail("p0")
    said = talk.hear(talk.peer("p0"), Ping(1, "me", Shown(1, 2, True)))
    assert not said.sent(DigestAsk)
    assert not said.sent(MembersAsk)


def test_pages_that_overtake_others_count_all_the_same() -> None:
    talk = quiet()
    p0 = talk.peer("p0")
    ask = shows_other_table(talk, p0).sent(MembersAsk, p0)[0]
    bounds = ["", *(f"x{number:03}" for number in range(PAGES_MAX))]
    pages = [MembersPage(ask.nonce, after, upto, ()) for after, upto in itertools.pairwise(bounds)]
    said = [talk.hear(p0, page) for page in reversed(pages)]
    assert not any(each.sent(MembersAsk) for each in said[:-1])
    (more,) = said[-1].sent(MembersAsk)
    assert more.after == bounds[-1]
    talk.hear(p0, MembersPage(more.nonce, "x", "", ()))
    assert not talk.wait(0.9).sent(MembersAsk), "that was the end"


def test_no_more_pages_are_kept_than_were_asked_for() -> None:
    talk = quiet()
    p0 = talk.peer("p0")
    ask = shows_other_table(talk, p0).sent(MembersAsk, p0)[0]
    for number in range(PAGES_MAX - 1):
        talk.hear(p0, MembersPage(ask.nonce, f"x{number:03}", f"x{number:03}a", ()))
    (more,) = talk.hear(p0, MembersPage(ask.nonce, "y", "z", ())).sent(MembersAsk)
    assert more.after == ""


@pytest.mark.untraced
@pytest.mark.parametrize("told", [(), (Peer("ghost", ("203.0.113.7", 1)).view,)])
def test_pulls_that_change_nothing_become_rare(told: tuple[MemberView, ...]) -> None:
    """A newcomer may yet prove where it is, so they become less rare beside one."""
    talk = quiet()
    p0 = talk.peer("p0")
    p0.answers = False
    pulls = []
    for _ in range(3000):
        for ask in shows_other_table(talk, p0).sent(MembersAsk, p0):
            pulls.append(talk.now)
            talk.hear(p0, MembersPage(ask.nonce, "", "", told))
        talk.now += 0.1
    pauses = [later - sooner for sooner, later in itertools.pairwise(pulls)]
    assert pauses[:3] == pytest.approx([1, 2, 4], abs=0.2)
    most = NEWCOMERS_PAUSE_MAX if told else VAIN_PAUSE_MAX
    assert pauses[-1] == pytest.approx(most, abs=0.2)
    assert shows_other_table(talk, p0, 77).sent(MembersAsk, p0), "another table is another matter"


def test_only_so_many_vain_pulls_are_remembered() -> None:
    talk = quiet()
    p0 = talk.peer("p0")
    p0.answers = False
    for table in [*range(1, VAIN_MAX + 2), 1]:
        talk.now += 1.0
        (ask,) = shows_other_table(talk, p0, table).sent(MembersAsk, p0)
        talk.hear(p0, MembersPage(ask.nonce, "", "", ()))


def test_a_table_that_has_no_end_is_left_for_that_of_another_peer() -> None:
    talk = quiet(peers=2)
    p0, p1 = talk.peer("p0"), talk.peer("p1")
    ask = shows_other_table(talk, p0).sent(MembersAsk, p0)[0]
    shows_other_table(talk, p1, table=77)
    began, after, nonce = talk.now, "", ask.nonce
    for number in range(1000):
        said = talk.hear(p0, MembersPage(nonce, after, f"x{number:03}", ()))
        after = f"x{number:03}"
        if others := said.sent(MembersAsk, p1):
            break
        for again in said.sent(MembersAsk, p0):
            nonce = again.nonce
        talk.now += 0.1
    assert PEER_SECONDS <= talk.now - began < PEER_SECONDS + 1
    assert others[0].after == after, "it goes on behind what has come"
    assert talk.hear(p0, MembersPage(nonce, after, "y", ())).drops == [Drop.UNASKED]


def test_a_table_that_has_no_end_is_asked_for_where_nobody_else_has_another_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gossipd.core.repair.member_repair.PEER_SECONDS", 0.0)
    talk = quiet(peers=2)
    p0 = talk.peer("p0")
    ask = shows_other_table(talk, p0).sent(MembersAsk, p0)[0]
    for number in range(PAGES_MAX):
        after = f"x{number - 1:03}" if number else ""
        said = talk.hear(p0, MembersPage(ask.nonce, after, f"x{number:03}", ()))
    assert said.sent(MembersAsk, p0)


def test_a_peer_that_answers_for_long_is_asked_on_for_as_long_again_before_others_are_looked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """To look who differs costs as much as there are members."""
    looks: list[float] = []
    talk = quiet(peers=2)
    sound = Showing.differ

    def differ(self: Showing, beside: str, *, log: bool) -> list[str]:
        looks.append(talk.now)
        return sound(self, beside, log=log)

    p0 = talk.peer("p0")
    ask = shows_other_table(talk, p0).sent(MembersAsk, p0)[0]
    monkeypatch.setattr(Showing, "differ", differ)
    began, nonce, after = talk.now, ask.nonce, ""
    while talk.now < began + 2.5 * PEER_SECONDS:
        talk.now += 0.1
        upto = f"x{round(talk.now * 10):06}"
        for again in talk.hear(p0, MembersPage(nonce, after, upto, ())).sent(MembersAsk, p0):
            nonce = again.nonce
        after = upto
    assert [round((at - began) / PEER_SECONDS) for at in looks] == [1, 2]


def test_who_is_gone_is_not_asked_whatever_it_had_shown() -> None:
    talk = quiet(peers=3, settings=Settings(pull_interval=0.001))
    gone = talk.peer("p1")
    (ask,) = shows_other_table(talk, gone).sent(MembersAsk, gone)
    talk.hear(gone, MembersPage(ask.nonce, "", "", ()))
    talk.fail("p1")
    talk.settle()
    for number in range(6):
        said = shows_other_table(talk, talk.peer("p0"), table=1000 + number)
        (ask,) = said.sent(MembersAsk)
        assert not said.sent(MembersAsk, gone)
        talk.hear(talk.peer("p0"), MembersPage(ask.nonce, "", "", ()))
        talk.wait(0.002)


def test_who_always_shows_another_table_does_not_keep_others_from_being_asked() -> None:
    """p0 is the one that shows itself as soon as the next pull may begin."""
    talk = quiet(peers=2, settings=Settings(pull_interval=0.001))
    asked = []
    for number in range(6):
        said = shows_other_table(talk, talk.peer("p0"), table=1000 + number)
        shows_other_table(talk, talk.peer("p1"), table=2000 + number)
        peer = "p0" if said.sent(MembersAsk, talk.peer("p0")) else "p1"
        asked.append(peer)
        nonce = said.sent(MembersAsk)[0].nonce
        talk.hear(talk.peer(peer), MembersPage(nonce, "", "", ()))
        talk.wait(0.002)
    assert asked == ["p0", "p1"] * 3
