"""How long the answers of a repair are waited for.

What is usual is a setting. On a way that is slower than that each answer would come too late, in
each repair anew, and nothing would ever be repaired.
"""

from __future__ import annotations

from gossipd.core.swim.life import Life

FACTOR_MAX = 8


class Patience:
    """That of one kind of repair."""

    def __init__(self, usual: float) -> None:
        """`usual`: seconds from a question until nobody waits for its answer any more."""
        self._usual = usual
        self._asked_at = float("-inf")
        self.factor = 1
        """Times the usual waits: doubles with each repair that ended as nobody answered."""

    def asks(self, now: float) -> None:
        """A question is asked for the first time."""
        self._asked_at = now

    def answered(self, now: float) -> None:
        """Its answer has come: as soon as usual, if that is so."""
        if now - self._asked_at <= self._usual:
            self.factor = 1

    def in_vain(self, life: Life, now: float) -> None:
        """A repair has ended, as nobody answered: the way is slow, if anything else was answered
        lately, and not closed."""
        if life.is_recent(life.heard_at, now):
            self.factor = min(2 * self.factor, FACTOR_MAX)
