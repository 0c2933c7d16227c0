"""What happens to a datagram between two nodes: how long it takes, whether it is lost or cut off.

Every random decision comes from the generator that is passed in, so a seed replays.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import Protocol, TypeAlias

from gossipd.core import Address

Path: TypeAlias = tuple[Address, Address]
"""A source and where it sends to."""


class Latency(Protocol):
    """How long datagrams take."""

    def draw(self, rng: Random) -> float:
        """The latency of one datagram, seconds."""


@dataclass(frozen=True, slots=True)
class Uniform:
    """Any time between two, seconds; datagrams overtake each other."""

    low: float
    high: float

    def draw(self, rng: Random) -> float:
        """The latency of one datagram, seconds."""
        return self.low + (self.high - self.low) * rng.random()


@dataclass
class Network:
    """All links are alike, but for those that are cut."""

    latency: Latency = Uniform(0.0002, 0.002)
    """How long a datagram takes, one way."""
    loss: float = 0.0
    """Part of the datagrams that are lost."""
    cuts: set[Path] = field(default_factory=set)
    """Where nothing passes; the other direction is one of its own."""

    def heal(self) -> None:
        """Undo all cuts."""
        self.cuts.clear()

    def arrivals(
        self, data: bytes, source: Address, to: Address, rng: Random
    ) -> list[tuple[float, bytes]]:
        """(delay, bytes) of every copy that arrives."""
        if (source, to) in self.cuts or (self.loss and rng.random() < self.loss):
            return []
        return [(self.latency.draw(rng), data)]
