"""How a node ends: why, with which exit code, and by when it is gone whatever happens."""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections.abc import Callable, Sequence

from gossipd.config.config import Config
from gossipd.core import Effect, Node
from gossipd.daemon import notify
from gossipd.daemon.lines import fields
from gossipd.process import signals

log = logging.getLogger("gossipd")

STOP_SECONDS = 1.0
"""A node is gone so long after `leave_timeout`, whatever its disk and its clients do."""

LAST_SECONDS = 0.5
"""What remains of that after a second signal, and where the disk hangs already."""

LAST_SERVICE = 0.1
"""Seconds for which a node that hands its connections over still counts, before it leaves."""

SIGNALS_MAX = 2
"""Signals after which the next one ends the process at once."""


class Ending:
    """The end of one node."""

    def __init__(
        self, node: Node, config: Config, perform: Callable[[Sequence[Effect]], None]
    ) -> None:
        self._node = node
        self._config = config
        self._perform = perform
        self._loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[int] = self._loop.create_future()
        """Ends with the exit code."""
        self._exit_code = 0
        self._leaves = False
        self._stop_at = float("inf")
        """When it has to be gone, once it leaves."""
        self.hand_over: Callable[[], None] | None = None
        """Leaves new connections to the next process, where there is one that will get them."""
        self._hurries = False
        """A second signal has come."""
        self._asked = 0  # signals that have come, though the loop may be too busy to heed them

    # --- signals -----------------------------------------------------------------------------

    def asked(self, number: signal.Signals) -> None:
        """In the middle of anything, so that the third one ends also a node that does nothing
        more."""
        self._asked += 1
        if self._asked > SIGNALS_MAX:
            signals.end_now(number)
        self._loop.call_soon_threadsafe(self._on_signal, number)

    def _on_signal(self, number: signal.Signals) -> None:
        if not self._leaves:
            log.info("%s: leaving", number.name, extra=fields(signal=number.name))
            self._exit_code |= number == signal.SIGXCPU
            self.begin_leave()
        elif not self._hurries:
            self._hurries = True
            log.warning("second signal: exiting without waiting for the leave")
            self.hurry()
            self._end(1)
        else:
            signals.end_now(number)

    # --- reasons -----------------------------------------------------------------------------

    def begin_leave(self) -> None:
        """Leave the cluster, then end."""
        if self._leaves:
            return
        self._leaves = True
        within = self._config.settings.leave_timeout + STOP_SECONDS
        notify.stopping(within)
        self._stop_at = time.monotonic() + within
        if self.hand_over is None:
            self._loop.call_soon(self._leave, time.monotonic())
        else:
            # Who is connected already gets what he has come for.
            self.hand_over()
            self._loop.call_later(LAST_SERVICE, self._leave, time.monotonic())

    def _leave(self, began: float) -> None:
        self._perform(self._node.leave(time.monotonic(), began))

    def left(self, undrained: int) -> None:
        """The node has left."""
        if undrained:
            where = "lost" if self._config.in_memory else "on this disk only"
            extra = fields(streams=undrained)
            log.warning("left; what was counted here may be %s", where, extra=extra)
        else:
            log.info("left")
        self._end(self._exit_code)

    def lose_disk(self, error: str) -> None:
        """Nothing can be committed any more: what the others can take over, they shall."""
        if not self._exit_code:
            log.critical("%s; leaving", error)
            self._exit_code = 1
            self.begin_leave()

    def lose_name(self, detail: str) -> None:
        """Another node has the name."""
        if not self._exit_code:
            log.error("%s; leaving", detail)
            self._exit_code = 1
            self.begin_leave()

    # --- time --------------------------------------------------------------------------------

    def hurry(self) -> None:
        """Wait a moment at most for anything from now on."""
        self._stop_at = min(self._stop_at, time.monotonic() + LAST_SECONDS)

    def time_left(self) -> float:
        """Seconds for which an ending node may still wait."""
        return max(0.0, self._stop_at - time.monotonic())

    def _end(self, code: int) -> None:
        if not self.ended.done():
            self.ended.set_result(code)
