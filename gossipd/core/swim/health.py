"""Lifeguard's local health: a node that notices its own slowness gives others more time.

The score rises when a timer was late, when this node had to refute and when all relays that it
asked stayed silent; it falls with every answered probe. Its timeouts are multiplied by score + 1.

In the paper each silent relay counts. Where many members die at once most relays are among them,
and a node that hears one nack is not the one who is deaf.
"""

from __future__ import annotations


class Health:
    """A saturating counter from 0 (healthy) to `health_max - 1`."""

    def __init__(self, health_max: int) -> None:
        self._score_max = max(0, health_max - 1)
        self._score = 0

    @property
    def score(self) -> int:
        """0 when healthy."""
        return self._score

    @property
    def factor(self) -> int:
        """What own timeouts are multiplied by."""
        return self._score + 1

    def worse(self, by: int = 1) -> None:
        """Something pointed at this node's own slowness."""
        self._score = min(self._score_max, self._score + by)

    def better(self) -> None:
        """A probe was answered in time."""
        self._score = max(0, self._score - 1)
