"""Lies about counts: claims of what nobody holds, records of what nobody made, states unasked:

    python -m tests.fuzz.attacks.counts

Each once made a node say that something was counted, or that it knew everything, when it was not
so. What a liar adds under streams of its own, or of others, counts: that is all it can do.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from uuid import UUID

from gossipd.core import KeyRecord
from gossipd.core.identity import SEQ_MAX
from gossipd.core.log.writer import Accepted
from gossipd.core.wire.messages import Cookie, Gossip, Join, Ping, Shown, Welcome
from gossipd.core.wire.records import Group
from gossipd.simulator.engine import EPOCH
from tests.simulation.faulty.world import World

from .hostile import Hostile, cluster, view_of


def claim_of_everything(world: World, liar: Hostile) -> str | None:
    """Everything of a live stream is said to be held, and then it goes on."""
    world.increment("n1")
    world.run(1)
    stream = world.node("n1").stream
    assert stream is not None
    lie = Group(stream, 1, SEQ_MAX, ())
    liar.say("n0", Gossip(), groups=[lie], speaker=view_of(world, "n2"))
    world.isolate("n0")
    made = world.increment("n1")
    assert isinstance(made, Accepted)
    said = world.node("n0").counted(stream, made.seq)
    return "a node counts what it does not hold" if said else None


def record_of_nothing(world: World, liar: Hostile) -> str | None:
    """A key is said to have named an event that nobody made."""
    key = UUID(int=7, version=4).bytes
    world.increment("n1")
    world.run(1)
    stream = world.node("n1").stream
    assert stream is not None
    record = KeyRecord(key, 1000, "default", 1, 0)
    lie = Group(stream, 1000, 1000, (), (record,))
    liar.say("n0", Gossip(), groups=[lie], speaker=view_of(world, "n2"))
    result = world.increment("n0", key=key)
    return "the key names what nobody made" if hasattr(result, "event") else None


def record_from_the_future(world: World, liar: Hostile) -> str | None:
    """A record that has expired, of a key that is to be made: keys before it are too old."""
    time = int(1000 * (EPOCH + world.now + 3600))
    key = time.to_bytes(6, "big") + b"\x70" + bytes(9)
    record = KeyRecord(key, 1, "default", 1, 10**8)
    lie = Group(bytes(9) + b"\x01", 0, 1, (("default", 1, 1),), (record,))
    liar.say("n0", Gossip(), groups=[lie], speaker=view_of(world, "n2"))
    late = int(1000 * (EPOCH + world.now - 570))  # within the window of ten minutes
    mine = late.to_bytes(6, "big") + b"\x70" + bytes(8) + b"1"
    doubtful = world.node("n0").is_doubtful(mine, EPOCH + world.now)
    counted = isinstance(world.increment("n0", key=mine), Accepted)
    return None if counted and not doubtful else "the keys of others are refused or looked up"


def ready_for_nothing(world: World, liar: Hostile) -> str | None:
    """A node that cannot reach anybody is told that it holds everything."""
    host = world.place("late")
    host.seeds = [("10.9.9.9", 7946)]
    world.start("late")
    world.run(0.5)
    node = world.node("late")
    shown = Shown(node.log.fingerprint, node.members_fingerprint, True)
    liar.heard()
    for cookie in (b"12345678", b""):
        liar.say("late", Cookie(0, cookie, node.own.address))
        for _, said in liar.heard():
            if isinstance(said.message, Join):
                view = view_of(world, "n1")
                liar.say("late", Welcome(said.message.nonce, shown), [view], speaker=view)
    liar.say("late", Ping(1, "late", shown), speaker=view_of(world, "n1"))
    return "an empty node is ready" if node.ready else None


ATTACKS: dict[str, Callable[[World, Hostile], str | None]] = {
    attack.__name__: attack
    for attack in (
        claim_of_everything,
        record_of_nothing,
        record_from_the_future,
        ready_for_nothing,
    )
}


def run(name: str, seed: int = 1) -> str | None:
    """What an attack has done, None for nothing."""
    world = cluster(seed)
    return ATTACKS[name](world, Hostile(world))


def main() -> int:
    """The program."""
    found = {name: run(name) for name in ATTACKS}
    for name, harm in found.items():
        print(f"{name:24} {harm or 'no harm'}")
    return int(any(found.values()))


if __name__ == "__main__":
    sys.exit(main())
