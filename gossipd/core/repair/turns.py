"""With whom a repair is: mostly with whoever shows that something differs, and not with those
alone.

Who always is the first to show another fingerprint, or in a hurry, or speaks under several names,
would be the only one to be asked. So now and then the node picks another one that differs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

PEER_SECONDS = 30.0
"""Seconds after which another peer goes on, if there is one, however much the first one brings."""

LED_MAX = 3
"""Repairs in a row with whoever spoke up; an urgent one is as good as all."""


class Turns:
    """Those of one kind of repair."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._latest = ""
        """Whom the last repair began with."""
        self._led = 0
        """Repairs in a row with whoever spoke up."""

    def of(
        self, peer: str, others: Callable[[str], Sequence[str]], *, urgent: bool = False
    ) -> str:
        """With whom the next one is, where `peer` has spoken up; `others`: who differs beside
        somebody."""
        if self._led == LED_MAX or (peer == self._latest and not urgent):
            peer, self._led = self.other(peer, others), 0
        else:
            self._led = LED_MAX if urgent else self._led + 1
        self._latest = peer
        return peer

    def other(self, peer: str, others: Callable[[str], Sequence[str]]) -> str:
        """Some other one, this one if there is none."""
        found = others(peer)
        return self._rng.choice(found) if found else peer
