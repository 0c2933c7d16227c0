"""How a node leaves without losing anything."""

from __future__ import annotations

import pytest

from gossipd.core import Drop, Left, SaveWanted, Status
from gossipd.core.leaving import WISHES_MAX
from gossipd.core.log import Log
from gossipd.core.messages import (
    DigestAsk,
    Gossip,
    Held,
    Hold,
)

from .talk import Peer, Said, Talk, group, stream


def leaver(peers: int = 2, increments: int = 3) -> Talk:
    talk = Talk(peers=peers)
    if increments:
        talk.increment(times=increments)
    talk.settle()
    return talk


def keeper() -> Talk:
    """A node with a disk, on which everything is that the node holds."""
    talk = Talk(peers=2, durable=True)
    talk.settle()
    talk.store_all()
    return talk


def asked_one(talk: Talk, said: Said) -> tuple[Peer, Hold]:
    """The peer that is asked to hold everything, and the question."""
    for peer in talk.peers.values():
        holds = said.sent(Hold, peer)
        if holds:
            return peer, holds[-1]
    raise AssertionError("nobody was asked")


def confirm(talk: Talk, peer: Peer, hold: Hold, leaving: bool = False) -> Said:
    versions = tuple((g.stream, g.to) for g in hold.groups)
    return talk.hear(peer, Held(hold.nonce, leaving, versions))


def test_a_leaver_goes_when_one_peer_holds_everything_and_tells_it_often_enough() -> None:
    talk = leaver()
    peer, hold = asked_one(talk, talk.leave())
    assert [(g.start, g.to) for g in hold.groups] == [(3, 3)]
    said = confirm(talk, peer, hold)
    assert talk.own.status is Status.LEFT
    later = talk.wait(1)
    assert later.of(Left) == [Left(0)]
    told = said.views("me") + later.views("me")
    assert {view.status for view in told} == {Status.LEFT}
    for other in talk.peers.values():
        assert len(said.sent(Gossip, other)) + len(later.sent(Gossip, other)) >= 3


def test_a_second_leave_changes_nothing() -> None:
    talk = leaver()
    talk.leave()
    assert talk.node.leaving
    assert not talk.leave().effects


def test_a_peer_that_is_behind_is_asked_until_it_has_caught_up() -> None:
    talk = leaver()
    peer, hold = asked_one(talk, talk.leave())
    behind = Held(hold.nonce, False, ((hold.groups[0].stream, 2),))
    assert not talk.hear(peer, behind).views("me")
    _, again = asked_one(talk, talk.wait(0.07))
    assert confirm(talk, peer, again).views("me")


def test_a_leaving_peer_is_skipped() -> None:
    talk = leaver()
    peer, hold = asked_one(talk, talk.leave())
    other, next_hold = asked_one(talk, confirm(talk, peer, hold, leaving=True))
    assert other is not peer
    assert not confirm(talk, other, next_hold).of(Left)
    assert talk.wait(1).of(Left) == [Left(0)]


def test_when_every_peer_leaves_too_a_node_goes_at_once_and_says_what_was_not_drained() -> None:
    talk = leaver(peers=1)
    peer, hold = asked_one(talk, talk.leave())
    assert confirm(talk, peer, hold, leaving=True).views("me")
    assert talk.wait(1).of(Left) == [Left(1)]


def test_with_nobody_alive_a_node_goes_at_once() -> None:
    talk = Talk()
    talk.increment()
    assert talk.leave().of(Left) == [Left(1)]
    assert Talk().leave().of(Left) == [Left(0)]
    assert talk.node.next_timeout is not None


def test_an_empty_log_needs_no_peer() -> None:
    talk = leaver(increments=0)
    assert talk.leave().views("me")
    assert talk.wait(1).of(Left) == [Left(0)]


def test_a_silent_peer_is_left_for_another() -> None:
    talk = leaver(peers=3)
    said = talk.leave()
    first, _ = asked_one(talk, said)
    asked = {first.name}
    for _ in range(8):
        later = talk.wait(0.5)
        asked |= {p.name for p in talk.peers.values() if later.sent(Hold, p)}
    assert len(asked) > 1


