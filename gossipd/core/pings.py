"""Pings that wait for an ack, matched by nonce alone: an answer may come from any address.

Also the round trips that acks tell of (RFC 6298: smoothed mean and deviation), from which a
member's probe timeout follows.
"""

from __future__ import annotations

from enum import Enum, auto
from random import Random
from typing import NamedTuple, TypeAlias

from .identity import Address
from .settings import Settings

ANSWER_WITHIN = 60.0
"""Seconds after which an own ping is given up: nothing waits for it any more."""

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


class Flight(NamedTuple):
    """A ping under way; `asker` and `asked` say for whom a relay sent it."""

    target: str
    purpose: Purpose
    sent_at: float
    asker: Address | None = None
    asked: int = 0


class Pings:
    """The pings under way, oldest first: this node's own, and those it relays."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._own: dict[int, Flight] = {}
        self._relayed: dict[int, Flight] = {}

    def start(self, flight: Flight) -> int:
        """Remember a ping that is about to be sent; its nonce."""
        nonce = self._rng.getrandbits(64)
        if flight.purpose is Purpose.RELAY:
            self._relayed[nonce] = flight
            return nonce
        self._own[nonce] = flight
        while len(self._own) > IN_FLIGHT_MAX or self._oldest_is_lost(flight.sent_at):
            del self._own[next(iter(self._own))]
        return nonce

    def _oldest_is_lost(self, now: float) -> bool:
        oldest = next(iter(self._own.values()))
        return now - oldest.sent_at > ANSWER_WITHIN

    def make_room_to_relay(self) -> int | None:
        """Give up the oldest relayed ping if there is no room for one more; its nonce."""
        if len(self._relayed) < RELAYED_MAX:
            return None
        oldest = next(iter(self._relayed))
        del self._relayed[oldest]
        return oldest

    def answer(self, nonce: int) -> Flight | None:
        """Take the ping that an ack answers."""
        return self._own.pop(nonce, None) or self._relayed.pop(nonce, None)

    def peek(self, nonce: int) -> Flight | None:
        """The ping with that nonce, left under way."""
        return self._own.get(nonce) or self._relayed.get(nonce)


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
