"""Another node that holds this node's name, and outranks it (design section 3).

Of two holders that meet, the larger generation, then the larger address, keeps the name. But the
other one may have been let in a moment ago, by somebody who did not know of this node, and be
refused by the next one that it asks: if this node gave way at once, none would stay. So it waits
for longer than a holder obeys a refusal, and until such a one's end would be known here.
"""

from __future__ import annotations

from .effects import NameLost
from .identity import Address
from .state import State, Turn
from .timers import Timer

SETTLED_CHECKS = 2
"""A name is held for good after so many times `name_check`: by then a refusal would have come."""

YIELD_CHECKS = 5
"""The wait: so many times `name_check`; one more than it takes to be settled, and as long as a
failure takes to be known."""


class Rival:
    """The one, if any, to which this node is about to lose its name."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._met: tuple[int, Address] | None = None
        """The generation and address of the largest one met since the wait began."""

    def met(self, generation: int, address: Address, turn: Turn) -> None:
        """Another holder lives, or is said to: if it outranks this node, the wait begins."""
        if (generation, address) <= self._own:
            return
        if self._met is None or self._met < self._own:
            wait = YIELD_CHECKS * self._state.settings.name_check
            self._state.timers.set(Timer.RIVAL, turn.now + wait)
            self._met = (generation, address)
        self._met = max(self._met, (generation, address))

    def waited(self, turn: Turn) -> None:
        """The wait is over: unless this node rose above a rival that is gone, the name is lost."""
        assert self._met is not None
        (_, (host, port)), outranked = self._met, self._met > self._own
        self._met = None
        if outranked and not self._state.leaving:
            name = self._state.own.name
            detail = f"the name {name!r} was taken over by the node at {host} port {port}"
            turn.emit(NameLost(detail))

    @property
    def _own(self) -> tuple[int, Address]:
        own = self._state.own
        return own.generation, own.address
