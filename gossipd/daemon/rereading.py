"""A file that is read again, in a thread of its own for which nobody waits: its disk may hang.

Asked for while it is being read, it is read once more behind.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Generic, TypeVar

from gossipd.daemon.troubles import Trouble, Troubles

log = logging.getLogger("gossipd")

T = TypeVar("T")


class Reading(Generic[T]):
    """One file."""

    def __init__(
        self,
        name: str,
        path: str | None,
        read: Callable[[], T],
        heed: Callable[[T | Exception], None],
        patience: float,
        troubles: Troubles,
        ended: Callable[[], None],
    ) -> None:
        """`heed` is called with what was read, or why it could not be; `ended` when it is not to
        be read once more."""
        self._name = name
        self.path = path or f"the {name}"
        self._read = read
        self._heed = heed
        self._patience = patience
        self._troubles = troubles
        self._ended = ended
        self._loop = asyncio.get_running_loop()
        self._late: asyncio.TimerHandle | None = None
        """Tells that it is not read for long; None while it is not being read."""
        self._once_more = self._is_over = False

    @property
    def is_under_way(self) -> bool:
        return self._late is not None

    def begin(self) -> None:
        self._once_more = self.is_under_way
        if not self._once_more:
            text = f"{self.path} cannot be read again yet: its disk has not answered"
            tell = partial(self._troubles.begin, Trouble.RELOAD_HANGS, text, self._name)
            self._late = self._loop.call_later(self._patience, tell)
            threading.Thread(target=self._load, name="reload", daemon=True).start()

    def stop(self) -> None:
        """It is not waited for any more."""
        self._is_over = True
        self._in_time()

    def _load(self) -> None:
        outcome: T | Exception
        try:
            outcome = self._read()
        except Exception as error:
            if not isinstance(error, ValueError):
                log.exception("this is a bug in gossipd")
            outcome = error
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._loaded, outcome)

    def _loaded(self, outcome: T | Exception) -> None:
        if self._is_over:
            return
        self._in_time()
        try:
            self._heed(outcome)
        finally:
            if self._once_more:
                self.begin()
            else:
                self._ended()

    def _in_time(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None
            self._troubles.end(Trouble.RELOAD_HANGS, self._name)
