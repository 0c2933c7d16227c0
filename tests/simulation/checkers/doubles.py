"""What doubles take from values, computed from doubles, corrections and registers.

I7: an event that has lost is left out while its winner and itself are present; what was folded is
left out as the corrections have it. The core's own sums are not asked.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

from gossipd.core import Stream
from gossipd.core.log.log import Log

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
    sums: dict[str, int] = {}
    events = 0
    for stream in log.streams:
        for counter, seq, by, winner, winner_seq, _ in log.doubles.of(stream, 0, 0.0):
            both = is_present(log, stream, seq, counter)
            if both and is_present(log, winner, winner_seq, counter):
                sums[counter] = sums.get(counter, 0) + by
                events += 1
        for folded in log.doubles.corrections(stream):
            sums[folded.counter] = sums.get(folded.counter, 0) + folded.out
            events += folded.lost
    return LeftOut(sums, events)


def has_lost(log: Log, stream: Stream, seq: int, counter: str) -> bool | None:
    """Whether a log knows that an event has lost; None where it may have folded it."""
    folded = log.doubles.correction(stream, counter)
    if folded is not None and seq <= folded.seq:
        return None
    return log.doubles.has(stream, seq)


def is_present(log: Log, stream: Stream, seq: int, counter: str) -> bool:
    """Whether a log's register of an event has reached it."""
    return log.register(stream, counter)[0] >= seq
