"""When news is sent, how often, and how much of it; and the small answers of a node."""

from __future__ import annotations

from collections import Counter

import pytest

from gossipd.core import (
    Answered,
    Drop,
    Incremented,
    Learned,
    Questioned,
    Send,
    Settings,
    Status,
    TagFrame,
)
from gossipd.core.identity import SEQ_MAX
from gossipd.core.log.log import Log
from gossipd.core.wire.encoding import pack_body, pack_head
from gossipd.core.wire.messages import Ack, Gossip, Ping, PingReq
from tests.commits import abandon, prepared
from tests.effort import effort, few
from tests.simulation.faulty.world import World
from tests.unit.core.talk import (
    FRAME,
    WALL,
    Peer,
    Said,
    Talk,
    envelope,
    group,
    stream,
)


def test_a_probe_is_urgent_and_nothing_else_is() -> None:
    talk = Talk(peers=1)
    peer = talk.peer("p0")
    ping = peer.says(Ping(1, "me", talk.shown))
    assert talk.node.is_urgent(ping)
    assert not talk.node.is_urgent(peer.says(Gossip()))
    assert not talk.node.is_urgent(ping[:-1])
    assert talk.node.is_proven(peer.address)
    assert not talk.node.is_proven(("10.9.9.9", 1))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", Drop.TOO_SHORT),
        (b"x" * 1500, Drop.TOO_LARGE),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", Drop.MAGIC),
        (TagFrame("other").close(b"\x90"), Drop.FOREIGN),
        (FRAME.close(b"\x90"), Drop.MALFORMED),
        (FRAME.close(b"\x90")[:-1] + b"\x91", Drop.TAG),
    ],
)
def test_what_cannot_be_used_is_dropped_with_its_reason(data: bytes, reason: Drop) -> None:
    assert Talk(peers=1).deliver(data, ("192.0.2.1", 999)).drops == [reason]


@pytest.mark.parametrize("status", [Status.FAILED, Status.LEFT])
def test_at_the_address_of_who_is_gone_may_be_somebody_else_by_now(status: Status) -> None:
    talk = Talk(peers=3)
    gone = talk.peer("p1")
    talk.condemn("p1", status)
    gone.answers = False
    talk.settle()
    for number in range(20):
        talk.increment(f"news {number}" + "x" * 100)
    said = talk.hear(gone, Ping(1, "me", talk.shown))
    assert said.sent(Ack, gone)
    assert not said.groups(gone)
    assert 0 < said.bytes_to(gone.address) <= 3 * len(gone.says(Ping(1, "me", talk.shown)))
    elsewhere = talk.hear(gone, Ping(1, "me", talk.shown), source=("192.0.2.66", 1))
    assert elsewhere.bytes_to(gone.address) <= said.bytes_to(gone.address)
    asked = PingReq(3, "p1", gone.address, 500)
    pings = [talk.hear(talk.peer("p0"), asked).sent(Ping, gone) for _ in range(10)]
    assert all(pings), "whoever asks for that has said as much"


def test_a_plain_question_in_a_datagram_is_for_the_process() -> None:
    question, source = b"ping word".ljust(60), ("192.0.2.1", 999)
    said = Talk(peers=1).deliver(FRAME.close(question), source)
    assert said.effects == [Questioned(source, question)]


def test_unknown_fields_are_counted_and_the_rest_is_used() -> None:
    talk = Talk(peers=1)
    p0 = talk.peer("p0")
    head = pack_head(p0.name, p0.generation, 3, Gossip())
    body = pack_body(head, [], [])
    data = FRAME.close(b"\x98" + body[1:] + b"\x2a")
    assert talk.deliver(data, p0.address).drops == [Drop.UNKNOWN_FIELD]
    assert talk.held("p0").incarnation == 3


def test_time_must_not_go_back() -> None:
    talk = Talk()
    with pytest.raises(AssertionError):
        talk.node.handle_timeout(talk.now - 1)


