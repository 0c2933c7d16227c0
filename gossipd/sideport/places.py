"""Who may stay: so many connections at a time, and no more than a share of them for one address.

Where there is no room, a newcomer takes the place of whoever has been idle the longest. Where all
are busy, it gets one of a few places in reserve, in which one short question is answered and no
more: so whoever holds all connections, silent or not, cannot hide a node from its supervisor and
its operator. Who asks nothing in the reserve is the first to make room there.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Callable
from enum import Enum
from typing import Protocol, TypeAlias

from gossipd.sideport.limits import Limits

Source: TypeAlias = bytes | None
"""Whom a connection is counted for: an IPv4 address, or the network that an IPv6 address is of,
for a host there has as many addresses as it likes."""

_HOST_BITS = 64
_NETWORK_SIZE = (128 - _HOST_BITS) // 8


class Guest(Protocol):
    """A connection."""

    def drain(self) -> None:
        """Be gone as soon as what is pending is answered."""
        ...


class Place(Enum):
    KEPT = "for as long as it likes"
    BRIEF = "for one short answer"
    NONE = "not at all"


class Places:
    """The connections of a port that were let in, and who of them waits to be asked something."""

    def __init__(self, limits: Limits, clock: Callable[[], float]) -> None:
        self._limits = limits
        self._clock = clock
        self._sources: dict[Guest, Source] = {}
        """All that have a place that is kept."""
        self._counts: Counter[Source] = Counter()
        self._idle: dict[Guest, float] = {}
        """Since when they are, the longest first."""
        self._idle_of: dict[Source, dict[Guest, float]] = {}
        self._brief: dict[Guest, None] = {}
        self._brief_idle: dict[Guest, None] = {}

    def take(self, guest: Guest, host: str | None) -> Place:
        """A place for a newcomer from an address, perhaps somebody else's."""
        limits, source = self._limits, source_of(host)
        if self._counts[source] >= limits.connections_per_address_max:
            may_stay = self._make_room(self._idle_of.get(source, {}))
        elif len(self._sources) >= limits.connections_max:
            may_stay = self._make_room(self._idle)
        else:
            may_stay = True
        if may_stay:
            self._sources[guest] = source
            self._counts[source] += 1
            return Place.KEPT
        if len(self._brief) >= limits.reserve_max and self._brief_idle:
            self._dismiss(next(iter(self._brief_idle)))
        if len(self._brief) >= limits.reserve_max:
            return Place.NONE
        self._brief[guest] = None
        return Place.BRIEF

    def idle(self, guest: Guest) -> None:
        """It waits for its client from now on."""
        if guest in self._brief:
            self._brief_idle[guest] = None
        elif guest in self._sources:
            self.busy(guest)
            now = self._clock()
            self._idle[guest] = now
            self._idle_of.setdefault(self._sources[guest], {})[guest] = now

    def busy(self, guest: Guest) -> None:
        """It does not wait for its client."""
        self._brief_idle.pop(guest, None)
        if self._idle.pop(guest, None) is not None:
            source = self._sources[guest]
            idle = self._idle_of[source]
            del idle[guest]
            if not idle:
                del self._idle_of[source]

    def leave(self, guest: Guest) -> None:
        """It is gone."""
        self.busy(guest)
        self._brief.pop(guest, None)
        if guest not in self._sources:
            return
        source = self._sources.pop(guest)
        self._counts[source] -= 1
        if not self._counts[source]:
            del self._counts[source]

    def _make_room(self, idle: dict[Guest, float]) -> bool:
        guest, since = next(iter(idle.items()), (None, 0.0))
        if guest is None or self._clock() - since < self._limits.idle_min:
            return False
        self._dismiss(guest)
        return True

    def _dismiss(self, guest: Guest) -> None:
        self.leave(guest)
        guest.drain()


def source_of(host: str | None) -> Source:
    """Whom a client's address is counted for; None where it has none."""
    if host is None:
        return None
    address = ipaddress.ip_address(host.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        mapped = address.ipv4_mapped
        return address.packed[:_NETWORK_SIZE] if mapped is None else mapped.packed
    return address.packed
