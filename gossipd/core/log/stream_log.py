"""The registers of one stream, findable by counter, by seq and in the order of names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from math import isqrt

from gossipd.core.wire.records import KeyRecord, Record, Register

from .blocks import Blocks

_FEW = 8
"""Up to the root of so many times a stream's counters, those above a seq are sorted for each page;
if there are more, so many pages share the way through all names that it costs less."""

_FEW_MAX = 1_000
"""So many are sorted at most."""

PASSED_MAX = 250
"""Counters that are passed over before one of them is told."""

_SMALL = 32
"""Up to so many registers are put in order whenever that is asked for: there may be a million
streams of one register."""


class StreamLog:
    """The registers of one stream, findable by counter, by seq and in the order of names."""

    __slots__ = ("_by_seq", "_names", "digest", "durable", "newest", "registers", "version")

    def __init__(self) -> None:
        self.registers: dict[str, tuple[int, int]] = {}
        self.newest = 0
        """The largest seq of a register."""
        self.version = 0
        self.durable = 0
        self.digest = 0
        self._by_seq: Blocks[tuple[int, str]] | None = None
        """None while the stream is small, or, as it came from the disk, nobody has asked."""
        self._names: Blocks[str] | None = None
        """The same in the order of names."""

    def fill(self, registers: dict[str, tuple[int, int]]) -> None:
        """Hold just these, one for each counter."""
        self.registers = registers
        self.newest = max((seq for seq, _ in registers.values()), default=0)
        self._by_seq = self._names = None

    def put(self, counter: str, seq: int, total: int) -> None:
        registers = self.registers
        held = registers.get(counter)
        registers[counter] = (seq, total)
        self.newest = max(self.newest, seq)
        if held is None and len(registers) == _SMALL + 1:
            self._by_seq, self._names = self._seqs(), self._sorted_names()
            return
        if held is None and self._names is not None:
            self._names.add(counter)
        if self._by_seq is not None and (held is None or held[0] != seq):
            self._by_seq.add((seq, counter))
            if held is not None:
                self._by_seq.remove((held[0], counter))

    def newest_first(self, above: int, upto: int | None) -> Iterator[Register]:
        if above >= self.newest:
            return
        for seq, counter in self._down_from(self.newest if upto is None else upto):
            if seq <= above:
                return
            yield counter, seq, self.registers[counter][1]

    def newest_at_or_below(self, seq: int) -> int:
        """The seq of the newest register that is not above `seq`, or 0."""
        if seq >= self.newest:
            return self.newest
        return next(iter(self._down_from(seq)), (0, ""))[0]

    def look_by_name(self, above: int, after: str) -> Iterator[Register | str]:
        """The registers with seq > `above` behind a counter; and, now and then, a counter up to
        which there was none, for whoever asks may not want to look on."""
        few = min(isqrt(_FEW * len(self.registers)), _FEW_MAX)
        newer = list(islice(self._seqs().ascending((above + 1, "")), few + 1))
        behind = after + "\0"
        names: Iterable[str]
        if len(newer) <= few:
            names = sorted({counter for _, counter in newer if counter > after})
        else:
            names = self._sorted_names().ascending(behind)
        passed = 0
        for counter in names:
            seq, total = self.registers[counter]
            if seq > above:
                yield counter, seq, total
                passed = 0
            else:
                passed += 1
                if passed % PASSED_MAX == 0:
                    yield counter

    def _down_from(self, seq: int) -> Iterable[tuple[int, str]]:
        """The registers that are not above `seq`, the newest first."""
        if len(self.registers) > _SMALL:
            return self._seqs().descending((seq + 1, ""))
        upto = [(held, name) for name, (held, _) in self.registers.items() if held <= seq]
        upto.sort(reverse=True)
        return upto

    def _seqs(self) -> Blocks[tuple[int, str]]:
        """The registers by seq."""
        if self._by_seq is not None:
            return self._by_seq
        found = Blocks(sorted((seq, name) for name, (seq, _) in self.registers.items()))
        if len(self.registers) > _SMALL:
            self._by_seq = found
        return found

    def _sorted_names(self) -> Blocks[str]:
        if self._names is not None:
            return self._names
        found = Blocks(sorted(self.registers))
        if len(self.registers) > _SMALL:
            self._names = found
        return found


def both_newest_first(
    registers: Iterator[Register], keys: Iterable[KeyRecord]
) -> Iterator[Record]:
    """Registers and key records merged by seq, the largest first. There are few registers among
    many keys, so this is much quicker than a merge of any two."""
    register = next(registers, None)
    for record in keys:
        while register is not None and register[1] >= record.seq:
            yield register
            register = next(registers, None)
        yield record
    if register is not None:
        yield register
        yield from registers
