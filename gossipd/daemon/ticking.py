"""What a node does about once a second, beside what it is asked for.

A process that does nothing is best left asleep. So this waits for an input, with which the node is
awake anyway, as it is each second where it has members to probe; a timer rings only where there is
none for long.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

log = logging.getLogger(__name__)

TICK, TICK_LATEST = 0.9, 1.5
"""Seconds between two ticks: the first with an input, else the second."""


class Ticking:
    """That of one node."""

    def __init__(self, *acts: Callable[[float], None]) -> None:
        """`acts` are called with the time on the monotonic clock, whatever becomes of others."""
        self._acts = acts
        self._timer: asyncio.TimerHandle | None = None
        self._at = float("-inf")

    def start(self) -> None:
        """Tick from now on."""
        self._tick(time.monotonic())

    def awake(self, now: float) -> None:
        """There was an input."""
        if now - self._at >= TICK and self._timer is not None:
            self._tick(now)

    def stop(self) -> None:
        """Tick no longer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tick(self, now: float) -> None:
        self.stop()
        self._at = now
        self._timer = asyncio.get_running_loop().call_later(TICK_LATEST, self.start)
        for act in self._acts:
            try:
                act(now)
            except Exception:
                log.exception("this is a bug in gossipd")
