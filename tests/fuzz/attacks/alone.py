"""Lies that keep a node from answering counts which has nobody to join, and is alone:

    python -m tests.fuzz.attacks.alone

Who says that it holds such a node as a member makes it wait, for it may have lost its state. So it
may be lied to, but not for ever, and not twice: each attack ends, however long it is kept up.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from typing import NamedTuple

from gossipd.core import Settings
from gossipd.core.swim.readiness import HELD_BACK_MAX, LISTENS_MAX
from gossipd.core.wire.messages import (
    Ack,
    Cookie,
    Digest,
    DigestAsk,
    Join,
    Pages,
    PassAsk,
    Ping,
    Shown,
    Standing,
)
from gossipd.core.wire.records import Leaf
from tests.simulation.faulty.world import World
from tests.unit.core.talk import page, stream

from .hostile import Hostile

STEP = 0.05
SETTINGS = Settings(ready_after=2.0)
KEPT_UP = 2.0 * HELD_BACK_MAX * SETTINGS.ready_after
"""Seconds for which an attack goes on."""

BOUND = LISTENS_MAX * SETTINGS.alone_after + HELD_BACK_MAX * SETTINGS.ready_after + 1
"""Seconds for which it may keep a node from being ready, in all."""


class Liar(Hostile):
    """Somebody that calls itself the member of a cluster."""

    told = 0

    def comes(self) -> None:
        """Ping the node by its name; once challenged ask to be taken in."""
        self.say("n0", Ping(1, "n0", self.shown))

    @property
    def shown(self) -> Shown:
        """Another fingerprint each time."""
        self.told += 1
        return Shown(self.told, 0, True)

    def answer(self, *, tells: bool) -> None:
        """Answer what the node asks; `tells`: counts, too, one after the other, without end."""
        for _, said in self.heard():
            match said.message:
                case Cookie(_, cookie) if cookie:
                    self.say("n0", Join(1, self.address, (), cookie, Standing.HOLDER))
                case Ping(nonce):
                    self.say("n0", Ack(nonce, self.shown))
                case DigestAsk(nonce, depth, prefix) if tells:
                    leaves = (Leaf(stream(1), 2**40, 9),)
                    self.say("n0", Digest(nonce, depth, prefix, leaves, None))
                case PassAsk(nonce, items) if tells:
                    _, last = items[0].after
                    self.told += 1
                    after, name = str(last), f"{self.told:09}"
                    register = (name, self.told, 1)
                    told = page(1, (register,), self.told, after if last else "", name)
                    self.say("n0", Pages(nonce, (told,), True))
                case _:
                    pass


def strangers_that_ping(world: World) -> Iterator[None]:
    """From addresses that nobody reads."""
    for number in count():
        Liar(world, f"p{number}", (f"192.0.2.{number % 250}", 1000 + number % 50_000)).comes()
        yield


def a_holder(world: World, *, tells: bool) -> Iterator[None]:
    """It shows other counts all the time."""
    liar = Liar(world)
    liar.comes()
    while True:
        liar.answer(tells=tells)
        yield


def holders_one_after_the_other(world: World) -> Iterator[None]:
    """Each comes as soon as the last one was found out."""
    for number in count():
        liar = Liar(world, f"liar{number}", (f"192.0.2.{number % 250}", 1000 + number % 50_000))
        liar.comes()
        while number == 0 or not world.node("n0").ready:
            liar.answer(tells=False)
            yield
            if number == 0 and world.now > 60:
                break
        yield


ATTACKS: dict[str, Callable[[World], Iterator[None]]] = {
    "strangers that ping": strangers_that_ping,
    "a holder that tells nothing": partial(a_holder, tells=False),
    "a holder that tells without end": partial(a_holder, tells=True),
    "one holder after the other": holders_one_after_the_other,
}


class Outcome(NamedTuple):
    """What became of the node."""

    unready: float
    """Seconds for which it was not ready, in all."""
    lives: bool
    ready: bool
    """At the end, while the attack goes on."""


def run(name: str, early: bool) -> Outcome:
    """Let an attack go on; `early`: from the start of the node, else once it is ready."""
    world = World(1, SETTINGS)
    world.add("n0")
    if not early:
        world.run(5)
        assert world.node("n0").ready
    unready, until, attack = 0.0, world.now + KEPT_UP, ATTACKS[name](world)
    while world.now < until and "n0" in world.running:
        next(attack)
        unready += STEP * (not world.node("n0").ready)
        world.run(STEP)
    lives = "n0" in world.running
    return Outcome(unready, lives, lives and world.node("n0").ready)


def main() -> int:
    """The program."""
    held = True
    for name in ATTACKS:
        for early in (True, False):
            found = run(name, early)
            held = held and found.ready and found.unready < BOUND
            when = "from its start on" if early else "once it is ready"
            print(
                f"{name:32} {when:17}  not ready for {found.unready:5.1f} s of {KEPT_UP:g} s, "
                f"{'ready' if found.ready else 'NOT READY'} while it goes on"
            )
    return not held


if __name__ == "__main__":
    sys.exit(main())
