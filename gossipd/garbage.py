"""Keeps Python's collector away from what the log holds: it has no cycles, and it stays.

A search through a million registers holds the loop for a quarter of a second, and it comes again
each time that there is a quarter more. Even the youngest generation is slow once the largest
table has come back into it. What is frozen is searched no more; it is still freed by its last
reference. A cycle that was alive at that moment is not, so it is done rarely: only when the log
has become larger than ever.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

from gossipd.core import Node

STEP_MIN = 10_000
"""Registers and keys that come before it is done again; a search through those is short."""

STEP = 0.1
"""And this share of those that are held: it happens about a hundred times until a log is full."""


class Garbage:
    """Of one node's log."""

    def __init__(self, node: Node) -> None:
        self._log = node.log
        self._next = STEP_MIN

    def look(self) -> None:
        """Freeze if there is much more now; cheap enough for every datagram."""
        held = self._log.register_count + len(self._log.keys)
        if held >= self._next:
            gc.freeze()
            self._next = int(held * (1 + STEP)) + STEP_MIN

    @contextmanager
    def loading(self) -> Iterator[None]:
        """While all that a disk has is taken in, which is then frozen."""
        gc.disable()
        try:
            yield
        finally:
            gc.enable()
        self.look()
