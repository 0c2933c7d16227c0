"""Datagrams to a node that is in some state, from a member or from others, one after the other.

An input is the state, then for each datagram where it comes from and how it is made (`Said`), the
size of what follows, and that. What is not validly framed, or says nothing that is a message, is a
drop with a reason and changes nothing: not the members, not the counts. Whatever comes, a twin of
the node does the same, the books are right, and nobody who has proven nothing is sent more than
three times what came (`WatchedNode`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from random import Random
from typing import NamedTuple

from gossipd.core import Drop, Dropped, Effect, Node
from tests.fuzz.make_corpus import corpus
from tests.fuzz.mutator import mutated_bytes, mutated_tree
from tests.fuzz.receive_datagram import is_tree
from tests.fuzz.states import FRAME, STATES, Replay, opened
from tests.fuzz.target import Broken, Target

_STATES = list(STATES.values())
_WAITS = (0.0, 0.0, 0.001, 0.05, 1.0, 5.0)
_SIZE_MAX = 1400


class Said(NamedTuple):
    """One datagram, and how it is sent."""

    source: int
    """Which of the addresses that a replay has."""

    framed: bool
    """What it holds is put into a frame."""

    answers: bool
    """It answers the questions that are open."""

    wait: int
    """How long after it."""

    data: bytes

    def packed(self) -> bytes:
        """As it stands in an input."""
        head = self.source + 3 * (self.framed + 2 * self.answers + 4 * self.wait)
        return bytes((head,)) + len(self.data).to_bytes(2, "big") + self.data


def said_in(data: bytes) -> Iterator[Said]:
    """What an input says."""
    at = 1
    while at + 3 <= len(data):
        how, source = divmod(data[at], 3)
        size = min(int.from_bytes(data[at + 1 : at + 3], "big"), _SIZE_MAX)
        body = data[at + 3 : at + 3 + size]
        yield Said(source, bool(how & 1), bool(how & 2), how // 4 % len(_WAITS), body)
        at += 3 + size


def take(data: bytes) -> bool:
    """Let a fresh node hear all of it."""
    replay = _STATES[(data[0] if data else 0) % len(_STATES)]()
    used = False
    for said in said_in(data):
        datagram = FRAME.close(said.data) if said.framed else said.data
        for each in replay.answers(datagram) if said.answers else [datagram]:
            used |= _hear(replay, each, replay.sources[said.source])
        replay.wait(_WAITS[said.wait])
    return used


def _hear(replay: Replay, data: bytes, source: tuple[str, int]) -> bool:
    node = replay.watched.node
    before = state_of(node)
    effects = replay.receive(data, source)
    if opened(data) is not None:
        return True
    if state_of(node) != before:
        raise Broken(f"{data.hex()} is no message and had an effect")
    if data.strip() != b"ping" and not _is_dropped(effects):
        raise Broken(f"{data.hex()} is no message and is not dropped: {effects}")
    return False


def state_of(node: Node) -> object:
    """All that a stranger might want to change."""
    return node.members, node.members_fingerprint, node.log.fingerprint, node.log.values


def _is_dropped(effects: list[Effect]) -> bool:
    return len(effects) == 1 and isinstance(effects[0], Dropped)


def _parts(data: bytes) -> tuple[bool, bytes]:
    """Of a whole datagram."""
    body = FRAME.open(data)
    return (False, data) if isinstance(body, Drop) else (True, body)


def seeds() -> Iterable[bytes]:
    """Each datagram of the corpus to a node in one state, and some after each other."""
    whole = [_parts(data) for data in corpus().values()]
    for number, (framed, data) in enumerate(whole):
        said = Said(number % 3, framed, False, number % len(_WAITS), data[:_SIZE_MAX])
        yield bytes((number % len(_STATES),)) + said.packed()
        if framed:
            yield b"\x03" + said._replace(source=0, answers=True).packed()
    rng = Random(1)
    for number in range(20):
        picked = [Said(rng.randrange(3), *rng.choice(whole)[:1], False, 3, b"") for _ in range(6)]
        pairs = zip(picked, rng.choices(whole, k=6), strict=True)
        parts = [each._replace(framed=made, data=data[:400]) for each, (made, data) in pairs]
        yield bytes((number % len(_STATES),)) + b"".join(each.packed() for each in parts)


def changed(data: bytes, others: Sequence[bytes], rng: Random) -> bytes:
    """One datagram of it changed, most often as a tree; another one taken out of others; another
    state; or as any bytes."""
    said, some = [*said_in(data)], [*said_in(rng.choice(others))]
    first = data[:1] or b"\0"
    match rng.randrange(8):
        case 0:
            return mutated_bytes(data, others, rng)
        case 1:
            first = bytes((rng.randrange(len(_STATES)),))
        case 2:
            said += some
        case _ if said:
            at = rng.randrange(len(said))
            said[at] = _changed(said[at], [each.data for each in some], rng)
    return first + b"".join(each.packed() for each in said[-8:])


def _changed(said: Said, others: list[bytes], rng: Random) -> Said:
    if rng.random() < 0.1:
        return said._replace(source=rng.randrange(3), wait=rng.randrange(len(_WAITS)))
    trees = [each for each in others if is_tree(each)]
    if said.framed and trees and is_tree(said.data) and rng.random() < 0.8:
        return said._replace(data=mutated_tree(said.data, trees, rng)[:_SIZE_MAX])
    return said._replace(data=mutated_bytes(said.data, [*others, b""], rng)[:_SIZE_MAX])


DATAGRAMS = Target(take=take, seeds=seeds, change=changed, size_max=8 * _SIZE_MAX)
