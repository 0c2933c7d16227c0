"""I3: a version never claims what is not held, whatever is lost, doubled, late or cut.

A ghost list of all events of each stream says what a version covers: with version v, every
register stands at least at its counter's last event up to v, and every key record up to v is held.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipd.core.gossip.packets import PacketBuilder
from gossipd.core.gossip.queues import LogQueue, MemberQueue
from gossipd.core.log.dedup import Dedup
from gossipd.core.log.learning import Company, Learning
from gossipd.core.log.log import Log
from gossipd.core.log.passes import Pass
from gossipd.core.log.writer import Writer
from gossipd.core.repair.answering import Answering
from gossipd.core.settings import Settings
from gossipd.core.swim.members import MemberTable
from gossipd.core.wire.decoding import decode
from gossipd.core.wire.encoding import pack_body, pack_head
from gossipd.core.wire.frame import TagFrame
from gossipd.core.wire.messages import Envelope, Gossip, MemberView, Pages, PassAsk, Status
from gossipd.core.wire.records import Group, Page, PassItem
from tests.effort import examples
from tests.simulation.mutants import cores
from tests.unit.core.parts import new_key

_COUNTERS = ["a", "b" * 128, "c", "d" * 100, "e", "\U0010ffff\U0010ffff"]
_COUNTERS += [str(n) * 120 for n in range(6)]
_FRAME = TagFrame("claims")
_Event = tuple[str, int, bytes | None]
_Ghost = dict[bytes, list[_Event]]
"""All events (counter, by, key) of each stream, in order."""


class _Peer:
    """One node's log, with what it is told and tells."""

    def __init__(self, seed: int) -> None:
        settings, rng = Settings(), Random(seed)
        own = MemberView(f"n{seed}", ("10.0.0.1", 1), 1, 0, Status.ALIVE)
        members = MemberTable(own, settings.remember, 0.0)
        self.log = Log()
        self.queue = LogQueue(self.log)
        self.writer = Writer(self.log, Dedup(self.log, settings, lambda: True), rng)
        self.learning = Learning(self.log, self.writer, lambda stream, records, now: records)
        packet_builder = PacketBuilder(settings, _FRAME, members, MemberQueue(), self.queue)
        self.answering = Answering(self.log, members, packet_builder, settings.key_window)
        self.passes: dict[bytes, Pass] = {}

    def increment(self, rng: Random, ghost: _Ghost) -> None:
        """A batch of this node's own; it enters the ghost list and the queue."""
        batch = [
            (rng.choice(_COUNTERS), rng.choice([1, 2, -1])) for _ in range(rng.choice([1, 3]))
        ]
        keys = [rng.choice([None, new_key(rng)]) for _ in batch]
        prepared = self.writer.prepare(batch, 0.0, 0.0, keys)
        self.writer.expose(prepared, 0.0)
        events = ghost.setdefault(prepared.stream, [])
        self.queue.push(prepared.stream, len(events))
        events += [(*event, key) for event, key in zip(batch, keys, strict=True)]

    def end_stream(self) -> None:
        """The next increment goes to a new stream."""
        self.writer.abandon(self.writer.prepare([], 0.0, 0.0))

    def learn(self, group: Group) -> None:
        lesson = self.learning.group(group, Company(), 0.0)
        if lesson.news_above is not None:
            self.queue.push(group.stream, lesson.news_above)

    def take(self, page: Page) -> None:
        running = self.passes.get(page.stream)
        self.learning.page(page, running, Company(), 0.0)
        if running is not None and running.complete:
            del self.passes[page.stream]

    def begin(self, stream: bytes, start: int, skips: bool) -> Pass:
        runs = partial(self.log.keys.runs, stream)
        return Pass(start, runs=runs) if skips else Pass(start)

    def answers(self, ask: PassAsk) -> Iterator[Pages]:
        """Those of a node that has nothing on a disk only."""
        for answer in self.answering.passes(ask, None, 0.0):
            assert isinstance(answer, Pages)
            yield answer


