"""What every node holds of the log: true, never less than before, and summed up rightly.

A look costs what changed since the last one: an equal fingerprint ends it, equal leaves end it for
their streams, and of the others only what lies above the version seen last is read (below it
nothing can change, I3). What a core says of itself may be wrong, so a *full* look, from time to
time, reads and sums everything again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache, partial

from gossipd.core import Node, Stream
from gossipd.core.hashing import MASK, fingerprint_of, hash64, wide_hash
from gossipd.core.identity import SEQ_MAX, STREAM_BITS
from gossipd.core.log.log import Log
from gossipd.core.wire.messages import DIGEST_BITS, DIGEST_FANOUT
from gossipd.core.wire.records import Register

from .doubles import LeftOut, has_lost, hash_of_doubles, is_left_out, left_out
from .ghosts import Ghosts

_DEPTHS = 4
"""Levels of the digest whose sums a full look computes again."""


@dataclass(slots=True)
class _Seen:
    """What a node held at the last look, and its sums as computed here."""

    registers: dict[Stream, dict[str, tuple[int, int]]] = field(default_factory=dict)
    versions: dict[Stream, int] = field(default_factory=dict)
    digests: dict[Stream, int] = field(default_factory=dict)
    """Of the registers."""
    beside: dict[Stream, int] = field(default_factory=dict)
    """Of doubles, and of key records above the version."""
    doubles: dict[Stream, list[tuple[str, int]]] = field(default_factory=dict)
    """(counter, seq) of the events that have lost."""
    sum: int = 0
    """What the fingerprint is made of."""
    totals: dict[str, int] = field(default_factory=dict)
    """The sum over the registers of each counter."""
    left_out: LeftOut = field(default_factory=lambda: LeftOut({}, 0))
    values: dict[str, int] = field(default_factory=dict)
    """What the node itself said of each counter."""
    told: dict[str, int] | None = None
    """What somebody makes of them who follows the node's events."""

    def digest(self, stream: Stream) -> int:
        """What a stream's leaf has to show."""
        return (self.digests.get(stream, 0) + self.beside.get(stream, 0)) & MASK


