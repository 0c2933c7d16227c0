"""How a node leaves without losing anything."""

from __future__ import annotations

import pytest

from gossipd.core import Drop, Left, Status, source_stream
from gossipd.core.wire.messages import (
    Ack,
    Gossip,
    Held,
    Hold,
    Ping,
)
from gossipd.core.wire.records import Group
from tests.commits import prepared
from tests.unit.core.talk import (
    WALL,
    Peer,
    Said,
    Talk,
    group,
    stream,
)


def leaver(peers: int = 2, increments: int = 3) -> Talk:
    talk = Talk(peers=peers)
    if increments:
        talk.increment(times=increments)
    talk.settle()
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
    return talk.hear(peer, Held(hold.nonce, leaving, versions, True))


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
    behind = Held(hold.nonce, False, ((hold.groups[0].stream, 2),), True)
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


def test_registers_above_the_version_need_not_be_sent_to_whoever_shows_to_have_them() -> None:
    talk = leaver(peers=1, increments=0)
    above = [(f"counter-with-a-long-name-{n:03}", 10 + n, 1) for n in range(180)]
    for first in range(0, 180, 15):
        news = group(1, list(above[first : first + 15]), start=9 + first)
        talk.hear(talk.peer("p0"), Gossip(), groups=[news])
    peer, hold = asked_one(talk, talk.leave())
    assert len(hold.groups[0].registers) < len(above)
    talk.hear(peer, Held(hold.nonce, False, ((stream(1), 188),), True))
    assert talk.own.status is Status.ALIVE, "that does not speak for the newest one"
    peer, hold = asked_one(talk, talk.wait(0.07))
    talk.hear(peer, Held(hold.nonce, False, ((stream(1), 189),), True))
    assert talk.wait(1).of(Left) == [Left(0)]


def test_the_total_of_a_source_is_sent_though_the_peer_may_have_its_version() -> None:
    """It may have another total under the same seq."""
    talk = leaver(increments=0)
    till = source_stream("till-7", "sales")
    told = Group(till, 0, 5, (("sales", 5, 120),))
    talk.hear(talk.peer("p0"), Gossip(), groups=[told])
    assert talk.node.log.version(till) == 5
    peer, hold = asked_one(talk, talk.leave())
    assert hold.groups == (Group(till, 5, 5, (("sales", 5, 120),)),)
    assert confirm(talk, peer, hold).views("me")


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
    assert talk.hear(p0, Held(1, False, (), True)).drops == [Drop.UNASKED]
    peer, hold = asked_one(talk, talk.leave())
    other = next(p for p in talk.peers.values() if p is not peer)
    assert Drop.UNASKED in confirm(talk, other, hold).drops
    assert talk.own.status is Status.ALIVE


def test_a_confirmation_that_names_other_streams_confirms_nothing() -> None:
    talk = leaver()
    peer, hold = asked_one(talk, talk.leave())
    assert not talk.hear(peer, Held(hold.nonce, False, ((stream(9), 99),), True)).views("me")


def test_a_confirmation_that_comes_after_the_end_changes_nothing() -> None:
    talk = leaver()
    said = talk.leave()
    peer, hold = asked_one(talk, said)
    _, second = asked_one(talk, talk.wait(0.07))
    confirm(talk, peer, hold)
    assert not confirm(talk, peer, second).views("me")


def test_a_peer_that_says_too_late_that_it_leaves_too_ends_nothing_twice() -> None:
    talk = leaver(peers=1)
    peer, hold = asked_one(talk, talk.leave())
    _, second = asked_one(talk, talk.wait(0.07))
    _, third = asked_one(talk, talk.wait(0.07))
    confirm(talk, peer, hold)
    during = confirm(talk, peer, second, leaving=True)
    assert not during.sent(Gossip), "all in its time"
    assert talk.wait(1).of(Left) == [Left(0)]
    after = confirm(talk, peer, third, leaving=True)
    assert not after.effects
    assert not talk.wait(1).of(Left)


def test_a_leave_with_nobody_left_to_tell_ends() -> None:
    talk = leaver(peers=1)
    peer, hold = asked_one(talk, talk.leave())
    confirm(talk, peer, hold)
    gone = peer.seen(Status.LEFT)
    peer.answers = False
    talk.hear(peer, Gossip(), [gone])
    (ping,) = talk.wait(0.001).sent(Ping, peer)
    talk.hear(peer, Ack(ping.nonce, talk.shown), [gone])
    assert talk.wait(0.07).of(Left) == [Left(0)]


def test_the_time_of_a_leave_runs_from_when_it_was_asked_for() -> None:
    """What came before it, a commit that the disk did not answer, took its part."""
    talk = leaver()
    asked_at = talk.now
    talk.wait(4.5)
    talk.leave(since=asked_at)
    assert not talk.wait(0.4).of(Left)
    assert talk.wait(0.5).of(Left) == [Left(1)]


def test_what_a_disk_took_long_to_commit_counts_though_a_leave_has_begun() -> None:
    talk = leaver(increments=0)
    batch = prepared(talk.node, [("late", 5)], talk.now, WALL)
    talk.leave()
    talk.node.committed(batch, talk.now)
    assert talk.node.log.value("late") == 5
    assert talk.wait(6).of(Left)
