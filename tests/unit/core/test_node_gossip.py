"""When news is sent, how often, and how much of it; and the small answers of a node."""

from __future__ import annotations

import pytest

from gossipd.core import Drop, Incremented, Send, Settings, Status, TagFrame
from gossipd.core.codec import pack_body, pack_head
from gossipd.core.log import Log
from gossipd.core.messages import Gossip
from gossipd.simulator.world import World

from .talk import FRAME, WALL, Peer, Talk, group, stream


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
def test_a_plain_ping_is_answered_with_pong(end: bytes) -> None:
    talk = Talk()
    source = ("192.0.2.1", 999)
    assert talk.deliver(b"ping" + end, source).effects == [Send(b"pong" + end, source)]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", Drop.TOO_SHORT),
        (b"x" * 1500, Drop.TOO_LARGE),
        (b"GET / HTTP/1.1\r\n\r\n", Drop.MAGIC),
        (TagFrame("other").close(b"\x90"), Drop.FOREIGN),
        (FRAME.close(b"\x90"), Drop.MALFORMED),
        (FRAME.close(b"\x90")[:-1] + b"\x91", Drop.TAG),
    ],
)
def test_what_cannot_be_used_is_dropped_with_its_reason(data: bytes, reason: Drop) -> None:
    assert Talk(peers=1).deliver(data, ("192.0.2.1", 999)).drops == [reason]


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


def test_a_token_bucket_bounds_the_packets() -> None:
    talk = Talk(peers=9, settings=Settings(gossip_rate_max=50))
    talk.settle()
    sends = 0
    for _ in range(400):
        talk.increment()
        sends += len(talk.wait(0.005).sent(Gossip))
    assert sends <= 2 * 50 + 5


@pytest.mark.parametrize("rate", [2, 50])
def test_no_delay_of_the_flush_still_means_a_bounded_rate(rate: int) -> None:
    talk = Talk(peers=9, settings=Settings(gossip_rate_max=rate, flush_after=0.0))
    talk.settle()
    sends = 0
    for _ in range(400):
        talk.increment()
        sends += len(talk.wait(0.005).sent(Gossip))
    assert 0 < sends <= 2 * rate + 5


def test_more_news_than_fits_goes_on_with_the_next_flush() -> None:
    talk = Talk(peers=1)
    talk.settle()
    for number in range(120):
        news = group(number, [("counter-with-a-long-name", 1, 1)])
        talk.hear(talk.peer("p0"), Gossip(), groups=[news])
    said = talk.wait(0.1)
    assert {g.stream for g in said.groups()} == {stream(number) for number in range(120)}
    assert len(said.sent(Gossip)) >= 4


@pytest.mark.parametrize("seed", range(3))
def test_a_burst_of_300_counters_is_everywhere_within_300_milliseconds(seed: int) -> None:
    world = World(seed)
    world.cluster(5)
    assert world.run_until_settled(20)
    world.run(5)
    for number in range(300):
        world.increment("n0", f"counter-{number:03}", number + 1)
    world.increment("n1", "other")
    world.run(0.3)
    assert len({tuple(sorted(n.log.values.items())) for n in world.running.values()}) == 1
    assert world.node("n4").log.counter_count == 301
    world.run(5)
    assert world.settled()


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
    monkeypatch.setattr("gossipd.core.node.Log", lambda: Log(registers_max=1))
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


def test_hearing_a_higher_version_of_its_own_stream_ends_the_stream() -> None:
    talk = Talk(peers=1)
    talk.increment()
    first = talk.node.stream
    assert first is not None
    clones = group(0, [], start=1, to=2)._replace(stream=first)
    talk.hear(talk.peer("p0"), Gossip(), groups=[clones])
    assert talk.node.stream is None


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
    talk.node.expose(talk.node.prepare([("hits", 1)], talk.now, WALL + talk.now + 0.9), talk.now)
    assert talk.node.stream == first
    talk.node.expose(talk.node.prepare([("hits", 1)], talk.now, WALL + talk.now + 5), talk.now)
    assert talk.node.stream != first
    assert talk.node.log.value("hits") == 3


def test_an_abandoned_batch_is_never_told_and_ends_the_stream() -> None:
    talk = Talk(peers=1)
    batch = talk.node.prepare([("hits", 1)], talk.now, WALL)
    talk.node.abandon(batch)
    assert talk.node.stream is None
    assert not talk.wait(1).groups()
    assert talk.node.log.value("hits") == 0


def test_a_batch_of_which_nothing_was_accepted_is_no_news() -> None:
    talk = Talk(peers=1)
    talk.settle()
    assert not talk.increment(by=2**62 + 1).effects
    assert not talk.wait(1).groups()


def test_a_leaving_node_accepts_no_increments() -> None:
    talk = Talk(peers=1)
    talk.leave()
    with pytest.raises(ValueError, match="leaving"):
        talk.node.prepare([("hits", 1)], talk.now, WALL)


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
    assert [(e.advance.by, e.advance.value) for e in talk.node.tail(5)] == [(3, 5), (2, 2)]


def test_a_node_knows_how_many_live_peers_agree_with_it() -> None:
    talk = Talk(peers=3)
    talk.wait(5)
    assert talk.node.agreeing == 3
    talk.fail("p0")
    assert talk.node.agreeing == 2
    assert talk.node.since("p0") == talk.now
    talk.increment()
    assert talk.node.agreeing == 0
    assert talk.node.live_count == 3
    assert talk.status("p0") is Status.FAILED