def test_a_peer_that_is_only_suspected_is_still_asked() -> None:
    talk = leaver(peers=1)
    peer, _ = asked_one(talk, talk.leave())
    talk.hear(peer, Gossip(), [peer.seen(Status.SUSPECT)])
    _, hold = asked_one(talk, talk.wait(0.07))
    confirm(talk, peer, hold)
    assert talk.wait(1).of(Left) == [Left(0)]


def test_a_peer_that_fails_is_left_for_another() -> None:
    talk = leaver(peers=2)
    peer, _ = asked_one(talk, talk.leave())
    talk.fail(peer.name)
    other, hold = asked_one(talk, talk.wait(0.07))
    assert other is not peer
    confirm(talk, other, hold)
    assert talk.wait(1).of(Left) == [Left(0)]


def test_a_peer_that_restarts_in_the_middle_of_a_drain_is_asked_from_the_beginning() -> None:
    talk = leaver(increments=0)
    for number in range(60):
        talk.hear_news(group(number, [(f"c{number}", 7, 1)], start=6))
    said = talk.leave()
    peer, _ = asked_one(talk, said)
    first, *others = said.sent(Hold, peer)
    confirm(talk, peer, first)
    peer.generation += 1
    tell = next(other for other in talk.peers.values() if other is not peer)
    talk.hear(tell, Gossip(), [peer.view])
    for hold in others:
        assert Drop.UNASKED in confirm(talk, peer, hold).drops
    assert talk.own.status is Status.ALIVE
    said = talk.wait(0.07)
    again, _ = asked_one(talk, said)
    holds = said.sent(Hold, again)
    assert {g.stream for h in holds for g in h.groups} == {stream(n) for n in range(60)}
    for hold in holds:
        confirm(talk, again, hold)
    assert talk.wait(1).of(Left) == [Left(0)]


def test_a_leave_ends_after_five_seconds_and_says_what_was_not_drained() -> None:
    talk = leaver()
    talk.leave()
    assert not talk.wait(4.9).of(Left)
    assert talk.wait(0.4).of(Left) == [Left(1)]


def test_registers_above_the_version_are_sent_and_have_to_be_confirmed() -> None:
    talk = leaver(increments=0)
    above = [(f"counter-with-a-long-name-{n:03}", 10 + n, 1) for n in range(60)]
    for first in range(0, 60, 15):
        news = group(1, list(above[first : first + 15]), start=9 + first)
        talk.hear(talk.peer("p0"), Gossip(), groups=[news])
    assert talk.node.log.version(stream(1)) == 0
    said = talk.leave()
    sent = []
    for _ in range(20):
        peer, hold = asked_one(talk, said)
        sent += [register for g in hold.groups for register in g.registers]
        said = confirm(talk, peer, hold)
        if said.views("me"):
            break
        said = talk.wait(0.07)
    assert sorted(sent) == sorted(above)
    assert talk.wait(1).of(Left) == [Left(0)]


def test_many_streams_are_held_by_many_datagrams() -> None:
    talk = leaver(increments=0)
    for number in range(150):
        news = group(number, [(f"c{number}", 7, 1)], start=6)
        talk.hear(talk.peer("p0"), Gossip(), groups=[news])
    said = talk.leave()
    peer, _ = asked_one(talk, said)
    holds = said.sent(Hold, peer)
    assert len(holds) > 2
    assert {g.stream for h in holds for g in h.groups} == {stream(n) for n in range(150)}
    for hold in holds:
        said = confirm(talk, peer, hold)
    assert said.views("me")


@pytest.mark.parametrize("length", [20, 45, 70, 95, 120])
def test_a_register_that_does_not_fit_any_more_goes_into_the_next_datagram(length: int) -> None:
    talk = leaver(increments=0)
    for number in range(12):
        news = group(number, [("x" * length, 7, 1)], start=6)
        talk.hear(talk.peer("p0"), Gossip(), groups=[news])
    said = talk.leave()
    groups = [g for hold in said.sent(Hold) for g in hold.groups]
    assert {(g.stream, len(g.registers)) for g in groups} == {(stream(n), 1) for n in range(12)}


