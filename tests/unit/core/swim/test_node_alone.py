"""When a node that has nobody to join is alone, and what shows that it is not."""

from __future__ import annotations

from random import Random

import pytest

from gossipd.core import (
    BecameReady,
    Node,
    NotAlone,
    Settings,
    Snapshot,
    StreamSnapshot,
)
from gossipd.core.swim.readiness import HELD_BACK_MAX, HOLDERS_MAX
from gossipd.core.wire.messages import (
    Cookie,
    Digest,
    DigestAsk,
    Join,
    Pages,
    PassAsk,
    Ping,
    Shown,
    Standing,
    Welcome,
)
from gossipd.core.wire.records import Leaf
from tests.unit.core.talk import (
    FRAME,
    Peer,
    Said,
    Talk,
    page,
    stream,
)

HELD = Shown(5, 0, True)
"""What a ready peer shows that has counts."""


def listening(**figures: float) -> Talk:
    """A node that holds nothing, has nobody to join, and was started just now."""
    return Talk(listens=True, settings=Settings(**figures))  # type: ignore[arg-type]


def stranger(number: int = 0) -> Peer:
    return Peer(f"p{number}", (f"10.0.1.{number + 1}", 7946))


def comes(
    talk: Talk, standing: Standing = Standing.HOLDER, shown: Shown | None = HELD, number: int = 0
) -> Said:
    """Somebody pings the node by its name, asks to be taken in, as it is challenged, and answers
    what it is asked with `shown` (without: with what the node has)."""
    peer = stranger(number)
    peer.shown = shown
    talk.peers[peer.name] = peer
    cookie = talk.hear(peer, Ping(1, "me", HELD)).sent(Cookie, peer)[0].cookie
    said = talk.hear(peer, Join(7, peer.address, (), cookie, standing))
    assert said.sent(Welcome, peer)
    return Said(said.timed + talk.wait(0.01).timed)


def test_a_node_that_holds_nothing_listens_before_it_is_ready() -> None:
    talk = listening()
    assert talk.node.listens
    assert not talk.wait(1.49).of(BecameReady)
    assert talk.wait(0.02).of(BecameReady) == [BecameReady(False)]
    assert not talk.node.listens


@pytest.mark.parametrize("knows", ["counts", "a member", "a member of an earlier life"])
def test_a_node_that_holds_anything_has_its_state_and_listens_to_nobody(knows: str) -> None:
    me, other = Peer("me", ("10.0.0.1", 1)), stranger()
    node = Node(me.view, Settings(), FRAME, Random(1), 0.0)
    streams = (StreamSnapshot(stream(1), 1, (("a", 1, 1),), ()),) if knows == "counts" else ()
    views = () if knows == "counts" else (other.view,)
    node.load(Snapshot(streams, views), 0.0, met=knows == "a member")
    assert BecameReady(False) in node.start(True, 0.0)


def test_who_learns_late_that_there_is_nobody_to_join_has_listened_meanwhile() -> None:
    talk = Talk(alone=False, listens=True)
    talk.wait(1)
    assert not talk.nobody_to_join().of(BecameReady)
    assert not talk.nobody_to_join().of(BecameReady), "it is told again and again"
    assert talk.wait(0.51).of(BecameReady) == [BecameReady(False)]
    talk = Talk(alone=False, listens=True)
    talk.wait(2)
    assert talk.nobody_to_join().of(BecameReady) == [BecameReady(False)]


def test_a_strangers_ping_makes_a_node_listen_a_little_longer() -> None:
    talk = listening()
    talk.wait(1.4)
    assert not talk.hear(stranger(), Ping(1, "another", HELD)).of(BecameReady)
    assert talk.wait(0.11).of(BecameReady), "that was meant for somebody else"
    talk = listening()
    talk.wait(0.2)
    talk.hear(stranger(), Ping(1, "me", HELD))
    assert not talk.wait(1.29).of(BecameReady), "no less than it would have"
    talk.hear(stranger(), Ping(1, "me", HELD))
    assert not talk.wait(0.49).of(BecameReady)
    assert talk.wait(0.02).of(BecameReady) == [BecameReady(False)]
    assert not talk.hear(stranger(), Ping(1, "me", HELD)).of(NotAlone), "it has proven nothing"
    assert talk.node.ready


def test_strangers_pings_keep_nobody_listening_for_ever() -> None:
    talk = listening()
    for number in range(29):
        talk.wait(0.1)
        talk.hear(stranger(number), Ping(1, "me", HELD))
    assert not talk.node.ready
    talk.wait(0.11)
    assert talk.node.ready


