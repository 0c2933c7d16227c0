"""Commit before exposure: how this node's own increments enter the log.

`prepare` assigns seqs to a batch and says which rows to commit; nothing is visible. Once they are
committed, `expose` merges them; if they could not be, `abandon` gives the stream up, since the
rows may be on the disk all the same. One batch is under way at a time.

A stream is never resumed and never shared: a new one is minted at the first increment of a
process, after an abandoned batch, after wall and monotonic clock have parted by more than a second
(a virtual machine that was copied or resumed) and when more of it is heard than is held (a clone,
or a peer that is wrong). What that has put in the place of what was written is made up for under
the next stream (see `amends`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from random import Random
from typing import NamedTuple, TypeAlias

from gossipd.core.identity import SEQ_MAX, TOTAL_MAX, Stream, may_move, new_stream
from gossipd.core.wire.records import KeyRecord, Register

from .amends import Amend, Amends, Place
from .dedup import Dedup, Duplicate, Judgement, KeyReused
from .keys import KeyedEvent
from .log import Log
from .registers import Advance
from .sources import Put, PutResult, Puts

CLOCKS_PART_MAX = 1.0
"""Seconds by which wall and monotonic clock may part between two batches."""


class Accepted(NamedTuple):
    """An increment that counts once its batch is exposed. A tuple, as there are many."""

    seq: int
    counter: str
    by: int
    times: int = 1
    """So many of these in a row, of which `seq` is the first."""


@dataclass(frozen=True, slots=True)
class OutOfRange:
    """An increment that would take a total or a value (further) beyond +-2^62; it is not done."""

    counter: str
    by: int


@dataclass(frozen=True, slots=True)
class LogFull:
    """An increment that would need a register beyond what the log may hold; it is not done."""

    counter: str
    by: int


OneResult: TypeAlias = Accepted | OutOfRange | LogFull | Judgement
"""What becomes of an increment, or of some in a row that end alike."""


class Mixed(NamedTuple):
    """Of some in a row that do not: each."""

    results: tuple[OneResult, ...]


Result: TypeAlias = OneResult | Mixed

Stored: TypeAlias = Mapping[bytes, Collection[KeyedEvent]]
"""What the disk holds of some keys."""

NOTHING_STORED: Stored = {}


class Batch(NamedTuple):
    """Increments on their way through a commit, and the rows that the commit has to write."""

    stream: Stream
    version: int
    rows: tuple[Register, ...]
    results: tuple[Result, ...]
    keys: tuple[KeyRecord, ...] = ()
    sources: tuple[tuple[Stream, Register], ...] = ()
    """Registers of clients; the seq of each is its stream's version."""
    put_results: tuple[PutResult, ...] = ()
    amends: tuple[Amend, ...] = ()
    """Events behind those of clients, which make up for what others have spoilt."""


class Exposed(NamedTuple):
    """What became visible with a batch."""

    made: list[Advance]
    """Every event of it, in order."""
    others: list[Advance]
    """What sources brought, what was made up for, and what values lost, as keys in it were used
    elsewhere while it was committed."""


class _Row:
    """A register while a batch is being made."""

    __slots__ = ("is_new", "others", "seq", "start", "total")

    def __init__(self, start: int, others: int, is_new: bool) -> None:
        self.is_new = is_new
        """Whether it is not held yet."""
        self.seq = 0
        self.start = start
        """Its total before the batch."""
        self.total = start
        self.others = others
        """What the counter's other registers add up to."""