def _check(peer: _Peer, ghost: _Ghost) -> None:
    for stream in peer.log.streams:
        events = ghost[stream]
        version = peer.log.version(stream)
        assert version <= len(events)
        last = {name: seq for seq, (name, _, _) in enumerate(events[:version], 1)}
        for name, seq in last.items():
            assert peer.log.register(stream, name)[0] >= seq, "I3"
        for name, seq, total in peer.log.by_name(stream, 0, ""):
            assert total == sum(by for counter, by, _ in events[:seq] if counter == name), "I2"
        held = {record.seq: record.key for record in peer.log.keys.oldest_first(stream, 0, 0.0)}
        made = {seq: key for seq, (_, _, key) in enumerate(events, 1) if key is not None}
        assert held.items() <= made.items(), "I1"
        assert {seq for seq in made if seq <= version} <= held.keys(), "I3"


def _decoded(packed: list[bytes]) -> tuple[Group, ...]:
    envelope = decode(pack_body(pack_head("x", 0, 0, Gossip()), [], packed))
    assert isinstance(envelope, Envelope)
    return envelope.groups


def _deliver(
    wire: list[tuple[int, Group]], peers: list[_Peer], rng: Random, ghost: _Ghost
) -> None:
    if not wire:
        return
    index = rng.randrange(len(wire))
    to, group = wire[index] if rng.random() < 0.2 else wire.pop(index)
    if rng.random() < 0.8:
        peers[to].learn(group)
        _check(peers[to], ghost)


def _tell_groups(seed: int) -> None:
    rng = Random(seed)
    peers = [_Peer(n) for n in range(rng.choice([2, 3, 4]))]
    ghost: _Ghost = {}
    wire: list[tuple[int, Group]] = []
    for _ in range(120):
        peer = rng.choice(peers)
        match rng.choice(["increment", "send", "send", "deliver", "deliver", "end"]):
            case "increment":
                peer.increment(rng, ghost)
                _check(peer, ghost)
            case "send":
                budget = rng.choice([30, 60, 120, 200, 400, 1000])
                packed = peer.queue.take(budget, rng.choice([1, 2, 4]), 0.0)
                assert sum(map(len, packed)) <= budget
                receivers = rng.sample(range(len(peers)), rng.choice([1, 2]))
                wire += [(to, group) for to in receivers for group in _decoded(packed)]
            case "deliver":
                _deliver(wire, peers, rng, ghost)
            case "end":
                if rng.random() < 0.1:
                    peer.end_stream()


@examples(150)
@given(st.integers(0, 2**32))
def test_groups_claim_only_what_they_bring(seed: int) -> None:
    _tell_groups(seed)


@examples(60)
@given(st.integers(0, 2**32))
def test_groups_alone_bring_everything_over_lossless_links_with_room(seed: int) -> None:
    rng = Random(seed)
    source, sink = _Peer(1), _Peer(2)
    ghost: _Ghost = {}
    for _ in range(20):
        source.increment(rng, ghost)
        if rng.random() < 0.1:
            source.end_stream()
        for group in _decoded(source.queue.take(2000, 4, 0.0)):
            sink.learn(group)
        _check(sink, ghost)
    assert sink.log.fingerprint == source.log.fingerprint


