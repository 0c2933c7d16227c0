"""What clients are promised of one increment: how many hold it, and that a read includes it.

I4: who waited for durable copies is told of no more than there are disks with it at that moment,
so it survives the destruction of all of them but one. Q3: what a client was told that it was not
counted does not count. Q5: a node that says that it counts an increment has a count with it, so a
read that waited for that (`after=`) includes it, and one that did not end in time does not.
"""

from __future__ import annotations

from gossipd.core import Node
from tests.simulation.faulty.world import World

from .ghosts import Ghosts

_LATEST = 4
"""Increments, the latest ones, that every node is asked about in each check."""

_STRIDE = 7919
"""And an older one, another each time: so many further on than the last."""


class PromiseChecker:
    """I4 of copies, Q5 of reads."""

    def __init__(self, world: World, ghosts: Ghosts) -> None:
        self._world = world
        self._ghosts = ghosts
        self._answered = 0
        self._reads_seen = 0
        self._older = 0

    def check(self, nodes: dict[str, Node]) -> None:
        """Look at what was told since the last time, and ask all running nodes."""
        for told in self._world.answered[self._answered :]:
            what = f"{told.made.host} told that {told.told} hold {told.made}"
            assert told.enough == (told.told >= told.wanted), f"I4: {what}, of {told.wanted}"
            known = told.memory or told.told <= told.disks
            assert known, f"I4: {what}, it was on {told.disks} disks"
        self._answered = len(self._world.answered)
        for read in self._world.reads[self._reads_seen :]:
            if not self._ghosts.is_shared(read.made.stream):
                what = f"{read.host} ended a read after {read.made} as {read.included}"
                right = read.included == read.true or not (read.exact or read.included)
                assert right, f"Q5: {what}"
        self._reads_seen = len(self._world.reads)
        for denied in self._world.denied:
            for name, node in nodes.items():
                held, _ = node.log.register(denied.stream, denied.counter)
                what = f"its client was told that {denied} does not count"
                assert held < denied.seq, f"Q3: {name} counts up to {held}: {what}"
        made = self._world.made
        if made:
            self._older = (self._older + _STRIDE) % len(made)
            for one in (*made[-_LATEST:], made[self._older]):
                if self._ghosts.is_shared(one.stream):
                    continue
                for name, node in nodes.items():
                    said = node.counted(one.stream, one.seq)
                    held, _ = node.log.register(one.stream, one.counter)
                    assert held >= one.seq or not said, f"Q5: {name} says it counts {one}: {held}"
