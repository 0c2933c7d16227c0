"""I5 on the wire: the same datagrams in any order, doubled and cut, lead to the same state.

The groups are what a real log's queue gives under tight budgets, so that many claim from a version
that only others bring: versions follow when everything has come again, registers need no more.
"""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from gossipd.core import (
    Drop,
    MemberView,
    Settings,
    Status,
    Stream,
)
from gossipd.core.gossip.queues import LogQueue
from gossipd.core.log.dedup import Dedup
from gossipd.core.log.log import Log
from gossipd.core.log.writer import Writer
from gossipd.core.wire.decoding import decode
from gossipd.core.wire.encoding import pack_body, pack_head
from gossipd.core.wire.messages import Envelope, Gossip, Hold, Message
from gossipd.core.wire.records import Group
from tests.effort import examples
from tests.unit.core.parts import new_key
from tests.unit.core.talk import Talk

_VIEWS = st.builds(
    MemberView,
    st.sampled_from("abc"),
    st.sampled_from([("10.0.9.1", 1), ("10.0.9.2", 1)]),
    st.integers(0, 2),
    st.integers(0, 2),
    st.sampled_from(Status),
    st.sampled_from([(), (("k", "v"),)]),
    st.just(0),
    st.just(()),
)
_Registers = dict[tuple[Stream, str], tuple[int, int]]


def _history(rng: Random) -> tuple[Log, list[Group]]:
    """The log of a node that has written, and all groups that it told of."""
    log = Log()
    writer = Writer(log, Dedup(log, Settings(), lambda: True), rng)
    queue = LogQueue(log)
    told: list[Group] = []
    for _ in range(rng.randrange(1, 15)):
        events = [(rng.choice("abc") * rng.choice((1, 60)), 1) for _ in range(rng.choice((1, 5)))]
        keys = [rng.choice([None, new_key(rng)]) for _ in events]
        batch = writer.prepare(events, 0.0, 0.0, keys)
        start = log.version(batch.stream)
        writer.expose(batch, 0.0)
        queue.push(batch.stream, start)
        if rng.random() < 0.2:
            writer.abandon(writer.prepare([], 0.0, 0.0))
        if rng.random() < 0.6:
            told += _groups(queue.take(rng.choice((60, 150, 400)), 4, 0.0))
    while queue:
        told += _groups(queue.take(400, 4, 0.0))
    return log, told


def _groups(packed: list[bytes]) -> tuple[Group, ...]:
    envelope = decode(pack_body(pack_head("x", 0, 0, Gossip()), [], packed))
    assert isinstance(envelope, Envelope)
    return envelope.groups


def _datagrams(
    talk: Talk, groups: list[Group], views: list[MemberView], rng: Random
) -> list[bytes]:
    """The news, in the datagrams of two peers and of two kinds."""
    said: list[bytes] = []
    views, groups = list(views), list(groups)
    while groups or views:
        peer = talk.peer(rng.choice(("p0", "p1")))
        riding, held = [groups.pop(0) for _ in range(min(len(groups), 2))], groups[:1]
        message: Message = (
            Hold(len(said), tuple(held)) if held and rng.random() < 0.3 else Gossip()
        )
        said.append(peer.says(message, views[:2], riding))
        views = views[2:]
    return said


def _hear(talk: Talk, datagrams: list[bytes], rng: Random) -> None:
    """In any order, each at least once, with copies and with cut ones, from either peer."""
    again = [data for data in datagrams if rng.random() < 0.4]
    cut = [data[: rng.randrange(len(data))] for data in datagrams if rng.random() < 0.4]
    arriving = [(data, data in cut) for data in [*datagrams, *again, *cut]]
    rng.shuffle(arriving)
    for data, is_cut in arriving:
        drops = talk.deliver(data, talk.peer(rng.choice(("p0", "p1"))).address).drops
        assert bool({Drop.TAG, Drop.TOO_SHORT} & set(drops)) is is_cut


def _registers(log: Log) -> _Registers:
    return {
        (stream, counter): (seq, total)
        for stream in log.streams
        for counter, seq, total in log.by_name(stream, 0, "")
    }


@examples(120)
@given(st.lists(_VIEWS, max_size=10), st.integers(0, 2**32))
def test_the_same_datagrams_in_any_order_lead_to_the_same_fingerprints(
    views: list[MemberView], seed: int
) -> None:
    rng = Random(seed)
    log, groups = _history(rng)
    settings = Settings(probe_timeout=0.1)
    talks = Talk(2, seed=1, settings=settings), Talk(2, seed=2, settings=settings)
    datagrams = _datagrams(talks[0], groups, views, rng)
    for talk in talks:
        _hear(talk, datagrams, rng)
        assert _registers(talk.node.log) == _registers(log)
        assert talk.node.log.values == log.values
        talk.wait(0.201)  # until verdicts on members that were held as live are believed
    assert talks[0].node.members_fingerprint == talks[1].node.members_fingerprint
    for talk in talks:
        before = None
        while before != (before := talk.node.log.fingerprint):
            _hear(talk, datagrams, rng)
        for stream in talk.node.log.streams:
            assert talk.node.log.version(stream) <= log.version(stream)
    assert talks[0].node.log.fingerprint == talks[1].node.log.fingerprint
    assert talks[0].node.members_fingerprint == talks[1].node.members_fingerprint
