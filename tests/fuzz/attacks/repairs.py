"""An accepted peer that always differs: it asks to be repaired with, and answers without end:

    python -m tests.fuzz.attacks.repairs

Beside it one node lacks what another one holds, and gossip has brought none of it. It must get
that all the same, and remember nothing for ever of what was made up.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import NamedTuple

from gossipd.core.wire.messages import (
    Ack,
    Cookie,
    Digest,
    DigestAsk,
    Hello,
    Join,
    Message,
    Pages,
    PassAsk,
    Ping,
    Shown,
    Standing,
)
from gossipd.core.wire.records import END, Leaf, Page
from tests.simulation.faulty.world import World
from tests.simulation.tables import tables

from .hostile import Hostile, cluster

SECONDS = 45.0
SHORTER = 2.0
"""For what costs much; then only tables are looked at."""

EVERY = 0.05
"""Seconds between two looks of the liar at what was sent to it."""

LACKED = 100
"""Registers of one counter each: too many to be told on as news."""

TABLE_MAX = 15_000
"""Items that any table of a node may have: the prefixes of one walk are the most."""


class Outcome(NamedTuple):
    """What came of it."""

    found_after: float | None
    """Seconds until the one that lacked something had it."""
    largest: tuple[int, str]
    """The largest table of any node, and which."""

    @property
    def is_harmless(self) -> bool:
        """Whether it was in time, and took little room."""
        return self.found_after is not None and self.largest[0] <= TABLE_MAX


class Insatiable(Hostile):
    """A good member, but for what it shows, and answers about its log."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.made_up = 0

    def behave(self, answer: Callable[[Insatiable, str, Message], None]) -> None:
        """Listen, answer, and show each node another log than it has."""
        for by, said in self.heard():
            match said.message:
                case Ping(nonce, _, _):
                    self.say(by, Ack(nonce, self.shown(by)))
                case Hello(nonce, _) if nonce:
                    self.say(by, Hello(0, nonce))
                case Cookie(_, cookie, _) if cookie:
                    self.say(by, Join(1, self.address, (), cookie, Standing.NEWCOMER))
                case DigestAsk() | PassAsk():
                    answer(self, by, said.message)
        for name in self.world.running:
            self.say(name, Ping(1, name, self.shown(name)))

    def shown(self, to: str) -> Shown:
        self.made_up += 1
        return Shown(self.made_up, self.world.node(to).members_fingerprint, True)

    def leaves(self, count: int) -> tuple[Leaf, ...]:
        """Streams that nobody has."""
        self.made_up += count
        numbers = range(self.made_up, self.made_up + count)
        return tuple(Leaf(number.to_bytes(10, "big"), 0, number) for number in numbers)


# --- attacks -------------------------------------------------------------------------------------


def sums_without_end(liar: Insatiable, by: str, asked: Message) -> None:
    """All below each prefix differs, also below those that nobody has asked for."""
    match asked:
        case DigestAsk(nonce, depth, prefix):
            sums = tuple(range(1, 65))
            liar.say(by, Digest(nonce, depth, prefix, None, sums))
            for child in range(0, 64, 4):
                liar.say(by, Digest(nonce, depth + 1, prefix * 64 + child, None, sums))


def streams_without_end(liar: Insatiable, by: str, asked: Message) -> None:
    """Ever other streams, of which then nothing is told."""
    match asked:
        case DigestAsk(nonce, depth, prefix):
            liar.say(by, Digest(nonce, depth, prefix, liar.leaves(30), None))
        case PassAsk(nonce, items):
            pages = tuple(Page(item.stream, item.start, item.after, END, 0, ()) for item in items)
            for first in range(0, len(pages), 8):
                liar.say(by, Pages(nonce, pages[first : first + 8], first + 8 >= len(pages)))


def pages_without_end(liar: Insatiable, by: str, asked: Message) -> None:
    """One stream with a counter more on each page, slowly."""
    match asked:
        case DigestAsk(nonce, depth, prefix):
            liar.say(by, Digest(nonce, depth, prefix, (Leaf(b"\1" * 10, 9, 9),), None))
        case PassAsk(nonce, items):
            for item in items:
                liar.made_up += 1
                upto = (0, f"c{liar.made_up:012}")
                register = ((upto[1], 9, 9),)
                page = Page(item.stream, item.start, item.after, upto, 9, register)
                liar.say(by, Pages(nonce, (page,), True))


ATTACKS: dict[str, Callable[[Insatiable, str, Message], None]] = {
    attack.__name__: attack
    for attack in (sums_without_end, streams_without_end, pages_without_end)
}


def run(name: str, seed: int = 1) -> Outcome:
    """One attack on three nodes, of which the first lacks something."""
    world = cluster(seed)
    liar = Insatiable(world)
    for to in world.running:
        assert liar.join(to)
    world.isolate("n0")
    for number in range(LACKED):
        world.increment("n1", f"lacked {number}")
    world.run(2.0)  # until nobody has it as news any more
    world.network.heal()
    began, found = world.now, None
    seconds = SHORTER if name == sums_without_end.__name__ else SECONDS
    while world.now - began < seconds:
        liar.behave(ATTACKS[name])
        world.run(EVERY)
        if found is None and world.node("n0").log.value(f"lacked {LACKED - 1}"):
            found = world.now - began
    largest = max(
        (size, path) for node in world.running.values() for path, size in tables(node).items()
    )
    return Outcome(found if seconds == SECONDS else 0.0, largest)


def main() -> int:
    """The program."""
    harmed = 0
    for name in ATTACKS:
        outcome = run(name)
        harmed += not outcome.is_harmless
        print(f"{name:20} {outcome}", flush=True)
    return int(harmed > 0)


if __name__ == "__main__":
    sys.exit(main())
