"""All safety checks of one world in one call, often."""

from __future__ import annotations

from collections.abc import Container

from gossipd.core import Frame, Stream, TagFrame
from tests.simulation.faulty.world import World

from .bounds import check_bounds
from .disks import DiskChecker
from .ghosts import Ghosts
from .keepers import KeyKeeperChecker
from .keyed import Keyed
from .liveness import check_agreement, check_sums
from .logs import LogChecker
from .merging import check_merging
from .promises import PromiseChecker
from .retries import RetryChecker
from .tables import TableChecker, Words
from .wire import WireChecker

FULL_EVERY = 16
"""Every so many checks everything is read and computed again, not only what seems to have
changed."""


class Checker:
    """Compares the nodes of a world with what was made and said in it."""

    def __init__(self, world: World, frame: Frame | None = None, *, wire: bool = True) -> None:
        """`frame` opens the world's datagrams, by default those of the cluster "sim". Without
        `wire` they are not looked at, which costs less and finds less."""
        self._world = world
        self._ghosts = Ghosts(world)
        words = Words(all_heard=wire)
        self._tables = TableChecker(world, words)
        self._logs = LogChecker(self._ghosts)
        self._keyed = Keyed(world, self._ghosts)
        self._disks = DiskChecker(world, self._ghosts, self._keyed)
        self._promises = PromiseChecker(world, self._ghosts)
        self._keepers = KeyKeeperChecker(world, self._keyed)
        self._retries = RetryChecker(world, self._ghosts, self._keyed)
        self._wire: WireChecker | None = None
        if wire:
            frame = frame or TagFrame("sim")
            parts = (self._ghosts, self._keyed, words, self._disks, frame)
            self._wire = WireChecker(world, *parts)
        self._checks = 0

    def check(self, full: bool = False) -> None:
        """Raise `AssertionError` unless I1 to I4, I6 to I12 and Q5 hold now.

        Costs what has changed since the last time, unless `full`, and every `FULL_EVERY` times.
        """
        full = full or self._checks % FULL_EVERY == 0
        self._checks += 1
        self._ghosts.read()
        self._keyed.read()
        self._retries.read()
        self._disks.read()
        nodes = self._world.running
        self._logs.check(nodes, full)
        if self._wire is not None:
            self._wire.check()
        self._disks.check(nodes, full)
        self._keepers.check(nodes, full)
        self._promises.check(nodes)
        self._tables.check(nodes, full)
        for name, node in nodes.items():
            check_bounds(self._world, self._ghosts, name, node)

    def check_rest(
        self, lost: Container[Stream] = (), forgotten: Container[tuple[Stream, int]] = ()
    ) -> None:
        """Raise `AssertionError` unless everything holds that must hold once the faults have
        stopped and all agree (also I5, Q1, Q3 and Q4); `lost`: see `check_sums`; `forgotten`:
        (stream, seq) of events whose key records were destroyed.

        For Q4 it retries every increment whose key must be remembered on every node.
        """
        self.check(full=True)
        check_agreement(self._world)
        check_sums(self._world, self._ghosts, lost)
        self._keyed.check_once(self._world.running, forgotten)
        check_merging(self._world)
        self._retries.check_rest(forgotten)
        self.check()
        self._ghosts.check_clones()

    def meddled(self, name: str) -> None:
        """A test has changed the log of a node by hand."""
        self._logs.meddled(self._world.node(name))

    def share(self, stream: Stream) -> None:
        """The process that writes `stream` has a live clone from now on: I1 excepts that one,
        and `check_rest` demands that it was noticed."""
        self._ghosts.share(stream)

    def check_once(self, forgotten: Container[tuple[Stream, int]] = ()) -> None:
        """Q3 of keys alone: raise unless each logical operation counts once; see `check_rest`."""
        self._keyed.read()
        self._keyed.check_once(self._world.running, forgotten)

    def over(self, name: str) -> dict[str, int]:
        """By how much each counter of a node is more than the sum over logical operations."""
        self._keyed.read()
        return self._keyed.over(self._world.node(name))

    def expected(self, counter: str) -> int:
        """The sum over everything that was committed anywhere, acknowledged or not."""
        return sum(made.by for made in self._world.made if made.counter == counter)
