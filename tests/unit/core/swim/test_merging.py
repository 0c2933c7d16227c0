"""That two clusters become one is told by who joins, and nothing else is taken for that."""

from __future__ import annotations

import pytest

from gossipd.core import ClustersMet, Status
from gossipd.core.hashing import MASK, fingerprint_of
from gossipd.core.swim.members import digest_of
from gossipd.core.swim.merging import THEIRS_MAX
from gossipd.core.wire.messages import (
    Cookie,
    Join,
    MembersAsk,
    MembersPage,
    Shown,
    Welcome,
)
from tests.unit.core.talk import Peer, Said, Talk

THEIRS = Shown(0x77, 0x99, True)
STRANGER = Peer("x", ("10.9.0.1", 7946))
"""Who takes the node in."""
OTHER = Peer("y", ("10.9.0.2", 7946))


def counting(peers: int = 2) -> Talk:
    talk = Talk(peers=peers)
    talk.settle()
    talk.increment("hits")
    return talk


def welcomed(talk: Talk, shown: Shown = THEIRS, by: Peer = STRANGER) -> Said:
    """The node joins through somebody, who takes it in."""
    (ask,) = talk.join(by.address).sent(Join)
    (echo,) = talk.hear(by, Cookie(ask.nonce, b"c" * 8, talk.me.address)).sent(Join)
    by.shown = shown
    talk.peers[by.name] = by
    return talk.hear(by, Welcome(echo.nonce, shown), [by.view])


def shows(talk: Talk, said: Said, *peers: Peer, status: Status = Status.ALIVE) -> Said:
    """The table of who has taken it in comes; `status` is that of its other members."""
    ask = (said.sent(MembersAsk, STRANGER) or talk.wait(5.0).sent(MembersAsk, STRANGER))[0]
    views = tuple(peer.seen(status) for peer in peers)
    return talk.hear(STRANGER, MembersPage(ask.nonce, "", "", (STRANGER.view, *views, talk.own)))


def test_who_has_members_and_counts_and_joins_strangers_that_have_some_says_so() -> None:
    talk = counting()
    said = shows(talk, welcomed(talk), OTHER)
    assert said.of(ClustersMet) == [ClustersMet(("p0", "p1"), ("x", "y"))]
    assert not welcomed(talk).of(ClustersMet)
    assert not talk.wait(5.0).of(ClustersMet), "once"


def test_it_is_told_though_a_pull_from_somebody_else_runs() -> None:
    talk = counting()
    p0 = talk.peer("p0")
    p0.shown = Shown(0, 1, False)
    talk.hear(p0, MembersAsk(1, "", 1, 640))
    talk.wait(3.0)
    assert shows(talk, welcomed(talk), OTHER).of(ClustersMet)


@pytest.mark.parametrize("status", [Status.ALIVE, Status.FAILED])
def test_one_member_that_is_known_shows_that_it_is_one_cluster(status: Status) -> None:
    """As after a partition, or through a node that has just joined elsewhere."""
    talk = counting()
    talk.fail("p1")
    said = shows(talk, welcomed(talk), OTHER, talk.peer("p1"), status=status)
    assert not said.of(ClustersMet)


def test_a_node_that_knows_nobody_or_has_counted_nothing_merges_nothing() -> None:
    alone = counting(peers=0)
    assert not shows(alone, welcomed(alone), OTHER).of(ClustersMet)
    talk = Talk(peers=2)
    talk.settle()
    assert not shows(talk, welcomed(talk), OTHER).of(ClustersMet)


def test_who_is_taken_in_by_one_without_counts_or_without_members_merges_nothing() -> None:
    for shown, others, status in (
        (Shown(0, 0x99, True), (OTHER,), Status.ALIVE),
        (THEIRS, (), Status.ALIVE),
        (THEIRS, (OTHER,), Status.LEFT),
    ):
        talk = counting()
        assert not shows(talk, welcomed(talk, shown), *others, status=status).of(ClustersMet)


