"""When a node is ready."""

from __future__ import annotations

from random import Random

from gossipd.core import BecameReady, Node, Settings
from gossipd.core.wire.messages import (
    Ack,
    Digest,
    DigestAsk,
    Gossip,
    Join,
    Pages,
    PassAsk,
    Ping,
    Shown,
    Welcome,
)
from gossipd.core.wire.records import BEGINNING, Leaf, PassItem
from tests.unit.core.talk import (
    FRAME,
    Peer,
    Said,
    Talk,
    group,
    page,
    stream,
)


def shows(talk: Talk, log: int, ready: bool) -> Said:
    """A peer shows its state in answer to the node."""
    peer, shown = talk.peer("p0"), Shown(log, talk.shown.members, ready)
    (asked,) = talk.join(peer.address).sent(Join)
    return talk.hear(peer, Welcome(asked.nonce, shown))


def test_what_a_peer_shows_unasked_makes_nobody_ready() -> None:
    """It may be anybody who speaks in its name."""
    talk = Talk(peers=1, alone=False)
    p0, shown = talk.peer("p0"), Shown(talk.shown.log, talk.shown.members, True)
    for message in (Ping(1, "me", shown), Ack(1, shown), Welcome(1, shown)):
        assert not talk.hear(p0, message).of(BecameReady)
    ask = talk.hear(p0, Ping(2, "me", shown._replace(log=5))).sent(DigestAsk)[0]
    said = talk.hear(p0, Digest(ask.nonce, 0, 0, (), None))
    assert not said.of(BecameReady), "nor does a walk over what it holds"
    assert not talk.wait(2).of(BecameReady)
    assert shows(talk, talk.shown.log, True).of(BecameReady)


def test_a_node_with_nobody_to_join_is_ready_at_once() -> None:
    assert Talk(alone=True).beginning.of(BecameReady) == [BecameReady(False)]


def test_equal_fingerprints_with_a_ready_peer_make_ready() -> None:
    talk = Talk(peers=1, alone=False)
    assert not shows(talk, talk.shown.log, False).of(BecameReady)
    assert shows(talk, talk.shown.log, True).of(BecameReady) == [BecameReady(False)]
    assert not shows(talk, talk.shown.log, True).of(BecameReady)


def test_a_welcome_starts_the_repair_at_once_and_its_complete_walk_makes_ready() -> None:
    talk = Talk(peers=1, alone=False)
    talk.settle()
    p0 = talk.peer("p0")
    asked = talk.hear(p0, Ping(1, "me", Shown(5, talk.shown.members, False))).sent(DigestAsk)[0]
    talk.hear(p0, Digest(asked.nonce, 0, 0, (), None))
    nonce = talk.join(p0.address).sent(Join)[0].nonce
    said = talk.hear(p0, Welcome(nonce, Shown(5, talk.shown.members, True)), [p0.view])
    (ask,) = said.sent(DigestAsk)
    leaf = Leaf(stream(1), 1, 99)
    wish = talk.hear(p0, Digest(ask.nonce, 0, 0, (leaf,), None)).sent(PassAsk)[0]
    said = talk.hear(p0, Pages(wish.nonce, (page(1, (("a", 1, 1),), 1),), True))
    assert said.of(BecameReady) == [BecameReady(False)]
    assert talk.node.log.value("a") == 1


def test_a_busy_stream_that_a_peer_hashes_differently_keeps_nobody_from_being_ready() -> None:
    """As a peer of another version may: it moves between any two walks, and never looks equal."""
    talk = Talk(peers=1, alone=False)
    talk.settle()
    p0 = talk.peer("p0")
    talk.hear_news(group(1, [("a", 5, 5)]))
    ask = shows(talk, 5, True).sent(DigestAsk)[0]
    wish = talk.hear(p0, Digest(ask.nonce, 0, 0, (Leaf(stream(1), 5, 99),), None)).sent(PassAsk)[0]
    assert wish.items == (PassItem(stream(1), 5, BEGINNING, True),), "nothing of it is left out"
    said = talk.hear(p0, Pages(wish.nonce, (page(1, (), 5, start=5),), True))
    assert said.of(BecameReady) == [BecameReady(False)]


def test_a_complete_walk_against_a_peer_that_is_not_ready_does_not_make_ready() -> None:
    talk = Talk(peers=1, alone=False)
    ask = shows(talk, 5, False).sent(DigestAsk)[0]
    said = talk.hear(talk.peer("p0"), Digest(ask.nonce, 0, 0, (), None))
    assert not said.of(BecameReady)
    assert not talk.node.ready


