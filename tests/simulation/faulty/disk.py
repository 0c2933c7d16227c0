"""The disk of a host: what is left of a process after a crash.

Own increments are committed before they are exposed, and what comes from others, and the members,
is stored in parts from time to time, so that a crash may come between a commit and its exposure,
and between two parts. The generation is kept from the moment of the start, so that the next life
begins above it. Key records are kept with the moment at which they were accepted first, by a clock
that no step of the wall clock moves, and go when that is longer ago than the retention.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from copy import deepcopy
from dataclasses import dataclass
from enum import Enum, auto

from gossipd.core import (
    AGE_TICK,
    Batch,
    Changes,
    Double,
    Failure,
    KeyedEvent,
    KeyRecord,
    MemberView,
    Settings,
    Snapshot,
    Stored,
    Stream,
    key_time,
)
from gossipd.core.log.dedup import held_longer, reach

from .rows import (
    THE_BEGINNING,
    KeyRow,
    Moment,
    StreamRows,
    aged_view,
    belongs_into_memory,
    event_of,
    say_same,
    stream_image,
)

WRITE_TAKES = 0.005
"""Seconds that a part of it takes."""

READ_TAKES = 0.005
"""Seconds that it takes to read key records for a peer."""

PART_MAX = 20
"""Records in one part."""


class When(Enum):
    """At which moment a commit fails."""

    BEFORE = auto()
    """Nothing was written."""
    IN = auto()
    """Everything is written, but would not survive a power cut."""
    AFTER = auto()
    """Everything is on the disk, only the answer says otherwise."""


class DiskError(Exception):
    """The disk did not do what it was asked for, as far as it knows."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.name.lower())
        self.failure = failure


@dataclass(slots=True)
class _Doubtful:
    """A batch whose commit has failed although it was written."""

    batch: Batch
    at: Moment
    synced: bool
    heard: bool = False
    """Whether its process knows that it has failed, which it does not while it stands still."""
    abandoned: bool = False
    """Whether it is to be taken back."""


