"""What doubles take from values, computed from doubles, corrections and registers.

I7: an event that has lost is left out while its winner and itself are present; what was folded is
left out as the corrections have it. The core's own sums are not asked.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple, TypeAlias

from gossipd.core import Stream
from gossipd.core.hashing import MASK_64, hash64, wide_hash
from gossipd.core.log.doubles import Doubles
from gossipd.core.log.log import Log
from gossipd.core.wire.records import Double

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
        for double in log.doubles.of(stream, 0, 0.0):
            if is_left_out(log, stream, double):
                sums[double.counter] = sums.get(double.counter, 0) + double.by
                events += 1
        for folded in log.doubles.corrections(stream):
            sums[folded.counter] = sums.get(folded.counter, 0) + folded.out
            events += folded.lost
    return LeftOut(sums, events)


def is_left_out(log: Log, stream: Stream, double: Double) -> bool:
    """Whether a value leaves out the event that a double of a stream is about."""
    of, winner = (stream, double.seq), (double.winner, double.winner_seq)
    return all(is_present(log, *event, double.counter) for event in (of, winner))


def hash_of_doubles(
    doubles: Doubles, stream: Stream, is_out: Callable[[Stream, Double], bool]
) -> int:
    """What the doubles of a stream, folded or not, add to its sum (I9). `is_out`: whether the
    event of one is left out."""
    tallies: dict[str, list[int]] = {}
    for double in doubles.of(stream, 0, 0.0):
        tally = tallies.setdefault(double.counter, [0, 0, 0])
        tally[0] += hash64("d", stream, *double.said)
        if is_out(stream, double):
            tally[1] += 1
            tally[2] += double.by
    for counter, _, lost, out, digest in doubles.corrections(stream):
        tally = tallies.setdefault(counter, [0, 0, 0])
        tally[:] = tally[0] + digest, tally[1] + lost, tally[2] + out
    return sum(
        _hash(stream, name, digest & MASK_64, lost, out.to_bytes(16, "big", signed=True))
        for name, (digest, lost, out) in tallies.items()
        if digest & MASK_64 or lost or out
    )


@lru_cache(maxsize=10_000)
def _hash(*fields: object) -> int:
    return wide_hash("d", *fields)


def has_lost(log: Log, stream: Stream, seq: int, counter: str) -> bool | None:
    """Whether a log knows that an event has lost; None where it may have folded it."""
    folded = log.doubles.correction(stream, counter)
    if folded is not None and seq <= folded.seq:
        return None
    return log.doubles.has(stream, seq)


def is_present(log: Log, stream: Stream, seq: int, counter: str) -> bool:
    """Whether a log's register of an event has reached it."""
    return log.register(stream, counter)[0] >= seq
