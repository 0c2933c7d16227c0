"""What happens to a node is counted once, under the name that says what it was."""

from __future__ import annotations

from gossipd.core.swim.detector import VOIDS_MAX
from gossipd.core.tally import Histogram, Tally
from gossipd.core.wire.messages import Ack, Gossip, Ping, PingReq, RelayedAck, Status
from tests.unit.core.talk import Talk


def settled(peers: int = 3) -> tuple[Talk, Tally]:
    talk = Talk(peers=peers)
    talk.settle()
    return talk, talk.node.tally


def test_a_histogram_counts_each_value_once_and_a_bound_below_it() -> None:
    histogram = Histogram((1.0, 2.0))
    for value in (0.5, 1.0, 1.5, 2.5):
        histogram.add(value)
    assert histogram.counts == [2, 1, 1]
    assert histogram.sum == 5.5


def test_an_answered_probe_is_one_with_its_round_trip() -> None:
    talk, tally = settled()
    before, trips = tally.probes["answered"], sum(tally.round_trips.counts)
    said = talk.wait(3)
    pings = len(said.sent(Ping))
    assert pings >= 2
    assert tally.probes["answered"] - before == pings
    assert sum(tally.round_trips.counts) - trips == pings
    assert tally.probes["silent"] == tally.probes["void"] == 0


def test_a_silent_member_is_a_failed_probe_and_a_suspicion_of_ones_own() -> None:
    talk, tally = settled()
    talk.peer("p0").answers = False
    while talk.status("p0") is Status.ALIVE:
        talk.wait(0.1)
    assert talk.status("p0") is Status.SUSPECT
    assert tally.probes["silent"] == 1
    assert tally.suspicions == {"probe": 1, "told": 0, "confirmed": 0}


def test_an_answer_through_a_relay_is_relayed() -> None:
    talk, tally = settled()
    p0 = talk.peer("p0")
    p0.answers = False
    while not (asked := talk.wait(0.1).sent(PingReq)):
        pass
    talk.hear(talk.peer("p1"), RelayedAck(asked[0].nonce))
    assert tally.probes["relayed"] == 1
    assert tally.probes["silent"] == 0


def test_what_others_suspect_is_told_then_confirmed_and_refuted_by_its_member() -> None:
    talk, tally = settled()
    p0 = talk.peer("p0")
    p0.answers = False
    talk.hear(talk.peer("p1"), Gossip(), [p0.seen(Status.SUSPECT, accusers=("p1",))])
    assert tally.suspicions == {"probe": 0, "told": 1, "confirmed": 0}
    talk.hear(talk.peer("p2"), Gossip(), [p0.seen(Status.SUSPECT, accusers=("p2",))])
    assert tally.suspicions["told"] == 1, "it is the same"
    while "me" not in talk.held("p0").accusers:
        talk.wait(0.1)
    assert tally.suspicions == {"probe": 0, "told": 1, "confirmed": 1}
    p0.incarnation += 1
    talk.hear(p0, Gossip(), [p0.seen()])
    assert talk.status("p0") is Status.ALIVE
    assert tally.refutations == {"self": 0, "others": 1}
    assert tally.false_failures == 0


def test_who_failed_and_lives_on_has_failed_falsely_and_who_has_restarted_has_not() -> None:
    talk, tally = settled()
    p0, p1 = talk.peer("p0"), talk.peer("p1")
    p0.answers = p1.answers = False
    while not talk.status("p0") is talk.status("p1") is Status.FAILED:
        talk.wait(1)
    p0.answers = p1.answers = True
    p0.incarnation += 1
    talk.hear(p0, Gossip(), [p0.seen()])
    p1.generation += 1
    talk.admit(p1)
    assert talk.status("p0") is talk.status("p1") is Status.ALIVE
    assert tally.false_failures == 1


def test_a_suspicion_of_oneself_is_refuted() -> None:
    talk, tally = settled()
    talk.hear_views(talk.me.seen(Status.SUSPECT, accusers=("p1",)))
    assert tally.refutations == {"self": 1, "others": 0}
    assert tally.suspicions["told"] == 0


def test_datagrams_are_counted_with_their_bytes_as_they_come_and_go() -> None:
    talk, tally = settled()
    sent, came = tally.sent[Ack], tally.received[Ping]
    counts, sizes = (sent.count, came.count), (sent.size, came.size)
    p0 = talk.peer("p0")
    data = p0.says(Ping(7, "me", talk.shown))
    said = talk.deliver(data, p0.address)
    assert (sent.count, came.count) == (counts[0] + 1, counts[1] + 1)
    assert came.size - sizes[1] == len(data)
    assert sent.size - sizes[0] == said.bytes_to(p0.address)
    talk.deliver(b"damaged", p0.address)
    assert came.count == counts[1] + 1


def test_members_are_counted_by_state() -> None:
    talk, _ = settled(4)
    counts = talk.node.state_counts
    assert counts[Status.ALIVE] == 5
    talk.peer("p0").answers = False
    while talk.status("p0") is not Status.FAILED:
        assert sum(counts.values()) == 5
        talk.wait(0.5)
    assert (counts[Status.ALIVE], counts[Status.FAILED]) == (4, 1)
    talk.forget("p0")
    assert counts[Status.FORGOTTEN] == 1


def test_a_probe_that_a_stall_has_voided_is_repeated() -> None:
    talk, tally = settled()
    talk.peer("p0").answers = talk.peer("p1").answers = talk.peer("p2").answers = False
    while not talk.wait(0.05).sent(Ping):
        pass
    talk.now += 10
    talk.timeout()
    assert 1 <= tally.probes["void"] <= VOIDS_MAX


def test_what_waits_is_told() -> None:
    talk, _ = settled()
    node = talk.node
    assert (node.uncommitted_count, node.news_age(talk.now)) == (0, 0)
    batch = talk.prepare(("a", 1, None))
    assert node.uncommitted_count == 1
    talk.expose(batch)
    assert (node.uncommitted_count, node.news_count) == (0, 1)
