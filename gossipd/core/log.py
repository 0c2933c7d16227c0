"""The replicated log: for each (stream, counter) the newest event, for each stream a version.

Registers carry totals, so an event is self-contained: loss, duplication and reordering need no
buffer, and merging is `max` of (seq, total). Nothing here knows peers, time or how news travels.

Invariants (design section 9):
- I2  register (q, t) means t = sum of `by` of that (stream, counter) with seq <= q.
- I3  version v means every register of the stream is at least at its last event <= v.
- I6  registers and versions never shrink.
- I7  `value` = sum of totals over the registers of a counter.
- I9  `fingerprint` = sum of the hashes of all registers and versions.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from .digest import Trie
from .hashing import hash64
from .identity import Stream
from .messages import Leaf, Register
from .settings import REGISTERS_MAX, STREAMS_MAX

_FEW = 8
"""Up to the root of so many times a stream's counters, those above a seq are sorted for each page;
if there are more, so many pages share the way through all names that it costs less."""


class Advance(NamedTuple):
    """A register went up: `by` is what the event added to what was known here."""

    stream: Stream
    counter: str
    seq: int
    by: int
    value: int
    """The counter's value after it."""


class Marks:
    """What has changed in a log since it was taken: registers, and streams with a new version."""

    __slots__ = ("registers", "versions")

    def __init__(self) -> None:
        self.registers: dict[tuple[Stream, str], None] = {}
        self.versions: dict[Stream, None] = {}

    def take(self) -> tuple[dict[tuple[Stream, str], None], dict[Stream, None]]:
        """Everything so far; from now on nothing has changed."""
        taken = self.registers, self.versions
        self.registers, self.versions = {}, {}
        return taken


class _StreamLog:
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


