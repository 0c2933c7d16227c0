"""The registers of one stream, findable by counter, by seq and in the order of names."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator

from .messages import Register

_FEW = 8
"""Up to the root of so many times a stream's counters, those above a seq are sorted for each page;
if there are more, so many pages share the way through all names that it costs less."""


class StreamLog:
    """The registers of one stream, findable by counter, by seq and in the order of names."""

    __slots__ = (
        "_by_seq",
        "digest",
        "durable",
        "names",
        "registers",
        "sorted_names",
        "version",
    )

    def __init__(self) -> None:
        self.registers: dict[str, tuple[int, int]] = {}
        self.version = 0
        self.durable = 0
        self.digest = 0
        self._by_seq: list[tuple[int, str]] | None = []
        self.names: list[str] = []
        self.sorted_names = True

    @property
    def by_seq(self) -> list[tuple[int, str]]:
        """Sorted; superseded entries stay until compacted. Made when it is first asked for: of a
        stream that came from the disk nobody may ever want it."""
        if self._by_seq is None:
            self._by_seq = sorted((seq, name) for name, (seq, _) in self.registers.items())
        return self._by_seq

    def fill(self, registers: dict[str, tuple[int, int]]) -> None:
        """Hold just these, one for each counter."""
        self.registers = registers
        self.names = list(registers)
        self.sorted_names = False
        self._by_seq = None

    def put(self, counter: str, seq: int, total: int) -> None:
        if counter not in self.registers:
            self.sorted_names = not self.names or (self.sorted_names and self.names[-1] < counter)
            self.names.append(counter)
        self.registers[counter] = (seq, total)
        by_seq = self._by_seq
        if by_seq is None:
            return
        entry = (seq, counter)
        if not by_seq or by_seq[-1] < entry:
            by_seq.append(entry)
        else:
            insort(by_seq, entry)
        if len(by_seq) > 2 * len(self.registers) + 16:
            self._by_seq = None

    def newest_first(self, above: int, upto: int | None) -> Iterator[Register]:
        previous: tuple[int, str] | None = None
        by_seq = self.by_seq
        behind = len(by_seq) if upto is None else bisect_left(by_seq, (upto + 1, ""))
        for index in reversed(range(behind)):
            entry = seq, counter = by_seq[index]
            if seq <= above:
                return
            held_seq, total = self.registers[counter]
            if held_seq == seq and entry != previous:
                yield counter, seq, total
            previous = entry

    def newest_at_or_below(self, seq: int) -> int:
        """The seq of the newest register that is not above `seq`, or 0."""
        by_seq = self.by_seq
        index = bisect_left(by_seq, (seq + 1, ""))
        while index:
            index -= 1
            held, counter = by_seq[index]
            if self.registers[counter][0] == held:
                return held
        return 0

    def by_name(self, above: int, after: str) -> Iterator[Register]:
        by_seq = self.by_seq
        first = bisect_left(by_seq, (above + 1, ""))
        few = len(by_seq) - first
        if few * few <= _FEW * len(self.names):
            names: Iterable[str] = sorted(
                {counter for _, counter in by_seq[first:] if counter > after}
            )
        else:
            names = self._names_after(after)
        for counter in names:
            seq, total = self.registers[counter]
            if seq > above:
                yield counter, seq, total

    def _names_after(self, after: str) -> Iterator[str]:
        if not self.sorted_names:
            self.names.sort()
            self.sorted_names = True
        for index in range(bisect_right(self.names, after), len(self.names)):
            yield self.names[index]
