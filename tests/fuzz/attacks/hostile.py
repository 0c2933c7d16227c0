"""A hostile peer in the simulator: it knows the cluster's name, hears what is sent to it, and says
what it likes, in whoever's name and from whatever address."""

from __future__ import annotations

from collections.abc import Iterable

from gossipd.core import (
    Address,
    MemberView,
    NameLost,
    Status,
    TagFrame,
)
from gossipd.core.wire.decoding import decode
from gossipd.core.wire.messages import Cookie, Envelope, Join, Message, Ping, Standing, Welcome
from gossipd.core.wire.records import Group
from tests.simulation.faulty.world import World
from tests.unit.core.wire.wire_examples import encode

FRAME = TagFrame("sim")
LIAR: Address = ("192.0.2.66", 7946)


class Hostile:
    """Somebody at an address of its own, in a world."""

    def __init__(self, world: World, name: str = "liar", address: Address = LIAR) -> None:
        self.world = world
        self.name, self.address = name, address
        self.generation = 1_700_000_000_000
        self._heard = world.listening.setdefault(address, [])

    def say(
        self,
        to: str,
        message: Message,
        views: Iterable[MemberView] = (),
        groups: Iterable[Group] = (),
        *,
        speaker: MemberView | None = None,
        source: Address | None = None,
    ) -> int:
        """Say something to a host, perhaps in somebody else's name; how many bytes that took."""
        name = speaker.name if speaker else self.name
        generation = speaker.generation if speaker else self.generation
        incarnation = speaker.incarnation if speaker else 0
        said = Envelope(name, generation, incarnation, message, tuple(views), tuple(groups), 0)
        data = FRAME.close(encode(said))
        if to in self.world.running:
            self.world.deliver(to, data, source or self.address)
        return len(data)

    def heard(self) -> list[tuple[str, Envelope]]:
        """What was sent to it since it listened last, and by which host."""
        new = list(self._heard)
        self._heard.clear()
        hosts = {host.address: name for name, host in self.world.hosts.items()}
        opened = [(hosts.get(source, ""), _opened(data)) for source, data in new]
        return [(by, said) for by, said in opened if isinstance(said, Envelope)]

    def join(self, to: str) -> bool:
        """Become a member, as anybody may who reads what is sent to its address."""
        self.heard()
        cookie = b""
        for _ in range(2):
            self.say(to, Join(1, self.address, (), cookie, Standing.NEWCOMER))
            for _, said in self.heard():
                if isinstance(said.message, Cookie):
                    cookie = said.message.cookie
                if isinstance(said.message, Welcome):
                    return True
        return False

    def pings(self) -> list[tuple[str, Ping]]:
        """Who asks whether it lives."""
        return [(by, said.message) for by, said in self.heard() if isinstance(said.message, Ping)]


def _opened(data: bytes) -> object:
    body = FRAME.open(data)
    return decode(body) if isinstance(body, bytes) else body


def cluster(seed: int, count: int = 3) -> World:
    """A cluster that agrees, whose members hold their names for good."""
    world = World(seed)
    world.cluster(count)
    assert world.run_until_settled(10)
    world.run(6)
    return world


def view_of(world: World, name: str) -> MemberView:
    """What a node says of itself, or others hold of it where it has ended."""
    if name in world.running:
        return world.node(name).own
    held = (view for node in world.running.values() for view in node.members)
    return next(view for view in held if view.name == name)


def ended(world: World) -> list[str]:
    """Hosts whose node has given its name up, or has ended."""
    lost = {host for _, host, effect in world.effects if isinstance(effect, NameLost)}
    began = {name for name, host in world.hosts.items() if host.lives}
    return sorted(lost | (began - set(world.running)))


def away(world: World) -> list[tuple[str, str]]:
    """(who, of whom) of every running node that another one does not hold as live."""
    return [
        (by, view.name)
        for by, node in world.running.items()
        for view in node.members
        if view.name in world.running and view.status > Status.SUSPECT
    ]
