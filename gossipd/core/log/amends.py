"""What this process wrote, where others have put something else in its place, and what makes up
for that.

A register is the newest event of its counter, whoever tells of it. So a peer that is wrong can put
one above those of a live stream, with whatever total, and everybody takes it over, as nobody else
can tell. The writer can: it knows what it wrote. What is missing of that it *owes*, and counts
under its next stream, so that nothing acknowledged is lost and all nodes agree by the ordinary
rules. The largest of both counts: where more stands than it wrote, nothing is taken off, for that
may be what a clone of this process was asked for; what had to be made up for and stands again is
taken back.

Only streams of this life are looked after, and none whose commit has failed, of which a copy of
the disk may hold more. What an earlier life wrote is on a disk, and disks are put back from
backups: more than that is no lie. Nor is it where a virtual machine was put back while it ran, so
streams from before the clocks parted are not looked after either: what this process is told of
them it may have written itself.

Two live copies of one process do not answer each other: each leaves the stream that both have at
most once, and what it amends stands under one that is not the other's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple, TypeAlias

from gossipd.core.identity import Stream
from gossipd.core.wire.records import KeyRecord, Register

from .log import Log

AMENDS_AT_ONCE = 500
"""Registers that one batch makes up for at most."""

MINT_EVERY = 1.0
"""Seconds for each stream that this process may begin, however often somebody spoils the last
one: streams are for ever. Meanwhile increments wait."""

MINTS_SAVED = 60
"""So many may follow each other at once."""

Place: TypeAlias = tuple[Stream, str]


class Amend(NamedTuple):
    """What a batch adds for a register that others have put something else in place of."""

    place: Place
    by: int
    seq: int
    whole: bool
    """Whether that is all that was owed: a total holds no more than 2^62."""


class Amends:
    """What the writer of one node knows of its own streams."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._last: dict[Stream, int] = {}
        """The own streams, and the last seq that was exposed of each."""
        self._true: dict[Place, int | None] = {}
        """The totals of registers in whose place something else was put; None where there was
        nothing to be put in the place of."""
        self._added: dict[Place, int] = {}
        """What was added for these."""
        self._open: dict[Place, None] = {}
        """Those that are yet to be looked at."""
        self._minted_until = float("-inf")

    # --- what is written ---------------------------------------------------------------------

    def wait(self, now: float) -> float:
        """Seconds until one more stream may begin."""
        return max(0.0, self._minted_until + MINT_EVERY * (1 - MINTS_SAVED) - now)

    def minted(self, now: float) -> None:
        """A stream begins."""
        self._minted_until = max(self._minted_until, now) + MINT_EVERY

    def wrote(self, stream: Stream, version: int) -> None:
        """A batch of a stream is exposed, in whose registers nobody has put anything."""
        self._last[stream] = version

    def wrote_below(self, stream: Stream, rows: Iterable[Register]) -> None:
        """One is exposed whose stream was spoilt while it was committed."""
        for counter, seq, total in rows:
            place = (stream, counter)
            if place in self._true or self._log.register(*place) != (seq, total):
                self._true[place] = total
                self._open[place] = None

    def abandoned(self, stream: Stream) -> None:
        """A commit has failed: what the disk has of this stream is not known."""
        self._last.pop(stream, None)

    def forget(self) -> None:
        """This process may have been put back to what it was some time ago."""
        for known in (self._last, self._true, self._added, self._open):
            known.clear()

    # --- what others say ---------------------------------------------------------------------

    def is_own(self, stream: Stream) -> bool:
        """Whether this process wrote a stream, and knows what it wrote."""
        return stream in self._last

    def spoilt_by(
        self, stream: Stream, registers: Iterable[Register]
    ) -> Iterator[tuple[Place, int | None]]:
        """Which registers of an own stream others put something in place of, by telling of these,
        and what this process wrote there."""
        for counter, seq, total in registers:
            held = self._log.register(stream, counter)
            if (seq, total) > held:
                place = (stream, counter)
                yield place, self._true.get(place, held[1] if held[0] else None)

    def spoilt(self, places: Iterable[tuple[Place, int | None]]) -> None:
        """These are merged."""
        for place, wrote in places:
            self._true[place] = wrote
            if wrote is not None:
                self._open[place] = None

    def is_false(self, stream: Stream, record: KeyRecord, now: float) -> bool:
        """Whether this process gave another key to an event of its own, or none. Own records that
        have left memory are told back by peers that hold them a moment longer: these are not
        taken, and no lies."""
        held = self._log.keys.at(stream, record.seq, now)
        return held is not None and held.said != record.said

    def last(self, stream: Stream) -> int:
        """The seq of the last event that this process has exposed of a stream."""
        return self._last.get(stream, 0)

    # --- what is owed ------------------------------------------------------------------------

    @property
    def owes(self) -> bool:
        """Whether there may be something to make up for."""
        return bool(self._open)

    def take(self) -> Iterator[tuple[Place, int]]:
        """What is owed, for one batch: registers, and by how much each."""
        for place in list(self._open)[:AMENDS_AT_ONCE]:
            del self._open[place]
            by = self._owed(place)
            if by:
                yield place, by

    def made(self, amend: Amend) -> None:
        """It counts."""
        self._added[amend.place] = self._added.get(amend.place, 0) + amend.by
        if not amend.whole:
            self._open[amend.place] = None

    def failed(self, place: Place) -> None:
        """It does not: it is owed still."""
        self._open[place] = None

    def _owed(self, place: Place) -> int:
        wrote = self._true[place]
        assert wrote is not None
        lacking = wrote - self._log.register(*place)[1]
        due = max(lacking, 0) if wrote >= 0 else min(lacking, 0)
        return due - self._added.get(place, 0)
