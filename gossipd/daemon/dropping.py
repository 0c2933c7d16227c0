"""Datagrams that were not used, in the log: what an operator is to know of at once, all others
once a minute by reason. However many come, they are no flood."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from dataclasses import dataclass

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
    *(Drop.MALFORMED, Drop.UNKNOWN_KIND),  # of this cluster: its sender is of another version
    *(Drop.NOT_ALLOWED, Drop.ABSURD, Drop.FALSE_CLAIM, Drop.NOT_OURS),
}
"""Drops that an operator is to know of."""


@dataclass(slots=True)
class _Dropped:
    """For one reason: a reason is slow to hash, so it is looked up once for each."""

    warns: bool
    count: int = 0
    untold: int = 0
    """Those since the last sum that no line has told of."""
    is_told: bool = False
    """Whether a line has warned of one since."""


class Drops:
    """Those of one node."""

    def __init__(self, troubles: Troubles) -> None:
        self._troubles = troubles
        self._dropped = {reason: _Dropped(reason in _WARN_OF) for reason in Drop}
        self._timer: asyncio.TimerHandle | None = None
        self._repeats = Repeats()

    @property
    def counts(self) -> Counter[Drop]:
        """How many for which reason."""
        return Counter({reason: of.count for reason, of in self._dropped.items() if of.count})

    def drop(self, source: Address, reason: Drop) -> None:
        """A datagram was dropped."""
        of = self._dropped[reason]
        of.count += 1
        if self._timer is None:
            self._sum_later()
        if not self._tell(source, reason, of):
            of.untold += 1
        if reason is Drop.NOT_OURS:
            text = f"{address_text(source)} told of increments of this process that it never made"
            self._troubles.begin(Trouble.NOT_OURS, text)

    def _sum_later(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(SUM_EVERY, self._sum)

    def _tell(self, source: Address, reason: Drop, of: _Dropped) -> bool:
        """Whether a line tells of this one."""
        level = logging.DEBUG
        if of.warns:
            if of.is_told:
                return False
            of.is_told = True
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
        self._timer = None
        if self._dropped[Drop.NOT_OURS].is_told:
            self._sum_later()
        else:
            self._troubles.end(Trouble.NOT_OURS)
        untold = Counter({reason: of.untold for reason, of in self._dropped.items() if of.untold})
        for of in self._dropped.values():
            of.untold, of.is_told = 0, False
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
