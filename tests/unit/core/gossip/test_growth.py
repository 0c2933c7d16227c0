"""What a peer tells unasked makes so much a second; what it is asked for is not counted."""

from __future__ import annotations

import pytest

from gossipd.core import Address, Drop
from gossipd.core.gossip.growth import (
    BURST,
    PEERS_MAX,
    REGISTERS_PACE,
    STRANGERS_PART,
    STREAMS_PACE,
    Growth,
)
from gossipd.core.wire.messages import (
    Digest,
    DigestAsk,
    Gossip,
    Held,
    Hold,
    Pages,
    PassAsk,
    Ping,
    Shown,
)
from gossipd.core.wire.records import Group, Leaf
from tests.unit.core.talk import Talk, page, stream

PEER: Address = ("10.0.0.2", 7946)
OTHER: Address = ("10.0.0.3", 7946)


def test_a_second_takes_so_much_and_time_gives_it_back() -> None:
    growth, now, taken = Growth(), 100.0, 0
    while growth.takes(PEER, True, 1, 0, now):
        taken += 1
    assert abs(taken - BURST * STREAMS_PACE) <= 1
    assert not growth.takes(PEER, True, 0, REGISTERS_PACE, now)
    assert growth.takes(OTHER, True, 100, 1_000, now), "nobody pays for somebody else"
    assert growth.takes(PEER, True, STREAMS_PACE // 2, REGISTERS_PACE // 2, now + 1.0)
    assert not growth.takes(PEER, True, 2, 0, now + 1.0)


def test_all_who_have_proven_nothing_share_a_small_budget() -> None:
    growth, taken = Growth(), 0
    while growth.takes(("10.0.0.9", 1 + taken), False, 1, 0, 100.0):
        taken += 1
    assert abs(taken - BURST * STREAMS_PACE / STRANGERS_PART) <= 1
    assert growth.takes(PEER, True, 1, 0, 100.0)


def test_no_more_peers_than_some_are_told_apart() -> None:
    growth = Growth()
    for number in range(PEERS_MAX + 10):
        growth.takes(("10.0.0.9", 1 + number), True, 1, 0, 100.0)
    assert len(growth._spent_until) == PEERS_MAX


# --- in a node -----------------------------------------------------------------------------------


@pytest.fixture
def talk(monkeypatch: pytest.MonkeyPatch) -> Talk:
    """Of a node that takes 20 new registers, or streams of one each, in a second."""
    monkeypatch.setattr("gossipd.core.gossip.growth.STREAMS_PACE", 40)
    monkeypatch.setattr("gossipd.core.gossip.growth.REGISTERS_PACE", 40)
    return Talk(2)


def new(number: int, counters: int = 1) -> Group:
    """A new stream."""
    registers = tuple((f"c{at}", at, 1) for at in range(counters, 0, -1))
    return Group(stream(number), 0, counters, registers)


def spend(talk: Talk) -> None:
    """Let one peer tell of more than its budget."""
    for number in range(1, 6):
        talk.hear_news(*(new(100 * number + at) for at in range(10)))


def test_one_peer_makes_no_more_than_its_budget_and_others_are_heard(talk: Talk) -> None:
    spend(talk)
    log = talk.node.log
    assert log.stream_count == log.register_count == 40
    talk.hear_news(Group(stream(100), 1, 2, (("other", 2, 1),)))
    assert log.register_count == 40, "one more in a stream that is held is new, too"
    assert talk.hear_news(new(1)).drops == [Drop.TOO_MUCH]
    assert not talk.hear(talk.peer("p1"), Gossip(), groups=[new(1)]).drops
    assert log.stream_count == 41


def test_a_member_that_speaks_from_elsewhere_spends_what_strangers_have(talk: Talk) -> None:
    elsewhere: Address = ("10.0.9.9", 1)
    for number in range(1, 20):
        talk.hear(talk.peer("p0"), Gossip(), groups=[new(number)], source=elsewhere)
    assert talk.node.log.stream_count == 40 / STRANGERS_PART
    assert not talk.hear_news(new(100)).drops, "its own budget is whole"


def test_news_of_what_is_held_is_used_whatever_its_sender_has_spent(talk: Talk) -> None:
    talk.hear_news(new(7))
    spend(talk)
    assert not talk.hear_news(Group(stream(7), 1, 2, (("c1", 2, 5),))).drops
    assert talk.node.log.register(stream(7), "c1") == (2, 5)


def test_a_hold_of_what_is_too_much_is_not_answered(talk: Talk) -> None:
    spend(talk)
    hold = Hold(1, (new(1),))
    assert not talk.hear(talk.peer("p0"), hold).sent(Held)
    talk.wait(BURST)
    assert talk.hear(talk.peer("p0"), hold).sent(Held)


def test_what_was_too_much_is_asked_for_and_then_taken(talk: Talk) -> None:
    """Repair is at this node's own pace, so that it is not counted."""
    talk.settle()
    spend(talk)
    p0, said = talk.peer("p0"), talk.hear_news(new(1, 50))
    assert said.drops == [Drop.TOO_MUCH]
    said = talk.hear(p0, Ping(1, "me", Shown(7, talk.shown.members, True)))
    leaf = Leaf(stream(1), 50, 1)
    said = talk.hear(p0, Digest(said.sent(DigestAsk)[0].nonce, 0, 0, (leaf,), None))
    whole = page(1, new(1, 50).registers, 50)
    assert not talk.hear(p0, Pages(said.sent(PassAsk)[0].nonce, (whole,), True)).drops
    assert talk.node.log.version(stream(1)) == 50
