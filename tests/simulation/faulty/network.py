"""What happens to a datagram between two nodes: links, cuts of single directions, clogs.

The network's own figures are those of every link that has none of its own. Whatever happens to a
datagram but a plain arrival is counted, so that a test can show that its faults did happen.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from enum import Enum
from random import Random
from typing import NamedTuple

from gossipd.core import Address
from gossipd.simulator import network
from gossipd.simulator.network import Path
from tests.simulation.faulty.link import DEFAULT, Latency, Link


class Fate(Enum):
    """What may happen to a datagram, or to a copy of it."""

    CUT = "the path is cut"
    CLOGGED = "held back until the path is unclogged"
    TOO_LARGE = "larger than the path carries"
    LOST = "lost by itself"
    LOST_IN_BURST = "lost in a burst"
    DUPLICATED = "arrives twice"
    LATE = "arrives long after others"
    TRUNCATED = "lost its end"
    FLIPPED = "one bit changed"


class Released(NamedTuple):
    """A datagram that was held back and goes on now."""

    delay: float
    data: bytes
    source: Address
    to: Address


@dataclass
class Network(network.Network, Link):
    """All links; itself the link of those paths that have none of their own."""

    latency: Latency = DEFAULT
    now: float = 0.0
    """The time, which the world tells."""
    fates: dict[Fate, int] = field(default_factory=lambda: dict.fromkeys(Fate, 0))
    """How often each of them happened."""
    released: list[Released] = field(default_factory=list)
    """What unclogged paths let go, for the world to take."""
    _links: dict[Path, Link] = field(default_factory=dict)
    _clogs: dict[Path, list[Released]] = field(default_factory=dict)
    _bursting: dict[Path, tuple[bool, float]] = field(default_factory=dict)
    """Whether there was a burst on a path, and when."""

    # --- faults ------------------------------------------------------------------------------

    def link(self, source: Address, to: Address) -> Link:
        """The link of one direction as its own: at first a copy of the network's figures."""
        figures = {figure.name: getattr(self, figure.name) for figure in fields(Link)}
        return self._links.setdefault((source, to), Link(**figures))

    def cut(self, source: Address, to: Address) -> None:
        """Let nothing pass from `source` to `to`; the other direction stays."""
        self.cuts.add((source, to))

    def clog(self, source: Address, to: Address) -> None:
        """Hold back what is sent from `source` to `to`."""
        self._clogs.setdefault((source, to), [])

    def unclog(self, source: Address, to: Address) -> None:
        """Let go what was held back on a path, all at once."""
        self.released += self._clogs.pop((source, to), ())

    def heal(self) -> None:
        """Undo all cuts and clogs; what was held back goes on."""
        super().heal()
        for source, to in list(self._clogs):
            self.unclog(source, to)

    # --- datagrams ---------------------------------------------------------------------------

    def arrivals(
        self, data: bytes, source: Address, to: Address, rng: Random
    ) -> list[tuple[float, bytes]]:
        """(delay, bytes) of every copy that arrives."""
        path = (source, to)
        if path in self.cuts:
            return self._ends(Fate.CUT)
        link = self._links.get(path, self)
        if len(data) > link.size_max:
            return self._ends(Fate.TOO_LARGE)
        if link.is_clean and path not in self._clogs:
            return [(link.latency.draw(rng), data)]
        copies = 1 + self._befalls(Fate.DUPLICATED, link.duplication, rng)
        fate, loss = self._loss(path, link, rng)
        arriving = [
            (self._delay(link, rng), self._damaged(data, link, rng))
            for _ in range(copies)
            if not self._befalls(fate, loss, rng)
        ]
        if path in self._clogs:
            self._clogs[path] += [Released(delay, copy, source, to) for delay, copy in arriving]
            return self._ends(Fate.CLOGGED)
        return arriving

    def _ends(self, fate: Fate) -> list[tuple[float, bytes]]:
        self.fates[fate] += 1
        return []

    def _befalls(self, fate: Fate, part: float, rng: Random) -> bool:
        """Whether a datagram is one of the part that meets this fate."""
        if not part or rng.random() >= part:
            return False
        self.fates[fate] += 1
        return True

    def _loss(self, path: Path, link: Link, rng: Random) -> tuple[Fate, float]:
        if link.bursts is None:
            return Fate.LOST, link.loss
        bursting, at = self._bursting.get(path, (None, self.now))
        bursting = link.bursts.goes_on(bursting, self.now - at, rng)
        self._bursting[path] = (bursting, self.now)
        return (Fate.LOST_IN_BURST, link.bursts.loss) if bursting else (Fate.LOST, link.loss)

    def _delay(self, link: Link, rng: Random) -> float:
        delay = link.latency.draw(rng)
        if self._befalls(Fate.LATE, link.late, rng):
            delay += link.late_by * rng.random()
        return delay

    def _damaged(self, data: bytes, link: Link, rng: Random) -> bytes:
        if self._befalls(Fate.TRUNCATED, link.truncation, rng):
            return data[: rng.randrange(len(data))]
        if self._befalls(Fate.FLIPPED, link.bit_flips, rng):
            bit = rng.randrange(8 * len(data))
            damaged = bytearray(data)
            damaged[bit // 8] ^= 1 << bit % 8
            return bytes(damaged)
        return data
