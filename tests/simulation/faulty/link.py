"""What one direction of a path does to datagrams: how long they take, which are lost or damaged.

Figures only, and the dice for them. Which path has which link, and what is cut or clogged, is the
network's; every random decision comes from the generator that is passed in, so a seed replays.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random
from typing import TypeAlias

from gossipd.simulator import network


@dataclass(frozen=True, slots=True)
class Constant:
    """Every datagram takes the same time, so none overtakes another."""

    seconds: float

    @property
    def bounds(self) -> tuple[float, float]:
        """Least and largest latency, seconds."""
        return self.seconds, self.seconds

    def draw(self, rng: Random) -> float:  # noqa: ARG002  as the others have it
        """The latency of one datagram, seconds."""
        return self.seconds


@dataclass(frozen=True, slots=True)
class Uniform(network.Uniform):
    """Any time between two, seconds; datagrams overtake each other."""

    @property
    def bounds(self) -> tuple[float, float]:
        """Least and largest latency, seconds."""
        return self.low, self.high


@dataclass(frozen=True, slots=True)
class LogNormal:
    """A floor (the cable) and on top of it a queue: mostly short, now and then very long."""

    floor: float
    """Seconds that every datagram takes at least."""
    median: float
    """Half of the datagrams take less than this more, seconds."""
    sigma: float
    """Spread: the 84th percentile of the queue is `exp(sigma)` times its median."""

    @property
    def bounds(self) -> tuple[float, float]:
        """Least and largest latency, seconds."""
        return self.floor, math.inf

    def draw(self, rng: Random) -> float:
        """The latency of one datagram, seconds."""
        return self.floor + self.median * math.exp(rng.gauss(0.0, self.sigma))


Latency: TypeAlias = Constant | Uniform | LogNormal

DEFAULT = Uniform(0.0002, 0.002)


@dataclass(frozen=True, slots=True)
class Bursts:
    """Loss that comes in bursts: Gilbert and Elliott's two states, in continuous time."""

    every: float
    """Mean seconds from the end of a burst to the beginning of the next one."""
    lasting: float
    """Mean length of a burst, seconds."""
    loss: float = 1.0
    """Part of the datagrams that are lost in a burst; between bursts it is the link's `loss`."""

    @property
    def share(self) -> float:
        """The part of the time that is within a burst."""
        return self.lasting / (self.every + self.lasting)

    def goes_on(self, bursting: bool | None, elapsed: float, rng: Random) -> bool:
        """Whether it is a burst `elapsed` seconds after it was (True) or was not (False) one;
        None: nothing is known of before."""
        before = self.share if bursting is None else float(bursting)
        fading = math.exp(-elapsed * (1 / self.every + 1 / self.lasting))
        return rng.random() < self.share + (before - self.share) * fading


@dataclass
class Link:
    """The figures of one direction; parts are probabilities from 0 to 1."""

    latency: Latency = DEFAULT
    """How long a datagram takes, one way."""
    loss: float = 0.0
    """Part of the datagrams that are lost."""
    bursts: Bursts | None = None
    """More loss at times."""
    duplication: float = 0.0
    """Part of the datagrams that arrive twice."""
    late: float = 0.0
    """Part of the datagrams that come later by up to `late_by`."""
    late_by: float = 1.0
    """Seconds."""
    truncation: float = 0.0
    """Part of the datagrams that lose their end."""
    bit_flips: float = 0.0
    """Part of the datagrams in which one bit changes."""
    size_max: int = 65_507
    """Larger datagrams vanish."""

    @property
    def is_clean(self) -> bool:
        """Whether everything arrives once, whole and in its time; most links are, most often."""
        return not (
            self.loss
            or self.bursts
            or self.duplication
            or self.late
            or self.truncation
            or self.bit_flips
        )

    @property
    def delay(self) -> tuple[float, float]:
        """Least and largest latency, seconds; setting it makes the latency uniform."""
        return self.latency.bounds

    @delay.setter
    def delay(self, bounds: tuple[float, float]) -> None:
        self.latency = Uniform(*bounds)
