"""What a node sends to an address that has proven nothing, by what came from it: for each kind of
message, in many shapes, in the name of everybody.

    python -m tests.fuzz.attacks.amplifying

Each datagram comes from an address of its own and names one more, a victim's, wherever an address
can stand in it. Neither is ever sent more than three times the bytes of that one datagram, at once
or later. A kind of message that is not in here fails the test.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count
from typing import NamedTuple, get_args

from gossipd.core import Address, MemberView, Send, Status
from gossipd.core.gossip.amplification import AMPLIFICATION_MAX
from gossipd.core.wire import messages
from gossipd.core.wire.frame import Frame
from gossipd.core.wire.messages import (
    COOKIE_BYTES_MAX,
    Cookie,
    Envelope,
    Hello,
    Join,
    MembersPage,
    Message,
    Ping,
    PingReq,
    Refuse,
    Standing,
)
from gossipd.core.wire.records import Group
from tests.unit.core.talk import FRAME, Peer, Said, Talk, envelope
from tests.unit.core.wire.wire_examples import EXAMPLES, GROUP, KEYED, encode

TAGS = (("note", "x" * 200), ("role", "y" * 40))
LATER = 70.0
"""Seconds after which nothing that was asked is waited for."""

KINDS: dict[type[Message], list[Message]] = {}
for _, example in EXAMPLES:
    KINDS.setdefault(type(example.message), []).append(example.message)

ALL_KINDS: frozenset[type[Message]] = frozenset(
    kind for union in (messages.JoinMessage, messages.MemberMessage) for kind in get_args(union)
)
"""All members of the union."""


class Forged(NamedTuple):
    """A datagram, and whom it could make a node send to beside who sends it."""

    what: str
    data: bytes
    victim: Address


class Speaker(NamedTuple):
    """In whose name one is."""

    what: str
    name: str
    generation: int


def _shapes(
    message: Message, own: MemberView, victim: Address
) -> Iterator[tuple[str, Message, tuple[MemberView, ...], tuple[Group, ...]]]:
    """A message alone, with what may ride along, and with the victim's address in it."""
    told = MemberView("victim", victim, own.generation, 0, Status.ALIVE, TAGS)
    yield "bare", message, (), ()
    yield "with views", message, (told, own._replace(status=Status.FAILED)), ()
    yield "of twins", message, (own._replace(address=victim, generation=own.generation + 1),), ()
    yield "with records", message, (), (GROUP, KEYED)
    match message:
        case Ping():
            yield "by name", replace(message, target=own.name), (), ()
        case PingReq():
            for target in ("me", "p0", "gone", "left"):
                asked = replace(message, target=target, address=victim)
                yield f"for {target}", asked, (), ()
        case Join():
            for cookie in (b"", b"c" * COOKIE_BYTES_MAX):
                for standing in Standing:
                    said = replace(message, address=victim, cookie=cookie, standing=standing)
                    yield f"for the victim, {standing.name}", said, (), ()
                    yield "with tags", replace(said, tags=TAGS), (), ()
        case Cookie():
            yield "seen at the victim", replace(message, seen=victim), (), ()
            yield "without a cookie", replace(message, cookie=b"", seen=victim), (), ()
        case Refuse():
            yield "held by the victim", replace(message, holder=victim), (), ()
        case MembersPage():
            yield "of the victim", replace(message, views=(told,)), (), ()
        case Hello():
            yield "without an echo", replace(message, echo=0), (), ()
            yield "an echo", replace(message, nonce=0), (), ()
        case _:
            pass


