"""The next deadline of the core, on a timer of the loop.

A timer that is late first lets the socket be read: what explains it may be waiting there.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from gossipd.core import Node
from gossipd.daemon.inbox import Inbox
from gossipd.daemon.udp import Udp

MOMENT = 0.001
"""The shortest wait that a loop's timer can tell apart from none, seconds."""

LONG = 0.05
"""A timer that waits longer rings a moment later: one that rings too early, as loops count in
milliseconds, wakes the process in vain."""

READ_FIRST_MAX = 50
"""Turns of the loop for which a late timer waits while datagrams keep coming in."""


class Deadline:
    """That of one node."""

    def __init__(
        self,
        node: Node,
        udp: Udp,
        inbox: Inbox,
        stall_after: float,
        passed: Callable[[float, float], None],
    ) -> None:
        """`stall_after`: seconds from which on a timer is late. `passed`: called with the time,
        and by how much that is behind the deadline."""
        self._node = node
        self._udp = udp
        self._inbox = inbox
        self._stall_after = stall_after
        self._passed = passed
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._at: float | None = None

    def set(self) -> None:
        """The core has had an input: its deadline may be another one."""
        at = self._node.next_timeout
        if at == self._at:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._at = at
        # Not the loop's clock, which uvloop rounds to milliseconds: round trips are shorter.
        wait = 0.0 if at is None else max(MOMENT, at - time.monotonic())
        if wait >= LONG:
            wait += MOMENT
        self._timer = None if at is None else self._loop.call_later(wait, self._ring)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _ring(self, turns: int = 0, received: int = -1) -> None:
        """Whatever raises, there is a next timer."""
        try:
            self._look(turns, received)
        except Exception:
            self._at = None
            self.set()
            raise

    def _look(self, turns: int, received: int) -> None:
        self._inbox.hurry()
        at, now = self._at, time.monotonic()
        came = self._udp.received_count
        late = at is not None and now - at > self._stall_after
        if late and came != received and turns < READ_FIRST_MAX:
            self._timer = self._loop.call_later(MOMENT, self._ring, turns + 1, came)
            return
        self._at = None
        if at is not None and now >= at:
            self._passed(now, now - at)
        else:
            self.set()  # loops count in milliseconds and may fire a moment early
