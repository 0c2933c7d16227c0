"""Joins that go on being tried, in the log: when they begin to fail, then ever more seldom.

A node that is alone warns, for it has joined nobody; for one that has members it is a remark that
some seed is away.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from gossipd.daemon.lines import fields, listed

log = logging.getLogger("gossipd")

WARN_AFTER = 30.0
"""Seconds without an answer after which a node that is alone warns. Those that are started
together do not wait as long for each other."""

AGAIN_MAX = 3600.0
"""Seconds between two lines at most; each is twice as long as the one before."""


class Retrying:
    """What one node tells of its tries."""

    def __init__(self, cause: Callable[[], str | None]) -> None:
        """`cause` tells why nobody may answer, as far as it can be seen from here."""
        self.cause = cause
        self._began = self._next = 0.0
        self._tries = 0

    def silent(self, addresses: Sequence[str], since: float, alone: bool, now: float) -> None:
        """These are asked once more, as they have not answered; the first one since `since`."""
        if not self._tries:
            self._began, self._next = since, now
        self._tries += 1
        if now < self._next:
            return
        seconds = now - self._began
        self._next = now + min(AGAIN_MAX, max(WARN_AFTER, seconds))
        log.log(
            logging.WARNING if alone and seconds >= WARN_AFTER else logging.INFO,
            "no answer from %s, asked to take this node in; it is tried again and again",
            listed(addresses),
            extra=fields(
                silent=len(addresses),
                tries=self._tries,
                seconds=round(seconds, 1),
                alone=alone,
                why=self.cause() or "is UDP to it open, is a node there, of the same --cluster?",
            ),
        )

    def answered(self) -> None:
        """Nobody is silent any more."""
        self._tries = 0
