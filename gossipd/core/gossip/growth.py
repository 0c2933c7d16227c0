"""How much a peer may make this node hold, by what it tells unasked: so much a second.

What is new and beyond that is not used; the logs differ then, and repair asks for it, at the pace
of who asks. News of what is held is never refused. Each address that has proven itself has a
budget of its own, all others share a small one, for their number is whatever somebody likes.
"""

from __future__ import annotations

from gossipd.core.identity import Address

STREAMS_PACE = 2_000
"""New streams a second. A process mints one in its life, and each client's source is one."""

REGISTERS_PACE = 20_000
"""New registers a second: nearly what a node tells at most (`gossip_rate_max` datagrams)."""

STRANGERS_PART = 10
"""All who have proven nothing have a budget smaller by this."""

BURST = 2.0
"""Seconds of its pace that a peer has saved up at most."""

PEERS_MAX = 1024
"""Peers that are told apart, the latest ones."""

_STRANGERS: Address = ("", 0)


class Growth:
    """The budgets."""

    def __init__(self) -> None:
        self._spent_until: dict[Address, float] = {}
        """By address: until when it has spent its pace, at most `BURST` from now."""

    def takes(
        self, source: Address, is_proven: bool, streams: int, registers: int, now: float
    ) -> bool:
        """Whether so much that is new may come; if so it is spent."""
        cost = streams / STREAMS_PACE + registers / REGISTERS_PACE
        if not is_proven:
            source, cost = _STRANGERS, cost * STRANGERS_PART
        until = max(self._spent_until.pop(source, now), now)
        fits = until + cost <= now + BURST
        self._spent_until[source] = until + cost if fits else until
        if len(self._spent_until) > PEERS_MAX:
            del self._spent_until[next(iter(self._spent_until))]
        return fits
