"""Which generations and incarnations can be true: the others are refused, and counted.

A generation is milliseconds since 1970 by the clock of its node, or 1 above what somebody said of
it. So those far above what this node's own clock says are nobody's, and were they believed, names
would be used up. Clocks may be wrong by decades, though, and whoever is lied about has to be heard
when it rises above the lie. Therefore there are three bounds, a span apart: what is said of others
is believed up to the first one, a node rises above what is said of itself up to the second one,
and its own word counts up to the third one. So no clock that is wrong by less than a span keeps a
node from refuting what anybody believes of it.
"""

from __future__ import annotations

from enum import IntEnum

from gossipd.core.identity import INCARNATION_MAX

GENERATION_SPAN = 2**42
"""Milliseconds between two bounds: 139 years. Even a clock that stands at 1970 lets a cluster of
today in."""

INCARNATION_BELIEVED_MAX = INCARNATION_MAX // 2
"""Above that a node takes the next generation; by itself it gets there after centuries."""


class Word(IntEnum):
    """Whose word it is: the number of spans up to which it is believed."""

    OTHERS = 1
    """What somebody says of somebody else."""
    OF_ONESELF = 2
    """What somebody says of this very node."""
    OWN = 3
    """What somebody says of itself."""


class Plausible:
    """The bounds of one node."""

    def __init__(self, generation: int) -> None:
        """Until a clock is seen, the own `generation` tells the time."""
        self._clock = generation

    def see_clock(self, wall: float) -> None:
        """`wall` is seconds since 1970."""
        self._clock = max(0, int(1000 * wall))

    def is_absurd(self, generation: int, incarnation: int, word: Word) -> bool:
        """Whether that cannot be true, whoever says it."""
        above = generation > self._clock + word * GENERATION_SPAN
        return above or incarnation > INCARNATION_BELIEVED_MAX
