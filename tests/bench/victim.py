"""A core that is full of something, and the peer that sends it what costs most."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from random import Random
from statistics import median
from typing import NamedTuple, TypeVar

from gossipd.core import (
    Address,
    Effect,
    MemberView,
    Node,
    Send,
    Settings,
    Snapshot,
    Status,
    StreamSnapshot,
    TagFrame,
)
from gossipd.core.identity import STREAM_BYTES, Stream
from gossipd.core.wire.decoding import decode
from gossipd.core.wire.encoding import (
    pack_body,
    pack_head,
    pack_record,
    pack_view,
)
from gossipd.core.wire.messages import Envelope, Message
from gossipd.core.wire.records import Group, KeyRecord, Record
from tests.unit.core.wire.wire_examples import packed

SETTLES = 0.02
"""Seconds for which what a datagram has begun goes on."""

SAMPLES = 30
"""Datagrams of which the median is taken."""

SIZE = 1400
PEER: Address = ("10.0.0.2", 7946)
LIAR, OTHER = (bytes(9) + bytes((n,)) for n in (7, 9))
"""Two streams."""

_FRAME = TagFrame("costs")

R = TypeVar("R", bound=Record)
M = TypeVar("M", bound=Message)


class Case(NamedTuple):
    """Something that a peer does to a node that holds `size` of something."""

    kind: str
    what: str
    size: int
    cost: Callable[[int], float]


class Victim:
    """A node that holds much, and the peer that speaks to it."""

    def __init__(self, members: int = 0) -> None:
        self.rng = Random(1)
        self.now = 100.0
        self.effects: list[Effect] = []
        """What the last datagrams have caused."""
        own = MemberView("own", ("10.0.0.1", 7946), 1, 0, Status.ALIVE)
        self.node = Node(own, Settings(alone_after=0.0), _FRAME, Random(2), self.now, durable=True)
        self.node.start(True, self.now)
        views = [MemberView("peer", PEER, 1, 0, Status.ALIVE)]
        views += [member(number) for number in range(members)]
        self.node.load(Snapshot((), tuple(views)), self.now, met=True)

    def hold(self, *streams: StreamSnapshot) -> None:
        """Take in what an earlier life has stored."""
        self.node.load(Snapshot(streams, ()), self.now)

    def says(
        self,
        message: Message,
        groups: Iterable[Group] = (),
        views: Iterable[MemberView] = (),
        name: str = "peer",
        generation: int = 1,
    ) -> bytes:
        head = pack_head(name, generation, 0, message)
        return _FRAME.close(
            pack_body(head, list(map(pack_view, views)), list(map(packed, groups)))
        )

    def hears(self, *datagrams: bytes) -> None:
        """What comes before what is measured."""
        for data in datagrams:
            self.now += 0.001
            self.effects += self.node.receive_datagram(data, PEER, self.now)

    def waits(self, seconds: float) -> None:
        """Let what is due happen."""
        until = self.now + seconds
        while (at := self.node.next_timeout) is not None and at <= until:
            self.now = max(self.now, at)
            self.effects += self.node.handle_timeout(self.now)
        self.now = until

    def asked(self, kind: type[M]) -> list[M]:
        """The questions of one kind that the node has sent since this was looked at last."""
        effects, self.effects = self.effects, []
        said = [_said(effect.data) for effect in effects if isinstance(effect, Send)]
        return [heard.message for heard in said if isinstance(heard.message, kind)]

    def cost(self, datagrams: Iterable[bytes]) -> float:
        """Milliseconds that each of the last datagrams took, or the dearest of the timers that
        followed."""
        took: list[float] = []
        for data in datagrams:
            assert len(data) <= SIZE, len(data)
            self.now += 0.001
            cost = self._timed(partial(self.node.receive_datagram, data, PEER, self.now))
            until = self.now + SETTLES
            while (at := self.node.next_timeout) is not None and at <= until:
                self.now = max(self.now, at)
                cost = max(cost, self._timed(partial(self.node.handle_timeout, self.now)))
            took.append(cost)
        return median(took[-SAMPLES:])

    def _timed(self, what: Callable[[], list[Effect]]) -> float:
        began = time.process_time_ns()
        effects = what()
        took = time.process_time_ns() - began
        self.effects += effects
        return took / 1e6


def _said(data: bytes) -> Envelope:
    body = _FRAME.open(data)
    assert isinstance(body, bytes)
    said = decode(body)
    assert isinstance(said, Envelope)
    return said


def member(number: int, status: Status = Status.ALIVE) -> MemberView:
    """One of those that the node holds, if it holds so many."""
    address = (f"10.1.{number >> 8}.{number & 255}", 1)
    return MemberView(f"m{number}", address, 1, 0, status)


def fitting(records: Iterator[R], size: int = SIZE - 120) -> tuple[R, ...]:
    """As many records as a datagram holds."""
    taken: list[R] = []
    for record in records:
        size -= len(pack_record(record))
        if size < 0:
            break
        taken.append(record)
    return tuple(taken)


def keyed(*records: KeyRecord, stream: Stream = LIAR) -> Group:
    return Group(stream, 0, 0, (), records)


def below(number: int) -> Stream:
    """One of many streams that differ in their last bits only."""
    return bytes(STREAM_BYTES - 4) + number.to_bytes(4, "big")
