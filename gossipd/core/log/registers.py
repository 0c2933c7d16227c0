"""Registers, versions and values: what is held of the streams, in the orders it is asked for.

A register never falls and a value is kept as registers change, so reading sums nothing up. Nothing
here knows when a record may enter, what a version speaks for, or keys (see `log`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from gossipd.core.hashing import MASK, answer_of, fingerprint_of, wide_hash
from gossipd.core.identity import Stream
from gossipd.core.settings import REGISTERS_MAX, STREAMS_MAX
from gossipd.core.wire.records import Leaf, Register

from .blocks import Blocks
from .digest import Trie
from .marks import Marks
from .stream_log import StreamLog

_MANY = 16
"""New counters of more than this part of all are sorted into them at once."""


class Advance(NamedTuple):
    """A register went up: `by` is what the event added to what was known here. Where an event is
    left out, as its double counts, it is what that took off."""

    stream: Stream
    counter: str
    seq: int
    by: int
    value: int
    """The counter's value after it."""


class Registers:
    """Those of all streams that this node knows of."""

    def __init__(self, streams_max: int = STREAMS_MAX, registers_max: int = REGISTERS_MAX) -> None:
        self.streams_max = streams_max
        self.registers_max = registers_max
        """How much it takes; what would be more is refused, but not what is loaded."""
        self._streams: dict[Stream, StreamLog] = {}
        self._values: dict[str, int] = {}
        self._names: Blocks[str] = Blocks()
        """The counters; one object per name, for every datagram brings its own copy."""
        self._trie = Trie(self._sum_of)
        self._registers = 0
        self.changed = Marks()
        """What is to be stored, while `keeps_marks`."""
        self.keeps_marks = False
        """Whether there is a disk; without one, what is held counts as stored."""

    @property
    def fingerprint(self) -> int:
        """128 bits that are equal on two nodes exactly when their logs are; 0 when empty."""
        return fingerprint_of(self._trie.root)

    @property
    def values(self) -> dict[str, int]:
        """Each counter's value, as a copy."""
        return dict(self._values)

    def counters_from(self, first: str) -> list[str]:
        """The names of some counters in their order, beginning with `first` where there is such
        a one; none if there are no more."""
        return self._names.some_from(first)

    def counters_behind(self, count: int, limit: int) -> list[str]:
        """The names of some counters in their order, behind the first `count` of them: `limit` at
        most; none if there are no more. No counter is ever dropped."""
        return self._names.some_behind(count, limit)

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

    def find(self, counter: str) -> int | None:
        """The same; None where there is none."""
        return self._values.get(counter)

    def holds(self, stream: Stream) -> bool:
        """Whether anything is held of a stream."""
        return stream in self._streams

    def new_registers(self, stream: Stream, registers: Iterable[Register]) -> int:
        """How many of these are of counters of which nothing is held in that stream."""
        held = self._streams.get(stream)
        known = held.registers if held else {}
        return sum(counter not in known for counter, _, _ in registers)

    def version(self, stream: Stream) -> int:
        """The seq up to which everything of a stream is held."""
        held = self._streams.get(stream)
        return held.version if held else 0

    def register(self, stream: Stream, counter: str) -> tuple[int, int]:
        """(seq, total) of a register, (0, 0) where there is none."""
        held = self._streams.get(stream)
        return held.registers.get(counter, (0, 0)) if held else (0, 0)

    def newest_first(
        self, stream: Stream, above: int, upto: int | None = None
    ) -> Iterator[Register]:
        """The registers of a stream with `above` < seq <= `upto`, largest seq first."""
        held = self._streams.get(stream)
        return held.newest_first(above, upto) if held else iter(())

    def by_name(self, stream: Stream, above: int, after: str) -> Iterator[Register]:
        """The registers with seq > `above` and counter > `after`, in the order of counters."""
        found = self.look_by_name(stream, above, after)
        return (each for each in found if not isinstance(each, str))

    def look_by_name(self, stream: Stream, above: int, after: str) -> Iterator[Register | str]:
        """The same; of many counters without such a register, now and then the last of them."""
        held = self._streams.get(stream)
        return held.look_by_name(above, after) if held else iter(())

    def leaves_below(self, depth: int, prefix: int) -> list[Stream]:
        """The streams below a prefix of the digest."""
        return list(self._trie.below(depth, prefix))

    def has_few_below(self, depth: int, prefix: int, few: int) -> bool:
        """Whether there are no more than `few` streams below a prefix of the digest."""
        return self._trie.has_few_below(depth, prefix, few)

    def leaf(self, stream: Stream) -> Leaf:
        """A stream as it stands in the digest; version 0 and digest 0 where nothing is held."""
        held = self._streams.get(stream)
        return Leaf(stream, held.version, held.digest) if held else Leaf(stream, 0, 0)

    def sums_below(self, depth: int, prefix: int) -> tuple[int, ...]:
        """The 64 sums of the digest below a prefix."""
        return self._trie.sums(depth, prefix)

    def leaf_shown(self, stream: Stream, nonce: int) -> Leaf:
        """A stream as an answer shows it to who has asked with a nonce."""
        leaf = self.leaf(stream)
        return leaf._replace(digest=answer_of(leaf.digest, nonce))

    def sums_shown(self, depth: int, prefix: int, nonce: int) -> tuple[int, ...]:
        """The 64 sums below a prefix, likewise."""
        return tuple(answer_of(total, nonce) for total in self.sums_below(depth, prefix))

    def durable(self, stream: Stream) -> int:
        """The version of a stream that a restart would find."""
        held = self._streams.get(stream)
        if held is None:
            return 0
        return held.durable if self.keeps_marks else held.version

    def has_room(self, stream: Stream, counter: str, beside: int = 0, streams: int = 0) -> bool:
        """Whether one more event of (stream, counter) fits, `beside` that many new registers, and
        new streams."""
        held = self._streams.get(stream)
        if held is not None and counter in held.registers:
            return True
        if held is None and len(self._streams) + streams >= self.streams_max:
            return False
        return self._fits(held, beside + 1)

    # --- changes -----------------------------------------------------------------------------

    def set_durable(self, stream: Stream, version: int) -> None:
        """Everything of a stream up to `version` is on the disk."""
        held = self._streams.get(stream)
        if held is not None:
            held.durable = max(held.durable, version)

    def _fits(self, held: StreamLog | None, new: int) -> bool:
        if held is None and len(self._streams) >= self.streams_max:
            return False
        return self._registers + new <= self.registers_max

    def _open(self, stream: Stream) -> StreamLog:
        held = self._streams[stream] = StreamLog()
        self._trie.insert(stream)
        return held

    def _fill(self, stream: Stream, version: int, registers: Sequence[Register]) -> None:
        held = self._open(stream)
        values = self._values
        filled: dict[str, tuple[int, int]] = {}
        new: list[str] = []
        digest = 0
        for name, seq, total in registers:
            filled[name] = (seq, total)
            value = values.get(name)
            if value is None:
                new.append(name)
            values[name] = (value or 0) + total
            digest += wide_hash("r", stream, name, seq, total)
        if len(new) > len(self._names) // _MANY:
            self._names = Blocks(sorted([*self._names, *new]))
        else:
            for name in new:
                self._names.add(name)
        held.fill(filled)
        held.version = held.durable = version
        held.digest = digest & MASK
        self._registers += len(filled)
        self._trie.add(stream, self._sum_of(stream))

    def _put(
        self, stream: Stream, held: StreamLog, register: Register, before: tuple[int, int]
    ) -> Advance:
        counter, seq, total = register
        if before == (0, 0):
            counter = self._names.add(counter)
            self._registers += 1
        held.put(counter, seq, total)
        if self.keeps_marks:
            self.changed.registers[stream, counter] = None
        by = total - before[1]
        value = self._values[counter] = self._values.get(counter, 0) + by
        return Advance(stream, counter, seq, by, value)

    @staticmethod
    def _hash_put(stream: Stream, register: Register, before: tuple[int, int]) -> int:
        """By how much a register that takes another one's place moves the fingerprint."""
        delta = wide_hash("r", stream, *register)
        return delta if before == (0, 0) else delta - wide_hash("r", stream, register[0], *before)

    def _sum(self, stream: Stream, held: StreamLog, delta: int) -> None:
        if delta:
            held.digest = (held.digest + delta) & MASK
            self._trie.add(stream, delta)

    def _sum_of(self, stream: Stream) -> int:
        held = self._streams[stream]
        return held.digest + (wide_hash("v", stream, held.version) if held.version else 0)