# --- news ----------------------------------------------------------------------------------------


def test_an_increment_reaches_the_fan_out_within_ten_milliseconds() -> None:
    talk = Talk(peers=6)
    talk.settle()
    said = talk.increment(by=5)
    assert len(said.of(Incremented)) == 1
    assert not said.of(Send)
    said = talk.wait(0.0101)
    told = [heard for heard in said.envelopes() if heard.groups]
    assert len(told) == 3
    assert told[0].groups[0].registers == (("hits", 1, 5),)


def test_news_that_comes_within_the_flush_goes_in_one_datagram() -> None:
    talk = Talk(peers=1)
    talk.settle()
    for _ in range(5):
        talk.increment()
        talk.wait(0.0005)
    said = talk.wait(0.0101)
    assert [g.registers for g in said.groups()] == [(("hits", 5, 5),)]


def test_each_item_of_news_is_sent_a_limited_number_of_times() -> None:
    talk = Talk(peers=5)
    talk.settle()
    talk.increment()
    said = talk.wait(10)
    assert len(said.groups()) == 4 * 1


def test_news_of_members_is_sent_a_limited_number_of_times() -> None:
    talk = Talk(peers=5)
    talk.settle()
    talk.peer("p1").incarnation = 1
    talk.hear(talk.peer("p0"), Gossip(), [talk.peer("p1").view])
    said = talk.wait(10)
    assert len(said.views("p1")) == 4 * 1


def test_news_that_was_heard_is_passed_on() -> None:
    talk = Talk(peers=3)
    talk.settle()
    talk.hear(talk.peer("p0"), Gossip(), groups=[group(1, [("hits", 2, 7)])])
    assert talk.node.log.value("hits") == 7
    assert talk.node.log.version(stream(1)) == 2
    told = talk.wait(0.05).groups()
    assert {(g.stream, g.start, g.to) for g in told} == {(stream(1), 0, 2)}


def test_what_was_learned_is_an_effect_and_what_was_known_is_none() -> None:
    talk = Talk(peers=1)
    talk.hear(talk.peer("p0"), Gossip(), groups=[group(1, [("hits", 2, 7)])])
    news = [group(1, [("hits", 3, 9), ("x", 1, 1)]), group(2, [("hits", 1, -4)])]
    said = talk.hear(talk.peer("p0"), Gossip(), groups=news)
    told = [[(a.counter, a.by, a.value) for a in learned.advances] for learned in said.of(Learned)]
    assert told == [[("hits", 2, 9), ("x", 1, 1)], [("hits", -4, 5)]]
    assert not talk.hear(talk.peer("p0"), Gossip(), groups=news).of(Learned)


def test_news_that_is_known_is_not_passed_on() -> None:
    talk = Talk(peers=3)
    news = [group(1, [("hits", 2, 7)])]
    talk.hear(talk.peer("p0"), Gossip(), groups=news)
    talk.settle()
    assert not talk.hear(talk.peer("p1"), Gossip(), groups=news).effects
    assert not talk.wait(1).groups()


def test_news_above_a_gap_counts_but_claims_nothing() -> None:
    talk = Talk(peers=2)
    talk.hear(talk.peer("p0"), Gossip(), groups=[group(1, [("hits", 9, 7)], start=5)])
    assert talk.node.log.value("hits") == 7
    assert talk.node.log.version(stream(1)) == 0
    talk.hear(talk.peer("p0"), Gossip(), groups=[group(1, [("x", 5, 7)], to=5)])
    talk.hear(talk.peer("p0"), Gossip(), groups=[group(1, [("hits", 9, 7)], start=5)])
    assert talk.node.log.version(stream(1)) == 9


