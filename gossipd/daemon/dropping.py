"""Datagrams that were not used, in the log: what an operator is to know of at once, all others
once a minute by reason. However many come, they are no flood."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter

from gossipd.core import Address, Drop
from gossipd.daemon.lines import fields
from gossipd.daemon.repeats import Repeats
from gossipd.daemon.reports import address_text
from gossipd.daemon.troubles import Trouble, Troubles

log = logging.getLogger("gossipd")

SUM_EVERY = 60.0
"""Seconds over which drops are summed up, from the first one on; the same reason is told with an
address no sooner again."""

_WARN_OF = {
    *(Drop.FOREIGN, Drop.VERSION, Drop.MEMBERS_FULL, Drop.STREAMS_FULL, Drop.KEYS_FULL),
    *(Drop.SEALED, Drop.UNSEALED, Drop.UNKNOWN_SECRET),
    *(Drop.NOT_ALLOWED, Drop.ABSURD, Drop.FALSE_CLAIM, Drop.NOT_OURS),
}
"""Drops that an operator is to know of."""


class Drops:
    """Those of one node."""

    def __init__(self, troubles: Troubles) -> None:
        self._troubles = troubles
        self.counts = Counter[Drop]()
        self._timer: asyncio.TimerHandle | None = None
        self._untold = Counter[Drop]()
        """Those before the timer that no line has told of."""
        self._warned = set[Drop]()
        """Reasons of which one has."""
        self._repeats = Repeats()

    def drop(self, source: Address, reason: Drop) -> None:
        """A datagram was dropped."""
        self.counts[reason] += 1
        self._sum_later()
        if not self._tell(source, reason):
            self._untold[reason] += 1
        if reason is Drop.NOT_OURS:
            text = f"{address_text(source)} told of increments of this process that it never made"
            self._troubles.begin(Trouble.NOT_OURS, text)

    def _sum_later(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(SUM_EVERY, self._sum)

    def _tell(self, source: Address, reason: Drop) -> bool:
        """Whether a line tells of this one."""
        level = logging.DEBUG
        if reason in _WARN_OF:
            if reason in self._warned:
                return False
            self._warned.add(reason)
            level = logging.WARNING
        elif (
            not log.isEnabledFor(level)
            or self._repeats.tell(reason.name, time.monotonic()) is None
        ):
            return False
        at = address_text(source)
        extra = fields(reason=reason.name.lower(), address=at)
        log.log(level, "dropped a datagram from %s: %s", at, reason.value, extra=extra)
        return True

    def _sum(self) -> None:
        untold, self._untold = self._untold, Counter()
        self._timer = None
        if Drop.NOT_OURS in self._warned:
            self._sum_later()
        else:
            self._troubles.end(Trouble.NOT_OURS)
        self._warned.clear()
        if not untold:
            return
        level = logging.WARNING if any(reason in _WARN_OF for reason in untold) else logging.INFO
        by_reason = {reason.name.lower(): count for reason, count in untold.most_common()}
        listed = ", ".join(f"{count:,} {name}" for name, count in by_reason.items())
        log.log(
            level,
            "dropped %s more datagrams in %g s: %s",
            f"{untold.total():,}",
            SUM_EVERY,
            listed,
            extra=fields(**by_reason),
        )