@pytest.mark.parametrize("standing", [Standing.ALONE, Standing.MEMBER, Standing.HOLDER])
def test_who_has_proven_that_it_has_counts_is_waited_for(standing: Standing) -> None:
    talk = listening()
    assert comes(talk, standing).of(NotAlone) == [NotAlone("p0")]
    assert not talk.node.listens
    assert not talk.wait(5).of(BecameReady)
    talk.peer("p0").shown = talk.shown._replace(ready=True)
    assert talk.wait(2).of(BecameReady) == [BecameReady(False)], "it holds what the other has"


def test_a_node_that_is_ready_already_waits_for_its_counts_as_well() -> None:
    talk = listening()
    talk.wait(2)
    said = comes(talk)
    assert said.of(NotAlone)
    assert not talk.node.ready
    p0 = talk.peer("p0")
    ask = said.sent(DigestAsk, p0)[0]
    wish = talk.hear(p0, Digest(ask.nonce, 0, 0, (Leaf(stream(1), 1, 99),), None)).sent(PassAsk)[0]
    done = talk.hear(p0, Pages(wish.nonce, (page(1, (("a", 1, 1),), 1),), True))
    assert done.of(BecameReady) == [BecameReady(False)]
    assert not comes(talk, number=1).of(NotAlone), "this node is a member now, like any"


def test_a_newcomer_and_who_is_not_ready_have_nothing_to_wait_for() -> None:
    talk = listening()
    assert not comes(talk, Standing.NEWCOMER, None).sent(Ping)
    assert comes(talk, shown=Shown(5, 0, False), number=1).sent(Ping)
    assert talk.wait(1.5).of(BecameReady) == [BecameReady(False)]


def test_of_two_that_began_alone_none_waits_for_the_other_but_who_has_nothing() -> None:
    talk = listening()
    talk.increment()
    talk.wait(2)
    assert not comes(talk, Standing.ALONE).of(NotAlone)
    assert talk.node.ready
    assert comes(talk, Standing.MEMBER, number=1).of(NotAlone)


def test_a_ready_peer_that_nobody_else_spoke_of_makes_a_node_that_listens_wait() -> None:
    """It was asked because somebody wanted to join it."""
    talk = listening()
    peer = stranger()
    nonce = talk.join(peer.address).sent(Join)[0].nonce
    assert talk.hear(peer, Welcome(nonce, HELD), [peer.view]).of(NotAlone)


def test_who_has_begun_a_cluster_is_alone_no_more_once_a_member_has_all_that_it_has() -> None:
    talk = Talk(peers=1)
    talk.peer("p0").shown = Shown(5, 0, True)
    talk.wait(2)
    assert talk.node.ready, "it is a member that has joined this node"
    talk.peer("p0").shown = talk.shown
    talk.wait(2)
    assert not comes(talk, number=1).of(NotAlone)


def test_nobody_holds_a_node_back_for_ever() -> None:
    settings = Settings(ready_after=1.0)
    talk = Talk(listens=True, settings=settings)
    comes(talk)
    assert not talk.wait(HELD_BACK_MAX - 0.1).of(BecameReady)
    assert talk.wait(0.2).of(BecameReady) == [BecameReady(True)]
    assert not comes(talk, number=1).of(NotAlone), "nor a second time"


def test_the_longest_wait_begins_anew_where_this_node_itself_had_no_way() -> None:
    talk = Talk(peers=1, alone=False, settings=Settings(ready_after=1.0))
    peer = talk.peer("p0")
    peer.shown = HELD
    talk.wait(30)
    talk.may_be_alone(False)
    talk.wait(20)
    talk.may_be_alone(True)
    assert not talk.wait(HELD_BACK_MAX - 2).of(BecameReady)
    assert talk.wait(5).of(BecameReady) == [BecameReady(True)]


def test_what_forbids_time_to_make_ready_forbids_nobody_to_listen() -> None:
    talk = listening()
    talk.may_be_alone(False)
    talk.may_be_alone(True)
    assert talk.wait(1.51).of(BecameReady) == [BecameReady(False)]


def test_the_members_of_a_node_that_began_are_ready_as_soon_as_it_is() -> None:
    talk = listening()
    talk.admit(stranger())
    assert talk.wait(2).of(BecameReady)
    joiner = Talk(peers=1, alone=False)
    joiner.peer("p0").shown = ready = joiner.shown._replace(ready=True)
    assert joiner.hear(joiner.peer("p0"), Ping(1, "me", ready)).sent(Ping, joiner.peer("p0"))
    assert joiner.wait(0.01).of(BecameReady) == [BecameReady(False)]


def test_what_is_remembered_of_who_may_hold_a_node_is_bounded() -> None:
    talk = listening()
    talk.wait(2)
    for number in range(HOLDERS_MAX + 1):
        comes(talk, shown=Shown(5, 0, False), number=number)
    talk.peer("p0").shown = talk.peer("p2").shown = HELD
    said = talk.wait(2 * HOLDERS_MAX)
    assert said.of(NotAlone) == [NotAlone("p2")]
