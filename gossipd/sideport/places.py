"""Who may stay: so many connections at a time, and no more than a share of them for one address.

Where there is no room, a newcomer takes the place of whoever has been idle the longest. Where all
are busy, it gets one of a few places in reserve, in which one short question is answered and no
more: so whoever holds all connections, silent or not, cannot hide a node from its supervisor and
its operator. Who asks nothing in the reserve is the first to make room there.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from enum import Enum
from operator import itemgetter
from typing import Protocol, TypeAlias

from gossipd.sideport.limits import Limits

Source: TypeAlias = bytes | int | None
"""Whom a connection is counted for: an IPv4 address, or the network that an IPv6 address is of,
for a host there has as many addresses as it likes; by a Unix socket a user of this host."""

_HOST_BITS = 64
_NETWORK_SIZE = (128 - _HOST_BITS) // 8


class Guest(Protocol):
    """A connection."""

    @property
    def idle_since(self) -> float | None:
        """Since when it waits for its client to say something; None: it does not."""
        ...

    def drain(self) -> None:
        """Be gone as soon as what is pending is answered."""
        ...


class Place(Enum):
    KEPT = "for as long as it likes"
    BRIEF = "for one short answer"
    NONE = "not at all"


class _Group:
    """Guests, of whom the one that has been idle the longest makes room.

    Nobody tells when one is idle, for that changes with each request. They are looked at where
    room is needed, once in `idle_min`: whoever is idle since, is so for less.
    """

    def __init__(self) -> None:
        self.guests: dict[Guest, None] = {}
        self._idle: list[tuple[float, Guest]] = []
        """Those that were idle when it was looked, the longest last."""
        self._looked_at = float("-inf")

    def idle_the_longest(self, now: float, idle_min: float) -> Guest | None:
        """None where nobody has been idle for `idle_min` seconds."""
        while True:
            while self._idle:
                since, guest = self._idle[-1]
                if guest in self.guests and guest.idle_since == since:
                    return guest if now - since >= idle_min else None
                self._idle.pop()
            if now - self._looked_at < idle_min:
                return None
            self._looked_at = now
            times = ((guest.idle_since, guest) for guest in self.guests)
            idle = [(since, guest) for since, guest in times if since is not None]
            if not idle:
                return None
            self._idle = sorted(idle, key=itemgetter(0), reverse=True)

    def forget(self) -> None:
        """Hold nobody who may be gone."""
        self._idle.clear()


class Places:
    """The connections of a port that were let in."""

    def __init__(self, limits: Limits, clock: Callable[[], float]) -> None:
        self._limits = limits
        self._clock = clock
        self._kept = _Group()
        """All that have a place that is kept."""
        self._kept_of: dict[Source, _Group] = {}
        self._sources: dict[Guest, Source] = {}
        self._brief: dict[Guest, None] = {}

    def take(self, guest: Guest, host: str | int | None) -> Place:
        """A place for a newcomer from an address, perhaps somebody else's."""
        limits, source = self._limits, source_of(host)
        of_source = self._kept_of.get(source) or _Group()
        most = limits.connections_max
        if self._has_room(of_source, limits.share_of(most)) and self._has_room(self._kept, most):
            self._sources[guest] = source
            self._kept.guests[guest] = of_source.guests[guest] = None
            self._kept_of[source] = of_source
            return Place.KEPT
        if len(self._brief) >= limits.reserve_max:
            idle = (brief for brief in self._brief if brief.idle_since is not None)
            if (silent := next(idle, None)) is None:
                return Place.NONE
            self._dismiss(silent)
        self._brief[guest] = None
        return Place.BRIEF

    def leave(self, guest: Guest) -> None:
        """It is gone."""
        self._brief.pop(guest, None)
        if guest not in self._sources:
            return
        source = self._sources.pop(guest)
        of_source = self._kept_of[source]
        del self._kept.guests[guest], of_source.guests[guest]
        if not of_source.guests:
            del self._kept_of[source]

    def _has_room(self, group: _Group, guests_max: int) -> bool:
        """Whether there is a place, if need be after somebody has gone."""
        if len(group.guests) < guests_max:
            group.forget()
            return True
        guest = group.idle_the_longest(self._clock(), self._limits.idle_min)
        if guest is not None:
            self._dismiss(guest)
        return guest is not None

    def _dismiss(self, guest: Guest) -> None:
        self.leave(guest)
        guest.drain()


def source_of(host: str | int | None) -> Source:
    """Whom a client's address, or the number of a user, is counted for; None: nobody knows."""
    if not isinstance(host, str):
        return host
    address = ipaddress.ip_address(host.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        mapped = address.ipv4_mapped
        return address.packed[:_NETWORK_SIZE] if mapped is None else mapped.packed
    return address.packed
