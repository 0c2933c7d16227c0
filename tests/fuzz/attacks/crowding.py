"""Twenty thousand members that do not exist: does a cluster go on beside them?

    python -m tests.fuzz.attacks.crowding

A hostile member tells of so many ghosts, live or gone, as a member table holds. A member that is
killed must be found as soon as ever, a newcomer taken in, and an ack must stay cheap.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import NamedTuple

from gossipd.core import MemberView, Status
from gossipd.core.swim.members import MEMBERS_MAX
from gossipd.core.wire.messages import Ack, Gossip, Shown

from .reflection import VICTIM, Reflections

PER_DATAGRAM = 28
WITHIN = 10.0
"""Seconds in which a dead member has to be found, and a newcomer taken in."""


class Outcome(NamedTuple):
    """How a cluster fares beside ghosts; None: not in time."""

    found_after: float | None
    """Seconds until all hold a killed member failed."""
    joined_after: float | None
    """Seconds until all hold a newcomer, and it holds all."""
    ready: bool
    """Whether the newcomer's counts are complete then."""
    held: int
    """Members in the largest table, ghosts included."""
    ack: float
    """Seconds of CPU that an ack takes at most."""
    told: float
    """The same of a datagram that tells of ghosts."""


def ghosts(first: int, statuses: Sequence[Status]) -> list[MemberView]:
    """A datagram full of them."""
    return [
        MemberView(f"g{n}", (VICTIM, 1000 + n), 1, 0, statuses[n % len(statuses)])
        for n in range(first, first + PER_DATAGRAM)
    ]


def tell_of_as_many_as_a_table_holds(world: Reflections, statuses: Sequence[Status]) -> float:
    """Within a second; the longest time that a node took for one of the datagrams."""
    longest = 0.0
    for first in range(0, MEMBERS_MAX, PER_DATAGRAM):
        began = time.process_time()
        world.say(Gossip(), ghosts(first, statuses))
        longest = max(longest, (time.process_time() - began) / len(world.running))
        world.run(PER_DATAGRAM / MEMBERS_MAX)
    return longest


def ack(world: Reflections) -> float:
    """What an ack costs that nobody has asked for, as a member shows it."""
    began = time.process_time()
    for _ in range(10):
        world.say(Ack(1, Shown(0, 0, True)), to="n0")
    return (time.process_time() - began) / 10


def seconds_until_found(world: Reflections, name: str) -> float | None:
    """Kill a member, and wait."""
    world.crash(name)
    began = world.now
    while world.now - began < WITHIN:
        world.run(0.1)
        held = [view for node in world.running.values() for view in node.members]
        views = [view for view in held if view.name == name]
        if all(view.status is Status.FAILED for view in views):
            return world.now - began
    return None


def seconds_until_joined(world: Reflections) -> float | None:
    """Start a new node, and wait."""
    world.add("new", seeds=["n0"])
    began = world.now
    names = set(world.running)
    while world.now - began < WITHIN:
        world.run(0.1)
        if all(names <= {v.name for v in node.members} for node in world.running.values()):
            return world.now - began
    return None


def run(*statuses: Status, seed: int = 1, nodes: int = 5) -> Outcome:
    """One cluster beside ghosts of these statuses by turns."""
    world = Reflections(seed)
    world.cluster(nodes)
    assert world.run_until_settled(10)
    world.increment("n0")
    world.let_in()
    world.run(2)
    told = tell_of_as_many_as_a_table_holds(world, statuses)
    found = seconds_until_found(world, f"n{nodes - 1}")
    joined = seconds_until_joined(world)
    held = max(len(node.members) for node in world.running.values())
    return Outcome(found, joined, world.node("new").ready, held, ack(world), told)


KINDS: tuple[tuple[Status, ...], ...] = (
    (Status.ALIVE,),
    (Status.FAILED,),
    (Status.LEFT,),
    (Status.ALIVE, Status.SUSPECT, Status.FAILED, Status.LEFT, Status.FORGOTTEN),
)


def main() -> int:
    """The program."""
    kept = True
    for kind in KINDS:
        found = run(*kind)
        kept = kept and None not in (found.found_after, found.joined_after)
        print(
            f"{', '.join(status.name.lower() for status in kind):40} killed one found after "
            f"{found.found_after} s, newcomer in after {found.joined_after} s (ready: "
            f"{found.ready}), {found.held:,} held, ack {1000 * found.ack:.2f} ms, told "
            f"{1000 * found.told:.2f} ms"
        )
    return int(not kept)


if __name__ == "__main__":
    sys.exit(main())
