"""Idempotency keys: which events they named, in little memory.

A record says that event `seq` of a stream was `by` on `counter` under a key. It is one packed
value under its key; with what finds it by stream and seq it takes some 200 bytes, half of what a
tuple would. Several events may have one key: retries on both sides of a partition.

Ages are on the clock of `now`, so that wall clocks matter to nobody but the node that judges
whether a new key is too old.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Generic, NamedTuple, TypeVar

from gossipd.core.identity import Stream
from gossipd.core.wire.records import AGE_TICK, AGE_WANTED_MAX, KeyRecord

from .order import Order

_ENTRY = struct.Struct("<IQIqI")
"""Stream and counter as numbers, seq, by, and the tick of its birth."""

_PLACE = struct.Struct("<IQ")
"""What an entry begins with."""

_TICKS = 2**32

_LATER = 2**16
"""Ticks (nearly two hours) by which a birth may seem to be to come."""

EVENTS_MAX = 16
"""Events that one key may name: retries on so many sides of a partition. Of more, everybody holds
the smallest ones (by stream and seq), so that no record costs more than these few."""

T = TypeVar("T", bound=Hashable)


class KeyedEvent(NamedTuple):
    """What was counted under a key."""

    stream: Stream
    seq: int
    counter: str
    by: int


def born(age: int, now: float) -> int:
    """The tick at which began what has an age `now`, modulo 2^32, as whatever clock `now` is on
    may have run for longer."""
    return (int(now / AGE_TICK) - age) % _TICKS


def age_of(born_at: int, now: float) -> int:
    """The age of what began at a tick; 0 where that is later, for an answer that goes on is by the
    time at which it began. What is as old as can be said grows no younger."""
    age = (int(now / AGE_TICK) - born_at) % _TICKS
    return 0 if age >= _TICKS - _LATER else min(age, AGE_WANTED_MAX)


class Numbered(Generic[T]):
    """A number for each of some values that stand in many entries, for as long as any does."""

    def __init__(self) -> None:
        self._numbers: dict[T, int] = {}
        self._values: list[T] = []
        self._uses: list[int] = []
        """In how many places each stands."""
        self._free: list[int] = []
        """Numbers of values that are not used any more."""

    def number(self, value: T) -> int:
        """That of a value which is used."""
        return self._numbers[value]

    def use(self, value: T) -> int:
        """The number of a value, in one more place."""
        number = self._numbers.get(value)
        if number is not None:
            self._uses[number] += 1
            return number
        if self._free:
            number = self._free.pop()
            self._values[number], self._uses[number] = value, 1
        else:
            number = len(self._values)
            self._values.append(value)
            self._uses.append(1)
        self._numbers[value] = number
        return number

    def release(self, number: int) -> None:
        """In one place less."""
        self._uses[number] -= 1
        if not self._uses[number]:
            del self._numbers[self._values[number]]
            self._free.append(number)

    def __getitem__(self, number: int) -> T:
        return self._values[number]


class Keys:
    """The records that are held in memory."""

    def __init__(self) -> None:
        self._streams: Numbered[Stream] = Numbered()
        """Those that have records."""
        self._counters: Numbered[str] = Numbered()
        self._first: dict[bytes, bytes] = {}
        self._more: dict[bytes, list[bytes]] = {}
        """Entries of keys that name several events, beside the first one."""
        self._orders: dict[Stream, Order] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __contains__(self, key: bytes) -> bool:
        return key in self._first

    def events(self, key: bytes) -> list[KeyedEvent]:
        """Everything held that was counted under a key."""
        return [self._event(entry) for entry in self._entries(key)]

    def ages(self, key: bytes, now: float) -> dict[KeyedEvent, int]:
        """The same, and how old the record of each is."""
        entries = self._entries(key)
        return {self._event(one): age_of(_ENTRY.unpack(one)[4], now) for one in entries}

    def is_shared(self, key: bytes) -> bool:
        """Whether several events are held under a key."""
        return key in self._more

    def company(self, stream: Stream, record: KeyRecord, now: float) -> int:
        """How many events its key names already, each of which has to be looked at; 0 where the
        record is held."""
        count = 1 + len(self._more.get(record.key, ())) if record.key in self._first else 0
        held = self.at(stream, record.seq, now) if count else None
        return 0 if held is not None and held.said == record.said else count

    def crowd(self, key: bytes) -> list[KeyedEvent]:
        """The events under a key if there are as many as it may name, else none."""
        return self.events(key) if len(self._more.get(key, ())) >= EVENTS_MAX - 1 else []

    def has(self, stream: Stream, seq: int) -> bool:
        """Whether the record of an event is held."""
        order = self._orders.get(stream)
        return order is not None and order.get(seq) is not None

    def at(self, stream: Stream, seq: int, now: float) -> KeyRecord | None:
        """The record of an event."""
        order = self._orders.get(stream)
        key = order.get(seq) if order else None
        return None if key is None else self._record(stream, seq, key, now)

    def newest_first(
        self, stream: Stream, above: int, upto: int, now: float
    ) -> Iterator[KeyRecord]:
        """The records of a stream with `above` < seq <= `upto`, largest seq first."""
        order = self._orders.get(stream)
        for seq, key in order.descending(upto) if order else ():
            if seq <= above:
                return
            yield self._record(stream, seq, key, now)

    def oldest_first(self, stream: Stream, above: int, now: float) -> Iterator[KeyRecord]:
        """The records of a stream with seq > `above`, smallest seq first."""
        order = self._orders.get(stream)
        for seq, key in order.ascending(above) if order else ():
            yield self._record(stream, seq, key, now)

    def runs(self, stream: Stream, above: int) -> Iterator[tuple[int, int]]:
        """Where the records of a stream above a seq follow each other without a gap: the first
        and the last of each such run, of a long one in parts."""
        order = self._orders.get(stream)
        return order.runs(above) if order else iter(())

    def newest_at_or_below(self, stream: Stream, seq: int) -> int:
        """The largest seq of a record that is not above `seq`, or 0."""
        order = self._orders.get(stream)
        return next(order.descending(seq), (0, b""))[0] if order else 0

    def weight(self, stream: Stream, above: int, upto: int) -> int:
        """The sum of the weights of a stream's records with `above` < seq <= `upto`."""
        order = self._orders.get(stream)
        return order.weight(above, upto) if order else 0

    # --- changes -----------------------------------------------------------------------------

    def add(
        self, stream: Stream, record: KeyRecord, now: float, weight: int = 0
    ) -> KeyRecord | None:
        """Hold a record; what it replaced, itself if it is not used, None if it is simply new.

        An event has one key. Should a live copy of a process have given the same seq to another
        one, everybody keeps the smaller of them.
        """
        order = self._orders.get(stream)
        if order is None:
            order = self._orders[stream] = Order()
            self._streams.use(stream)
        key = order.get(record.seq)
        replaced: KeyRecord | None = None
        if key is not None:
            if self._is_same(key, record):
                return record
            replaced = self._record(stream, record.seq, key, now)
            if replaced.said <= record.said:
                return record
            self._remove(stream, order, record.seq, key)
        entry = _ENTRY.pack(
            self._streams.number(stream),
            record.seq,
            self._counters.use(record.counter),
            record.by,
            born(record.age, now),
        )
        self._put(record.key, entry)
        order.put(record.seq, record.key, weight)
        self._count += 1
        return replaced

    def extend(
        self, stream: Stream, records: Sequence[KeyRecord], weights: Sequence[int], now: float
    ) -> int:
        """Hold the first of some records, as long as their keys are new and each stands behind
        all that is held of the stream; how many these are."""
        order = self._orders.get(stream)
        if order is None:
            order = Order()
            number = self._streams.use(stream)
        else:
            number = self._streams.number(stream)
        first, use = self._first, self._counters.use
        ticks, newest = int(now / AGE_TICK), order.newest
        count = 0
        for (key, seq, counter, by, age), weight in zip(records, weights, strict=True):
            if key in first or seq <= newest:
                break
            first[key] = _ENTRY.pack(number, seq, use(counter), by, (ticks - age) % _TICKS)
            order.put(seq, key, weight)
            newest = seq
            count += 1
        if count:
            self._orders[stream] = order
            self._count += count
        elif stream not in self._orders:
            self._streams.release(number)
        return count

    @property
    def streams(self) -> list[Stream]:
        """The streams that have records, the latest one first."""
        return list(reversed(self._orders))

    def old(
        self,
        streams: Iterable[Stream],
        limit: int,
        may_go: Callable[[Stream, KeyRecord], bool],
        now: float,
    ) -> list[tuple[Stream, list[KeyRecord]]]:
        """Up to `limit` records of some streams that may go, of each from the oldest on."""
        found: list[tuple[Stream, list[KeyRecord]]] = []
        for stream in streams:
            order = self._orders.get(stream)
            records: list[KeyRecord] = []
            for seq, key in islice(order.ascending(0) if order else (), limit):
                record = self._record(stream, seq, key, now)
                if not may_go(stream, record):
                    break
                records.append(record)
            limit -= len(records)
            if records:
                found.append((stream, records))
        return found

    def drop_oldest(self, stream: Stream, count: int) -> None:
        """Hold the first `count` records of a stream no more."""
        order = self._orders[stream]
        for seq, key in islice(order.ascending(0), count):
            self._take_entry(stream, key, seq)
        order.remove_first(count)
        self._count -= count
        if not order:
            self._close(stream)

    def remove(self, stream: Stream, seq: int) -> None:
        """Hold the record of an event, which is held, no more."""
        order = self._orders[stream]
        key = order.get(seq)
        assert key is not None
        self._remove(stream, order, seq, key)
        if not order:
            self._close(stream)

    # --- entries -----------------------------------------------------------------------------

    def _entries(self, key: bytes) -> list[bytes]:
        first = self._first.get(key)
        return [] if first is None else [first, *self._more.get(key, ())]

    def _put(self, key: bytes, entry: bytes) -> None:
        if key in self._first:
            self._more.setdefault(key, []).append(entry)
        else:
            self._first[key] = entry

    def _close(self, stream: Stream) -> None:
        """It has no records any more."""
        del self._orders[stream]
        self._streams.release(self._streams.number(stream))

    def _take_entry(self, stream: Stream, key: bytes, seq: int) -> None:
        others: list[bytes] = []
        place = self._place(stream, seq)
        for entry in self._entries(key):
            if entry.startswith(place):
                self._counters.release(_ENTRY.unpack(entry)[2])
            else:
                others.append(entry)
        self._more.pop(key, None)
        if others:
            self._first[key] = others[0]
            if others[1:]:
                self._more[key] = others[1:]
        else:
            del self._first[key]

    def _remove(self, stream: Stream, order: Order, seq: int, key: bytes) -> None:
        self._take_entry(stream, key, seq)
        order.remove(seq)
        self._count -= 1

    def _is_same(self, key: bytes, record: KeyRecord) -> bool:
        """Whether the one event held under a key, with the seq of a record, is that of it."""
        if key != record.key or key in self._more:
            return False
        _, _, counter, by, _ = _ENTRY.unpack(self._first[key])
        return bool(by == record.by and self._counters[counter] == record.counter)

    def _place(self, stream: Stream, seq: int) -> bytes:
        """What the entry of an event begins with."""
        return _PLACE.pack(self._streams.number(stream), seq)

    def _event(self, entry: bytes) -> KeyedEvent:
        stream, seq, counter, by, _ = _ENTRY.unpack(entry)
        return KeyedEvent(self._streams[stream], seq, self._counters[counter], by)

    def _record(self, stream: Stream, seq: int, key: bytes, now: float) -> KeyRecord:
        entry = self._first[key]
        if key in self._more and not entry.startswith(place := self._place(stream, seq)):
            entry = next(one for one in self._more[key] if one.startswith(place))
        _, _, counter, by, born_at = _ENTRY.unpack(entry)
        return KeyRecord(key, seq, self._counters[counter], by, age_of(born_at, now))
