"""Pings that wait for an ack, and the round trips that acks tell of.

From these (RFC 6298: smoothed mean and deviation) a member's probe timeout follows.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import TypeAlias

from gossipd.core.identity import Address
from gossipd.core.settings import Settings

IN_FLIGHT_MAX = 4096
"""Own pings remembered at most; the oldest are given up first."""

RELAYED_MAX = 4096
"""The same for pings sent for others, so that they cannot crowd out this node's own."""


class Purpose(Enum):
    """Why a ping was sent."""

    PROBE = auto()
    CORROBORATE = auto()
    RELAY = auto()
    CONTACT = auto()
    NAME_CHECK = auto()
    RUMOUR = auto()


@dataclass(frozen=True, slots=True)
class Flight:
    """A ping under way."""

    target: str
    purpose: Purpose
    sent_at: float


@dataclass(frozen=True, slots=True)
class Relayed(Flight):
    """One that was sent for somebody else."""

    asker: Address
    asked: int
    """Its nonce there."""


_Estimate: TypeAlias = tuple[float, float]
"""Mean and deviation, seconds."""


class RoundTrips:
    """Smoothed round trip times by member, seconds."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._estimates: dict[str, _Estimate] = {}
        self._overall: _Estimate | None = None

    def sample(self, name: str, seconds: float) -> None:
        """Take one measured round trip in; one above the longest timeout tells of a stall, here
        or there, and not of the way."""
        if seconds > self._settings.probe_interval / 2:
            return
        self._estimates[name] = _next(self._estimates.get(name), seconds)
        self._overall = _next(self._overall, seconds)

    def mean(self, name: str) -> float | None:
        """The smoothed round trip, None before the first sample."""
        held = self._estimates.get(name)
        return held[0] if held else None

    def timeout(self, name: str) -> float:
        """Seconds to wait for a member's ack: never above half of the probe interval.

        A member that was never measured is taken to be as far as the others are.
        """
        held = self._estimates.get(name, self._overall)
        if held is None:
            return self._settings.probe_timeout
        adapted = max(self._settings.probe_timeout_min, held[0] + 4 * held[1])
        return min(adapted, self._settings.probe_interval / 2)

    def forget(self, name: str) -> None:
        """Drop what is known of a member."""
        self._estimates.pop(name, None)


def _next(held: _Estimate | None, seconds: float) -> _Estimate:
    """RFC 6298, section 2."""
    if held is None:
        return seconds, seconds / 2
    mean, deviation = held
    deviation += (abs(seconds - mean) - deviation) / 4
    return mean + (seconds - mean) / 8, deviation
