"""Whether anybody answers: a node that holds others as live members and hears none is not ready.

It does not know what they count. Once all of them are held as failed it is the one that is left:
then it serves, as nobody else does, and says that it is alone.
"""

from __future__ import annotations

from collections.abc import Callable

from gossipd.core import Node, Settings
from gossipd.daemon.ticking import TICK_LATEST
from gossipd.daemon.troubles import Trouble, Troubles

SILENT_PROBES = 5.0
"""Probe intervals without any answer after which nobody answers: longer than it takes two nodes to
find that one of them is gone."""


class Hearing:
    """Watches one node."""

    def __init__(
        self,
        node: Node,
        settings: Settings,
        troubles: Troubles,
        cause: Callable[[], str | None],
    ) -> None:
        """`cause` tells why nobody may answer, as far as it can be seen from here."""
        self._node = node
        self._patience = SILENT_PROBES * settings.probe_interval
        self._troubles = troubles
        self._cause = cause
        self._since = float("-inf")
        """When there began to be live members to hear of, or this node went on after it had stood
        still."""
        self._looked_at = float("-inf")

    def look(self, now: float) -> None:
        """Notice that nobody answers, or that somebody does; asked about each second."""
        live = self._node.live_count - 1
        stood_still = now - self._looked_at > 2 * TICK_LATEST
        self._looked_at = now
        if stood_still or not live:
            self._since = now
        failed, cause = self._node.failed_count, self._cause()
        because = f": {cause}" if cause else ""
        if live and now - max(self._since, self._node.heard_at) >= self._patience:
            text = f"none of {live} live members answers{because}"
            self._troubles.begin(Trouble.UNHEARD, text, serves=False)
        elif failed and not live:
            text = f"no other member is alive, {failed} failed{because}"
            self._troubles.begin(Trouble.UNHEARD, text, serves=cause is None)
        else:
            self._troubles.end(Trouble.UNHEARD)
