"""Keeps Python's collector from holding the loop: what lives is not searched while it is much.

A search through a million registers takes a quarter of a second, and it comes again each time that
there is a quarter more. The log has no cycles, and it stays: it is frozen, which is to say
searched no more; it is still freed by its last reference. A cycle that was alive at that moment is
not, so it is done rarely: only when the log has become larger than ever.

What thousands of clients ask at once may be as much, so nothing old is searched of the collector's
own accord. Nothing that comes with each request has cycles; the few others, of failures and the
like, wait for a moment with few clients. What is young is searched as ever, a few thousand objects
at a time.

After a crowd the C library keeps what its connections took, for what lives lies in between: it is
asked once to give that back. What Python keeps in the same way (12 MiB after 5,000 connections)
nobody can ask for; the next crowd takes none besides.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from gossipd.core import Node

STEP_MIN = 10_000
"""Registers and keys that come before it is done again; a search through those is short."""

STEP = 0.1
"""And this share of those that are held: it happens about a hundred times until a log is full."""

SEARCH_INTERVAL = 60.0
"""Seconds between two searches through all that is not frozen, where few clients are connected."""

FEW = 100
"""Connections that a search may find: each has a few hundred objects at most."""

SEARCH_WITHIN = 3600.0
"""Seconds after which all is searched however many there are: memory must not fill for ever."""

NEVER = 1_000_000_000


class Garbage:
    """Of one node. `connections`: how many clients are connected."""

    def __init__(self, node: Node, connections: Callable[[], int]) -> None:
        self._log = node.log
        self._connections = connections
        self._next = STEP_MIN
        self._searched_at = time.monotonic()
        self._was_crowded = False
        """Whether there were many since the last search."""

    def look(self) -> None:
        """Freeze if there is much more now, search if it is time."""
        held = self._log.register_count + len(self._log.keys)
        few = self._connections() <= FEW
        self._was_crowded |= not few
        if held >= self._next:
            self._freeze()
        elif (ago := time.monotonic() - self._searched_at) >= SEARCH_INTERVAL and (
            few or ago >= SEARCH_WITHIN
        ):
            gc.collect()
            self._searched_at = time.monotonic()
            if self._was_crowded and few:
                self._was_crowded = False
                _give_back()

    @contextmanager
    def loading(self) -> Iterator[None]:
        """While all that a disk has is taken in, which is then frozen like the program itself."""
        gc.disable()
        try:
            yield
        finally:
            gc.enable()
        gc.set_threshold(*gc.get_threshold()[:2], NEVER)
        self._freeze()

    def _freeze(self) -> None:
        gc.freeze()
        held = self._log.register_count + len(self._log.keys)
        self._next = int(held * (1 + STEP)) + STEP_MIN


def _give_back() -> None:
    """Let the system have what the C library keeps; glibc's has such a call, which takes a
    millisecond."""
    import ctypes  # seldom needed, and some 400 KiB

    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