def test_that_a_peer_was_ready_in_an_earlier_life_makes_nobody_ready() -> None:
    """It may have lost what it held."""
    talk = Talk(peers=2, alone=False)
    p0 = talk.peer("p0")
    ask = shows(talk, 5, True).sent(DigestAsk)[0]
    p0.generation += 1
    talk.hear(talk.peer("p1"), Gossip(), [p0.view])
    assert talk.held("p0").generation == p0.generation
    shows(talk, 6, False)
    assert not talk.hear(p0, Digest(ask.nonce, 0, 0, (), None)).of(BecameReady)
    assert not talk.wait(9).of(BecameReady)
    assert shows(talk, talk.shown.log, True).of(BecameReady)


def test_without_any_ready_peer_a_node_becomes_ready_after_ten_seconds() -> None:
    talk = Talk(peers=1, alone=False)
    talk.peer("p0").shown = Shown(5, talk.shown.members, False)
    assert not talk.wait(9.9).of(BecameReady)
    assert talk.wait(0.2).of(BecameReady) == [BecameReady(True)]


def test_each_ready_peer_seen_restarts_the_ten_seconds() -> None:
    talk = Talk(peers=1, alone=False)
    talk.peer("p0").shown = Shown(5, talk.shown.members, True)
    talk.wait(15)
    assert not talk.node.ready
    talk.peer("p0").answers = False
    assert talk.wait(11).of(BecameReady) == [BecameReady(True)]


def test_time_alone_makes_nobody_ready_while_that_is_forbidden() -> None:
    talk = Talk(alone=False)
    talk.may_be_alone(False)
    assert not talk.wait(100).of(BecameReady)
    talk.may_be_alone(True)
    assert not talk.wait(9.9).of(BecameReady), "the time begins anew"
    assert talk.wait(0.2).of(BecameReady) == [BecameReady(True)]


def test_what_is_allowed_anyway_does_not_begin_the_time_anew() -> None:
    talk = Talk(alone=False)
    talk.wait(9.9)
    talk.may_be_alone(True)
    assert talk.wait(0.2).of(BecameReady) == [BecameReady(True)]
    assert not talk.may_be_alone(False).effects
    assert not talk.may_be_alone(True).effects
    assert not talk.wait(20).of(BecameReady)


def test_a_ready_peer_makes_ready_though_time_alone_must_not() -> None:
    talk = Talk(peers=1, alone=False)
    talk.may_be_alone(False)
    assert shows(talk, talk.shown.log, True).of(BecameReady) == [BecameReady(False)]


def test_with_peers_that_show_themselves_time_makes_ready_whatever_is_forbidden() -> None:
    """Else a cluster whose seeds are gone would never be ready again after a power cut."""
    talk = Talk(alone=False)
    talk.may_be_alone(False)
    talk.wait(50)
    talk.admit(Peer("p0", ("10.0.1.1", 7946)))
    talk.peer("p0").shown = Shown(5, talk.shown.members, False)
    assert not shows(talk, 5, False).of(BecameReady)
    assert not talk.wait(9).of(BecameReady)
    assert talk.wait(2).of(BecameReady) == [BecameReady(True)]


def test_before_the_start_it_may_be_forbidden_and_allowed() -> None:
    settings = Settings()
    node = Node(Peer("me", ("10.0.0.1", 1)).view, settings, FRAME, Random(1), 0.0)
    for allowed in (False, True, False):
        assert node.may_be_ready_alone(allowed, 0.0) == []
    assert node.nobody_to_join(0.0) == []
    node.start(False, 0.0)
    assert not [effect for effect in node.handle_timeout(50.0) if effect == BecameReady(True)]


def test_a_node_is_ready_once_it_turns_out_that_there_is_nobody_to_join() -> None:
    talk = Talk(alone=False)
    talk.wait(1)
    assert talk.nobody_to_join().of(BecameReady) == [BecameReady(False)]
    assert not talk.nobody_to_join().of(BecameReady)


def test_who_holds_members_is_not_alone_though_there_is_nobody_to_join() -> None:
    talk = Talk(peers=2, alone=False)
    assert not talk.nobody_to_join().of(BecameReady)
    talk.fail("p0")
    talk.fail("p1")
    assert not talk.nobody_to_join().of(BecameReady)
