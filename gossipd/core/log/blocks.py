"""Sorted items in blocks: one more costs no more than a block, however many there are.

A sorted list would move, and sorting it again would look at, all of its items. Here what an input
costs does not grow with what is held (but for the way to the block).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import Generic, TypeVar

SIZE = 512
"""Items of a block that is filled from its end. One that grows within is split at twice that."""

_FEW = SIZE // 8
"""A block of so many is looked at whenever it loses one: it may become part of another one."""

T = TypeVar("T", str, bytes, tuple[int, str])


class Blocks(Generic[T]):
    """Different items in their order."""

    __slots__ = ("_blocks", "_count", "_lasts")

    def __init__(self, items: Sequence[T] = ()) -> None:
        """`items`: sorted, each once."""
        self._blocks: list[list[T]] = [
            list(items[at : at + SIZE]) for at in range(0, len(items), SIZE)
        ]
        self._lasts: list[T] = [block[-1] for block in self._blocks]
        """The last item of each."""
        self._count = len(items)

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[T]:
        for block in self._blocks:
            yield from block

    def ascending(self, first: T) -> Iterator[T]:
        """The items from `first` on, the smallest first; nothing may change meanwhile."""
        place = self._block_of(first)
        if place < len(self._blocks):
            block = self._blocks[place]
            yield from block[bisect_left(block, first) :]
        for block in self._blocks[place + 1 :]:
            yield from block

    def descending(self, behind: T) -> Iterator[T]:
        """The items below `behind`, the largest first; nothing may change meanwhile."""
        place = self._block_of(behind)
        if place < len(self._blocks):
            block = self._blocks[place]
            yield from reversed(block[: bisect_left(block, behind)])
        while place:
            place -= 1
            yield from reversed(self._blocks[place])

    def some_from(self, first: T) -> list[T]:
        """The first items from `first` on, as many as there are in one block; none if it is above
        all."""
        place = self._block_of(first)
        if place == len(self._blocks):
            return []
        block = self._blocks[place]
        return block[bisect_left(block, first) :]

    def some_behind(self, count: int, limit: int) -> list[T]:
        """Items behind the first `count` of them: `limit` at most, and none if there are no more.
        Whatever is added meanwhile, none is passed over by who asks again behind what it got, as
        long as nothing is dropped."""
        for block in self._blocks:
            if count < len(block):
                return block[count : count + limit]
            count -= len(block)
        return []

    def add(self, item: T) -> T:
        """Hold an item; the one that is held now, which is the equal one where there was one."""
        blocks = self._blocks
        if not blocks or self._lasts[-1] < item:
            self._append(item)
            return item
        place = self._block_of(item)
        block = blocks[place]
        at = bisect_left(block, item)
        if block[at] == item:
            return block[at]
        block.insert(at, item)
        self._count += 1
        if len(block) > 2 * SIZE:
            blocks[place : place + 1] = [block[:SIZE], block[SIZE:]]
            self._lasts.insert(place, block[SIZE - 1])
        return item

    def remove(self, item: T) -> None:
        """Hold an item, which is held, no more."""
        place = bisect_left(self._lasts, item)
        block = self._blocks[place]
        at = bisect_left(block, item)
        del block[at]
        self._count -= 1
        if at == len(block) or len(block) <= _FEW:
            self._shrunk(place)

    def _append(self, item: T) -> None:
        blocks = self._blocks
        if blocks and len(blocks[-1]) < SIZE:
            blocks[-1].append(item)
            self._lasts[-1] = item
        else:
            blocks.append([item])
            self._lasts.append(item)
        self._count += 1

    def _block_of(self, item: T) -> int:
        """Where the block is that holds, or would hold, an item; behind all if it is above all."""
        return bisect_left(self._lasts, item)

    def _shrunk(self, place: int) -> None:
        """A block has lost its last item, or has few: it becomes part of the one before it if that
        leaves room there."""
        blocks, lasts, block = self._blocks, self._lasts, self._blocks[place]
        if block:
            lasts[place] = block[-1]
        if not block or (place and len(blocks[place - 1]) + len(block) <= SIZE // 2):
            if block:
                blocks[place - 1] += block
                lasts[place - 1] = block[-1]
            del blocks[place], lasts[place]
