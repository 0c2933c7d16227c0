"""One timer per connection for a deadline that moves with every packet.

Moving the deadline later, as every packet does, costs nothing: the timer finds out when it fires.
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
        self._at = NEVER
        self._armed_at = NEVER
        self._timer: asyncio.TimerHandle | None = None

    def set(self, at: float) -> None:
        self._at = at
        if at < self._armed_at:
            self._arm(at)

    def end(self) -> None:
        """`expired` is not called, or held, any more."""
        self._expired = _nothing
        self._at = self._armed_at = NEVER
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._armed_at = at
        self._timer = self._loop.call_at(at, self._fire)

    def _fire(self) -> None:
        self._timer, self._armed_at = None, NEVER
        if self._loop.time() >= self._at:
            self._at = NEVER
            self._expired()
        elif self._at != NEVER:
            self._arm(self._at)


def _nothing() -> None:
    pass