def test_a_claim_alone_is_news_too() -> None:
    talk = Talk(peers=2)
    talk.hear(talk.peer("p0"), Gossip(), groups=[group(1, [("hits", 3, 7)], start=1)])
    talk.settle()
    talk.hear(talk.peer("p0"), Gossip(), groups=[group(1, [("hits", 3, 7)])])
    assert {(g.start, g.to) for g in talk.wait(0.1).groups()} == {(0, 3)}


def test_the_transmissions_follow_each_other_at_once_and_to_different_peers() -> None:
    talk = Talk(peers=9)
    talk.settle()
    talk.increment()
    said = talk.wait(0.04)
    told = [name for name, peer in talk.peers.items() if said.groups(peer)]
    assert len(told) == len(said.groups()) == 8
    assert not talk.wait(10).groups()


def test_news_that_comes_in_the_moment_of_a_round_is_told_as_often() -> None:
    talk = Talk(peers=9)
    talk.settle()
    talk.increment()
    assert talk.node.next_timeout is not None
    talk.now = talk.node.next_timeout
    talk.increment()
    said = Said([*talk.timeout().timed, *talk.wait(0.04).timed])
    assert len(said.groups()) == 8


def test_news_that_every_peer_got_once_follows_in_the_interval() -> None:
    talk = Talk(peers=2, seed=2)
    talk.settle()
    talk.increment()
    said = talk.wait(0.15)
    assert [len(said.groups(peer)) for peer in talk.peers.values()] == [1, 1]
    said = talk.wait(0.1)
    assert [len(said.groups(peer)) for peer in talk.peers.values()] == [1, 1]
    assert not talk.wait(10).groups()


# --- to whom -------------------------------------------------------------------------------------


def told_in_order(talk: Talk, count: int) -> list[str]:
    """Whom the next packets of gossip go to, while there is always news."""
    names = {peer.address: name for name, peer in talk.peers.items()}
    told: list[str] = []
    while len(told) < count:
        talk.increment()
        sends = talk.wait(0.01).of(Send)
        told += [names[s.to] for s in sends if isinstance(envelope(s.data).message, Gossip)]
    return told[:count]


def test_packets_go_to_all_peers_in_turn_in_an_order_that_stays() -> None:
    talk = Talk(peers=7)
    talk.settle()
    told = told_in_order(talk, 70)
    assert set(told[:7]) == set(talk.peers)
    assert told == told[:7] * 10


def test_nodes_have_orders_of_their_own() -> None:
    orders = set()
    for seed in range(5):
        talk = Talk(peers=7, seed=seed)
        talk.settle()
        told = told_in_order(talk, 7)
        first = told.index("p0")
        orders.add(tuple(told[first:] + told[:first]))
    assert len(orders) > 3


def test_a_new_member_has_its_place_in_the_order_after_one_cycle() -> None:
    talk = Talk(peers=7)
    talk.settle()
    told_in_order(talk, 3)
    talk.admit(Peer("new", ("10.0.2.1", 7946)))
    told_in_order(talk, 7)
    assert set(told_in_order(talk, 8)) == set(talk.peers)


def test_the_dead_are_skipped_in_the_order() -> None:
    talk = Talk(peers=7)
    talk.settle()
    told_in_order(talk, 3)
    for name in ("p0", "p1", "p2", "p3", "p4"):
        talk.fail(name)
    told = told_in_order(talk, 20)
    assert [told.count("p5"), told.count("p6")] == [10, 10]


# --- pace ----------------------------------------------------------------------------------------


def sent_under_load(talk: Talk, seconds: float) -> int:
    """Packets of gossip while there is news all the time, little enough for one packet."""
    sent = 0
    for _ in range(round(seconds / 0.005)):
        talk.increment()
        sent += len(talk.wait(0.005).sent(Gossip))
    return sent


@pytest.mark.untraced
@pytest.mark.parametrize("flush_after", few([0.01, 0.0], 1))
@pytest.mark.parametrize("rate", few([2, 90, 50], 2))
def test_under_load_packets_carry_more_instead_of_being_more(
    rate: int, flush_after: float
) -> None:
    talk = Talk(peers=9, settings=Settings(gossip_rate=rate, flush_after=flush_after))
    talk.settle()
    sent_under_load(talk, 2.0)
    assert 9 * rate <= sent_under_load(talk, 10.0) <= 10 * rate + 1


