"""Others that are said to hold this node's name: where to ask them.

See gossipd/core/README.md#membership.

Nobody's word ends a node. Whoever says that the name lives elsewhere, by a view, a refusal or a
join, only makes this node ask there itself; see `joining` for the answer. Each address is asked
once in `name_check`, and a few at a time, so that lies make no flood.
"""

from __future__ import annotations

from gossipd.core.identity import Address
from gossipd.core.means import Means
from gossipd.core.timers import Timer
from gossipd.core.turn import Turn

from .life import Life

RIVALS_MAX = 16
"""Addresses that are asked, or were, within `name_check`."""


class NameConflict:
    """The addresses to be asked, and those that were just now."""

    def __init__(self, means: Means, life: Life) -> None:
        self._settings, self._timers = means.settings, means.timers
        self._life = life
        self._ask_at: dict[Address, float] = {}
        self._asked_at: dict[Address, float] = {}

    def told(self, address: Address, turn: Turn) -> None:
        """This node's name is said to live at `address`: ask there, unless that was just done."""
        if self._life.leaving or address in self._ask_at:
            return
        wait = self._settings.name_check
        asked_at = {to: at for to, at in self._asked_at.items() if at + wait > turn.now}
        self._asked_at = asked_at
        if address in asked_at or len(asked_at) + len(self._ask_at) < RIVALS_MAX:
            at = asked_at[address] + wait if address in asked_at else turn.now
            self._ask_at[address] = at
            self._timers.set_if_sooner(Timer.RIVAL, at)

    def due(self, turn: Turn) -> list[Address]:
        """Those whose turn it is now."""
        due = [address for address, at in self._ask_at.items() if at <= turn.now]
        for address in due:
            del self._ask_at[address]
            self._asked_at[address] = turn.now
        if self._ask_at:
            self._timers.set(Timer.RIVAL, min(self._ask_at.values()))
        return due