class _Draft:
    """A batch while it is being made."""

    def __init__(self, log: Log, stream: Stream) -> None:
        self._log = log
        self.stream = stream
        self.seq = log.version(stream)
        self.rows: dict[str, _Row] = {}
        self.keys: dict[bytes, KeyRecord] = {}
        self.new = 0
        """Registers that were not held."""

    @property
    def is_new(self) -> bool:
        """Whether it brings a stream that is not held."""
        return bool(self.rows) and not self._log.newest(self.stream)

    def moved(self, counter: str) -> int:
        """What it adds to a counter."""
        row = self.rows.get(counter)
        return row.total - row.start if row else 0

    def add(self, counter: str, by: int) -> OneResult:
        row = self.rows.get(counter) or self._row(counter)
        before = row.total
        total = before + by
        after = row.others + total
        if abs(total) > TOTAL_MAX or (
            abs(after) > TOTAL_MAX and not may_move(row.others + before, after)
        ):
            return OutOfRange(counter, by)
        if not row.seq and not self._begin(counter, row):
            return LogFull(counter, by)
        self.seq = row.seq = self.seq + 1
        row.total = total
        return Accepted(row.seq, counter, by)

    def add_run(self, counter: str, by: int, count: int) -> Result:
        """Some in a row. Counts move one way only: if the first and the last of them are in
        range, all are; and if the first one is refused, all are."""
        first = self.add(counter, by)
        if not isinstance(first, Accepted):
            return first
        row = self.rows[counter]
        total = row.total + by * (count - 1)
        if abs(total) > TOTAL_MAX or abs(row.others + total) > TOTAL_MAX:
            return Mixed((first, *(self.add(counter, by) for _ in range(count - 1))))
        row.total = total
        self.seq = row.seq = row.seq + count - 1
        return first._replace(times=count)

    def amend(self, place: Place, by: int) -> Amend | None:
        """Make up for something, as far as a total holds it: what was acknowledged once is not
        refused now."""
        _, counter = place
        row = self.rows.get(counter) or self._row(counter)
        fits = max(-TOTAL_MAX - row.total, min(by, TOTAL_MAX - row.total))
        if not row.seq and not self._begin(counter, row):
            return None
        self.seq = row.seq = self.seq + 1
        row.total += fits
        return Amend(place, fits, row.seq, whole=fits == by)

    def _row(self, counter: str) -> _Row:
        seq, start = self._log.register(self.stream, counter)
        return _Row(start, self._log.value(counter) - start, is_new=not seq)

    def _begin(self, counter: str, row: _Row) -> bool:
        """Take the first event of a counter in, if there is room."""
        if row.is_new:
            if not self._log.has_room(self.stream, counter, self.new):
                return False
            self.new += 1
        self.rows[counter] = row
        return True

    @property
    def registers(self) -> tuple[Register, ...]:
        """The rows to be written."""
        return tuple((counter, row.seq, row.total) for counter, row in self.rows.items())

    def repeated(self, key: bytes, counter: str, by: int) -> OneResult:
        """What becomes of a key that is in the batch already."""
        held = self.keys[key]
        event = KeyedEvent(self.stream, held.seq, held.counter, held.by)
        return (Duplicate if (held.counter, held.by) == (counter, by) else KeyReused)(event)

    def add_keyed(self, key: bytes, counter: str, by: int) -> OneResult:
        """An increment whose key is new."""
        result = self.add(counter, by)
        if isinstance(result, Accepted):
            self.keys[key] = KeyRecord(key, result.seq, counter, by, 0)
        return result


