"""What is held of one stream in the order of seqs, one value for each, in blocks.

As in `blocks`, one more costs no more than a block, however many there are and wherever it stands.
Seqs are packed, and so are weights (of key records: hashes), whose sum over a range is known
block by block. Each value takes 24 bytes beside itself.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterator
from itertools import islice

from .blocks import SIZE


class _Block:
    """Neighbours; never empty."""

    __slots__ = ("seqs", "sum", "values", "weights")

    def __init__(self) -> None:
        self.seqs = array("Q")
        self.values: list[bytes] = []
        self.weights = array("Q")
        self.sum = 0

    def append(self, seq: int, value: bytes, weight: int) -> None:
        self.seqs.append(seq)
        self.values.append(value)
        self.weights.append(weight)
        self.sum += weight

    def insert(self, at: int, seq: int, value: bytes, weight: int) -> None:
        self.seqs.insert(at, seq)
        self.values.insert(at, value)
        self.weights.insert(at, weight)
        self.sum += weight

    def cut(self, first: int, behind: int) -> _Block:
        """Take a part out, as a block of its own."""
        part = _Block()
        part.seqs, part.values = self.seqs[first:behind], self.values[first:behind]
        part.weights = self.weights[first:behind]
        part.sum = sum(part.weights)
        del self.seqs[first:behind], self.values[first:behind], self.weights[first:behind]
        self.sum -= part.sum
        return part


class Order:
    """Values by seq."""

    __slots__ = ("_blocks",)

    def __init__(self) -> None:
        self._blocks: list[_Block] = []

    def __bool__(self) -> bool:
        return bool(self._blocks)

    @property
    def newest(self) -> int:
        """The largest seq; 0 where there is none."""
        return self._blocks[-1].seqs[-1] if self._blocks else 0

    def get(self, seq: int) -> bytes | None:
        """The value of a seq, None where there is none."""
        blocks = self._blocks
        if not blocks or blocks[-1].seqs[-1] < seq:
            return None
        block = blocks[self._place(seq)]
        at = bisect_left(block.seqs, seq)
        return block.values[at] if block.seqs[at] == seq else None

    def ascending(self, above: int) -> Iterator[tuple[int, bytes]]:
        """(seq, value) of those above a seq, the smallest first; nothing may change meanwhile."""
        place = self._place(above + 1)
        if block := self._block(place):
            at = bisect_left(block.seqs, above + 1)
            yield from zip(block.seqs[at:], block.values[at:], strict=True)
        for block in islice(self._blocks, place + 1, None):
            yield from zip(block.seqs, block.values, strict=True)

    def descending(self, upto: int) -> Iterator[tuple[int, bytes]]:
        """The same of those that are not above a seq, the largest first."""
        place = self._place(upto + 1)
        if block := self._block(place):
            at = bisect_left(block.seqs, upto + 1)
            while at:
                at -= 1
                yield block.seqs[at], block.values[at]
        while place:
            place -= 1
            block = self._blocks[place]
            yield from zip(reversed(block.seqs), reversed(block.values), strict=True)

    def runs(self, above: int) -> Iterator[tuple[int, int]]:
        """Where the seqs above one follow each other without a gap: the first and the last of
        them. What goes on in the next block comes in parts."""
        for block in islice(self._blocks, self._place(above + 1), None):
            yield from _runs(block.seqs, bisect_left(block.seqs, above + 1))

    def put(self, seq: int, value: bytes, weight: int = 0) -> None:
        """Hold a value under a seq that has none."""
        blocks = self._blocks
        if not blocks or blocks[-1].seqs[-1] < seq:
            if not blocks or len(blocks[-1].seqs) >= SIZE:
                blocks.append(_Block())
            blocks[-1].append(seq, value, weight)
            return
        place = self._place(seq)
        block = blocks[place]
        block.insert(bisect_left(block.seqs, seq), seq, value, weight)
        if len(block.seqs) > 2 * SIZE:
            blocks.insert(place, block.cut(0, SIZE))

    def weight(self, above: int, upto: int) -> int:
        """The sum of the weights of those with `above` < seq <= `upto`."""
        found = 0
        for place in range(self._place(above + 1), len(self._blocks)):
            block = self._blocks[place]
            if above < block.seqs[0] and block.seqs[-1] <= upto:
                found += block.sum
                continue
            first, behind = bisect_left(block.seqs, above + 1), bisect_left(block.seqs, upto + 1)
            found += sum(block.weights[first:behind])
            if behind < len(block.seqs):
                break
        return found

    def remove(self, seq: int) -> None:
        """Hold the value of a seq, which has one, no more."""
        place = self._place(seq)
        block = self._blocks[place]
        at = bisect_left(block.seqs, seq)
        block.cut(at, at + 1)
        if not block.seqs:
            del self._blocks[place]

    def remove_first(self, count: int) -> None:
        """Hold the first `count` values no more."""
        blocks = self._blocks
        whole = 0
        while whole < len(blocks) and len(blocks[whole].seqs) <= count:
            count -= len(blocks[whole].seqs)
            whole += 1
        del blocks[:whole]
        if count:
            blocks[0].cut(0, count)

    def _place(self, seq: int) -> int:
        """Where the block is that holds, or would hold, a seq; behind all if it is above all."""
        return bisect_left(self._blocks, seq, key=_last)

    def _block(self, place: int) -> _Block | None:
        return self._blocks[place] if place < len(self._blocks) else None


def _runs(seqs: array[int], at: int) -> Iterator[tuple[int, int]]:
    """Those among some neighbours from a place on; of most blocks all is one."""
    if seqs[-1] - seqs[at] == len(seqs) - at - 1:
        yield seqs[at], seqs[-1]
        return
    first = before = seqs[at]
    for seq in seqs[at + 1 :]:
        if seq != before + 1:
            yield first, before
            first = seq
        before = seq
    yield first, before


def _last(block: _Block) -> int:
    return block.seqs[-1]