class Log:
    """All streams that this node knows of."""

    def __init__(self, streams_max: int = STREAMS_MAX, registers_max: int = REGISTERS_MAX) -> None:
        self.streams_max = streams_max
        self.registers_max = registers_max
        """How much it takes; what would be more is refused."""
        self._streams: dict[Stream, _StreamLog] = {}
        self._values: dict[str, int] = {}
        self._names: dict[str, str] = {}
        """One object per counter name, for every datagram brings its own copy."""
        self._trie = Trie(self._sum_of)
        self._registers = 0
        self.changed = Marks()
        """What is to be stored, while `keeps_marks`."""
        self.keeps_marks = False
        """Whether there is a disk; without one, what is held counts as stored."""

    # --- queries -----------------------------------------------------------------------------

    @property
    def fingerprint(self) -> int:
        """64 bits that are equal on two nodes exactly when their logs are."""
        return self._trie.root

    @property
    def values(self) -> dict[str, int]:
        """Each counter's value, as a copy."""
        return dict(self._values)

    @property
    def streams(self) -> tuple[Stream, ...]:
        """Every stream of which something is held."""
        return tuple(self._streams)

    @property
    def register_count(self) -> int:
        """How many registers are held."""
        return self._registers

    @property
    def counter_count(self) -> int:
        """How many counters have a register."""
        return len(self._values)

    @property
    def stream_count(self) -> int:
        """How many streams are held."""
        return len(self._streams)

    def value(self, counter: str) -> int:
        """The sum over the registers of a counter; 0 where there is none."""
        return self._values.get(counter, 0)

    def version(self, stream: Stream) -> int:
        """The seq up to which everything of a stream is held."""
        held = self._streams.get(stream)
        return held.version if held else 0

    def register(self, stream: Stream, counter: str) -> tuple[int, int]:
        """(seq, total) of a register, (0, 0) where there is none."""
        held = self._streams.get(stream)
        return held.registers.get(counter, (0, 0)) if held else (0, 0)

    def newest(self, stream: Stream) -> int:
        """The largest seq held of a stream, above its version or not."""
        held = self._streams.get(stream)
        return held.by_seq[-1][0] if held and held.by_seq else 0

    def newest_first(
        self, stream: Stream, above: int, upto: int | None = None
    ) -> Iterator[Register]:
        """The registers of a stream with `above` < seq <= `upto`, largest seq first."""
        held = self._streams.get(stream)
        return held.newest_first(above, upto) if held else iter(())

    def newest_at_or_below(self, stream: Stream, seq: int) -> int:
        """The largest seq of a register that is not above `seq`, or 0.

        Between it and `seq` lies nothing, so a group that claims from `seq` may claim from it.
        """
        held = self._streams.get(stream)
        return held.newest_at_or_below(seq) if held else 0

    def by_name(self, stream: Stream, above: int, after: str) -> Iterator[Register]:
        """The registers with seq > `above` and counter > `after`, in the order of counters."""
        held = self._streams.get(stream)
        return held.by_name(above, after) if held else iter(())

    def leaves_below(self, depth: int, prefix: int) -> list[Stream]:
        """The streams below a prefix of the digest."""
        return self._trie.below(depth, prefix)

    def count_below(self, depth: int, prefix: int) -> int:
        """How many streams there are below a prefix of the digest."""
        return self._trie.count_below(depth, prefix)

    def leaf(self, stream: Stream) -> Leaf:
        """A stream as the digest shows it; version 0 and digest 0 where nothing is held."""
        held = self._streams.get(stream)
        return Leaf(stream, held.version, held.digest) if held else Leaf(stream, 0, 0)

    def sums_below(self, depth: int, prefix: int) -> tuple[int, ...]:
        """The 64 sums of the digest below a prefix."""
        return self._trie.sums(depth, prefix)

    def durable(self, stream: Stream) -> int:
        """The version of a stream that a restart would find."""
        held = self._streams.get(stream)
        if held is None:
            return 0
        return held.durable if self.keeps_marks else held.version

    # --- changes -----------------------------------------------------------------------------

    def set_durable(self, stream: Stream, version: int) -> None:
        """Everything of a stream up to `version` is on the disk."""
        held = self._streams.get(stream)
        if held is not None:
            held.durable = max(held.durable, version)

    def set_committed(self, stream: Stream, registers: Iterable[Register], version: int) -> None:
        """These registers, just merged, and the version are on the disk: they are no changes,
        unless more than them is held."""
        self.set_durable(stream, version)
        for counter, seq, total in registers:
            if self.register(stream, counter) == (seq, total):
                self.changed.registers.pop((stream, counter), None)
        if self.version(stream) == version:
            self.changed.versions.pop(stream, None)

    def load(self, stream: Stream, version: int, registers: Sequence[Register]) -> None:
        """Join what an earlier life has stored of a stream, one register for each counter.

        All or nothing: what does not fit is left out. A stream that is new here is taken in as a
        whole, which costs a third of its registers one by one.
        """
        if stream not in self._streams and registers:
            if self._fits(None, len(registers)):
                self._fill(stream, version, registers)
        elif self.merge(stream, registers) is not None:
            self.claim(stream, version)
            self.set_durable(stream, version)

    def merge(self, stream: Stream, registers: Iterable[Register]) -> list[Advance] | None:
        """Join registers into the log; what went up is told.

        None, with nothing changed, when the log is full and these would make it larger.
        """
        registers = tuple(registers)
        if not registers:
            return []
        held = self._streams.get(stream)
        known = held.registers if held else {}
        new = {counter for counter, _, _ in registers if counter not in known}
        if new and not self._fits(held, len(new)):
            return None
        held = held or self._open(stream)
        advances: list[Advance] = []
        for counter, seq, total in registers:
            before = held.registers.get(counter, (0, 0))
            if (seq, total) > before:
                advances.append(self._put(stream, held, (counter, seq, total), before))
        return advances

    def claim(self, stream: Stream, version: int) -> bool:
        """Everything of `stream` up to `version` is held now; False if that was known."""
        held = self._streams.get(stream)
        if held is None or version <= held.version:
            return False
        delta = hash64("v", stream, version)
        if held.version:
            delta -= hash64("v", stream, held.version)
        held.version = version
        self._trie.add(stream, delta)
        if self.keeps_marks:
            self.changed.versions[stream] = None
        return True

    def has_room(self, stream: Stream, counter: str, beside: int = 0) -> bool:
        """Whether one more event of (stream, counter) fits, `beside` that many new registers."""
        held = self._streams.get(stream)
        if held is not None and counter in held.registers:
            return True
        return self._fits(held, beside + 1)

    def _fits(self, held: _StreamLog | None, new: int) -> bool:
        if held is None and len(self._streams) >= self.streams_max:
            return False
        return self._registers + new <= self.registers_max

    def _open(self, stream: Stream) -> _StreamLog:
        held = self._streams[stream] = _StreamLog()
        self._trie.insert(stream)
        return held

    def _fill(self, stream: Stream, version: int, registers: Sequence[Register]) -> None:
        held = self._open(stream)
        names, values = self._names, self._values
        filled: dict[str, tuple[int, int]] = {}
        digest = 0
        for counter, seq, total in registers:
            name = names.setdefault(counter, counter)
            filled[name] = (seq, total)
            values[name] = values.get(name, 0) + total
            digest += hash64("r", stream, name, seq, total)
        held.fill(filled)
        held.version = held.durable = version
        held.digest = digest & (2**64 - 1)
        self._registers += len(filled)
        self._trie.add(stream, self._sum_of(stream))

    def _put(
        self, stream: Stream, held: _StreamLog, register: Register, before: tuple[int, int]
    ) -> Advance:
        counter, seq, total = register
        delta = hash64("r", stream, counter, seq, total)
        if before == (0, 0):
            counter = self._names.setdefault(counter, counter)
            self._registers += 1
        else:
            delta -= hash64("r", stream, counter, *before)
        held.put(counter, seq, total)
        held.digest = (held.digest + delta) & (2**64 - 1)
        self._trie.add(stream, delta)
        if self.keeps_marks:
            self.changed.registers[stream, counter] = None
        by = total - before[1]
        value = self._values[counter] = self._values.get(counter, 0) + by
        return Advance(stream, counter, seq, by, value)

    def _sum_of(self, stream: Stream) -> int:
        held = self._streams[stream]
        return held.digest + (hash64("v", stream, held.version) if held.version else 0)