def test_so_many_streams_that_a_step_cannot_ask_for_all_are_asked_for_in_turns() -> None:
    talk = leaver(increments=0)
    name = "a counter with a name as long as any may be: " + "x" * 80
    for number in range(250):
        news = group(number, [(name, 7, 1)], start=6)
        talk.hear(talk.peer("p0"), Gossip(), groups=[news])
    said = talk.leave()
    asked = set()
    for _ in range(2):
        peer, _ = asked_one(talk, said)
        holds = said.sent(Hold, peer)
        assert len(holds) <= 32
        for hold in holds:
            asked |= {g.stream for g in hold.groups}
            confirm(talk, peer, hold)
        said = talk.wait(0.07)
    assert len(asked) == 250


def test_a_confirmation_that_was_not_asked_for_is_dropped() -> None:
    talk = leaver()
    p0 = talk.peer("p0")
    assert talk.hear(p0, Held(1, False, ())).drops == [Drop.UNASKED]
    peer, hold = asked_one(talk, talk.leave())
    other = next(p for p in talk.peers.values() if p is not peer)
    assert Drop.UNASKED in confirm(talk, other, hold).drops
    assert talk.own.status is Status.ALIVE


def test_a_confirmation_that_names_other_streams_confirms_nothing() -> None:
    talk = leaver()
    peer, hold = asked_one(talk, talk.leave())
    assert not talk.hear(peer, Held(hold.nonce, False, ((stream(9), 99),))).views("me")


def test_a_confirmation_that_comes_after_the_end_changes_nothing() -> None:
    talk = leaver()
    said = talk.leave()
    peer, hold = asked_one(talk, said)
    _, second = asked_one(talk, talk.wait(0.07))
    confirm(talk, peer, hold)
    assert not confirm(talk, peer, second).views("me")


def test_a_leave_with_nobody_left_to_tell_ends() -> None:
    talk = leaver(peers=1)
    peer, hold = asked_one(talk, talk.leave())
    confirm(talk, peer, hold)
    talk.hear(peer, Gossip(), [peer.seen(Status.LEFT)])
    assert talk.wait(0.07).of(Left) == [Left(0)]


# --- as the one who stays ------------------------------------------------------------------------


def test_who_stays_keeps_what_it_is_sent_and_shows_its_versions() -> None:
    talk = leaver(increments=0)
    p0 = talk.peer("p0")
    said = talk.hear(p0, Hold(5, (group(1, [("a", 1, 1)]),)))
    assert said.sent(Held, p0) == [Held(5, False, ((stream(1), 1),))]
    assert talk.node.log.value("a") == 1


def test_who_stays_and_is_behind_pulls_from_the_leaver_at_once() -> None:
    talk = leaver(increments=0)
    p0 = talk.peer("p0")
    hold = Hold(5, (group(1, [("a", 9, 1)], start=8),))
    said = talk.hear(p0, hold)
    assert said.sent(Held, p0) == [Held(5, False, ((stream(1), 0),))]
    assert said.sent(DigestAsk, p0)


def test_who_leaves_too_says_so_and_pulls_nothing() -> None:
    talk = leaver()
    talk.leave()
    p0 = talk.peer("p0")
    said = talk.hear(p0, Hold(5, (group(1, [("a", 9, 1)], start=8),)))
    assert [held.leaving for held in said.sent(Held, p0)] == [True]
    assert not said.sent(DigestAsk)


def test_who_has_no_room_does_not_say_that_it_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gossipd.core.node.Log", lambda: Log(registers_max=0))
    talk = leaver(increments=0)
    said = talk.hear(talk.peer("p0"), Hold(5, (group(1, [("a", 1, 1)]),)))
    assert said.drops == [Drop.STREAMS_FULL]
    assert not said.sent(Held)


# --- as the one who stays and has a disk ---------------------------------------------------------


