"""Whom others are made to send to: somebody who has nothing to do with the cluster.

    python -m tests.fuzz.attacks.reflection

A hostile peer makes members up at the victim's address, or says that members live there, and asks
in their names. Whatever it says, the victim gets at most three times the bytes that the peer sent.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import NamedTuple, TypeAlias

from gossipd.core import (
    Address,
    MemberView,
    Status,
    TagFrame,
)
from gossipd.core.wire.decoding import decode
from gossipd.core.wire.messages import (
    Cookie,
    DigestAsk,
    Envelope,
    Gossip,
    Join,
    MembersAsk,
    Message,
    PassAsk,
    Ping,
    Shown,
    Standing,
)
from gossipd.core.wire.records import BEGINNING, PassItem
from tests.simulation.faulty.host import Host
from tests.simulation.faulty.world import World
from tests.unit.core.wire.wire_examples import encode

VICTIM = "203.0.113.7"
SECONDS = 10.0
ASKS = 20
GHOSTS = 20

_FRAME = TagFrame("sim")
_LIAR: Address = ("192.0.2.66", 7946)
_GENERATION = 1_700_000_000_000


class Reflections(World):
    """A cluster, and somebody who speaks to it."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed, disks=True)
        self.spent = 0
        """Bytes that the hostile peer has sent since it joined."""
        self.reflected = 0
        """Bytes that the victim got."""
        self.packets = 0
        self._cookie = b""

    def say(
        self,
        message: Message,
        views: Iterable[MemberView] = (),
        speaker: str = "liar",
        generation: int = _GENERATION,
        to: str | None = None,
    ) -> None:
        """Say something to one node, or to every node."""
        said = Envelope(speaker, generation, 0, message, tuple(views))
        data = _FRAME.close(encode(said))
        for name in [to] if to else list(self.running):
            self.spent += len(data)
            self.deliver(name, data, _LIAR)

    def let_in(self) -> None:
        """Become a member of all, as anybody may who reads what is sent to its address."""
        for name in list(self.running):
            for cookie in (b"", self._cookie):
                said = Join(1, _LIAR, (), cookie or self._cookie, Standing.NEWCOMER)
                data = _FRAME.close(encode(Envelope("liar", _GENERATION, 0, said)))
                self.deliver(name, data, _LIAR)
            self._cookie = b""
        self.spent = 0

    def _transmit(self, host: Host, data: bytes, to: Address) -> None:
        super()._transmit(host, data, to)
        if to[0] == VICTIM:
            self.reflected += len(data)
            self.packets += 1
        body = _FRAME.open(data)
        said = decode(body) if isinstance(body, bytes) else None
        if to == _LIAR and isinstance(said, Envelope) and isinstance(said.message, Cookie):
            self._cookie = said.message.cookie


def ghosts(status: Status = Status.ALIVE) -> list[MemberView]:
    """Members that do not exist, each at a port of the victim."""
    return [
        MemberView(f"g{number}", (VICTIM, 1000 + number), _GENERATION, 0, status)
        for number in range(GHOSTS)
    ]


def tell_of_ghosts(world: Reflections) -> None:
    """One datagram to one node."""
    world.say(Gossip(), ghosts(), to="n0")


def tell_of_ghosts_again_and_again(world: Reflections) -> None:
    """In every life that they never had."""
    for number in range(ASKS):
        world.say(Gossip(), [ghost._replace(generation=number + 1) for ghost in ghosts()])
        world.run(SECONDS / 2 / ASKS)


def tell_of_dead_ghosts(world: Reflections) -> None:
    """Whoever failed is contacted; and members of an earlier life are."""
    world.say(Gossip(), ghosts(Status.FAILED))
    world.run(SECONDS / 2)
    world.crash("n1")
    world.start("n1")


def ask_in_the_name_of_ghosts(world: Reflections, *questions: Message) -> None:
    """Long answers go to where a member is held."""
    world.say(Gossip(), ghosts())
    for _ in range(ASKS):
        for question in questions:
            world.say(question, (), "g0")


def ask_for_passes(world: Reflections) -> None:
    """All that there is, twenty times."""
    streams = tuple(PassItem(made.stream, 0, BEGINNING) for made in world.made[:5])
    ask_in_the_name_of_ghosts(world, PassAsk(1, streams, 32, 1200), DigestAsk(1, 0, 0, 1200))


def ask_for_members(world: Reflections) -> None:
    """In the name of a member that is said to have moved."""
    own = world.node("n1").own
    life = own.generation + 1
    for status in (Status.ALIVE, Status.FAILED):
        moved = own._replace(address=(VICTIM, 7946), generation=life, status=status)
        world.say(Gossip(), [moved])
        for _ in range(ASKS):
            world.say(MembersAsk(1, "", 32, 1200), (), "n1", life)


def ping_as_ghosts(world: Reflections) -> None:
    """Members are answered, told what is held of them, and asked to prove where they are."""
    world.say(Gossip(), [*ghosts()[:10], *ghosts(Status.FAILED)[10:]])
    for _ in range(ASKS):
        for speaker in ("g0", "g15"):
            world.say(Ping(1, "n0", Shown(1, 2, True)), (), speaker)


Attack: TypeAlias = Callable[[Reflections], None]

ATTACKS: tuple[Attack, ...] = (
    tell_of_ghosts,
    tell_of_ghosts_again_and_again,
    tell_of_dead_ghosts,
    ask_for_passes,
    ask_for_members,
    ping_as_ghosts,
)


class Outcome(NamedTuple):
    """What the victim got in ten seconds."""

    spent: int
    reflected: int
    packets: int

    @property
    def factor(self) -> float:
        return self.reflected / self.spent


def run(attack: Attack, seed: int = 1, nodes: int = 5) -> Outcome:
    """One attack on a cluster that has counted something."""
    world = Reflections(seed)
    world.cluster(nodes)
    assert world.run_until_settled(10)
    for number in range(400):
        world.increment(f"n{number % nodes}", f"counter {number}")
    world.let_in()
    world.run(2)
    ends = world.now + SECONDS
    attack(world)
    while world.now < ends:  # news for everybody, ghosts included
        world.increment("n0", f"counter {len(world.made)}")
        world.run(0.05)
    return Outcome(world.spent, world.reflected, world.packets)


def main() -> int:
    """The program."""
    worst = 0.0
    for attack in ATTACKS:
        found = run(attack)
        worst = max(worst, found.factor)
        print(
            f"{attack.__name__:32} {found.spent:7,} bytes sent, {found.packets:6,} packets and "
            f"{found.reflected:9,} bytes at the victim: {found.factor:8.2f} x"
        )
    return int(worst > 3)


if __name__ == "__main__":
    sys.exit(main())
