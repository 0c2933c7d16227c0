"""A trie of sums over the bits of the stream ids: finds unequal streams without listing all.

Most significant bits first, 6 bits a level, so 64 sums below each node; the root makes the log's
fingerprint. The upper levels are kept up to date, deeper ones, which hold few streams each, are
summed on demand from what the owner says of a stream. Ids are random, but who mints them may lie:
a deep node below which there are many is kept up to date, too.

One input often moves one stream several times in a row: that enters the sums at once, when another
stream moves or somebody asks. Sums are reduced when they are asked for.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from itertools import islice, takewhile

from gossipd.core.hashing import MASK
from gossipd.core.identity import STREAM_BITS, STREAM_BYTES, Stream
from gossipd.core.wire.messages import DIGEST_BITS, DIGEST_DEPTH_MAX, DIGEST_FANOUT

from .blocks import Blocks

_KEPT_DEPTH = 3

_MANY = 64
"""Streams below a node from which on it is not summed on demand any more."""


class Trie:
    """Sums by prefix. A prefix of depth d is the first 6 x d bits of a stream id."""

    def __init__(self, sum_of: Callable[[Stream], int]) -> None:
        self._sum_of = sum_of
        self._streams: Blocks[Stream] = Blocks()
        self._sums: list[defaultdict[int, int]] = [
            defaultdict(int) for _ in range(_KEPT_DEPTH + 1)
        ]
        shifts = (STREAM_BITS - DIGEST_BITS * depth for depth in range(_KEPT_DEPTH + 1))
        self._levels = tuple(zip(shifts, self._sums, strict=True))
        """Each level's sums, and how many bits of a stream id lie below it."""
        self._crowded: dict[tuple[int, int], list[int]] = {}
        """The 64 sums below each deep node, (depth, prefix), with many streams; whose parent is
        one of them, or at the depth that is kept."""
        self._moving: Stream = b""
        """The stream that has moved last ..."""
        self._moved = 0
        """... by what does not stand in the sums yet."""

    @property
    def root(self) -> int:
        """The sum of everything."""
        self._settle()
        return self._sums[0].get(0, 0) & MASK

    def insert(self, stream: Stream) -> None:
        """Make a stream known; it must not be known yet."""
        self._settle()
        self._streams.add(stream)
        bits, shift = int.from_bytes(stream, "big"), STREAM_BITS - DIGEST_BITS * _KEPT_DEPTH
        for depth in range(_KEPT_DEPTH, DIGEST_DEPTH_MAX):
            place = (depth, bits >> shift)
            if place not in self._crowded:
                if self.has_few_below(*place, _MANY):
                    break
                self._crowded[place] = self._summed(*place)
            shift -= DIGEST_BITS

    def add(self, stream: Stream, delta: int) -> None:
        """Add `delta` to the sum of a known stream."""
        if stream != self._moving:
            self._settle()
            self._moving = stream
        self._moved += delta

    def _settle(self) -> None:
        """Enter what has not been entered yet."""
        delta, self._moved = self._moved, 0
        if not delta:
            return
        bits = int.from_bytes(self._moving, "big")
        for shift, sums in self._levels:
            sums[bits >> shift] += delta
        depth, shift = _KEPT_DEPTH, STREAM_BITS - DIGEST_BITS * _KEPT_DEPTH
        while below := self._crowded.get((depth, bits >> shift)):
            depth, shift = depth + 1, shift - DIGEST_BITS
            below[bits >> shift & (DIGEST_FANOUT - 1)] += delta

    def below(self, depth: int, prefix: int) -> Iterator[Stream]:
        """The streams whose ids begin with a prefix, in order."""
        shift = STREAM_BITS - DIGEST_BITS * depth
        first = (prefix << shift).to_bytes(STREAM_BYTES, "big")
        last = ((prefix + 1 << shift) - 1).to_bytes(STREAM_BYTES, "big")
        return takewhile(last.__ge__, self._streams.ascending(first))

    def has_few_below(self, depth: int, prefix: int, few: int) -> bool:
        """Whether there are no more than `few` of them."""
        return next(islice(self.below(depth, prefix), few, None), None) is None

    def sums(self, depth: int, prefix: int) -> tuple[int, ...]:
        """The 64 sums one level below a prefix (depth below `DIGEST_DEPTH_MAX`)."""
        self._settle()
        children = range(prefix << DIGEST_BITS, (prefix + 1) << DIGEST_BITS)
        if depth < _KEPT_DEPTH:
            kept = self._sums[depth + 1]
            return tuple(kept.get(child, 0) & MASK for child in children)
        assert depth < DIGEST_DEPTH_MAX
        sums = self._crowded.get((depth, prefix)) or self._summed(depth, prefix)
        return tuple(total & MASK for total in sums)

    def _summed(self, depth: int, prefix: int) -> list[int]:
        sums = [0] * DIGEST_FANOUT
        for stream in self.below(depth, prefix):
            bits = int.from_bytes(stream, "big")
            child = bits >> (STREAM_BITS - DIGEST_BITS * (depth + 1)) & (DIGEST_FANOUT - 1)
            sums[child] += self._sum_of(stream)
        return sums
