"""Where peers see this node, if not where it advertises to be: wrong once nobody answers there.

Behind a NAT that forwards the port a join begins like that, too, and is answered some milliseconds
later. Where no answer comes, there is a cluster that does not reach this node: it is no member, so
what it counts is not what the others count, however long it waits.
"""

from __future__ import annotations

from gossipd.core import Address, Node
from gossipd.daemon.reports import address_text
from gossipd.daemon.troubles import Trouble, Troubles

TOLD_AFTER = 1.0
"""Seconds without an answer after which it is told: as long as the others wait before they warn
of it (`core.swim.moved`)."""


class Sight:
    """What peers see of one node."""

    def __init__(self, node: Node, troubles: Troubles) -> None:
        self._node = node
        self._troubles = troubles
        self.seen: Address | None = None
        """Where a peer has seen this node since somebody last answered, if that is elsewhere."""
        self._since = 0.0
        """When it was first seen elsewhere."""

    def saw(self, seen: Address, now: float) -> None:
        """A peer has seen this node elsewhere."""
        if self.seen is None:
            self._since = now
        self.seen = seen

    def over(self) -> None:
        """Somebody has answered, this node advertises something else, or nobody is asked."""
        self.seen = None
        self._troubles.end(Trouble.UNREACHED)

    def tell(self, now: float) -> None:
        """Make it an alarm, if it is time. Where members are held, `hearing` judges whether this
        node serves; else nobody has told it a count."""
        cause = self.cause
        if cause is not None and now - self._since >= TOLD_AFTER:
            text = f"{cause}: is --advertise wrong, or is there a NAT between?"
            holds = self._node.live_count > 1 or self._node.failed_count > 0
            self._troubles.begin(Trouble.UNREACHED, text, serves=holds)

    @property
    def cause(self) -> str | None:
        """Why nobody may answer."""
        if self.seen is None:
            return None
        own, seen = address_text(self._node.own.address), address_text(self.seen)
        return f"this node advertises {own}, but its datagrams come from {seen}"
