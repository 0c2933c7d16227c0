"""What the fingerprint says of doubles: for each (stream, counter) a tally, hashed as a whole.

A correction that somebody tells carries the sum of the hashes of doubles that nobody else has any
more, so it may carry any. Were that a part of the stream's sum, it could make up for any
difference in registers. So it only enters a hash, beside the number of events that are left out of
the value and the sum of these: where tallies agree, what is left out does, however it was told.
Folding moves no tally.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from gossipd.core.hashing import MASK_64, wide_hash
from gossipd.core.identity import Stream


class Tally(NamedTuple):
    """Of the doubles on one counter in one stream, folded or not."""

    digest: int = 0
    """The sum of their hashes modulo 2^64."""
    lost: int = 0
    """For so many the value leaves out ..."""
    out: int = 0
    """... this sum."""


_NOTHING = Tally()

_OUT_BYTES = 16


class Tallies:
    """Those of all streams."""

    def __init__(self) -> None:
        self._of: dict[Stream, dict[str, Tally]] = {}
        self._before: dict[tuple[Stream, str], Tally] = {}
        """Those that have moved, as they were when sums were told last."""

    def move(
        self, stream: Stream, counter: str, *, digest: int = 0, lost: int = 0, out: int = 0
    ) -> None:
        """Add to a tally."""
        tallies = self._of.setdefault(stream, {})
        held = tallies.get(counter, _NOTHING)
        self._before.setdefault((stream, counter), held)
        moved = Tally((held.digest + digest) & MASK_64, held.lost + lost, held.out + out)
        if moved != _NOTHING:
            tallies[counter] = moved
            return
        tallies.pop(counter, None)
        if not tallies:
            del self._of[stream]

    def moves(self) -> Iterator[tuple[Stream, int]]:
        """By how much the sums of streams move, since this was asked last."""
        before, self._before = self._before, {}
        for (stream, counter), was in before.items():
            held = self._of.get(stream, {}).get(counter, _NOTHING)
            if held != was:
                yield stream, _hash_of(stream, counter, held) - _hash_of(stream, counter, was)


def _hash_of(stream: Stream, counter: str, tally: Tally) -> int:
    if tally == _NOTHING:
        return 0
    # Many doubles that somebody made up leave out more than an integer of msgpack holds.
    out = tally.out.to_bytes(_OUT_BYTES, "big", signed=True)
    return wide_hash("d", stream, counter, tally.digest, tally.lost, out)
