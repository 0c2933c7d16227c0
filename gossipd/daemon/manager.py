"""What the service manager hears again and again: that a node makes progress, and how it stands.

Progress is a round of the event loop: a timer rings, what it writes is read as any socket is, and
the core's own timer is not overdue. A callback that never returns, a loop that has forgotten its
timers or its sockets, a core that is asked nothing any more: all of them end the beats, and the
manager then ends the process and starts another one (`WatchdogSec=`). A disk that hangs is none of
these, for a new process would wait for the same disk. Time that the host slept through counts
nowhere, as all clocks here are the monotonic one.

Before that what each thread is doing is logged. A thread of its own does that, which the loop
cannot hold up; where it cannot run either, SIGABRT's handler tells it (`process.signals`).
"""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress

from gossipd.daemon import notify
from gossipd.daemon.lines import fields

log = logging.getLogger("gossipd")

BEAT_MAX = 5.0
"""Seconds between two beats at most."""

BEATS = 4
"""Beats in the time after which the manager gives the process up, at least."""

TOLD_AFTER = 2 / 3
"""The part of that time after which it is logged where all threads are. It is waited for in two
halves: a process that was stopped, and goes on, is given one to show that it does."""

STARTING_SECONDS = 120.0
"""A node that opens a large state, or waits for its disk, is waited for: so long after each beat,
for what is loaded is loaded between two of them."""


class Manager:
    """The service manager, to one node; where there is none, all of it does nothing."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._limit = notify.watchdog_seconds() if notify.is_heard() else None
        self._interval = BEAT_MAX if self._limit is None else min(BEAT_MAX, self._limit / BEATS)
        self._standing: Callable[[], str] | None = None
        self._due: Callable[[], float | None] = lambda: None
        self._status = ""
        """What was told last."""
        self._timer: asyncio.TimerHandle | None = None
        self._pair: tuple[socket.socket, socket.socket] | None = None
        self._observer = None if self._limit is None else Observer(self._limit)

    def begin(self) -> None:
        """The node starts: whatever its disk does meanwhile, its loop runs."""
        if not notify.is_heard():
            return
        self._pair = socket.socketpair()
        for end in self._pair:
            end.setblocking(False)
        self._loop.add_reader(self._pair[1], self._beaten)
        if self._observer is not None:
            self._observer.start()
        self._beat()

    def serves(self, standing: Callable[[], str], due: Callable[[], float | None]) -> None:
        """The node serves. `standing`: how it stands, in a line; `due`: when the core has to be
        asked next."""
        self._standing, self._due = standing, due
        self._status = standing()
        notify.ready(self._status)

    def end(self) -> None:
        """The node has ended."""
        if self._timer is not None:
            self._timer.cancel()
        if self._pair is not None:
            self._loop.remove_reader(self._pair[1])
            for end in self._pair:
                end.close()
            self._pair = None
        if self._observer is not None:
            self._observer.end()

    def _beat(self) -> None:
        self._timer = self._loop.call_later(self._interval, self._beat)
        assert self._pair is not None
        with suppress(BlockingIOError):  # the loop forgets its sockets, which is what this tells
            self._pair[0].send(b"\0")

    def _beaten(self) -> None:
        assert self._pair is not None
        self._pair[1].recv(1024)
        due = self._due()
        if due is not None and time.monotonic() - due > self._interval * BEATS / 2:
            return
        if self._observer is not None:
            self._observer.hear()
        notify.notify("\n".join(self._news()), wait=False)

    def _news(self) -> Iterator[str]:
        if self._limit is not None:
            yield "WATCHDOG=1"
        if self._standing is None:
            yield notify.extension(STARTING_SECONDS)
        elif (status := self._standing()) != self._status:
            self._status = status
            yield notify.status_line(status)


class Observer:
    """Logs where all threads are when no beat was heard for a part of `limit` seconds."""

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._heard = threading.Event()
        self._ends = False
        self._thread = threading.Thread(target=self._listen, name="watchdog", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def hear(self) -> None:
        """A beat."""
        self._heard.set()

    def end(self) -> None:
        self._ends = True
        self._heard.set()

    def _listen(self) -> None:
        while not self._ends:
            half = self._limit * TOLD_AFTER / 2
            if not self._heard.wait(half) and not self._heard.wait(half):
                log.critical(
                    "no progress for %g s, after %g s the service manager ends this process",
                    2 * half,
                    self._limit,
                )
                for name, trace in stacks():
                    log.critical("where it is", extra=fields(thread=name, trace=trace))
                self._heard.wait()
            self._heard.clear()


def stacks() -> Iterator[tuple[str, str]]:
    """The name of each other thread of this process, and where it is."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    for ident, frame in sys._current_frames().items():
        if ident != threading.get_ident():
            yield names.get(ident, str(ident)), "".join(traceback.format_stack(frame)).rstrip()
