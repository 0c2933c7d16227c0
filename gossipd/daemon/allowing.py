"""Whom this node exchanges datagrams with: only those in the networks of `allow`, if it has any.

Both ways. What comes from elsewhere is dropped before it is looked at; and nothing is sent
elsewhere, whatever makes the core want to: views, refusals, seeds, requests to ping somebody. That
second half is why nothing else has to know of the list. A live member enters the table only once
it has answered at its address, so one outside stays out of it on every node with this list, and
the tables are equal; one that was in it before the list changed is found silent, and fails.

This host's own addresses are always allowed, as far as they can only be its own: 127.0.0.1, ::1
(no other host's datagram gets here with them) and what the node advertises, from which its own
tools speak. Who can send from these is on this host already.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gossipd.config.endpoint import LOOPBACKS
from gossipd.config.networks import Networks, unmapped


def allowing(texts: Sequence[str], own: Callable[[], str] = str) -> Callable[[str], bool] | None:
    """What tells whether an address is allowed; None: all are. `own`: the address that the node
    advertises at present, if it is known."""
    if not texts:
        return None
    networks = Networks(texts)

    def is_allowed(host: str) -> bool:
        if host in networks:
            return True
        plain = unmapped(host)
        return plain in LOOPBACKS or plain == own()

    return is_allowed
