"""What happens to a datagram between two nodes: delay, loss, duplication, cuts.

Every random decision comes from the generator that the world passes in, so a seed replays.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from gossipd.core import Address


@dataclass(slots=True)
class Network:
    """One fault setting for all links, and cuts of single directions."""

    delay: tuple[float, float] = (0.0002, 0.002)
    """Least and largest one-way delay, seconds; uniform, so datagrams overtake each other."""
    loss: float = 0.0
    """Part of the datagrams that are lost."""
    duplication: float = 0.0
    """Part of the datagrams that arrive twice."""
    truncation: float = 0.0
    """Part of the datagrams that lose their end."""
    bit_flips: float = 0.0
    """Part of the datagrams in which one bit changes."""
    size_max: int = 65_507
    """Larger datagrams vanish."""
    _cuts: set[tuple[Address, Address]] = field(default_factory=set)

    def cut(self, source: Address, to: Address) -> None:
        """Let nothing pass from `source` to `to`; the other direction stays."""
        self._cuts.add((source, to))

    def heal(self) -> None:
        """Undo all cuts."""
        self._cuts.clear()

    def arrivals(
        self, data: bytes, source: Address, to: Address, rng: Random
    ) -> list[tuple[float, bytes]]:
        """(delay, bytes) of every copy that arrives."""
        if (source, to) in self._cuts or len(data) > self.size_max:
            return []
        copies = 2 if rng.random() < self.duplication else 1
        return [
            (rng.uniform(*self.delay), self._damaged(data, rng))
            for _ in range(copies)
            if rng.random() >= self.loss
        ]

    def _damaged(self, data: bytes, rng: Random) -> bytes:
        if rng.random() < self.truncation:
            return data[: rng.randrange(len(data))]
        if rng.random() < self.bit_flips:
            bit = rng.randrange(8 * len(data))
            damaged = bytearray(data)
            damaged[bit // 8] ^= 1 << bit % 8
            return bytes(damaged)
        return data
