"""Sealed datagrams that were captured, to the node that they were for, by one without a secret.

An input is a list of records of six bytes: which datagram, what is done to it and from where it is
sent, at which place, with what. Whatever was not made by a holder of a secret is one drop and
changes nothing; what was made by one is taken once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from random import Random
from typing import NamedTuple

from gossipd.core import Dropped, Frame, MemberView, Node, Send, Settings, Status, TagFrame
from gossipd.core.wire.decoding import decode
from gossipd.core.wire.messages import Cookie, Envelope, Join, Standing
from gossipd.sealing.frame import SealedFrame
from gossipd.sealing.keyring import SECRET_SIZE, Keyring, Secret
from tests.fuzz.make_corpus import CLUSTER
from tests.fuzz.states import ANN, STRANGER
from tests.fuzz.target import Broken, Target
from tests.unit.core.wire.wire_examples import ALIVE, EXAMPLES, encode, spoken

from .datagrams import state_of

RECORD_SIZE = 6
_SALTED = 8 + 4 + 16


class Captured(NamedTuple):
    """What went over the wire."""

    genuine: list[bytes]
    """Sealed by a member, in this order."""

    others: list[bytes]
    """Sealed with another secret, for another cluster, or not at all."""


def _frame(seed: int, cluster: str = CLUSTER, secret: int = 1) -> SealedFrame:
    rng, value = Random(seed), Random(secret).randbytes(SECRET_SIZE)
    return SealedFrame(cluster, Keyring((Secret(value),)), rng.randbytes)


@cache
def _captured() -> Captured:
    bodies = [encode(envelope) for _, envelope in EXAMPLES]
    frames: list[Frame] = [_frame(3, secret=2), _frame(4, "other"), TagFrame(CLUSTER)]
    member = _frame(2)
    others = [frame.close(body) for body in bodies[:6] for frame in frames]
    return Captured([member.close(body) for body in bodies], others)


def _node(frame: SealedFrame) -> Node:
    """A node with ann as its member."""
    own = MemberView("bob", ALIVE.address, ALIVE.generation, 0, Status.ALIVE)
    node, ann = Node(own, Settings(), frame, Random(1), 0.0), _frame(5)
    node.start(False, 0.0)
    cookie = b""
    for _ in range(2):
        said = encode(spoken(Join(7, ANN, (), cookie, Standing.NEWCOMER), (), ()))
        for effect in node.receive_datagram(ann.close(said), ANN, 0.0):
            body = ann.open(effect.data) if isinstance(effect, Send) else None
            heard = decode(body) if isinstance(body, bytes) else None
            if isinstance(heard, Envelope) and isinstance(heard.message, Cookie):
                cookie = heard.message.cookie
    if not node.members:
        raise Broken("ann is no member")
    return node


def take(data: bytes) -> bool:
    """Let a node hear all of it."""
    frame, seen = _frame(1), set[bytes]()
    node = _node(frame)
    genuine = set(_captured().genuine)
    for source, datagram in _datagrams(data):
        before, at_once = state_of(node), frame.refusal(datagram)
        effects = node.receive_datagram(datagram, source, 0.0)
        if at_once is not None and effects != [Dropped(source, at_once)]:
            raise Broken(f"{datagram.hex()} would be refused as {at_once}: {effects}")
        if datagram.strip() == b"ping" or (datagram in genuine and datagram not in seen):
            seen.add(datagram)
            continue
        if len(effects) != 1 or not isinstance(effects[0], Dropped):
            raise Broken(f"{datagram.hex()} is not dropped: {effects}")
        if state_of(node) != before:
            raise Broken(f"{datagram.hex()} had an effect")
    return bool(seen)


def _datagrams(data: bytes) -> Iterator[tuple[tuple[str, int], bytes]]:
    captured = _captured()
    known = [*captured.genuine, *captured.others]
    for at in range(0, len(data) - RECORD_SIZE + 1, RECORD_SIZE):
        which, how, high, low, value, other = data[at : at + RECORD_SIZE]
        datagram, second = known[which % len(known)], known[other % len(known)]
        place = (high << 8 | low) % len(datagram)
        match how // 2 % 8:
            case 1:
                changed = datagram[place] ^ (value or 1)
                datagram = datagram[:place] + bytes((changed,)) + datagram[place + 1 :]
            case 2:
                datagram = datagram[:place]
            case 3:
                datagram += bytes((value,)) * (other + 1)
            case 4:  # another sender's or another time's header
                datagram = second[:_SALTED] + datagram[_SALTED:]
            case 5:
                datagram = datagram[:place] + second[place:]
            case 6:
                datagram = datagram[:_SALTED] + bytes((high, low, value, other)) + datagram[32:]
            case 7:
                datagram = datagram[:3] + bytes((value,)) + datagram[4:]
        yield (ANN if how % 2 else STRANGER), datagram


def seeds() -> Iterable[bytes]:
    """Each datagram as it is, twice; each kind of damage at the beginnings of the parts."""
    count = len(_captured().genuine) + len(_captured().others)
    for which in range(count):
        yield bytes((which, 1, 0, 0, 0, 0)) * 2
    for how in range(16):
        for place in (0, 3, 4, 8, 12, 28, 32, 40):
            yield bytes((place, how, 0, place, 1, 2))


SEALED = Target(take=take, seeds=seeds, size_max=40 * RECORD_SIZE)
