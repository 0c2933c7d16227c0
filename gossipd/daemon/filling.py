"""Says in time that the log is getting full: nothing is evicted, so what does not fit is refused.

Each limit is warned of at most twice: when most of it is used, and when it is reached. Streams and
registers never become fewer in one process. Keys do as their window passes, and doubles as they
are summed up; they are warned of anew when half of their limit was free in between.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator

from gossipd.core import Node
from gossipd.daemon.lines import fields
from gossipd.daemon.troubles import Alarm, Trouble

log = logging.getLogger(__name__)

NEAR = 0.8
"""The share of a limit from which on there is an alarm."""

WHOLE = 1.0

CALM = 0.5
"""The share below which what was said is forgotten."""


_NEW_ONES = "new ones are refused"
_REFUSED = {Trouble.DOUBLES: "they are summed up early, which is exact while no node is cut off"}


class Filling:
    """Watches the log of one node."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._log = node.log
        self._told: dict[Trouble, float] = {}
        """The share up to which each limit was warned of."""

    @property
    def alarms(self) -> list[Alarm]:
        """The limits that are near or reached; empty while there is room."""
        return [
            Alarm(_text(what, held, limit), what.advice)
            for what, held, limit in self._used()
            if held >= NEAR * limit
        ]

    def look(self) -> None:
        """Log what became near or full since the last look."""
        for what, held, limit in self._used():
            if held < NEAR * limit:
                if held < CALM * limit:
                    self._told.pop(what, None)
                continue
            share = WHOLE if held >= limit else NEAR
            if share > self._told.get(what, 0.0):
                self._told[what] = share
                when = "" if share == WHOLE else "beyond that "
                text = _text(what, held, limit)
                extra = fields(limit=what.alarm, held=held, most=limit)
                then = _REFUSED.get(what, _NEW_ONES)
                log.warning("the log holds %s: %s%s", text, when, then, extra=extra)

    def _used(self) -> Iterator[tuple[Trouble, int, int]]:
        yield Trouble.STREAMS, self._log.stream_count, self._log.streams_max
        yield Trouble.REGISTERS, self._log.register_count, self._log.registers_max
        yield Trouble.KEYS, len(self._log.keys), self._node.key_limit
        yield Trouble.DOUBLES, len(self._log.doubles), self._log.doubles_max


def _text(what: Trouble, held: int, limit: int) -> str:
    return f"{held:,} of at most {limit:,} {what.alarm}"
