from __future__ import annotations

import pytest

from gossipd.core.settings import DATAGRAM_SIZE_FLOOR
from gossipd.core.state import State
from gossipd.core.wire.decoding import decode
from gossipd.core.wire.frame import TagFrame
from gossipd.core.wire.messages import (
    Ack,
    Envelope,
    Gossip,
    MemberView,
    Shown,
    Status,
)
from tests.unit.core.parts import (
    ALIVE,
    FRAME,
    LARGEST,
    OWN,
    state_of,
)

STREAM = bytes(9) + b"\x01"
ACK = Ack(1, Shown(1, 2, True))


def _sent(
    state: State,
    to: MemberView = ALIVE,
    name: str | None = "bob",
    views: tuple[MemberView, ...] = (),
) -> Envelope:
    data = state.packet_builder.pack(ACK, to.address, name, views, 0.0)
    assert len(data) <= state.means.settings.datagram_size
    body = FRAME.open(data)
    assert isinstance(body, bytes)
    envelope = decode(body)
    assert isinstance(envelope, Envelope)
    return envelope


def _with_news(state: State, registers: int = 1) -> State:
    state.log.merge(STREAM, [(f"counter {n}", n, n) for n in range(1, registers + 1)])
    state.log_queue.push(STREAM, 0)
    state.member_queue.push("own")
    return state


def test_a_datagram_says_who_speaks() -> None:
    envelope = _sent(state_of(ALIVE))
    assert envelope == Envelope("own", OWN.generation, OWN.incarnation, ACK)


def test_news_rides_on_every_message_to_a_member() -> None:
    envelope = _sent(_with_news(state_of(ALIVE)))
    assert envelope.views == (OWN,)
    assert [group.stream for group in envelope.groups] == [STREAM]


@pytest.mark.parametrize(
    ("to", "name"),
    [(ALIVE, None), (ALIVE._replace(address=("10.0.0.7", 7)), "bob")],
    ids=["name unknown", "address unproven"],
)
def test_strangers_get_no_news(to: MemberView, name: str | None) -> None:
    suspect = ALIVE._replace(status=Status.SUSPECT)
    envelope = _sent(_with_news(state_of(suspect)), to, name, (OWN,))
    assert envelope.views == (OWN,)
    assert envelope.groups == ()


@pytest.mark.parametrize("status", list(Status)[1:])
def test_a_member_that_is_not_alive_is_told_so(status: Status) -> None:
    case = ALIVE._replace(status=status)
    assert _sent(state_of(case)).views == (case,)


def test_views_of_members_take_half_of_the_room_while_the_log_has_news() -> None:
    others = [ALIVE._replace(name=f"member {n}") for n in range(60)]
    state = _with_news(state_of(ALIVE, *others), 60)
    for view in others:
        state.member_queue.push(view.name)
    envelope = _sent(state)
    assert 15 < len(envelope.views) < 30
    assert len(envelope.groups[0].registers) > 15
    alone = state_of(ALIVE, *others)
    for view in others:
        alone.member_queue.push(view.name)
    assert len(_sent(alone).views) > 35


@pytest.mark.parametrize("size", [DATAGRAM_SIZE_FLOOR, 1200, 1400])
def test_the_largest_view_is_told_in_every_size_of_datagram(size: int) -> None:
    own = OWN._replace(name="o" * 64, generation=2**52 - 1, incarnation=2**32 - 1)
    state = _with_news(state_of(ALIVE, LARGEST, datagram_size=size, own=own), 60)
    state.member_queue.push(LARGEST.name)
    for _ in range(3):
        data = state.packet_builder.pack(Gossip(), ALIVE.address, "bob", (), 0.0)
        assert len(data) <= size
    assert not state.member_queue.sent_less_than(1)


def test_accusers_are_left_out_where_they_do_not_fit() -> None:
    suspect = LARGEST._replace(status=Status.SUSPECT)
    large, small = (state_of(suspect, datagram_size=size) for size in (1400, 640))
    assert _sent(large, suspect, suspect.name).views == (suspect,)
    told = suspect._replace(accusers=())
    assert _sent(small, suspect, suspect.name).views == (told,)


def test_views_beyond_the_limit_are_left_out() -> None:
    own = OWN._replace(tags=LARGEST.tags)
    state = state_of(ALIVE, datagram_size=640, own=own)
    envelope = _sent(state, views=(own, LARGEST, ALIVE))
    assert envelope.views == (own, ALIVE)


def test_members_that_are_not_shared_leave_the_lane() -> None:
    state = state_of(ALIVE)
    state.member_queue.push("nobody")
    assert _sent(state).views == ()
    assert len(state.member_queue) == 0


class Padding(TagFrame):
    """Hides sizes, as a frame with secrets does."""

    padding = 32


@pytest.mark.parametrize("size", [DATAGRAM_SIZE_FLOOR, 1199, 1200, 1400])
def test_a_frame_with_secrets_hides_the_size_of_what_is_said(size: int) -> None:
    sizes = set[int]()
    for length in range(0, 200, 7):
        bare, hiding = state_of(ALIVE, datagram_size=size), state_of(ALIVE, datagram_size=size)
        hiding.packet_builder._frame = Padding("parts")
        sent = list[bytes]()
        for state in (bare, hiding):
            for number in range(length // 4):
                state.log.merge(STREAM, [(f"{number}".rjust(length, "a"), 1, number + 1)])
            state.log_queue.push(STREAM, 0)
            sent.append(state.packet_builder.pack(ACK, ALIVE.address, "bob", (), 0.0))
        bodies = [FRAME.open(data) for data in sent]
        assert isinstance(bodies[0], bytes)
        assert isinstance(bodies[1], bytes)
        assert decode(bodies[0]) == decode(bodies[1])
        assert 0 <= len(bodies[1]) - len(bodies[0]) < Padding.padding
        assert len(sent[1]) <= size
        sizes.add(len(bodies[1]))
    largest = size - FRAME.overhead
    assert sizes - {largest} <= set(range(0, largest, Padding.padding))
    assert len(sizes) > 2


@pytest.mark.parametrize("room", range(30, 60))
def test_padding_takes_no_more_than_the_room_that_is_given(room: int) -> None:
    state = state_of(ALIVE)
    bare = len(state.packet_builder.pack(ACK, ALIVE.address, None, (), 0.0))
    state.packet_builder._frame = Padding("parts")
    data = state.packet_builder.pack(ACK, ALIVE.address, None, (), 0.0, room)
    assert len(data) == max(bare, min(room, FRAME.overhead + Padding.padding))


def test_the_room_beside_a_message_is_what_a_full_datagram_leaves() -> None:
    state = state_of(ALIVE)
    empty = state.packet_builder.pack(ACK, ALIVE.address, None, (), 0.0)
    assert 0 <= 1200 - len(empty) - state.packet_builder.room(ACK, 1200) <= 4
