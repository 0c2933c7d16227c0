"""Datagrams that were sent once come again, all that a cluster has ever said:

    python -m tests.fuzz.attacks.replays [--seed N] [--most M] [--sealed]

Nodes join, count, are suspected, fail, restart, leave, move and are cut off from each other. An
observer keeps every datagram and sends it again: in the same second, later, an hour later, after
every node has restarted; as it was, from an address of his own, to everybody. He knows no secret
and can make nothing up, but what is sealed is good for ever: so it is the protocol that defends.

Nothing changes by it. Counts, tables, verdicts and streams stay, nothing is told, nobody fails,
appears or comes back, and who is gone is sent at most three times what was said in its name. What
he can bring about all the same is bounded, and `gossipd/core/README.md` says so.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

from gossipd.core import (
    Accepted,
    Address,
    Dropped,
    Effect,
    FoundItself,
    Joined,
    KeysWanted,
    Node,
    Settings,
    SpeaksElsewhere,
    Status,
)
from gossipd.core.gossip.amplification import AMPLIFICATION_MAX
from gossipd.core.swim.readiness import LISTENS_MAX
from gossipd.core.wire.decoding import decode
from gossipd.core.wire.messages import Envelope, Join, Ping, PingReq
from gossipd.sealing.frame import SealedFrame
from gossipd.sealing.keyring import SECRET_SIZE, Keyring, Secret
from tests.simulation.clients import random_key
from tests.simulation.faulty.host import Host
from tests.simulation.faulty.world import Captured, World

OBSERVER: Address = ("192.0.2.66", 7946)
HOUR = 3600.0
PAUSE = 0.0005
"""Seconds between two datagrams."""

SAME_SECOND = 0.5
HARMLESS = (Dropped, FoundItself, Joined, KeysWanted, SpeaksElsewhere)
"""What nodes may tell their process of it."""


class Observed(World):
    """A world in which somebody hears everything, and may say it again within the second."""

    def __init__(self, seed: int, *, echoes: bool = False, sealed: bool = False) -> None:
        super().__init__(seed, Settings(key_window=60.0, key_retention=120.0), disks=True)
        if sealed:
            ring = Keyring((Secret(self.rng.randbytes(SECRET_SIZE)),))
            self.frames = lambda: SealedFrame("sim", ring, self.rng.randbytes)
        self._reader = self.frames()
        self.captured = []
        self.counted: Counter[str] = Counter()
        self.received_by: Counter[Address] = Counter()
        """Bytes that were sent to each address."""
        self.reflected: dict[Address, list[int]] = {}
        """By address of who is no live member of who is asked: bytes of answers to it, and bytes
        that were said in its name."""
        self.is_quiet = False
        """Whether nobody needs to know what is answered: time passes faster so."""
        self._echoes = echoes

    def count(self, name: str, counter: str, by: int, key: bytes | None = None) -> None:
        """Count something, and know it."""
        outcome = self.increment(name, counter, by, key)
        assert isinstance(outcome, Accepted), outcome
        self.counted[counter] += by

    def _arrive(self, host: Host, data: bytes, source: Address) -> None:
        super()._arrive(host, data, source)
        if self._echoes:
            for origin in (source, OBSERVER):
                again = partial(super()._arrive, host, data, origin)
                self._push(self.now + SAME_SECOND, again)

    def read(self, data: bytes) -> Envelope:
        """What a datagram says, for who knows the secret."""
        body = self._reader.peek(data)
        assert isinstance(body, bytes), body
        said = decode(body)
        assert isinstance(said, Envelope), said
        return said

    def _named(self, data: bytes, source: Address) -> tuple[Address, ...]:
        """In whose name it is, and whom it asks to send to."""
        message = self.read(data).message
        return (source, message.address) if isinstance(message, Join | PingReq) else (source,)

    def _receive(self, host: Host, node: Node, data: bytes, source: Address) -> None:
        """Note what is answered to those who do not live there, and what they seem to say."""
        if self.is_quiet:
            super()._receive(host, node, data, source)
            return
        self.received_by.clear()
        strangers = [to for to in self._named(data, source) if not _lives(node, to)]
        super()._receive(host, node, data, source)
        for address in {**dict.fromkeys(strangers), **self.received_by}:
            reflected = self.reflected.setdefault(address, [0, 0])
            reflected[0] += 0 if _lives(node, address) else self.received_by[address]
            reflected[1] += len(data) if address in strangers else 0

    def _transmit(self, host: Host, data: bytes, to: Address) -> None:
        self.received_by[to] += len(data)
        super()._transmit(host, data, to)

    @property
    def factor(self) -> float:
        """What was sent to somebody who was no live member, by what was said in his name: the
        largest."""
        return max((sent / max(1, said) for sent, said in self.reflected.values()), default=0.0)


def _lives(node: Node, address: Address) -> bool:
    """Whether a node holds a live member there."""
    return any(v.address == address and v.status <= Status.SUSPECT for v in node.members)


def lived(seed: int, *, echoes: bool = False, sealed: bool = False) -> Observed:
    """A cluster that has lived through all that happens to clusters, and agrees."""
    world = Observed(seed, echoes=echoes, sealed=sealed)
    world.cluster(4)
    memory = world.place("n4")
    memory.disk, memory.seeds = None, [world.hosts["n0"].address]
    world.start("n4")
    assert world.run_until_settled(10)
    world.run(LISTENS_MAX * world.settings.alone_after)
    _count(world, 60, 0.02)
    world.put("n0", "client", "owned", 1, 5)
    world.counted["owned"] = 5
    world.await_copies(world.made[-1], 3)
    _suspect_and_refute(world, "n1")
    _restart(world)
    _come_and_go(world)
    _split(world)
    world.move("n1", ("10.9.9.9", 7946))
    world.run(10)
    world.crash("n2", disk_lost=True)
    world.run(2)
    world.start("n2")
    assert world.run_until_settled(60)
    world.run(2 * world.settings.key_window)  # keys go by themselves
    return world


def _count(world: Observed, times: int, pause: float) -> None:
    """Clients count at all nodes, some with keys."""
    for number in range(times):
        key = random_key(world.rng) if number % 3 == 0 else None
        world.count(f"n{number % 5}", f"c{number % 7}", 1 + number % 3, key)
        world.run(pause)


def _suspect_and_refute(world: Observed, name: str) -> None:
    before = world.node(name).own.incarnation
    world.isolate(name)
    while world.node("n0").state_counts[Status.SUSPECT] == 0:
        world.run(0.1)
    world.network.heal()
    world.run(5)
    world.retag(name, (("role", "db"),))
    world.run(1)
    assert world.node(name).own.incarnation > before + 1


def _restart(world: Observed) -> None:
    """A member fails and comes back, another one restarts unnoticed, one leaves and returns."""
    world.crash("n2")
    world.run(15)
    world.start("n2")
    world.run(5)
    world.crash("n3")
    world.run(1)
    world.start("n3")
    world.run(5)
    world.leave("n4")
    world.run(5)
    world.start("n4")
    world.run(5)


def _come_and_go(world: Observed) -> None:
    """One comes and fails for good, another one leaves for good."""
    for name in ("n5", "n6"):
        world.add(name, seeds=["n0"])
        world.run(3)
        world.count(name, "c1", 4)
        world.run(2)
    world.crash("n5")
    world.leave("n6")
    world.run(15)


def _split(world: Observed) -> None:
    """Both sides give each other up, and find each other again."""
    world.partition(["n0", "n1"], ["n2", "n3", "n4"])
    _count(world, 30, 0.5)
    world.network.heal()
    world.run(20)


def an_hour(world: Observed) -> None:
    """Let it pass."""
    world.is_quiet, captured = True, world.captured
    world.captured = None
    world.run(HOUR)
    world.is_quiet, world.captured = False, captured


def sample(world: Observed, most: int) -> list[Captured]:
    """Some datagrams of each kind, between each two."""
    by_kind: dict[tuple[object, ...], list[Captured]] = {}
    for captured in world.captured or ():
        kind = type(world.read(captured.data).message)
        by_kind.setdefault((kind, captured.to, captured.source), []).append(captured)
    return [each for kind in by_kind.values() for each in kind[:: -(-len(kind) // most)]]


def restart_all(world: Observed) -> None:
    """One after the other; the one without a disk pulls everything again."""
    for name in list(world.running):
        world.crash(name)
        world.run(1)
        world.start(name)
        world.run(5)
    assert world.run_until_settled(60)


# --- what must not change ------------------------------------------------------------------------


def state_of(node: Node) -> dict[str, object]:
    """Everything of a node that others or clients can see, and when it was last answered."""
    views = {f"member {view.name}": view for view in node.members}
    since = {f"since {view.name}": node.since(view.name) for view in node.members}
    counts = {f"count of {counter}": value for counter, value in node.log.values.items()}
    prints = {"log": node.log.fingerprint, "members": node.members_fingerprint}
    life = {"stream": node.stream, "ready": node.ready, "leaving": node.leaving}
    return {**views, **since, **counts, **prints, **life, "keys": len(node.log.keys)}


def changes(world: Observed, before: dict[str, dict[str, object]]) -> list[str]:
    """What is not as it was, in words."""
    now = {name: state_of(node) for name, node in world.running.items()}
    changed = [f"{name} has ended" for name in before if name not in now]
    for name in now:
        for what in sorted({*now[name], *before[name]}):
            was, has = before[name].get(what), now[name].get(what)
            if was != has:
                changed.append(f"{name}: {what} is {has}, was {was}")
    return changed


@dataclass(slots=True)
class Outcome:
    """What came of it that all of this was sent again."""

    sent: int = 0
    changed: list[str] = field(default_factory=list)
    told: list[Effect] = field(default_factory=list)
    """Of that which is not harmless."""
    answered: int = 0
    """Acks that answered a question."""
    factor: float = 0.0
    """That of the world."""

    @property
    def is_harmless(self) -> bool:
        """Whether that is as it must be."""
        harm = self.changed or self.told or self.answered
        return not harm and self.factor <= AMPLIFICATION_MAX

    def __str__(self) -> str:
        harm = [*self.changed, *map(repr, self.told)][:5]
        return (
            f"{self.sent:,} datagrams, {len(self.changed)} changes, {len(self.told)} told, "
            f"{self.answered} acks used, at most {self.factor:.2f} x to who does not live"
            + "".join(f"\n    {line}" for line in harm)
        )


class Way(NamedTuple):
    """How they are sent again."""

    name: str
    source: Address | None = None
    """None: as it was."""
    to_all: bool = False
    busy: bool = False
    """Whether there is always news, which would ride along."""

    def targets(self, world: World, captured: Captured) -> Iterator[tuple[str, Address]]:
        """Where a datagram goes, and from where."""
        for name in list(world.running) if self.to_all else [captured.to]:
            if name in world.running:
                yield name, self.source or captured.source


WAYS = (
    Way("as they were"),
    Way("from elsewhere", OBSERVER),
    Way("to everybody", None, True),
    Way("to everybody from elsewhere", OBSERVER, True),
)
BUSY = tuple(way._replace(name=f"pings {way.name}, with news", busy=True) for way in WAYS[:2])
"""These come first: what is answered to other datagrams is less, and they earn as much."""


def replay(world: Observed, tape: Sequence[Captured], way: Way) -> Outcome:
    """Send a tape again, one datagram after the other, and look what is different."""
    found, captured = Outcome(), world.captured
    world.captured = None
    before = {name: state_of(node) for name, node in world.running.items()}
    effects = len(world.effects)
    for datagram in tape:
        if way.busy and not isinstance(world.read(datagram.data).message, Ping):
            continue
        for name, source in way.targets(world, datagram):
            if way.busy:
                for number in range(10):
                    world.count(name, f"{world.now} {number}" + "x" * 90, 1)
            found.answered += _send_again(world, name, datagram.data, source)
            found.sent += 1
        world.run(PAUSE)
    world.captured = captured
    found.factor = world.factor
    if way.busy:
        assert world.run_until_settled(20)
    else:
        found.changed = changes(world, before)
        told = [effect for _, _, effect in world.effects[effects:]]
        found.told = [effect for effect in told if not isinstance(effect, HARMLESS)]
    return found


def _send_again(world: Observed, name: str, data: bytes, source: Address) -> bool:
    """One of them; whether it passed for the answer to a ping."""
    said, node = world.read(data), world.node(name)
    before = node.explanation(said.sender, world.now).contact.answered_at
    world.deliver(name, data, source)
    return before != node.explanation(said.sender, world.now).contact.answered_at


def main(arguments: list[str]) -> int:
    """The program."""
    parser = ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--most", type=int, default=1000, help="of each kind, between each two")
    parser.add_argument("--sealed", action="store_true", help="between nodes with a secret")
    wanted = parser.parse_args(arguments)
    world, harmed = lived(wanted.seed, sealed=wanted.sealed), 0
    tape = sample(world, wanted.most)
    for when in ("a moment later", "an hour later", "after restarts"):
        if when == "an hour later":
            an_hour(world)
        if when == "after restarts":
            restart_all(world)
        for way in (*BUSY, *WAYS):
            found = replay(world, tape, way)
            harmed += not found.is_harmless
            print(f"{when}, {way.name}: {found}", flush=True)
    return int(harmed > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