def test_a_hold_is_answered_when_everything_in_it_is_on_the_disk() -> None:
    talk = keeper()
    p0 = talk.peer("p0")
    said = talk.hear(p0, Hold(5, (group(1, [("a", 1, 1), ("b", 2, 1), ("c", 3, 1)]),)))
    assert said.of(SaveWanted)
    assert not said.sent(Held)
    for _ in range(2):
        assert not talk.stored(talk.take(1)).sent(Held)
    said = talk.stored(talk.take(1))
    assert said.sent(Held, p0) == [Held(5, False, ((stream(1), 3),))]
    assert not said.of(SaveWanted)


def test_a_hold_that_brings_nothing_new_is_answered_at_once_when_everything_is_stored() -> None:
    talk = keeper()
    p0 = talk.peer("p0")
    said = talk.hear(p0, Hold(5, (group(1, [], start=4),)))
    assert not said.of(SaveWanted)
    assert said.sent(Held, p0) == [Held(5, False, ((stream(1), 0),))]


def test_a_hold_does_not_wait_for_own_increments() -> None:
    talk = keeper()
    p0 = talk.peer("p0")
    talk.increment(times=3)
    said = talk.hear(p0, Hold(5, (group(1, [], start=4),)))
    assert not said.of(SaveWanted)
    assert said.sent(Held, p0)


def test_a_hold_waits_for_the_cycle_that_begins_after_it() -> None:
    talk = keeper()
    p0 = talk.peer("p0")
    talk.hear_news(group(1, [("a", 1, 1)]))
    running = talk.take()
    assert not talk.hear(p0, Hold(5, (group(2, [("b", 9, 1)], start=8),))).sent(Held)
    said = talk.stored(running)
    assert not said.sent(Held)
    assert said.of(SaveWanted)
    assert talk.stored(talk.take()).sent(Held, p0) == [Held(5, False, ((stream(2), 0),))]


def test_a_hold_that_adds_nothing_to_what_is_being_stored_is_answered_when_that_is() -> None:
    talk = keeper()
    p0 = talk.peer("p0")
    news = group(1, [("a", 1, 1)])
    talk.hear_news(news)
    running = talk.take()
    assert not talk.hear(p0, Hold(5, (news,))).sent(Held)
    said = talk.stored(running)
    assert said.sent(Held, p0) == [Held(5, False, ((stream(1), 1),))]
    assert not said.of(SaveWanted)


def test_a_hold_is_not_answered_by_a_part_that_could_not_be_stored() -> None:
    talk = keeper()
    p0 = talk.peer("p0")
    talk.hear(p0, Hold(5, (group(1, [("a", 1, 1)]),)))
    talk.node.not_stored(talk.take())
    assert talk.stored(talk.take()).sent(Held, p0) == [Held(5, False, ((stream(1), 1),))]


def test_a_version_that_is_only_held_in_memory_is_not_told() -> None:
    talk = keeper()
    p0 = talk.peer("p0")
    talk.hear_news(group(1, [("a", 1, 1)]))
    talk.hear(p0, Hold(5, (group(1, [("b", 2, 1)], start=1),)))
    running = talk.take()
    talk.hear_news(group(1, [("c", 3, 1)], start=2))
    assert talk.stored(running).sent(Held, p0) == [Held(5, False, ((stream(1), 2),))]


def test_so_many_wait_for_the_disk_and_no_more() -> None:
    talk = keeper()
    p0 = talk.peer("p0")
    groups = (group(1, [("a", 1, 1)]),)
    for nonce in range(WISHES_MAX):
        assert talk.hear(p0, Hold(nonce, groups)).of(SaveWanted)
    assert not talk.hear(p0, Hold(WISHES_MAX, groups)).of(SaveWanted)
    said = talk.store_all()
    assert [held.nonce for held in said.sent(Held, p0)] == list(range(WISHES_MAX))


def test_everybody_who_waits_is_answered() -> None:
    talk = keeper()
    p0, p1 = talk.peer("p0"), talk.peer("p1")
    talk.hear(p0, Hold(5, (group(1, [("a", 1, 1)]),)))
    talk.hear(p1, Hold(6, (group(2, [("b", 9, 1)], start=8),)))
    said = talk.store_all()
    assert [held.nonce for held in said.sent(Held, p0)] == [5]
    assert said.sent(Held, p1) == [Held(6, False, ((stream(2), 0),))]
