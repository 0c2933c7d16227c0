"""Watches a world: detection, false verdicts, convergence and traffic, in flat memory.

The effects of a world are consumed: they are read once, in order, and dropped. What happened is
judged by the state at that moment, so that faults which matter to a judgement (kills,
partitions) are made through this object, which first reads what came before them. It draws no
random numbers and asks nodes nothing but queries, so a watched world runs as an unwatched one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

from gossipd.core import Incremented, Learned, MemberChanged, Stream
from gossipd.simulator.engine import AnyWorld
from gossipd.simulator.spread import Spread
from gossipd.simulator.traffic import Traffic
from gossipd.simulator.verdicts import Verdicts

READ_INTERVAL = 1.0
"""Simulated seconds between two readings while time passes."""


class Made(NamedTuple):
    """The newest increment that `host` made in a register."""

    host: str
    seq: int
    total: int
    """The sum of `by` up to it."""


class Measures:
    """Watches from its beginning on."""

    def __init__(self, world: AnyWorld, bucket: float = math.inf) -> None:
        """`bucket`: length of the stretches of `spread.over_time`, seconds."""
        self._world = world
        self.verdicts = Verdicts(world)
        self.spread = Spread(world.now, bucket)
        self.traffic = Traffic(world)
        self.made: dict[tuple[Stream, str], Made] = {}
        """The newest increment of every register: what a complete log holds."""
        self._running = world.running
        self._names = set(self._running)
        world.effects.clear()

    # --- time and faults -----------------------------------------------------------------------

    def run(self, seconds: float) -> None:
        """Let time pass in the world."""
        until = self._world.now + seconds
        while self._world.now < until:
            self._world.run(min(READ_INTERVAL, until - self._world.now))
            self.read()

    def kill(self, name: str) -> None:
        """End a process without a word; it is watched how others find out."""
        self.read()
        self._world.crash(name)
        self.verdicts.killed(name, self._names - {name}, self._world.now)
        self._follow_processes()

    def partition(self, *groups: Iterable[str]) -> None:
        """Let nothing pass between groups of hosts."""
        self.read()
        sides = [list(group) for group in groups]
        self._world.partition(*sides)
        self.verdicts.parted(
            {name: number for number, side in enumerate(sides) for name in side}, self._world.now
        )
        self.spread.part()

    def heal(self) -> None:
        """Undo all cuts."""
        self.read()
        self._world.network.heal()
        self.verdicts.healed(self._world.now)

    # --- reading -------------------------------------------------------------------------------

    def read(self) -> None:
        """Take in and drop what has happened since the last reading."""
        self._follow_processes()
        self.traffic.read(len(self._running))
        for at, host, effect in self._world.effects:
            match effect:
                case MemberChanged():
                    self.verdicts.changed(at, host, effect)
                case Incremented():
                    self._incremented(at, host, effect)
                case Learned():
                    for advance in effect.advances:
                        self.spread.arrived(at, host, advance)
        self._world.effects.clear()
        self.spread.sweep()

    def _incremented(self, at: float, host: str, effect: Incremented) -> None:
        for advance in effect.advances:
            place = (advance.stream, advance.counter)
            total = self.made[place].total if place in self.made else 0
            self.made[place] = Made(host, advance.seq, total + advance.by)
            self.spread.increment(at, host, advance, self._names, self.verdicts.apart)

    def _follow_processes(self) -> None:
        """Notice who runs, also those that began or ended by themselves."""
        running = self._world.running
        for name, node in self._running.items():
            if running.get(name) is not node:
                self._gone(name)
        self._running, self._names = running, set(running)

    def _gone(self, name: str) -> None:
        self.verdicts.gone(name, self._world.now)
        self.spread.gone(name)