def test_who_is_known_already_is_no_stranger() -> None:
    talk = counting()
    talk.fail("p0")
    p0 = talk.peer("p0")
    said = welcomed(talk, by=p0)
    assert not said.of(ClustersMet)


def test_strangers_that_turn_to_the_node_before_their_table_has_come_are_still_strangers() -> None:
    """Those who have taken it in tell their cluster at once, and all of that introduce themselves;
    some are quicker than the welcome."""
    for quicker in (False, True):
        talk = counting()
        (ask,) = talk.join(STRANGER.address).sent(Join)
        (echo,) = talk.hear(STRANGER, Cookie(ask.nonce, b"c" * 8, talk.me.address)).sent(Join)
        STRANGER.shown = THEIRS
        talk.peers[STRANGER.name] = STRANGER
        welcome = Welcome(echo.nonce, THEIRS)
        if quicker:
            talk.admit(OTHER)
        said = talk.hear(STRANGER, welcome, [STRANGER.view])
        if not quicker:
            talk.admit(OTHER)
        assert shows(talk, said, OTHER).of(ClustersMet) == [ClustersMet(("p0", "p1"), ("x", "y"))]


@pytest.mark.parametrize("is_in_it", [False, True])
def test_members_who_were_quicker_than_a_table_on_a_slow_way_do_not_make_it_one_cluster(
    is_in_it: bool,
) -> None:
    """They were not in it when the node was taken in: what was shown then tells so."""
    talk = counting()
    table = [STRANGER.view, OTHER.seen(Status.ALIVE), *([talk.own] if is_in_it else ())]
    shown = Shown(0x77, fingerprint_of(sum(map(digest_of, table)) & MASK), True)
    said = shows(talk, welcomed(talk, shown), OTHER, talk.peer("p0"))
    assert said.of(ClustersMet) == [ClustersMet(("p0", "p1"), ("x", "y"))]


def test_seeds_that_are_asked_at_once_are_asked_by_one_join() -> None:
    """Who met one of them meanwhile was nobody before it asked."""
    talk = counting(peers=0)
    talk.admit(Peer("p0", ("10.0.1.1", 7946)))
    third = Peer("z", ("10.9.0.3", 7946))
    asks = talk.join(STRANGER.address, third.address).sent(Join)
    (echo,) = talk.hear(STRANGER, Cookie(asks[0].nonce, b"c" * 8, talk.me.address)).sent(Join)
    talk.admit(OTHER)
    talk.hear(third, Cookie(asks[1].nonce, b"c" * 8, talk.me.address))
    talk.peers[STRANGER.name] = STRANGER
    said = talk.hear(STRANGER, Welcome(echo.nonce, THEIRS), [STRANGER.view])
    assert shows(talk, said, OTHER).of(ClustersMet) == [ClustersMet(("p0",), ("x", "y"))]


def test_a_table_that_does_not_come_whole_tells_nothing() -> None:
    talk = counting()
    assert welcomed(talk).sent(MembersAsk, STRANGER)
    assert not talk.wait(10.0).of(ClustersMet)


def test_of_a_table_that_has_no_end_so_many_are_told_of() -> None:
    talk = counting()
    (ask,) = welcomed(talk).sent(MembersAsk, STRANGER)[:1]
    after, nonce = "", ask.nonce
    for first in range(0, THEIRS_MAX + 20, 20):
        names = [f"y{number:05}" for number in range(first, first + 20)]
        views = tuple(Peer(name, ("10.9.1.1", 1000 + n)).view for n, name in enumerate(names))
        for again in talk.hear(STRANGER, MembersPage(nonce, after, names[-1], views)).sent(
            MembersAsk
        ):
            nonce = again.nonce
        after = names[-1]
    (met,) = talk.hear(STRANGER, MembersPage(nonce, after, "", ())).of(ClustersMet)
    assert len(met.theirs) == 1 + THEIRS_MAX
