"""The sender's rule of claims: a group `(start, to]` has everything above `start` (I3).

Records go in newest first, and what does not fit raises `start` to the newest seq left out, as
does what is on the disk only. A register and a key record under one seq stay together. `to` is
the version, or `start`, and then nothing is claimed: so it is of a group without the newest
records, for one of those may stand for an older event.
"""

from __future__ import annotations

from typing import NamedTuple

from gossipd.core.identity import Stream
from gossipd.core.wire.encoding import GROUP_OVERHEAD, Packed, pack_record
from gossipd.core.wire.records import Record

from .log import Log

_EVENT_SIZE_MAX = 323
"""Bytes that a register and a key record of one event take at most."""


class Cut(NamedTuple):
    """As much of a stream as fits."""

    start: int
    to: int
    records: list[Record]
    packed: list[Packed]
    above: int
    """Everything from there on is in it, but for what is on the disk only."""

    @property
    def size(self) -> int:
        """Bytes that the group takes."""
        return GROUP_OVERHEAD + sum(map(len, self.packed))


def cut_group(log: Log, stream: Stream, start: int, end: int, room: int, now: float) -> Cut | None:
    """The group of what a stream has in `(start, end]`; None when not one record fits."""
    room -= GROUP_OVERHEAD
    above, whole = start, 0
    is_small = room < _EVENT_SIZE_MAX
    lowest = end + 1
    records: list[Record] = []
    packed: list[Packed] = []
    for record in log.records_newest_first(stream, start, end, now):
        part = pack_record(record)
        if record[1] < lowest:
            lowest, whole = record[1], len(records)
        if len(part) > room:
            start = above = lowest
            if whole or is_small:
                del records[whole:], packed[whole:]
            else:
                # Only clones make so many under one seq: it counts, or it would come for ever.
                above -= 1
            break
        room -= len(part)
        records.append(record)
        packed.append(part)
    start = max(start, log.archived(stream, now))
    if not records:
        return None
    to = log.version(stream) if log.newest(stream) <= end else start
    return Cut(start, max(start, to), records, packed, above)