class LogChecker:
    """I1, I2, I3, I6, I7, I8 and I9 of the logs."""

    def __init__(self, ghosts: Ghosts) -> None:
        self._ghosts = ghosts
        self._seen: dict[Node, _Seen] = {}

    def meddled(self, node: Node) -> None:
        """Its log was changed past its inputs, so it has told nobody."""
        self._seen[node].told = None

    def check(self, nodes: dict[str, Node], full: bool) -> None:
        """Look at the logs of all running nodes."""
        self._seen = {node: self._seen.get(node, _Seen()) for node in nodes.values()}
        for name, node in nodes.items():
            seen = self._seen[node]
            if full or node.log.fingerprint != fingerprint_of(seen.sum):
                self._look(name, node.log, seen, full)
            _check_told(name, node, seen, full)
        if full:
            self._compare(nodes)

    def _look(self, name: str, log: Log, seen: _Seen, full: bool) -> None:
        changed: dict[str, None] = {}
        for stream in log.streams:
            leaf = log.leaf(stream)
            last = (seen.versions.get(stream, 0), seen.digest(stream))
            if full or (leaf.version, leaf.digest) != last:
                self._look_at(f"{name} holds", log, stream, seen, full, changed)
        if full:
            for stream, registers in seen.registers.items():
                assert log.leaf(stream).digest or not registers, f"I6: {name} has lost a stream"
            changed = dict.fromkeys(log.values)
            assert log.values.keys() == seen.totals.keys(), f"I7: {name} lists other counters"
            _check_sums(name, log)
        self._check_values(name, log, seen, changed)
        said = log.fingerprint
        assert said == fingerprint_of(seen.sum), (
            f"I9: {name}: fingerprint is not the recomputed one"
        )

    def _look_at(
        self,
        where: str,
        log: Log,
        stream: Stream,
        seen: _Seen,
        full: bool,
        changed: dict[str, None],
    ) -> None:
        held = seen.registers.setdefault(stream, {})
        version = seen.versions.setdefault(stream, 0)
        registers = log.by_name(stream, 0, "") if full else log.newest_first(stream, above=version)
        for register in registers:
            counter, seq, total = register
            before = held.get(counter, (0, 0))
            if before != (seq, total):
                assert (seq, total) > before, f"I6: {where} {register}, before it was {before}"
                self._ghosts.check_register(stream, register, where)
                self._take(seen, stream, register, before)
                changed[counter] = None
        leaf = log.leaf(stream)
        self._look_beside(where, log, stream, seen, changed)
        if leaf.digest != seen.digest(stream) and not full:
            # Something below the version changed: the full look finds out what.
            self._look_at(where, log, stream, seen, True, changed)
            return
        if full:
            for counter, register_held in held.items():
                assert log.register(stream, counter) == register_held, f"I6: {where} less than it"
        self._check_version(where, stream, seen, leaf.version, full)
        assert leaf.digest == seen.digest(stream), f"I9: {where} a leaf of another digest"

    def _look_beside(
        self, where: str, log: Log, stream: Stream, seen: _Seen, changed: dict[str, None]
    ) -> None:
        """Doubles go into corrections only; with these and the key records above the version they
        are part of the digest."""
        doubles = list(log.doubles.of(stream, 0, 0.0))
        for counter, seq in seen.doubles.get(stream, ()):
            lost = has_lost(log, stream, seq, counter)
            assert lost is not False, f"I6: {where} no double of {counter} {seq} any more"
        seen.doubles[stream] = [(double.counter, double.seq) for double in doubles]
        folded = list(log.doubles.corrections(stream))
        changed.update((double.counter, None) for double in doubles)
        changed.update((correction.counter, None) for correction in folded)
        records = log.keys.newest_first(stream, log.version(stream), SEQ_MAX, 0.0)
        beside = hash_of_doubles(log.doubles, stream, partial(is_left_out, log))
        beside += sum(hash64("k", stream, *record.said) for record in records)
        delta = beside - seen.beside.get(stream, 0)
        seen.beside[stream] = beside
        seen.sum = (seen.sum + delta) & MASK

    def _take(
        self, seen: _Seen, stream: Stream, register: Register, before: tuple[int, int]
    ) -> None:
        counter, seq, total = register
        delta = _hash("r", stream, counter, seq, total)
        if before != (0, 0):
            delta -= _hash("r", stream, counter, *before)
        seen.registers[stream][counter] = (seq, total)
        seen.digests[stream] = (seen.digests.get(stream, 0) + delta) & MASK
        seen.sum = (seen.sum + delta) & MASK
        seen.totals[counter] = seen.totals.get(counter, 0) + total - before[1]

    def _check_version(
        self, where: str, stream: Stream, seen: _Seen, version: int, full: bool
    ) -> None:
        before = seen.versions[stream]
        assert version >= before, f"I6: {where} version {version}, before it was {before}"
        if not self._ghosts.is_shared(stream):
            newest = self._ghosts.newest(stream)
            assert version <= newest, f"I3: {where} version {version}, made were {newest}"
            held = seen.registers[stream]
            for counter, needed in self._ghosts.needed(stream, 0 if full else before, version):
                has = held.get(counter, (0, 0))[0]
                assert has >= needed, f"I3: {where} version {version} without {counter} {needed}"
        if version != before:
            delta = _hash("v", stream, version)
            if before:
                delta -= _hash("v", stream, before)
            seen.sum = (seen.sum + delta) & MASK
            seen.versions[stream] = version

    def _check_values(self, name: str, log: Log, seen: _Seen, counters: Iterable[str]) -> None:
        out, before = left_out(log), seen.left_out.sums
        said = log.doubles.left_out
        assert said == out.events, f"I7: {name} tells of {said} doubles left out, not {out.events}"
        for counter in counters:
            value = log.value(counter)
            most = self._ghosts.positive(counter)
            assert value <= most, f"I8: {name} counts {value} of {counter}, made were {most}"
            gone = out.sums.get(counter, 0)
            least = seen.values.get(counter, 0) - self._ghosts.negative(counter)
            least -= max(0, gone - before.get(counter, 0))
            assert value >= least, f"I6: {name}: {counter} fell to {value}"
            right = seen.totals.get(counter, 0) - gone
            assert value == right, f"I7: {name} counts {value} of {counter}, its registers {right}"
            seen.values[counter] = value
        seen.left_out = out

    def _compare(self, nodes: dict[str, Node]) -> None:
        """I9: equal fingerprints mean equal registers, versions, values and events left out."""
        by_fingerprint: dict[int, tuple[str, _Seen]] = {}
        for name, node in nodes.items():
            seen = self._seen[node]
            other, held = by_fingerprint.setdefault(node.log.fingerprint, (name, seen))
            equal = (held.registers, held.values) == (seen.registers, seen.values)
            equal = equal and held.versions == seen.versions
            equal = equal and held.left_out.events == seen.left_out.events
            assert equal, f"I9: {name} and {other} show one fingerprint over two logs"


def _check_told(name: str, node: Node, seen: _Seen, full: bool) -> None:
    """I7: each change of a value is told, as one event."""
    if seen.told is None:
        node.following.begin()
        seen.told = node.log.values
    changed = dict[str, None]()
    for (_, counter, _, by, value), _ in node.following.take_events():
        seen.told[counter] = seen.told.get(counter, 0) + by
        changed[counter] = None
        assert value == seen.told[counter], f"I7: {name} tells {value} of {counter}: {seen.told}"
    for counter in node.log.values if full else changed:
        told, value = seen.told.get(counter, 0), node.log.value(counter)
        assert told == value, f"I7: {name} counts {value} of {counter}, and told of {told}"


@lru_cache(maxsize=20_000)
def _hash(*fields: object) -> int:
    return wide_hash(*fields)


def _check_sums(name: str, log: Log) -> None:
    """I9: the sums in the digest are those of the streams below."""
    sums = dict.fromkeys(log.streams, 0)
    for stream in sums:
        leaf = log.leaf(stream)
        sums[stream] = leaf.digest + (_hash("v", stream, leaf.version) if leaf.version else 0)
    for depth in range(_DEPTHS):
        nodes: dict[int, list[int]] = {}
        for stream, part in sums.items():
            bits = int.from_bytes(stream, "big") >> (STREAM_BITS - DIGEST_BITS * (depth + 1))
            below = nodes.setdefault(bits >> DIGEST_BITS, [0] * DIGEST_FANOUT)
            below[bits % DIGEST_FANOUT] = (below[bits % DIGEST_FANOUT] + part) & MASK
        for prefix, right in nodes.items():
            said = log.sums_below(depth, prefix)
            assert said == tuple(right), f"I9: {name}: the digest at depth {depth} is another"