def test_what_was_not_sent_for_a_while_is_saved_up_for_a_fifth_of_a_second() -> None:
    talk = Talk(peers=30, settings=Settings(gossip_rate=50))
    talk.wait(20)
    assert 8 <= sent_under_load(talk, 0.1) <= 0.2 * 50 + 0.1 * 50


def test_a_round_goes_to_the_fan_out_however_slow_the_pace() -> None:
    talk = Talk(peers=9, settings=Settings(gossip_rate=1, gossip_fanout=4))
    talk.wait(20)
    talk.increment()
    assert len(talk.wait(0.02).sent(Gossip)) == 4


@pytest.mark.untraced
def test_a_backlog_goes_at_the_largest_rate_until_all_of_it_was_sent_once() -> None:
    settings = Settings(gossip_rate=20, gossip_rate_max=200, probe_interval=1000.0)
    talk = Talk(peers=9, settings=settings)
    talk.wait(20)
    for number in range(3000):
        talk.hear(talk.peer("p0"), Gossip(), groups=[group(number, [("a-long-name", 1, 1)])])
    said = talk.wait(0.3)
    assert 0.25 * 200 <= len(said.sent(Gossip)) <= 0.3 * 200 + 4
    told = {g.stream for g in said.groups()}
    assert len(told) == len(said.groups()), "nothing twice before all was sent once"
    while len(told) < 3000:
        told |= {g.stream for g in talk.wait(0.05).groups()}
    talk.wait(0.1)
    assert len(talk.wait(1.0).sent(Gossip)) <= 20 + 1


@pytest.mark.parametrize(
    ("peers", "relays"), [(2, False), pytest.param(8, True, marks=pytest.mark.untraced)]
)
def test_in_a_long_backlog_news_is_told_once_to_each_and_not_on_where_all_are_told(
    peers: int, relays: bool
) -> None:
    """Repair brings what is lost; so a node takes as much news as it can."""
    settings = Settings(gossip_rate=200, gossip_rate_max=200, probe_interval=1000.0)
    talk = Talk(peers=peers, settings=settings)
    talk.wait(20)
    for number in range(6000):
        talk.hear(talk.peer("p0"), Gossip(), groups=[group(number, [("a-long-name", 1, 1)])])
    talk.wait(0.4)
    talk.hear(talk.peer("p0"), Gossip(), groups=[group(7001, [("heard", 1, 1)])])
    talk.wait(0.3)
    talk.hear(talk.peer("p0"), Gossip(), groups=[group(7002, [("heard", 1, 1)])])
    times = Counter(g.stream for g in talk.wait(20.0).groups())
    assert times[stream(7001)] > 0
    assert (times[stream(7002)] > 0) == relays
    assert max(times.values()) <= min(peers, 4)
    talk.hear(talk.peer("p0"), Gossip(), groups=[group(7003, [("heard", 1, 1)])])
    after = Counter(g.stream for g in talk.wait(20.0).groups())
    assert after[stream(7003)] == 4, "as ever, once all is told"


@pytest.mark.untraced
def test_a_backlog_of_members_goes_at_the_largest_rate_too() -> None:
    settings = Settings(gossip_rate=20, gossip_rate_max=200, probe_interval=1000.0)
    talk = Talk(peers=2, settings=settings)
    talk.wait(20)
    others = [
        Peer(f"member-{n}-{'x' * 40}", (f"10.1.{n // 250}.{n % 250}", 1)) for n in range(999)
    ]
    for peer in others:
        talk.hear_views(peer.view)
    talk.let_prove(*others)
    talk.wait(60)
    assert talk.node.live_count == 1002
    for peer in others:
        talk.hear_views(peer.seen(incarnation=1))
    assert 0.25 * 200 <= len(talk.wait(0.3).sent(Gossip)) <= 0.3 * 200 + 4


