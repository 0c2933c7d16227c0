"""Forged verdicts on members that live, again and again, faster than anybody could refute them:

    python -m tests.fuzz.attacks.verdicts

A member that answers is worth more than what others say of it: nobody ever holds it as gone.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

from gossipd.core import MemberChanged, Refuted, Status
from gossipd.core.wire.messages import Gossip
from tests.simulation.faulty.world import World

from .hostile import (
    Hostile,
    away,
    cluster,
    ended,
    view_of,
)

SECONDS = 10.0
PACE = 20
"""Lies in a second."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a cluster."""

    away: float
    """The part of looks at which a member that lives was held as gone."""
    changes: int
    """Effects that a log would tell of."""
    pings: int
    """Datagrams that the nodes sent each other."""
    ended: list[str]
    away_at_end: list[tuple[str, str]]
    agrees: bool


def lie(world: World, liar: Hostile, status: Status, number: int) -> None:
    """One verdict on n1, told to somebody else in the name of n1 itself or of n2."""
    view = view_of(world, "n1")
    lies = [
        view._replace(incarnation=view.incarnation + number % 3, status=status, accusers=("n2",)),
        view._replace(generation=view.generation + number % 2, status=status),
    ]
    speaker = view_of(world, ("n1", "n2")[number % 2])
    liar.say("n0", Gossip(), lies, speaker=speaker, source=world.hosts[speaker.name].address)


def run(status: Status, *, count: int = 3, seed: int = 1, loss: float = 0.0) -> Outcome:
    """Let forged verdicts rain on one member, and the cluster recover."""
    world = cluster(seed, count)
    liar = Hostile(world)
    world.network.loss = loss
    effects, sent = len(world.effects), sum(world.sent.values())
    looks = gone = 0
    for number in range(int(SECONDS * PACE)):
        lie(world, liar, status, number)
        for _ in range(10):
            world.run(0.1 / PACE)
            looks += 1
            gone += bool(away(world))
    seen = [effect for _, _, effect in world.effects[effects:]]
    changes = sum(isinstance(effect, MemberChanged | Refuted) for effect in seen)
    pings = sum(world.sent.values()) - sent
    world.network.loss = 0.0
    world.run(30)
    tables = {node.members_fingerprint for node in world.running.values()}
    return Outcome(gone / looks, changes, pings, ended(world), away(world), len(tables) == 1)


def main() -> int:
    """The program."""
    print(f"{PACE} verdicts a second for {SECONDS:.0f} s on one member of some")
    for count in (3, 8):
        for status in list(Status)[1:]:
            found = run(status, count=count)
            print(
                f"{count} nodes, {status.name.lower():9}: away {found.away:6.1%} of looks, "
                f"{found.changes:4} changes, {found.pings:5} datagrams, at the end: "
                f"ended {found.ended}, away {found.away_at_end}, agree {found.agrees}"
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
