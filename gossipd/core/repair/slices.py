"""Long answers in slices, so that no question holds this node up.

A peer may ask for many pages at once. They are made a few at a time, a moment apart, in which
whatever else has come is looked at. One answer of a kind is under way for each asker: who asks
anew waits for nothing of what it asked before. When many ask, each gets its slice in turn.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple, TypeAlias

from gossipd.core.effects import KeysWanted
from gossipd.core.identity import Address
from gossipd.core.timers import Timer, Timers
from gossipd.core.turn import Turn
from gossipd.core.wire.messages import MembersPage, Pages

SLICE_MAX = 2
"""Datagrams that are made at once, 100 to 300 us each."""

PAUSE = 0.001
"""Seconds between two slices, in which whatever else has come is looked at."""

LATE_SLICES_MAX = 4
"""Slices that are made at once where the last one is longer ago: on a busy host timers are late,
and who asked would wait for each."""

READS_MAX = 32
"""Reads of the disk under way at most; peers that ask for more will ask again."""

ANSWERS_MAX = 64
"""Answers under way at most; who is not answered asks again."""

Part: TypeAlias = MembersPage | Pages | KeysWanted


class _Answer(NamedTuple):
    to: Address
    parts: Iterator[Part]


class Slices:
    """The answers of one node that are under way."""

    def __init__(self, timers: Timers) -> None:
        self._timers = timers
        self._answers: dict[tuple[str, str], _Answer] = {}
        """By what it is about and asker, the next one first."""
        self._made_at = float("-inf")
        self._reads = 0
        """What the disk is asked for."""

    def serve(
        self, about: str, asker: str, to: Address, parts: Iterator[Part], turn: Turn
    ) -> None:
        """Begin to answer a member."""
        place = (about, asker)
        if place in self._answers or len(self._answers) < ANSWERS_MAX:
            idle = not self._answers
            self._answers[place] = _Answer(to, parts)
            if idle:
                self._made_at = turn.now
                self.go_on(turn)

    def go_on(self, turn: Turn) -> None:
        """The next slice."""
        place = next(iter(self._answers))
        answer = self._answers.pop(place)
        if self._answers:
            self._timers.set(Timer.ANSWER, turn.now + PAUSE)  # whatever raises
        sent = 0
        size = int(SLICE_MAX * max(1, min(LATE_SLICES_MAX, (turn.now - self._made_at) / PAUSE)))
        self._made_at = turn.now
        for part in islice(answer.parts, size):
            sent += 1
            if isinstance(part, KeysWanted):
                self._read(part, turn)
            else:
                turn.send(part, answer.to)  # without news: one peer only would be told
        if sent == size:
            self._answers[place] = answer
        if self._answers:
            self._timers.set(Timer.ANSWER, turn.now + PAUSE)

    def read(self) -> None:
        """The disk has told what it was asked for, or that it cannot."""
        self._reads -= 1

    def _read(self, wanted: KeysWanted, turn: Turn) -> None:
        """Whoever pulls asks again, elsewhere in the end, so one too many is passed over."""
        if self._reads < READS_MAX:
            self._reads += 1
            turn.emit(wanted)
