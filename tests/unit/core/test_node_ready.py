"""When a node is ready."""

from __future__ import annotations

from gossipd.core import BecameReady
from gossipd.core.messages import (
    Digest,
    DigestAsk,
    Join,
    Leaf,
    Pages,
    PassAsk,
    Ping,
    Shown,
    Welcome,
)

from .talk import Said, Talk, page, stream


def shows(talk: Talk, log: int, ready: bool) -> Said:
    shown = Shown(log, talk.shown.members, ready)
    return talk.hear(talk.peer("p0"), Ping(1, "me", shown))


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


def test_a_complete_walk_against_a_peer_that_is_not_ready_does_not_make_ready() -> None:
    talk = Talk(peers=1, alone=False)
    ask = shows(talk, 5, False).sent(DigestAsk)[0]
    said = talk.hear(talk.peer("p0"), Digest(ask.nonce, 0, 0, (), None))
    assert not said.of(BecameReady)
    assert not talk.node.ready


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