@dataclass
class _PassWorld:
    rng: Random
    peers: list[_Peer]
    ghost: _Ghost = field(default_factory=dict)
    wire: list[tuple[int, Pages]] = field(default_factory=list)

    def ask(self, asker: int) -> None:
        """Begin a pass or go on with it, at any peer, with pages of any size and number."""
        rng = self.rng
        peer = self.peers[asker]
        stream = rng.choice(list(self.ghost))
        if stream not in peer.passes:
            start = peer.log.version(stream) if rng.random() < 0.8 else 0
            peer.passes[stream] = peer.begin(stream, start, skips=rng.random() < 0.7)
        items = tuple(item for s, running in peer.passes.items() for item in running.wishes(s))
        ask = PassAsk(1, items[:32], rng.choice([1, 2, 32]), rng.choice([640, 700, 1200]))
        answerer = rng.choice(self.peers)
        for pages in answerer.answers(ask):
            while rng.random() < 0.6 and answerer is not peer:
                self.change(answerer)  # the answerer changes meanwhile
            self.wire.append((asker, pages))

    def change(self, peer: _Peer) -> None:
        """Increments, or news in groups from somebody else."""
        rng = self.rng
        if rng.random() < 0.5:
            peer.increment(rng, self.ghost)
        else:
            other = rng.choice(self.peers)
            for group in _decoded(other.queue.take(rng.choice([60, 200, 1000]), 4, 0.0)):
                peer.learn(group)

    def deliver(self) -> None:
        rng = self.rng
        if not self.wire:
            return
        index = rng.randrange(len(self.wire)) if rng.random() < 0.5 else 0
        to, pages = self.wire[index]
        if rng.random() < 0.3:
            to = rng.randrange(len(self.peers))  # which asked for something else
        if rng.random() < 0.85:
            self.wire.pop(index)
        if rng.random() < 0.8:
            for page in pages.pages:
                self.peers[to].take(page)
                _check(self.peers[to], self.ghost)


@pytest.fixture(autouse=True)
def _runs_are_skipped_however_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gossipd.core.log.passes.RUN_MIN", 2)


def _pass_over_streams(seed: int) -> None:
    rng = Random(seed)
    world = _PassWorld(rng, [_Peer(n) for n in range(rng.choice([2, 3, 4]))])
    world.peers[0].increment(rng, world.ghost)
    for _ in range(120):
        match rng.choice(["change", "ask", "deliver", "deliver", "deliver"]):
            case "change":
                peer = rng.choice(world.peers)
                world.change(peer)
                _check(peer, world.ghost)
            case "ask":
                world.ask(rng.randrange(len(world.peers)))
            case "deliver":
                world.deliver()


@examples(150)
@given(st.integers(0, 2**32))
def test_passes_claim_only_what_their_pages_bring(seed: int) -> None:
    _pass_over_streams(seed)


@examples(40)
@given(st.integers(0, 2**32))
def test_passes_over_lossy_links_end_with_equal_logs(seed: int) -> None:
    rng = Random(seed)
    world = _PassWorld(rng, [_Peer(0), _Peer(1)])
    source, sink = world.peers
    for _ in range(rng.randrange(1, 30)):
        source.increment(rng, world.ghost)
        if rng.random() < 0.2:
            source.end_stream()
    for _ in range(300):
        if sink.log.fingerprint == source.log.fingerprint:
            break
        items: list[PassItem] = []
        for stream in source.log.streams:
            if sink.log.leaf(stream) != source.log.leaf(stream):
                begun = sink.begin(stream, sink.log.version(stream), skips=rng.random() < 0.7)
                items += sink.passes.setdefault(stream, begun).wishes(stream)
        for pages in source.answers(PassAsk(1, tuple(items[:32]), 4, 640)):
            if rng.random() < 0.6:
                for page in pages.pages:
                    sink.take(page)
                    _check(sink, world.ghost)
    assert sink.log.fingerprint == source.log.fingerprint


@pytest.mark.parametrize(
    ("mutate", "law"),
    [
        (cores.groups_claim_whatever_was_held, _tell_groups),
        (cores.groups_claim_what_they_leave_out, _tell_groups),
        (cores.passes_claim_the_largest_version, _pass_over_streams),
        (cores.passes_claim_before_their_end, _pass_over_streams),
        (cores.passes_use_pages_from_further_on, _pass_over_streams),
        (cores.passes_skip_gaps, _pass_over_streams),
        (cores.versions_rise_over_gaps, _pass_over_streams),
        (cores.versions_rise_over_what_is_not_present, _tell_groups),
    ],
)
def test_a_broken_rule_of_claims_is_noticed(
    mutate: cores.Break, law: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    mutate(monkeypatch)
    with pytest.raises(AssertionError, match="I3"):
        _hold_for_many_seeds(law)


def _hold_for_many_seeds(law: Callable[[int], None]) -> None:
    for seed in range(150):
        law(seed)
