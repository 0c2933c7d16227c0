"""What doubles take from values, computed from entries and registers as the design has it.

I7: of the events of one (key, counter, by) that are entered and present, all but the smallest by
(stream, seq) are left out. The core's own sums are not asked.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from gossipd.core import Stream
from gossipd.core.log import Log

Group: TypeAlias = tuple[bytes, str, int]
"""(key, counter, by)."""


class LeftOut(NamedTuple):
    """What is left out on one node."""

    sums: dict[str, int]
    """By counter."""
    events: int
    """How many."""


def left_out(log: Log) -> LeftOut:
    """What the values of a log have to leave out."""
    present: dict[Group, int] = {}
    for stream in log.doubles.streams():
        for key, seq, counter, by in log.doubles.of(stream):
            if is_present(log, stream, seq, counter):
                group = (key, counter, by)
                present[group] = present.get(group, 0) + 1
    sums: dict[str, int] = {}
    for (_, counter, by), count in present.items():
        sums[counter] = sums.get(counter, 0) + by * (count - 1)
    return LeftOut(sums, sum(present.values()) - len(present))


def is_present(log: Log, stream: Stream, seq: int, counter: str) -> bool:
    """Whether a log's register of an event has reached it."""
    return log.register(stream, counter)[0] >= seq