def forged(own: MemberView, victims: Iterator[Address], frame: Frame = FRAME) -> Iterator[Forged]:
    """All of them, for a node that is `own`; each names a victim of its own."""
    speakers = (
        Speaker("a stranger", "somebody", own.generation),
        Speaker("the node itself", own.name, own.generation),
        Speaker("an earlier life of it", own.name, own.generation - 1),
        Speaker("a later life of it", own.name, own.generation + 1),
        Speaker("an earlier life of a member", "p0", 1),
        Speaker("a later life of a member", "p0", own.generation + 2),
        Speaker("somebody who is told of", "newcomer", own.generation),
        Speaker("an earlier life of one that is gone", "gone", 1),
        Speaker("a later life of one that has left", "left", own.generation + 2),
    )
    for speaker in speakers:
        for message in (example for examples in KINDS.values() for example in examples):
            place = 0
            while shapes := list(_shapes(message, own, victim := next(victims)))[place:]:
                shape, said, views, groups = shapes[0]
                whole = Envelope(speaker.name, speaker.generation, 0, said, views, groups)
                body = encode(whole)
                what = f"{type(message).__name__} {shape}, in the name of {speaker.what}"
                yield Forged(what, frame.close(body), victim)
                place += 1


# --- nodes in many states ------------------------------------------------------------------------


def _with_members(durable: bool = False) -> Talk:
    """A member of a cluster with much to tell; one other has failed, one has left."""
    talk = Talk(peers=2, durable=durable)
    talk.node.retag(TAGS, talk.now)
    for name, status in (("gone", Status.FAILED), ("left", Status.LEFT)):
        peer = Peer(name, (f"10.0.2.{len(talk.peers)}", 7946))
        talk.admit(peer)
        talk.condemn(name, status)
        peer.answers = False
    newcomer = MemberView("newcomer", ("10.0.3.1", 7946), talk.own.generation, 0, Status.ALIVE)
    talk.hear_views(newcomer)
    for number in range(30):
        talk.increment(f"counter {number}" + "x" * 80)
    return talk


def member() -> Talk:
    return _with_members()


def durable() -> Talk:
    return _with_members(durable=True)


def alone() -> Talk:
    return Talk(listens=True)


def joining() -> Talk:
    talk = Talk(alone=False)
    talk.join(("10.0.8.8", 7946))
    return talk


def leaving() -> Talk:
    talk = _with_members()
    talk.leave()
    return talk


STATES: tuple[Callable[[], Talk], ...] = (member, durable, alone, joining, leaving)


def _addresses(net: str) -> Iterator[Address]:
    return ((f"{net}.{number % 250 + 1}", 1024 + number // 250) for number in count())


class Found(NamedTuple):
    """The largest factor, and what brought it about."""

    factor: float
    what: str
    pings: int
    """How often somebody was asked whether he lives who has proven nothing."""


def run(state: Callable[[], Talk]) -> Found:
    """Say everything to a node in some state, and wait until it has said all that it will."""
    talk = state()
    said: dict[Address, tuple[str, int]] = {}
    got: dict[Address, int] = {}
    pinged: list[Address] = []

    def note(effects: Said) -> None:
        for send in effects.of(Send):
            got[send.to] = got.get(send.to, 0) + len(send.data)
            if isinstance(envelope(send.data).message, Ping):
                pinged.append(send.to)

    sources, victims = _addresses("198.51.100"), _addresses("203.0.113")
    for each in forged(talk.own, victims):
        source = next(sources)
        said |= dict.fromkeys((source, each.victim), (each.what, len(each.data)))
        note(talk.deliver(each.data, source))
        note(talk.wait(0.01))
    note(talk.wait(LATER))
    factors = {to: got.get(to, 0) / size for to, (_, size) in said.items()}
    worst = max(factors, key=lambda to: factors[to])
    return Found(factors[worst], said[worst][0], sum(to in said for to in pinged))


def main() -> int:
    """The program."""
    harmed = 0
    for state in STATES:
        found = run(state)
        harmed += found.factor > AMPLIFICATION_MAX or found.pings > 0
        print(f"{state.__name__:8} {found.factor:.2f} x for a {found.what}; {found.pings} pings")
    return int(harmed > 0)


if __name__ == "__main__":
    sys.exit(main())
