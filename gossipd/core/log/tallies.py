"""What the fingerprint says of doubles: for each (stream, counter) a tally, hashed as a whole.

A correction that somebody tells carries the sum of the hashes of doubles that nobody else has any
more, so it may carry any. Were that a part of the stream's sum, it could make up for any
difference in registers. So it only enters a hash, beside the number of events that are left out of
the value and the sum of these: where tallies agree, what is left out does, however it was told.
Folding moves no tally.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from gossipd.core.hashing import MASK_64, wide_hash
from gossipd.core.identity import Stream

Tally: TypeAlias = tuple[int, int, int]
"""Of the doubles on one counter in one stream, folded or not: the sum of their hashes modulo 2^64,
for how many the value leaves out something, and the sum of that."""

_NOTHING: Tally = (0, 0, 0)

_OUT_BYTES = 16


class Tallies:
    """Those of all streams."""

    def __init__(self) -> None:
        self._of: dict[tuple[Stream, str], Tally] = {}
        self._before: dict[tuple[Stream, str], Tally] = {}
        """Those that have moved, as they were when sums were told last."""

    def move(
        self, stream: Stream, counter: str, *, digest: int = 0, lost: int = 0, out: int = 0
    ) -> None:
        """Add to a tally."""
        place = (stream, counter)
        held = self._of.get(place, _NOTHING)
        if place not in self._before:
            self._before[place] = held
        self._of[place] = (held[0] + digest) & MASK_64, held[1] + lost, held[2] + out

    def moves(self) -> Iterator[tuple[Stream, int]]:
        """By how much the sums of streams move, since this was asked last."""
        before, self._before = self._before, {}
        for place, was in before.items():
            held = self._of[place]
            if held == _NOTHING:
                del self._of[place]
            if held != was:
                yield place[0], _hash_of(*place, held) - _hash_of(*place, was)


def _hash_of(stream: Stream, counter: str, tally: Tally) -> int:
    if tally == _NOTHING:
        return 0
    digest, lost, out = tally
    # Many doubles that somebody made up leave out more than an integer of msgpack holds.
    told = out.to_bytes(_OUT_BYTES, "big", signed=True)
    return wide_hash("d", stream, counter, digest, lost, told)
