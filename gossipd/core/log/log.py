"""The replicated log: for each (stream, counter) the newest event, for each stream a version.

Registers carry totals, so an event is self-contained: loss, duplication and reordering need no
buffer, and merging is `max` of (seq, total). Nothing here knows peers, time or how news travels.

Invariants (gossipd/core/README.md#invariants):
- I2  register (q, t) means t = sum of `by` of that (stream, counter) with seq <= q.
- I3  version v means every register of the stream is at least at its last event <= v, and every
  key record <= v that has not expired is held.
- I6  registers and versions never shrink. A source's version is the seq of its one register.
- I7  `value` = sum of totals over the registers of a counter, less what `doubles` leave out.
- I9  `fingerprint` = that of the sum of the hashes of all registers, versions, tallies of doubles,
  and of the key records above versions: those at or below are held by whoever holds the version.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice

from gossipd.core.hashing import hash64, wide_hash
from gossipd.core.identity import SEQ_MAX, SOURCE_BIT, Stream
from gossipd.core.settings import DOUBLES_MAX, KEYS_MAX, REGISTERS_MAX, STREAMS_MAX
from gossipd.core.snapshot import StreamSnapshot
from gossipd.core.wire.records import AGE_TICK, Correction, Double, KeyRecord, Record, Register

from .counted import Counted
from .keys import KeyedEvent, Keys
from .registers import Advance
from .stream_log import StreamLog, both_newest_first

CROWDED = 3 / 4
"""From this part of `keys_max` on room for key records is scarce."""

RUN_MAX = 300
"""Key records that one input looks at to raise a version: several times what it may bring, as it
may have closed a gap before them."""


class Log(Counted):
    """All streams that this node knows of: registers, doubles, key records."""

    def __init__(
        self,
        streams_max: int = STREAMS_MAX,
        registers_max: int = REGISTERS_MAX,
        keys_max: int = KEYS_MAX,
        doubles_max: int = DOUBLES_MAX,
    ) -> None:
        super().__init__(streams_max, registers_max, doubles_max)
        self.keys_max = keys_max
        self.keys = Keys()
        """To be read; `merge_keys` and `drop_keys` change them."""
        self._late_until = float("-inf")
        self._archived: dict[Stream, tuple[int, float]] = {}
        """Of streams whose oldest key records are on the disk only: the newest seq of these, and
        when it expires."""

    # --- queries -----------------------------------------------------------------------------

    def newest(self, stream: Stream) -> int:
        """The largest seq held of a stream, above its version or not."""
        held = self._streams.get(stream)
        newest = held.newest if held else 0
        return max(newest, self.keys.newest_at_or_below(stream, SEQ_MAX))

    def records_newest_first(
        self, stream: Stream, above: int, upto: int, now: float
    ) -> Iterator[Record]:
        """Its registers and key records in that order; records under one seq follow each other."""
        registers = self.newest_first(stream, above, upto)
        keys = self.keys.newest_first(stream, above, upto, now)
        first = next(keys, None)
        if first is None:
            return iter(registers)
        return both_newest_first(registers, chain((first,), keys))

    def has_news(self, stream: Stream, above: int, upto: int) -> bool:
        """Whether a register or a key record in memory has `above` < seq <= `upto`."""
        held = self._streams.get(stream)
        registers = held.newest_at_or_below(upto) if held else 0
        return max(registers, self.keys.newest_at_or_below(stream, upto)) > above

    def newest_at_or_below(self, stream: Stream, seq: int) -> int:
        """The largest seq of a register or key record that is not above `seq`, or 0.

        Between it and `seq` lies nothing, so a group that claims from `seq` may claim from it.
        """
        held = self._streams.get(stream)
        registers = held.newest_at_or_below(seq) if held else 0
        archived = self._archived.get(stream, (0, 0.0))[0]
        return max(registers, self.keys.newest_at_or_below(stream, seq), min(archived, seq))

    def archived(self, stream: Stream, now: float) -> int:
        """The newest seq of the key records that are on the disk only, 0 where there are none."""
        seq, expires = self._archived.get(stream, (0, 0.0))
        return seq if now < expires else 0

    def events(self, key: bytes) -> set[KeyedEvent]:
        """Every event known in memory that was counted under a key."""
        return set(self.keys.events(key))

    def is_present(self, event: KeyedEvent) -> bool:
        """Whether the register of an event has reached it."""
        return self.register(event.stream, event.counter)[0] >= event.seq

    # --- changes -----------------------------------------------------------------------------

    def load(self, streams: Iterable[StreamSnapshot], now: float, expires: float) -> None:
        """Join what an earlier life has stored, one register for each counter; it may be more
        than the log takes otherwise.

        A stream that is new here is taken in as a whole, which costs a third of its registers one
        by one, where no double may wait for one of them. `expires`: when the last of the key
        records does that stay on the disk.
        """
        streams = tuple(streams)
        for kept in streams:
            self._load(kept)
        for kept in streams:  # once all registers are here for which a double may wait
            for correction in kept.corrections:
                if self.register(kept.stream, correction.counter)[0] or not correction.out:
                    self._correct(kept.stream, correction, now)
        for kept in streams:  # of which some may be in a correction
            if kept.keys:
                self.merge_keys(kept.stream, kept.keys, now)
            self.enter(kept.stream, kept.doubles, now)
            if kept.archived:
                self._archived[kept.stream] = (kept.archived, expires)
        while self.doubles.behind:
            self.catch_up()

    def _load(self, kept: StreamSnapshot) -> None:
        stream, registers = kept.stream, kept.registers
        if stream not in self._streams and registers and not self.doubles:
            self._fill(stream, kept.version, registers)
        else:
            self.merge(stream, registers, committed=True)
        if stream not in self._streams and (kept.keys or kept.doubles or kept.corrections):
            self._open(stream)
        self.claim(stream, kept.version)
        self.set_durable(stream, kept.version)

    def set_committed(
        self,
        stream: Stream,
        registers: Iterable[Register],
        version: int,
    ) -> None:
        """These registers, just merged, and the version are on the disk: they are no changes,
        unless more than them is held."""
        self.set_durable(stream, version)
        if not self.keeps_marks:
            return
        for counter, seq, total in registers:
            if self.register(stream, counter) == (seq, total):
                self.changed.registers.pop((stream, counter), None)
        if self.version(stream) == version:
            self.changed.versions.pop(stream, None)

    def merge(
        self, stream: Stream, registers: Iterable[Register], *, committed: bool = False
    ) -> list[Advance] | None:
        """Join registers into the log; what went up is told.

        None, with nothing changed, when the log is full and these would make it larger. What is
        `committed` here enters all the same: there was room for it before its commit.
        """
        registers = tuple(registers)
        if not registers:
            return []
        held = self._streams.get(stream)
        known = held.registers if held else {}
        new = {counter for counter, _, _ in registers if counter not in known}
        if new and not committed and not self._fits(held, len(new)):
            return None
        held = held or self._open(stream)
        advances: list[Advance] = []
        awaited, delta = self.doubles.awaited, 0
        for register in registers:
            before = held.registers.get(register[0], (0, 0))
            if register[1:] > before:
                delta += self._hash_put(stream, register, before)
                advance = self._put(stream, held, register, before)
                advances.append(advance)
                if advance[:2] in awaited:
                    advances += self._reached(advance)
        self._sum(stream, held, delta)
        if advances and stream[0] & SOURCE_BIT:
            self.claim(stream, held.newest)  # and not that of a key, which a source has none of
        return advances

    def merge_keys(
        self,
        stream: Stream,
        records: Sequence[KeyRecord],
        now: float,
        *,
        committed: bool = False,
    ) -> tuple[int, list[Advance]]:
        """Join key records; how many were new, and what values lost by the doubles they showed.

        Whoever calls has asked `has_room_for_keys`. What is `committed` here is on the disk.
        """
        held = self._streams.get(stream) or self._open(stream)
        weights = [self._hash_of(stream, held, record) for record in records]
        # The usual case, in fewer steps: news in its order.
        new = self.keys.extend(stream, records, weights, now)
        self._sum(stream, held, sum(weights[:new]))
        if self.keeps_marks and not committed:
            self.changed.keys.update(((stream, record.seq), None) for record in records[:new])
        shared: dict[bytes, tuple[KeyedEvent, ...]] = {}
        for record, weight in zip(records[new:], weights[new:], strict=True):
            if not self._make_place(stream, record, now):
                continue
            replaced = self.keys.add(stream, record, now, weight)
            if replaced is record:
                continue
            new += 1
            if replaced is not None:
                self._sum(stream, held, -self._hash_of(stream, held, replaced))
            self._sum(stream, held, weight)
            if self.keeps_marks and not committed:
                self.changed.keys[stream, record.seq] = None
            if self.keys.is_shared(record.key):
                shared[record.key] = ()
        return new, self.find_doubles(shared, now)

    def _make_place(self, stream: Stream, record: KeyRecord, now: float) -> bool:
        """Whether a key may name one more event; of too many the largest has to leave, first of
        those that versions cover. Only the others are part of the fingerprint: what not all nodes
        hold alike must not matter to them."""
        crowd = self.keys.crowd(record.key)
        if not crowd:
            return True
        place = (stream, record.seq)
        if any(event[:2] == place for event in crowd):
            return True
        is_covered = record.seq <= self.version(stream)
        covered = [event for event in crowd if event.seq <= self.version(event.stream)]
        if is_covered and not covered:
            return False
        largest = max(covered or crowd)
        if (is_covered or not covered) and place > largest[:2]:
            return False
        gone = self.keys.at(largest.stream, largest.seq, now)
        assert gone is not None
        self.forget_keys(largest.stream, (gone,))
        return True

    def give_way(self, stream: Stream, records: Iterable[KeyRecord], now: float) -> None:
        """What others said of events that this node has made, and that versions cover, goes where
        it is not so."""
        for record in records:
            held = self.keys.at(stream, record.seq, now)
            if held is not None and held.said != record.said:
                self.keys.remove(stream, record.seq)

    def find_doubles(
        self, stored: Mapping[bytes, Iterable[KeyedEvent]], now: float
    ) -> list[Advance]:
        """Of the events of each key, those in memory and those that are `stored`, enter those
        that say the same as a smaller one; what values lost by that."""
        advances: list[Advance] = []
        for key, others in stored.items():
            ages = self.keys.ages(key, now)
            # Of what is on the disk only, as old as the others, for they were made for one call.
            oldest = max(ages.values(), default=0)
            winners: dict[tuple[str, int], KeyedEvent] = {}
            for event in sorted({*ages, *others}):
                stream, seq, counter, by = event
                winner = winners.setdefault((counter, by), event)
                if winner is event:
                    continue
                age = ages.get(event, oldest)
                double = Double(counter, seq, by, winner.stream, winner.seq, age)
                lost = self._enter(stream, double, now)
                if lost is not None:
                    advances += lost
                    self._late_until = max(self._late_until, now + age * AGE_TICK)
        self._sum_doubles()
        return advances

    def lag(self, stream: Stream, now: float) -> float:
        """How old what is missing of a stream may be, seconds: as old as the newest key record up
        to which everything is held and stored, where more than that is known of; 0 where there is
        no more. Of what is not stored yet the disk has not told the twins."""
        version = self.durable(stream)
        if self.newest(stream) <= version:
            return 0.0
        record = self.keys.at(stream, self.keys.newest_at_or_below(stream, version), now)
        return record.age * AGE_TICK if record is not None else float("inf")

    def lateness(self, now: float) -> float:
        """How old events lately were, seconds, when this node found that they had lost: so far
        some stream is behind. Where nothing is found it falls, by one second each second."""
        return max(0.0, self._late_until - now)

    def correct(
        self, stream: Stream, correction: Correction, young: int, now: float
    ) -> list[Advance]:
        """Join a correction that a peer told; what values lost by that. One of more than is held
        here, or of what nobody has folded yet, as it is younger than `young`, is not used."""
        newest = next(self.keys.newest_first(stream, 0, correction.seq, now), None)
        is_young = newest is not None and newest.age < young
        if is_young or correction.seq > self.register(stream, correction.counter)[0]:
            return []
        return self._correct(stream, correction, now)

    def drop_keys(self, stream: Stream, records: Sequence[KeyRecord], expires: float) -> None:
        """Hold the oldest key records of a stream no more; they are on the disk until `expires`,
        if that is to come."""
        held = self._streams[stream]
        for record in records:
            self._sum(stream, held, -self._hash_of(stream, held, record))
        self.keys.drop_oldest(stream, len(records))
        self._archived[stream] = max(
            self._archived.get(stream, (0, 0.0)), (records[-1].seq, expires)
        )

    def forget_keys(self, stream: Stream, records: Iterable[KeyRecord]) -> None:
        """Hold these key records of a stream no more in memory, wherever they stand."""
        held = self._streams[stream]
        for record in records:
            self._sum(stream, held, -self._hash_of(stream, held, record))
            self.keys.remove(stream, record.seq)

    def claim(self, stream: Stream, version: int) -> bool:
        """Everything of `stream` up to `version` is held now; False if that was known."""
        held = self._streams.get(stream)
        if held is None or version <= held.version:
            return False
        delta = wide_hash("v", stream, version)
        if held.version:
            delta -= wide_hash("v", stream, held.version)
        self._sum(stream, held, -self.keys.weight(stream, held.version, version))
        held.version = version
        self._trie.add(stream, delta)
        if self.keeps_marks:
            self.changed.versions[stream] = version
        return True

    def run_end(self, stream: Stream) -> int:
        """Up to where every event behind a stream's version is held with its key record: seqs
        have no gap, so nothing is missing there. It looks at `RUN_MAX` of them."""
        upto = self.version(stream)
        for record in islice(self.keys.oldest_first(stream, upto, 0.0), RUN_MAX):
            if record.seq > upto + 1 or self.register(stream, record.counter)[0] < record.seq:
                break
            upto = record.seq
        return upto

    @property
    def is_crowded(self) -> bool:
        """Whether most of the room for key records is taken."""
        return len(self.keys) > CROWDED * self.keys_max

    def has_room_for_keys(self, stream: Stream, records: Sequence[KeyRecord]) -> bool:
        """Whether these key records of a stream may be joined; one in the place of another one
        takes no room."""
        fits = len(self.keys) + len(records) <= self.keys_max
        if not fits:
            new = sum(not self.keys.has(stream, record.seq) for record in records)
            fits = len(self.keys) + new <= self.keys_max
        return fits and self._fits(self._streams.get(stream), 0)

    def _hash_of(self, stream: Stream, held: StreamLog, record: KeyRecord) -> int:
        """What a key record adds to the fingerprint."""
        return hash64("k", stream, *record.said) if record.seq > held.version else 0
