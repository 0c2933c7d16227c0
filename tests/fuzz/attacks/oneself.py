"""Lies about a node that it is told itself, or that it is to draw conclusions from:

    python -m tests.fuzz.attacks.oneself

Each attack once ended a node, or all of them, with a datagram or a few. Now none does: nodes live
on, hold each other as live, and agree once the liar is silent.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass

from gossipd.core import Address, Status
from gossipd.core.identity import GENERATION_MAX, INCARNATION_MAX
from gossipd.core.wire.messages import (
    Cookie,
    Gossip,
    Join,
    Refusal,
    Refuse,
    Shown,
    Standing,
    Welcome,
)
from tests.simulation.faulty.world import World

from .hostile import (
    Hostile,
    away,
    cluster,
    ended,
    view_of,
)

ELSEWHERE: Address = ("192.0.2.99", 7946)
"""Where nobody is."""


def largest_generations(world: World, liar: Hostile) -> int:
    """One datagram in a member's name: everybody is failed in the largest generation."""
    lies = [
        view_of(world, name)._replace(generation=GENERATION_MAX, status=Status.FAILED)
        for name in world.running
    ]
    return liar.say("n0", Gossip(), lies, speaker=view_of(world, "n1"))


def one_in_a_members_name(world: World, liar: Hostile) -> int:
    """One view, from an address that has proven nothing."""
    lie = view_of(world, "n0")._replace(generation=GENERATION_MAX, status=Status.LEFT)
    return liar.say("n0", Gossip(), [lie], speaker=view_of(world, "n1"))


def largest_incarnations(world: World, liar: Hostile) -> int:
    """Each member is failed in its largest incarnation, and says so itself."""
    size = 0
    for name in list(world.running):
        view = view_of(world, name)._replace(incarnation=INCARNATION_MAX)
        size += liar.say("n0", Gossip(), [view._replace(status=Status.FAILED)], speaker=view)
    return size


def three_larger_generations(world: World, liar: Hostile) -> int:
    """Of itself, one after the other."""
    size = 0
    for step in (1, 2, 3):
        own = view_of(world, "n0")
        lie = own._replace(generation=own.generation + step * 10**6)
        size += liar.say("n0", Gossip(), [lie], speaker=view_of(world, "n1"))
        world.run(0.1)
    return size


def lives_elsewhere(world: World, liar: Hostile) -> int:
    """The node's name lives somewhere else; said for half a minute."""
    size = 0
    for number in range(60):
        own = view_of(world, "n0")
        lie = own._replace(address=ELSEWHERE, generation=own.generation + 1)
        to = "n0" if number < 40 else ("n1", "n2")[number % 2]
        size += liar.say(to, Gossip(), [lie], speaker=view_of(world, "n1"))
        world.run(0.5)
    return size


def unasked_cookie_and_refusal(world: World, liar: Hostile) -> int:
    """A cookie that nobody has asked for, so that the node's join tells a nonce for a refusal."""
    own = view_of(world, "n0")
    size = 0
    twin = own._replace(generation=own.generation + 1)
    for speaker in (None, view_of(world, "n1"), twin) * 12:
        liar.heard()
        size += liar.say("n0", Cookie(0, b"12345678", own.address), speaker=speaker)
        for _, said in liar.heard():
            if isinstance(said.message, Join):
                refuse = Refuse(
                    said.message.nonce, Refusal.NAME_TAKEN, ELSEWHERE, own.generation + 5
                )
                size += liar.say("n0", refuse, speaker=speaker)
        world.run(1)
    return size


def refusals_of_a_seed(world: World, liar: Hostile) -> int:
    """A seed refuses, for somebody who is not there, and for a generation that is far too low."""
    world.place("liar", liar.address)
    world.join("n0", ["liar"])
    size = 0
    for number in range(100):
        liar.heard()
        world.run(0.2)
        for _, said in liar.heard():
            if isinstance(said.message, Join):
                reason, later = Refusal(number % 2), GENERATION_MAX - number
                refuse = Refuse(said.message.nonce, reason, ELSEWHERE, later)
                size += liar.say("n0", refuse)
    return size


def unasked_welcomes(world: World, liar: Hostile) -> int:
    """Welcomes with every nonce that it can think of."""
    shown = Shown(0, 0, True)
    lie = view_of(world, "n0")._replace(generation=GENERATION_MAX)
    return sum(liar.say("n0", Welcome(nonce, shown), [lie]) for nonce in range(20))


def a_namesake_that_joins(world: World, liar: Hostile) -> int:
    """Somebody joins under the node's name, as its holder and with a later generation, and then
    says nothing more."""
    liar.name = "n0"
    liar.generation = view_of(world, "n0").generation + 1000
    size = 0
    for to in ("n1", "n2", "n0"):
        cookie = b""
        for _ in range(2):
            liar.heard()
            size += liar.say(to, Join(1, liar.address, (), cookie, Standing.HOLDER))
            cookies = [said.message for _, said in liar.heard()]
            cookie = next((m.cookie for m in cookies if isinstance(m, Cookie)), b"")
    return size


ATTACKS: dict[str, Callable[[World, Hostile], int]] = {
    attack.__name__: attack
    for attack in (
        largest_generations,
        one_in_a_members_name,
        largest_incarnations,
        three_larger_generations,
        lives_elsewhere,
        unasked_cookie_and_refusal,
        refusals_of_a_seed,
        unasked_welcomes,
        a_namesake_that_joins,
    )
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a cluster that was lied to."""

    size: int
    """Bytes that the liar sent."""
    ended: list[str]
    """Hosts whose node has ended."""
    away: list[tuple[str, str]]
    """Who holds whom as not live at the end."""
    agrees: bool
    """Whether those that are left agree."""


def run(name: str, seed: int = 1) -> Outcome:
    """Let an attack happen, and the cluster recover."""
    world = cluster(seed)
    liar = Hostile(world)
    size = ATTACKS[name](world, liar)
    world.run(30)
    nodes = world.running.values()
    tables = {node.members_fingerprint for node in nodes}
    return Outcome(size, ended(world), away(world), len(tables) == 1)


def main() -> int:
    """The program."""
    print(f"{'attack':28} {'bytes':>6}  what became of three nodes")
    worst = 0
    for name in ATTACKS:
        outcome = run(name)
        lost = outcome.ended or outcome.away or not outcome.agrees
        worst |= bool(lost)
        text = f"ended {outcome.ended}, away {outcome.away}, agree {outcome.agrees}"
        print(f"{name:28} {outcome.size:6}  {text if lost else 'all live and agree'}")
    return worst


if __name__ == "__main__":
    sys.exit(main())