def test_more_news_than_fits_goes_on_with_the_next_flush() -> None:
    talk = Talk(peers=1)
    talk.settle()
    for number in range(120):
        news = group(number, [("counter-with-a-long-name", 1, 1)])
        talk.hear(talk.peer("p0"), Gossip(), groups=[news])
    said = talk.wait(0.1)
    assert {g.stream for g in said.groups()} == {stream(number) for number in range(120)}
    assert len(said.sent(Gossip)) >= 4


def test_a_burst_of_300_counters_is_everywhere_within_300_milliseconds() -> None:
    """In all clusters but one: push alone may miss somebody, whom a repair reaches."""
    times = []
    for seed in range(effort(2, 10)):
        world = World(seed)
        world.cluster(5)
        assert world.run_until_settled(20)
        world.run(5)
        for number in range(300):
            world.increment("n0", f"counter-{number:03}", number + 1)
        world.increment("n1", "other")
        began = world.now
        while {node.log.counter_count for node in world.running.values()} != {301}:
            world.run(0.01)
        times.append(world.now - began)
        world.run(5)
        assert world.settled()
    assert sorted(times)[-2] <= 0.3
    assert max(times) <= 1.5


def test_news_waits_for_somebody_to_tell_it_to() -> None:
    talk = Talk()
    talk.increment()
    assert not talk.wait(1).of(Send)
    talk.admit(Peer("p0", ("10.0.1.1", 7946)))
    assert talk.wait(0.1).groups(talk.peer("p0"))


def test_no_news_goes_to_those_who_are_not_live() -> None:
    talk = Talk(peers=4)
    talk.settle()
    talk.fail("p0")
    talk.increment()
    assert not talk.wait(0.2).sent(Gossip, talk.peer("p0"))


def test_a_full_log_refuses_news_and_claims_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gossipd.core.state.Log", lambda *_: Log(registers_max=1))
    talk = Talk(peers=1)
    talk.hear(talk.peer("p0"), Gossip(), groups=[group(1, [("a", 1, 1)])])
    said = talk.hear(talk.peer("p0"), Gossip(), groups=[group(1, [("a", 3, 2), ("b", 2, 1)])])
    assert said.drops == [Drop.STREAMS_FULL]
    assert talk.node.log.version(stream(1)) == 1


# --- own streams ---------------------------------------------------------------------------------


def test_hearing_more_of_its_own_stream_ends_the_stream() -> None:
    talk = Talk(peers=1)
    talk.increment()
    first = talk.node.stream
    assert first is not None
    clones = group(0, [("hits", 5, 5)], start=1)._replace(stream=first)
    talk.hear(talk.peer("p0"), Gossip(), groups=[clones])
    talk.increment()
    second = talk.node.stream
    assert second not in (None, first)
    assert talk.node.log.value("hits") == 6


def test_a_higher_version_of_its_own_stream_ends_the_stream_if_something_is_shown() -> None:
    talk = Talk(peers=1)
    talk.increment()
    first = talk.node.stream
    assert first is not None
    lie = group(0, [], start=1, to=2)._replace(stream=first)
    assert talk.hear(talk.peer("p0"), Gossip(), groups=[lie]).drops == [Drop.FALSE_CLAIM]
    assert talk.node.stream == first
    clones = group(0, [("clone", 2, 1)], start=1, to=2)._replace(stream=first)
    assert talk.hear(talk.peer("p0"), Gossip(), groups=[clones]).drops == [Drop.NOT_OURS]
    assert talk.node.stream is None


