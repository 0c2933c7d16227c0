"""Two versions of the wire meet: what is known is used, and what is not is counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gossipd.core import (
    Address,
    Drop,
    Dropped,
    Effect,
    Settings,
)
from gossipd.core.identity import SOURCE_BIT
from gossipd.core.settings import DATAGRAM_SIZE_MAX
from gossipd.core.wire.decoding import decode
from gossipd.core.wire.frame import TagFrame
from gossipd.core.wire.messages import (
    Envelope,
    Gossip,
    Hold,
    Message,
    Pages,
)
from gossipd.core.wire.values import CORRECTION
from tests.effort import examples, few
from tests.simulation.faulty.network import Network
from tests.simulation.faulty.world import World
from tests.unit.core.talk import FRAME, Peer, Talk

from .later import (
    LaterWire,
    with_later_fields,
    with_later_kind,
    with_later_records,
)
from .played import (
    groups,
    messages,
    several_groups,
    several_views,
)
from .strategies import MESSAGES, encode, envelopes

_EXTRA: st.SearchStrategy[object] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text(max_size=5)
    | st.binary(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=2)
    ),
    max_leaves=4,
)
"""What a later field can be: anything but extension types and maps whose keys are no texts."""

_EXTRAS = st.lists(st.lists(_EXTRA, max_size=2), min_size=1, max_size=4)
_LATER_RECORDS = st.tuples(st.integers(CORRECTION + 1, 2**64 - 1), _EXTRA).map(list)


@examples(250)
@given(envelopes(), _EXTRAS)
def test_fields_behind_the_known_ones_change_nothing_and_are_counted(
    envelope: Envelope, extras: list[list[object]]
) -> None:
    body, added = with_later_fields(encode(envelope), lambda n: extras[n % len(extras)])
    assert decode(body) == replace(envelope, unknown=added)


@examples(100)
@given(envelopes(MESSAGES[Pages] | MESSAGES[Gossip]), _LATER_RECORDS)
def test_a_group_or_page_with_a_later_record_claims_nothing(
    envelope: Envelope, record: list[object]
) -> None:
    body, added = with_later_records(encode(envelope), record)
    read = decode(body)
    assert isinstance(read, Envelope)
    assert read.unknown == added
    for group, whole in zip(read.groups, envelope.groups, strict=True):
        assert group.to <= group.start, "nothing"
        assert group[3:] == whole[3:]
    if isinstance(read.message, Pages) and isinstance(envelope.message, Pages):
        for page, full in zip(read.message.pages, envelope.message.pages, strict=True):
            assert page.after == page.upto, "an empty interval"
            assert page[5:] == full[5:]


@examples(60)
@given(envelopes(MESSAGES[Hold]), _LATER_RECORDS)
def test_a_hold_with_a_later_record_is_not_understood(
    envelope: Envelope, record: list[object]
) -> None:
    assert decode(with_later_records(encode(envelope), record)[0]) is Drop.UNKNOWN_KIND


@examples(60)
@given(envelopes())
def test_a_later_kind_of_message_is_dropped_as_such(envelope: Envelope) -> None:
    assert decode(with_later_kind(encode(envelope))) is Drop.UNKNOWN_KIND


@examples(60)
@given(st.integers(2, 255), st.integers(2, 255), envelopes())
def test_a_later_version_or_flag_of_the_frame_is_dropped_as_such(
    version: int, flags: int, envelope: Envelope
) -> None:
    data = FRAME.close(encode(envelope))
    for other in (bytes((version, 0)), bytes((1, flags)), bytes((version, flags))):
        if len(data) <= 1400:
            assert FRAME.open(data[:2] + other + data[4:]) is Drop.VERSION


def _heard(talk: Talk, body: bytes, source: Address) -> list[Effect]:
    said = talk.deliver(FRAME.close(body), source)
    return [*said.effects, *talk.wait(0.5).effects]


@examples(80)
@given(messages, several_views, several_groups, _EXTRAS)
def test_a_node_does_with_later_fields_what_it_does_without(
    message: Message, views: Sequence[object], groups: Sequence[object], extras: list[list[object]]
) -> None:
    talks = Talk(2), Talk(2)
    peer: Peer = talks[0].peer("p0")
    data = peer.says(message, views, groups)  # type: ignore[arg-type]
    body = data[FRAME.overhead :]
    later, added = with_later_fields(body, lambda n: extras[n % len(extras)])
    first = _heard(talks[0], body, peer.address)
    second = _heard(talks[1], later, peer.address)
    unknown = [Dropped(peer.address, Drop.UNKNOWN_FIELD)] if added else []
    if len(FRAME.close(later)) <= 1400:
        assert second == unknown + first


@examples(60)
@given(st.lists(groups, min_size=1, max_size=4))
def test_groups_with_later_records_are_merged_and_raise_no_version(said: list[object]) -> None:
    """But over a run of key records, which shows by itself that no event is missing."""
    talk = Talk(1)
    peer = talk.peer("p0")
    body = peer.says(Gossip(), (), said)[FRAME.overhead :]  # type: ignore[arg-type]
    later = FRAME.close(with_later_records(body)[0])
    assume(len(later) <= DATAGRAM_SIZE_MAX)
    assert talk.deliver(later, peer.address).drops[0] is Drop.UNKNOWN_FIELD
    envelope = decode(body)
    assert isinstance(envelope, Envelope)
    for group in envelope.groups:
        if not group.stream[0] & SOURCE_BIT:  # a source's register is its version
            version, held = talk.node.log.version(group.stream), talk.node.log.keys.has
            assert all(held(group.stream, seq) for seq in range(1, version + 1))
        for counter, seq, _ in group.registers:
            assert talk.node.log.register(group.stream, counter)[0] >= seq


class _MixedNetwork(Network):
    """Some hosts run a later version."""

    def __init__(self, wire: LaterWire) -> None:
        super().__init__()
        self._wire = wire

    def arrivals(
        self, data: bytes, source: Address, to: Address, rng: Random
    ) -> list[tuple[float, bytes]]:
        sent = self._wire.sent(data, source)
        return [
            copy
            for each in sent
            for copy in super(_MixedNetwork, self).arrivals(each, source, to, rng)
        ]


@pytest.mark.parametrize("records", [False, True], ids=["fields", "fields and records"])
@pytest.mark.parametrize("seed", few([1, 2, 3], 1))
def test_old_and_new_nodes_converge_exactly(seed: int, records: bool) -> None:
    world = World(seed, Settings(datagram_size=1000), cluster="mixed")
    hosts = [world.place(f"n{number}") for number in range(5)]
    wire = LaterWire(TagFrame("mixed"), [host.address for host in hosts[::2]])
    wire.records = records
    world.network = _MixedNetwork(wire)
    world.network.loss = 0.05
    for host in hosts:
        host.seeds = [hosts[0].address, hosts[1].address]
        world.start(host.name)
    world.run(2.0)
    for number in range(100):
        world.increment(f"n{number % 5}", f"counter {number % 7}", number)
        world.run(0.02)
    assert world.run_until_settled(60.0)  # or else versions die with the only node that had them
    world.crash("n4")
    world.start("n4")
    assert world.run_until_settled(60.0)
    for node in world.running.values():
        assert sum(node.log.values.values()) == sum(range(100))
        assert all(
            node.log.version(stream) == node.log.newest(stream) for stream in node.log.streams
        )
    assert wire.rewritten > 100
    unknown = {
        effect.reason
        for _, _, effect in world.effects
        if isinstance(effect, Dropped) and "unknown" in effect.reason.value
    }
    assert unknown == {Drop.UNKNOWN_FIELD, Drop.UNKNOWN_KIND}
