"""What a disk holds of one stream, with the moment at which it came."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import NamedTuple

from gossipd.core import (
    AGE_TICK,
    Correction,
    Double,
    KeyedEvent,
    KeyRecord,
    MemberView,
    Status,
    Stream,
    StreamSnapshot,
)
from gossipd.core.wire.records import Register


class Moment(NamedTuple):
    """Now, by the two clocks of a host."""

    passed: float
    """Seconds that have passed on its disk, as they are measured."""
    wall: float
    """Seconds since 1970 as it has them."""


THE_BEGINNING = Moment(0.0, 0.0)


class KeyRow(NamedTuple):
    record: KeyRecord
    at: float
    """When it was accepted first, as `Moment.passed`."""

    def aged(self, passed: float) -> KeyRecord:
        return self.record._replace(age=max(0, int((passed - self.at) / AGE_TICK)))


class DoubleRow(NamedTuple):
    double: Double
    at: float
    """When it was found, as `Moment.passed`."""

    def aged(self, passed: float) -> Double:
        return self.double._replace(age=max(0, int((passed - self.at) / AGE_TICK)))


@dataclass(slots=True)
class StreamRows:
    version: int = 0
    registers: dict[str, Register] = field(default_factory=dict)
    keys: dict[int, KeyRow] = field(default_factory=dict)
    doubles: dict[int, DoubleRow] = field(default_factory=dict)
    """By seq."""
    corrections: dict[str, Correction] = field(default_factory=dict)

    def note(self, double: Double, passed: float) -> None:
        """Keep a double, unless it is in a correction; of two of one event the smaller."""
        folded, held = self.corrections.get(double.counter), self.doubles.get(double.seq)
        if folded is not None and double.seq <= folded.seq:
            return
        if held is None or double.said < held.double.said:
            row = DoubleRow(double._replace(age=0), passed - double.age * AGE_TICK)
            self.doubles[double.seq] = row

    def correct(self, correction: Correction) -> None:
        """Keep a correction; the doubles in it go."""
        counter, seq, *_ = correction
        self.corrections[counter] = correction
        for row in list(self.doubles.values()):
            if row.double.counter == counter and row.double.seq <= seq:
                del self.doubles[row.double.seq]

    def join(self, register: Register) -> None:
        counter, seq, total = register
        held = self.registers.get(counter, (counter, 0, 0))
        self.registers[counter] = max(held, (counter, seq, total))


def event_of(stream: Stream, record: KeyRecord) -> KeyedEvent:
    return KeyedEvent(stream, record.seq, record.counter, record.by)


def say_same(one: KeyedEvent, other: KeyedEvent) -> bool:
    return (one.counter, one.by) == (other.counter, other.by)


def belongs_into_memory(row: KeyRow, rows: StreamRows, passed: float, window: float) -> bool:
    """Young ones, and those above the version: these are part of the fingerprint."""
    return passed - row.at < window or row.record.seq > rows.version


def stream_image(stream: Stream, rows: StreamRows, passed: float, window: float) -> StreamSnapshot:
    kept = {
        seq: row
        for seq, row in sorted(rows.keys.items())
        if belongs_into_memory(row, rows, passed, window)
    }
    return StreamSnapshot(
        stream,
        rows.version,
        tuple(rows.registers.values()),
        tuple(row.aged(passed) for row in kept.values()),
        tuple(rows.doubles[seq].aged(passed) for seq in sorted(rows.doubles)),
        max((seq for seq in rows.keys if seq not in kept), default=0),
        tuple(rows.corrections.values()),
    )


def aged_view(view: MemberView, seconds: float) -> MemberView:
    if view.status <= Status.SUSPECT:
        return view
    return view._replace(age=view.age + math.ceil(max(0.0, seconds) / 60))