@pytest.mark.parametrize("seq", [3, SEQ_MAX])
def test_a_claim_above_what_anybody_has_shown_claims_nothing(seq: int) -> None:
    talk = Talk(peers=1)
    talk.hear_news(group(1, [("a", 1, 1), ("b", 2, 1)]))
    assert talk.node.log.version(stream(1)) == 2
    assert talk.hear_news(group(1, [], start=2, to=seq)).drops == [Drop.FALSE_CLAIM]
    assert talk.hear_news(group(1, [("b", 2, 1)], start=1, to=seq)).drops == [Drop.FALSE_CLAIM]
    assert talk.hear_news(group(2, [], start=0, to=seq)).drops == [Drop.FALSE_CLAIM]
    assert talk.node.log.version(stream(1)) == 2
    assert not talk.node.counted(stream(1), 3)
    assert talk.node.log.version(stream(2)) == 0


def test_hearing_its_own_increments_again_changes_nothing() -> None:
    talk = Talk(peers=1)
    talk.increment()
    first = talk.node.stream
    assert first is not None
    own = group(0, [("hits", 1, 1)])._replace(stream=first)
    talk.hear(talk.peer("p0"), Gossip(), groups=[own])
    assert talk.node.stream == first


def test_clocks_that_part_by_more_than_a_second_end_the_stream() -> None:
    talk = Talk()
    talk.increment()
    first = talk.node.stream
    talk.node.committed(
        prepared(talk.node, [("hits", 1)], talk.now, WALL + talk.now + 0.9), talk.now
    )
    assert talk.node.stream == first
    talk.node.committed(
        prepared(talk.node, [("hits", 1)], talk.now, WALL + talk.now + 5), talk.now
    )
    assert talk.node.stream != first
    assert talk.node.log.value("hits") == 3


def test_an_abandoned_batch_is_never_told_and_ends_the_stream() -> None:
    talk = Talk(peers=1)
    prepared(talk.node, [("hits", 1)], talk.now, WALL)
    abandon(talk.node, talk.now)
    assert talk.node.stream is None
    assert not talk.wait(1).groups()
    assert talk.node.log.value("hits") == 0


def test_a_batch_of_which_nothing_was_accepted_is_no_news() -> None:
    talk = Talk(peers=1)
    talk.settle()
    (answered,) = talk.increment(by=2**62 + 1).effects
    assert isinstance(answered, Answered)
    assert not talk.wait(1).groups()


def test_a_leaving_node_accepts_no_increments() -> None:
    talk = Talk(peers=1)
    talk.leave()
    with pytest.raises(ValueError, match="LEAVING"):
        prepared(talk.node, [("hits", 1)], talk.now, WALL)


# --- queries -------------------------------------------------------------------------------------


def test_an_increment_is_counted_if_the_version_the_tail_or_the_register_says_so() -> None:
    talk = Talk(peers=1)
    talk.increment(times=3)
    own = talk.node.stream
    assert own is not None
    assert talk.node.counted(own, 2)
    assert not talk.node.counted(own, 4)
    talk.hear(talk.peer("p0"), Gossip(), groups=[group(1, [("x", 9, 9)], start=5)])
    assert talk.node.counted(stream(1), 9)
    assert not talk.node.counted(stream(1), 8)
    assert talk.node.counted(stream(1), 8, "x")
    assert not talk.node.counted(stream(1), 8, "hits")


def test_the_tail_is_told_newest_first() -> None:
    talk = Talk()
    talk.increment(by=2)
    talk.increment(by=3)
    assert [(e.advance.by, e.advance.value) for e in talk.node.recent(5)] == [(3, 5), (2, 2)]


def test_a_node_knows_how_many_live_peers_agree_with_it() -> None:
    talk = Talk(peers=3)
    talk.wait(5)
    assert talk.node.agreeing == 3
    talk.fail("p0")
    assert talk.node.agreeing == 2
    assert talk.now - 2 < talk.node.since("p0") < talk.now
    talk.increment()
    assert talk.node.agreeing == 0
    assert talk.node.live_count == 3
    assert talk.status("p0") is Status.FAILED
