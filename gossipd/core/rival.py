"""Another node that holds this node's name, and outranks it (design section 3).

Of two holders that meet, the larger generation, then the larger address, keeps the name. But the
other one may have been let in a moment ago, by somebody who did not know of this node, and be
refused by the next one that it asks: if this node gave way at once, none would stay. So it gives
way when it is told of the other one again after a wait in which a refusal would have ended that.
Members that hold the other one say so at almost every datagram.
"""

from __future__ import annotations

from .effects import NameLost
from .identity import Address
from .state import State, Turn

YIELD_CHECKS = 5
"""The wait, in times of `name_check`: two until no refusal ends the other one any more, one for a
refusal that is on its way, two until its end is known here."""

SILENCE_MIN = 15.0
"""Seconds without a word of the other one after which it counts as gone, or twice the wait if that
is longer: more than the 10 s between two words where both have one generation."""


class Rival:
    """The one, if any, to which this node is about to lose its name."""

    def __init__(self, state: State) -> None:
        self._state = state
        self.wait = YIELD_CHECKS * state.settings.name_check
        """Seconds between the first word of a rival and the one that ends this node."""
        self._largest: tuple[int, Address] | None = None
        """Generation and address of the largest one that was told of since the wait began."""
        self._since = float("-inf")
        self._told_at = float("-inf")

    def told(self, generation: int, address: Address, turn: Turn) -> bool:
        """Somebody says that a holder lives; False if this node outranks it."""
        own = self._state.own
        rank = (own.generation, own.address)
        if (generation, address) <= rank:
            return False
        silence = max(SILENCE_MIN, 2 * self.wait)
        begins = self._largest is None or self._largest < rank
        if begins or turn.now - self._told_at > silence:
            self._largest, self._since = (generation, address), turn.now
        assert self._largest is not None
        self._largest = max(self._largest, (generation, address))
        self._told_at = turn.now
        if turn.now - self._since >= self.wait and not self._state.leaving:
            host, port = self._largest[1]
            detail = f"the name {own.name!r} was taken over by the node at {host} port {port}"
            turn.emit(NameLost(detail))
        return True
