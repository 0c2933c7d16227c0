"""Registers whose values leave out what was counted twice.

What doubles say of events (see `doubles`) moves values and the fingerprint here. Of the keys that
show them nothing is known here.
"""

from __future__ import annotations

from collections.abc import Iterable

from gossipd.core.identity import Stream
from gossipd.core.settings import DOUBLES_MAX, REGISTERS_MAX, STREAMS_MAX
from gossipd.core.wire.records import Correction, Double

from .doubles import Change, Doubles, LeftOut
from .registers import Advance, Registers


class Counted(Registers):
    """Those of all streams, with their doubles and corrections."""

    def __init__(
        self,
        streams_max: int = STREAMS_MAX,
        registers_max: int = REGISTERS_MAX,
        doubles_max: int = DOUBLES_MAX,
    ) -> None:
        super().__init__(streams_max, registers_max)
        self.doubles_max = doubles_max
        self.doubles = Doubles(lambda stream, counter: self.register(stream, counter)[0])
        """To be read; `enter`, `correct` and `fold` change them."""

    def enter(
        self, stream: Stream, doubles: Iterable[Double], now: float, *, told: bool = False
    ) -> tuple[int, list[Advance]]:
        """Join doubles of a stream; how many were new, and what values lost by them. What a peer
        has `told` and finds no room is left out; of those that are found here there are no more
        than key records, and they soon are old enough to be folded."""
        new = 0
        advances: list[Advance] = []
        for double in doubles:
            if told and not self._has_room_for_double(stream):
                break
            lost = self._enter(stream, double, now)
            if lost is not None:
                new += 1
                advances += lost
        self._sum_doubles()
        return new, advances

    def catch_up(self) -> list[Advance]:
        """Look at some doubles that still wait for registers which have come."""
        return self._left_out(self.doubles.catch_up())

    def fold(self, stream: Stream, count: int, now: float) -> list[Advance]:
        """Fold the first `count` doubles of a stream."""
        return self._settle(stream, self.doubles.fold(stream, count, now))

    def _enter(self, stream: Stream, double: Double, now: float) -> list[Advance] | None:
        """Join one double, which sums do not show yet; None if that was known."""
        change = self.doubles.add(stream, double, now)
        if change is None:
            return None
        if self.keeps_marks:
            self.changed.doubles[stream, double.seq] = None
        return self._apply(stream, change)

    def _correct(self, stream: Stream, correction: Correction, now: float) -> list[Advance]:
        return self._settle(stream, self.doubles.correct(stream, correction, now))

    def _reached(self, advance: Advance) -> list[Advance]:
        """What values lose as a register has come for which doubles wait."""
        return self._left_out(self.doubles.reached(*advance[:3]))

    def _settle(self, stream: Stream, change: Change | None) -> list[Advance]:
        advances = self._apply(stream, change)
        self._sum_doubles()
        return advances

    def _apply(self, stream: Stream, change: Change | None) -> list[Advance]:
        if change is None:
            return []
        if stream not in self._streams:
            self._open(stream)
        if self.keeps_marks:
            for counter in change.corrected:
                self.changed.corrections[stream, counter] = None
        return [self._leave_out(event) for event in change.left_out]

    def _left_out(self, events: Iterable[LeftOut]) -> list[Advance]:
        advances = [self._leave_out(event) for event in events]
        self._sum_doubles()
        return advances

    def _leave_out(self, event: LeftOut) -> Advance:
        stream, seq, counter, by = event
        value = self._values[counter] = self._values[counter] - by
        return Advance(stream, counter, seq, -by, value)

    def _has_room_for_double(self, stream: Stream) -> bool:
        held = self._streams.get(stream)
        return len(self.doubles) < self.doubles_max and self._fits(held, 0)

    def _sum_doubles(self) -> None:
        for stream, delta in self.doubles.moves():
            self._sum(stream, self._streams[stream], delta)
