"""Nodes in the states that matter to what arrives, with "ann" of the golden examples as the peer.

The node under replay is "bob", at the address that the examples say, so that their datagrams come
from a member, ask for the right name and speak of this very node.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from gossipd.core import (
    Address,
    Effect,
    MemberView,
    Send,
    Settings,
    Status,
    TagFrame,
)
from gossipd.core.wire.decoding import decode
from gossipd.core.wire.messages import (
    Cookie,
    Envelope,
    Gossip,
    Join,
    Message,
    Ping,
    Shown,
    Standing,
)
from gossipd.core.wire.records import Group
from tests.property.contract import WatchedNode
from tests.unit.core.wire.wire_examples import (
    ALIVE,
    STREAM,
    encode,
    spoken,
)

from .make_corpus import CLUSTER, corpus

FRAME = TagFrame(CLUSTER)
ANN: Address = ("10.0.0.1", 7946)
STRANGER: Address = ("192.0.2.1", 7946)
_WALL = 1_700_000_000.0


class Replay:
    """One node, its clock, and what it has asked."""

    def __init__(self, seed: int = 1) -> None:
        self.now = 100.0
        own = MemberView("bob", ALIVE.address, ALIVE.generation, 0, Status.ALIVE)
        self.watched = WatchedNode(own, Settings(), FRAME, seed, self.now)
        self.sources = [ANN, ALIVE.address, STRANGER]
        self.datagrams = list(corpus().values())
        self.open: dict[type[Message], int] = {}
        """The nonce of the last question of each kind."""
        self.note(self.watched.start(False, self.now))

    def receive(self, data: bytes, source: Address) -> list[Effect]:
        """Hand over a datagram and check everything."""
        effects = self.note(self.watched.receive(data, source, self.now))
        self.watched.check(self.now)
        return effects

    def say(self, message: Message, groups: tuple[Group, ...] = ()) -> list[Effect]:
        """Let ann say something."""
        return self.receive(FRAME.close(encode(spoken(message, (), groups))), ANN)

    def wait(self, seconds: float) -> None:
        """Let time pass, timers included."""
        until = self.now + seconds
        while (due := self.watched.node.next_timeout) is not None and due <= until:
            self.now = max(self.now, due)
            self.note(self.watched.timeout(self.now))
        self.now = until
        self.watched.check(self.now)

    def note(self, effects: list[Effect]) -> list[Effect]:
        """Remember the questions among what was sent."""
        for effect in effects:
            said = opened(effect.data) if isinstance(effect, Send) else None
            nonce = getattr(said.message, "nonce", None) if said else None
            if said is not None and isinstance(nonce, int):
                self.open[type(said.message)] = nonce
        return effects

    def answers(self, data: bytes) -> list[bytes]:
        """The datagram again, as the answer to each question that is open."""
        said = opened(data)
        if said is None or isinstance(said.message, Gossip) or said.unknown:
            return []
        return [
            FRAME.close(encode(replace(said, message=replace(said.message, nonce=nonce))))
            for nonce in self.open.values()
        ]


def opened(data: bytes) -> Envelope | None:
    """What a datagram says, None if nothing."""
    body = FRAME.open(data)
    said = decode(body) if isinstance(body, bytes) else body
    return said if isinstance(said, Envelope) else None


def fresh() -> Replay:
    """A node that knows nobody."""
    return Replay()


def member() -> Replay:
    """A node with ann as its member, and counts of its own."""
    replay = Replay()
    effects = replay.say(Join(7, ANN, (), b"", Standing.NEWCOMER))
    cookies = [said.message for e in effects if isinstance(e, Send) and (said := opened(e.data))]
    assert isinstance(cookies[0], Cookie)
    replay.say(Join(7, ANN, (), cookies[0].cookie, Standing.NEWCOMER))
    batches = replay.watched.prepare([("default", 2), ("a b", 1)], replay.now, _WALL)
    replay.note(replay.watched.expose(batches, replay.now))
    replay.wait(0.1)
    return replay


def mid_join() -> Replay:
    """A node that has asked ann to take it in."""
    replay = Replay()
    replay.note(replay.watched.join([ANN], replay.now))
    return replay


def mid_repair() -> Replay:
    """A member that has begun to pull what ann holds."""
    replay = member()
    replay.say(Ping(1, "bob", Shown(1, 2, True)))
    return replay


def leaving() -> Replay:
    """A member that drains to ann."""
    replay = member()
    replay.say(Gossip(), (Group(STREAM, 5, 5, (("b", 7, 7),)),))
    replay.note(replay.watched.leave(replay.now))
    return replay


def suspecting() -> Replay:
    """A member that gets no answers from ann."""
    return _silent(Status.SUSPECT)


def alone() -> Replay:
    """A member that holds ann failed."""
    return _silent(Status.FAILED)


def _silent(status: Status) -> Replay:
    replay = member()
    while replay.watched.node.members[0].status is not status:
        replay.wait(0.5)
    return replay


STATES: dict[str, Callable[[], Replay]] = {
    state.__name__: state
    for state in (fresh, member, mid_join, mid_repair, leaving, suspecting, alone)
}