class Writer:
    """The single writer of this node's streams."""

    def __init__(self, log: Log, dedup: Dedup, rng: Random) -> None:
        self._log = log
        self._dedup = dedup
        self._rng = rng
        self._stream: Stream | None = None
        self._pending: Batch | None = None
        self._clock_offset: float | None = None
        self.amends = Amends(log)

    @property
    def stream(self) -> Stream | None:
        """The stream of the next increment, None when one is to be minted."""
        return self._stream

    def prepare(
        self,
        increments: Sequence[tuple[str, int]],
        now: float,
        wall: float,
        keys: Sequence[bytes | None] = (),
        stored: Stored = NOTHING_STORED,
        puts: Sequence[Put] = (),
        counts: Sequence[int] = (),
        *,
        amends: bool = False,
    ) -> Batch:
        """Assign seqs to (counter, by) pairs. `now` and `wall` are seconds of both clocks.

        `keys`: beside each its idempotency key or None; empty where there is none at all.
        `counts`: beside each how many of it there are in a row, without a key if several; empty
        where it is one everywhere.
        `stored`: what the disk holds of those that are doubtful. `puts`: new totals of sources.
        `amends`: whether what is owed is made up for.
        """
        assert self._pending is None, "one batch at a time"
        self._watch_clocks(now, wall)
        self._dedup.see_clocks(now, wall)
        log = self._log
        events = max(len(increments), sum(counts))
        if self._stream is None or log.version(self._stream) + events > SEQ_MAX:
            self._stream = new_stream(self._rng)
            self.amends.minted(now)
        draft = _Draft(log, self._stream)
        results: list[Result] = []
        if not keys and not counts:
            results = [draft.add(counter, by) for counter, by in increments]
            increments = ()
        for (counter, by), key, count in zip(
            increments, keys or repeat(None), counts or repeat(1), strict=False
        ):
            if key is None:
                one = draft.add(counter, by) if count == 1 else draft.add_run(counter, by, count)
                results.append(one)
                continue
            if key in draft.keys:
                known: OneResult | None = draft.repeated(key, counter, by)
            else:
                held, pending = stored.get(key, ()), len(draft.keys)
                known = self._dedup.judge(key, counter, by, wall, held, pending)
            results.append(known or draft.add_keyed(key, counter, by))
        amended = tuple(self._amended(draft)) if amends else ()
        keyed = tuple(draft.keys.values())
        batch = Batch(draft.stream, draft.seq, draft.registers, tuple(results), keyed)
        if puts:
            sources = Puts(log, draft.moved, draft.new, draft.is_new)
            put_results = tuple(sources.judge(put) for put in puts)
            batch = batch._replace(sources=tuple(sources.rows.items()), put_results=put_results)
        if amended:
            batch = batch._replace(amends=amended)
        self._pending, self._dedup.under_way = batch, draft.keys
        return batch

    def expose(self, batch: Batch, now: float) -> Exposed:
        """Make a committed batch visible."""
        assert batch is self._pending, "only the batch under way can be exposed"
        self._pending = None
        stream, self._stream = self._stream, None  # which ends if this fails half way
        values = {counter: self._log.value(counter) for counter, _, _ in batch.rows}
        self._log.merge(batch.stream, batch.rows, committed=True)
        self._log.claim(batch.stream, batch.version)
        self.amends.wrote(batch.stream, batch.version)
        if stream is None:  # somebody has spoilt it meanwhile
            self.amends.wrote_below(batch.stream, batch.rows)
            self._log.give_way(batch.stream, batch.keys, now)
        made: list[Advance] = []
        own = batch.stream
        for done in batch.results:
            if isinstance(done, Accepted):
                seq, counter, by, times = done
                if times > 1:
                    made += _run(own, done, values)
                    continue
                value = values[counter] = values[counter] + by
                made.append(Advance(own, counter, seq, by, value))
            elif isinstance(done, Mixed):
                for each in done.results:
                    if isinstance(each, Accepted):
                        made += _run(own, each, values)
        others = self._make_amends(batch, values)
        others += self._beside(batch, values)
        if batch.keys:
            _, found = self._log.merge_keys(batch.stream, batch.keys, now, committed=True)
            others += found
        for source, register in batch.sources:
            others += self._log.merge(source, (register,), committed=True) or ()
        if not all(amend.whole for amend in batch.amends):
            stream = None  # whose totals hold no more; those of the next one do
        self._stream, self._dedup.under_way = stream, ()
        return Exposed(made, others)

    def _amended(self, draft: _Draft) -> Iterator[Amend]:
        for place, by in self.amends.take():
            amend = draft.amend(place, by)
            if amend is None:
                self.amends.failed(place)
            else:
                yield amend

    def _make_amends(self, batch: Batch, values: dict[str, int]) -> list[Advance]:
        made: list[Advance] = []
        for amend in batch.amends:
            counter = amend.place[1]
            value = values[counter] = values[counter] + amend.by
            made.append(Advance(batch.stream, counter, amend.seq, amend.by, value))
            self.amends.made(amend)
        return made

    def _beside(self, batch: Batch, values: Mapping[str, int]) -> list[Advance]:
        """By what values differ from what the events of a batch alone make of them: a double may
        have waited for one of them, or a clone have told of others."""
        others: list[Advance] = []
        for counter, seq, _ in batch.rows:
            value = self._log.value(counter)
            if value != values[counter]:
                by = value - values[counter]
                others.append(Advance(batch.stream, counter, seq, by, value))
        return others

    def abandon(self, batch: Batch) -> None:
        """The commit failed: what it wrote is unknown, so its stream ends here."""
        assert batch is self._pending, "only the batch under way can be abandoned"
        self._pending = None
        self._stream, self._dedup.under_way = None, ()
        self.amends.abandoned(batch.stream)
        for amend in batch.amends:
            self.amends.failed(amend.place)

    def wait(self, now: float) -> float:
        """Seconds until the next batch may be made, as a stream has to begin for it."""
        return 0.0 if self._stream is not None else self.amends.wait(now)

    def heard_more_of(self, stream: Stream) -> None:
        """Somebody knows more of `stream` than is held here; if it is our own, it ends."""
        if stream == self._stream:
            self._stream = None

    def _watch_clocks(self, now: float, wall: float) -> None:
        offset = wall - now
        if self._clock_offset is not None and abs(offset - self._clock_offset) > CLOCKS_PART_MAX:
            self._stream = None
            self.amends.forget()
        self._clock_offset = offset


def _run(own: Stream, done: Accepted, values: dict[str, int]) -> Iterable[Advance]:
    """The events of some increments in a row, which move a value on."""
    seq, counter, by, count = done
    before = values[counter]
    after = values[counter] = before + by * count
    seqs, told = range(seq, seq + count), range(before + by, after + by, by)
    return map(Advance._make, zip(repeat(own), repeat(counter), seqs, repeat(by), told))