class Disk:
    """Rows as they were committed last."""

    def __init__(self) -> None:
        self.refuses: Failure | None = None
        """Why it takes nothing; a new process finds one that is not `BROKEN` any more."""
        self.fails_next: tuple[When, Failure] | None = None
        """How the next commit fails."""
        self.commit_takes = 0.0
        """Seconds until a commit is answered."""
        self.store_takes = WRITE_TAKES
        """Seconds until a part of what was learned is stored."""
        self._doubtful: list[_Doubtful] = []
        self.generation = 0
        """The largest one that a process with this disk has had."""
        self._streams: dict[Stream, StreamRows] = {}
        self._members: dict[str, tuple[MemberView, float]] = {}
        """Views, and the wall time at which they were stored."""
        self._events: dict[bytes, dict[KeyedEvent, None]] = {}
        """By key: the events that have a record here."""
        self._horizon = 0

    def begin(self, generation: int) -> None:
        """A process starts with this disk."""
        self.generation = max(self.generation, generation)
        if self.refuses is Failure.BROKEN:
            self.refuses = None

    # --- writing -----------------------------------------------------------------------------

    def commit(self, batch: Batch, now: Moment) -> None:
        """Write the rows of own increments and of puts, which may be exposed from now on. Raises
        `DiskError` if that is not certain."""
        fails, self.fails_next = self.fails_next, None
        if fails is not None:
            when, failure = fails
            if when is not When.BEFORE:
                self.doubt(batch, now, synced=when is When.AFTER)
            if failure is Failure.BROKEN:
                self.refuses = failure
            raise DiskError(failure)
        self._settle()
        self._commit(batch, now)

    def doubt(self, batch: Batch, now: Moment, *, synced: bool = False) -> None:
        """A batch is written, and nobody knows. `synced`: it would survive a power cut."""
        self._doubtful.append(_Doubtful(batch, now, synced))

    def heal(self) -> None:
        """From now on it does what it is asked for, at once."""
        self.refuses = self.fails_next = None
        self.commit_takes = 0.0

    def hear(self, batch: Batch) -> None:
        """Its process hears now that a commit has failed."""
        for doubtful in self._doubtful:
            doubtful.heard = doubtful.heard or doubtful.batch is batch

    def abandon(self, batch: Batch) -> None:
        """A commit has failed: take it back before anything else is written or looked up."""
        for doubtful in self._doubtful:
            doubtful.abandoned = doubtful.abandoned or doubtful.batch is batch

    @property
    def doubts(self) -> dict[Stream, int]:
        """By stream: up to where goes what is written although its commit failed."""
        return {doubtful.batch.stream: doubtful.batch.version for doubtful in self._doubtful}

    def has_doubts(self, batch: Batch) -> bool:
        """Whether a batch is written although its commit failed."""
        return any(doubtful.batch is batch for doubtful in self._doubtful)

    def lose_power(self) -> None:
        """What is not synced is gone."""
        self._doubtful = [doubtful for doubtful in self._doubtful if doubtful.synced]

    def _settle(self) -> None:
        """Before anything is written: take back what is to be, the rest of what was written stays.
        What its process has not heard of may be taken back later. Raises `DiskError` where nothing
        can be."""
        if self.refuses is not None:
            raise DiskError(self.refuses)
        unheard = [doubtful for doubtful in self._doubtful if not doubtful.heard]
        for doubtful in self._doubtful:
            doubtful.synced = True  # with what is written now
            if doubtful.heard and not doubtful.abandoned:
                self._commit(doubtful.batch, doubtful.at)
        self._doubtful = unheard

    def _commit(self, batch: Batch, now: Moment) -> None:
        rows = self._rows(batch.stream)
        rows.version = batch.version
        rows.registers.update((register[0], register) for register in batch.rows)
        for record in batch.keys:
            self._keep(batch.stream, record, now)
        for stream, register in batch.sources:
            rows = self._rows(stream)
            rows.join(register)
            rows.version = max(rows.version, register[1])

    def store(self, changes: Changes, now: Moment) -> Stored:
        """Write a part of what a node holds.

        What comes back are all events of those keys in it that have several. Raises `DiskError`.
        """
        self._settle()
        self.generation = max(self.generation, changes.generation)
        for stream, counter, seq, total in changes.registers:
            self._rows(stream).join((counter, seq, total))
        for stream, record in changes.keys:
            self._keep(stream, record, now)
        for stream, double in changes.doubles:
            self._rows(stream).note(double, now.passed)
        for stream, correction in changes.corrections:
            self._rows(stream).correct(correction)
        for stream, version in changes.versions:
            rows = self._rows(stream)
            rows.version = max(rows.version, version)
        self._horizon = max(self._horizon, changes.horizon)
        for view in changes.members:
            self._members[view.name] = (view, now.wall)
        for name in changes.gone:
            self._members.pop(name, None)
        found = self.find(record.key for _, record in changes.keys)
        return {key: events for key, events in found.items() if len(events) > 1}

    def expire(self, now: Moment, settings: Settings) -> None:
        """Remove what has expired. Raises `DiskError`."""
        self._settle()
        self._expire(now, settings)

    def probe(self) -> None:
        """Raise `DiskError` where nothing can be written."""
        self._settle()

    def look_up(self, keys: Iterable[bytes]) -> Stored:
        """What a process is told of some keys. Raises `DiskError`."""
        if self.refuses is Failure.BROKEN or self._doubtful:
            self._settle()
        return self.find(keys)

    def _rows(self, stream: Stream) -> StreamRows:
        return self._streams.setdefault(stream, StreamRows())

    def _keep(self, stream: Stream, record: KeyRecord, now: Moment) -> None:
        """Keep a record; of two under one seq the smaller, as in memory."""
        keys = self._rows(stream).keys
        held = keys.get(record.seq)
        if held is not None:
            if held.record.said <= record.said:
                return
            self._drop(stream, held.record)
        keys[record.seq] = KeyRow(record._replace(age=0), now.passed - record.age * AGE_TICK)
        self._events.setdefault(record.key, {})[event_of(stream, record)] = None

    def _drop(self, stream: Stream, record: KeyRecord) -> None:
        del self._streams[stream].keys[record.seq]
        events = self._events[record.key]
        del events[event_of(stream, record)]
        if not events:
            del self._events[record.key]

    def _expire(self, now: Moment, settings: Settings) -> None:
        """Key records that are too old go; the horizon keeps that they were here. One that is too
        far ahead of the clock for that stays longer."""
        retention = settings.key_retention
        believed = 1000 * (now.wall - reach(retention))
        longest = retention + held_longer(settings.key_window)
        for stream, rows in self._streams.items():
            for row in list(rows.keys.values()):
                age, time = now.passed - row.at, key_time(row.record.key) or 0
                if age >= longest or (age >= retention and time <= believed):
                    self._horizon = max(self._horizon, time)
                    self._drop(stream, row.record)

    # --- reading -----------------------------------------------------------------------------

    @property
    def streams(self) -> tuple[Stream, ...]:
        """Every stream of which something is on the disk."""
        return tuple(self._streams)

    def version(self, stream: Stream) -> int:
        """The version of a stream, 0 where there is none."""
        rows = self._streams.get(stream)
        return rows.version if rows else 0

    def register(self, stream: Stream, counter: str) -> tuple[int, int]:
        """(seq, total) of a register, (0, 0) where there is none."""
        rows = self._streams.get(stream)
        found = rows.registers.get(counter) if rows else None
        return found[1:] if found else (0, 0)

    def has_key(self, stream: Stream, seq: int) -> bool:
        """Whether the key record of an event is here."""
        rows = self._streams.get(stream)
        return rows is not None and seq in rows.keys

    def has_double(self, stream: Stream, seq: int) -> bool:
        """Whether it is known here that an event has lost."""
        rows = self._streams.get(stream)
        return rows is not None and seq in rows.doubles

    def find(self, keys: Iterable[bytes]) -> Stored:
        """All events that have a record here of some keys."""
        return {key: tuple(self._events[key]) for key in keys if key in self._events}

    def read_keys(
        self, stream: Stream, above: int, upto: int, limit: int, now: Moment
    ) -> list[KeyRecord]:
        """The records of a stream with `above` < seq <= `upto`, oldest first, at most `limit`."""
        rows = self._streams.get(stream, StreamRows())
        seqs = sorted(seq for seq in rows.keys if above < seq <= upto)
        return [rows.keys[seq].aged(now.passed) for seq in seqs[:limit]]

    def load(self, now: Moment, settings: Settings) -> Snapshot:
        """What the next life finds. Keys with several events that nobody has compared yet, as a
        crash came before, are entered as doubles."""
        for doubtful in self._doubtful:
            self._commit(doubtful.batch, doubtful.at)
        self._doubtful.clear()
        self._expire(now, settings)
        for events in self._events.values():
            for event in events:
                winner = min(other for other in events if say_same(event, other))
                if winner != event:
                    stream, seq, counter, by = event
                    double = Double(counter, seq, by, winner.stream, winner.seq, 0)
                    self._streams[stream].note(double, now.passed)
        return self.snapshot(now, settings.key_window)

    def snapshot(self, now: Moment = THE_BEGINNING, window: float = math.inf) -> Snapshot:
        """Everything, with its age; key records of at least `window` seconds are named only."""
        streams = tuple(
            stream_image(stream, rows, now.passed, window)
            for stream, rows in self._streams.items()
        )
        dropped = (
            key_time(row.record.key) or 0
            for rows in self._streams.values()
            for row in rows.keys.values()
            if not belongs_into_memory(row, rows, now.passed, window)
        )
        members = (
            aged_view(view, now.wall - stored_at) for view, stored_at in self._members.values()
        )
        return Snapshot(streams, tuple(members), max((self._horizon, *dropped)))

    def copy(self) -> Disk:
        """A backup, or the disk of a clone."""
        return deepcopy(self)
