"""I10: no datagram is above its limit, whatever there is to tell."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gossipd.core.gossip.packets import PacketBuilder
from gossipd.core.gossip.queues import LogQueue, MemberQueue
from gossipd.core.log.log import Log
from gossipd.core.settings import DATAGRAM_SIZE_FLOOR, DATAGRAM_SIZE_MAX, Settings
from gossipd.core.swim.members import MemberTable
from gossipd.core.wire.decoding import decode
from gossipd.core.wire.frame import TagFrame
from gossipd.core.wire.messages import (
    Ack,
    Envelope,
    Gossip,
    MemberView,
    Message,
    Ping,
    Status,
    Welcome,
)
from gossipd.core.wire.records import Register
from tests.effort import examples

from .strategies import (
    MESSAGES,
    registers,
    streams,
    texts,
    views,
)

_FRAME = TagFrame("bound")
_TAGS = st.dictionaries(texts(4), st.text("xy", max_size=60), max_size=32).map(
    lambda tags: tuple(sorted(tags.items()))[:4]
)
_VIEWS = st.builds(lambda view, tags: view._replace(tags=tags, age=0), views, _TAGS)
_NEWS = st.dictionaries(streams, st.lists(registers, min_size=1, max_size=15), max_size=6)
_SMALL = st.one_of(*[MESSAGES[kind] for kind in (Ping, Ack, Gossip, Welcome)])


@examples(120)
@given(
    st.integers(DATAGRAM_SIZE_FLOOR, DATAGRAM_SIZE_MAX),
    _VIEWS.map(lambda view: view._replace(status=Status.ALIVE)),
    st.lists(_VIEWS, min_size=1, max_size=20),
    _NEWS,
    st.lists(_SMALL, min_size=1, max_size=12),
)
def test_no_datagram_is_above_its_limit(
    size: int,
    own: MemberView,
    others: list[MemberView],
    news: dict[bytes, list[Register]],
    messages: list[Message],
) -> None:
    figures = Settings(datagram_size=size)
    log, members = Log(), MemberTable(own, figures.remember, 0.0)
    queues = MemberQueue(), LogQueue(log)
    packet_builder = PacketBuilder(figures, _FRAME, members, *queues)
    for view in others:
        members.merge(view, 0.0)
        queues[0].push(view.name)
    for stream, held in news.items():
        log.merge(stream, held)
        queues[1].push(stream, 0)
    told = 0
    for message in messages:
        to = members.views()[0]
        data = packet_builder.pack(message, to.address, to.name, tuple(others[:2]), 0.0)
        assert len(data) <= size, "I10"
        body = _FRAME.open(data)
        assert isinstance(body, bytes)
        envelope = decode(body)
        assert isinstance(envelope, Envelope)
        assert envelope.message == message
        told += len(envelope.views) + len(envelope.groups)
    assert told, "there is always room for some news"
