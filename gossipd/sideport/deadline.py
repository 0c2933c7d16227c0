"""One timer per connection for a deadline that moves with every packet.

Moving the deadline later, as every packet does, costs nothing: the timer finds out when it fires.
So whoever moves it sets `at`, and tells the timer only where that is before `armed_at`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

NEVER = float("inf")


class Deadline:
    """Calls `expired` once the loop's clock has passed the instant that was set last."""

    def __init__(self, loop: asyncio.AbstractEventLoop, expired: Callable[[], None]) -> None:
        self._loop = loop
        self._expired = expired
        self.at = NEVER
        self.armed_at = NEVER
        self._timer: asyncio.TimerHandle | None = None

    def arm(self) -> None:
        """`at` is sooner than the timer."""
        if self._timer is not None:
            self._timer.cancel()
        self.armed_at = self.at
        self._timer = self._loop.call_at(self.at, self._fire)

    def end(self) -> None:
        """`expired` is not called, or held, any more."""
        self._expired = _nothing
        self.at = self.armed_at = NEVER
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _fire(self) -> None:
        self._timer, self.armed_at = None, NEVER
        if self._loop.time() >= self.at:
            self.at = NEVER
            self._expired()
        elif self.at != NEVER:
            self.arm()


def _nothing() -> None:
    pass
