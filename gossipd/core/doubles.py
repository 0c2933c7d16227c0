"""Retries that were counted twice, and what a counter's value leaves out for them.

When a key was used on both sides of a partition, both events exist. Events with the same key,
counter and `by` are a group; of those of a group that are *present* (their register has reached
their seq) all but the smallest, by stream and seq, are left out. Entries are joined by union and
never go away, so a value is a function of registers and entries alone.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

from .identity import Stream
from .keys import KeyedEvent
from .messages import Double

Place: TypeAlias = tuple[Stream, int]
"""(stream, seq) of an event, in the order of increment ids."""

_Group: TypeAlias = tuple[bytes, str, int]
"""(key, counter, by)."""


class LeftOut(NamedTuple):
    """An event is left out of its counter's value from now on."""

    stream: Stream
    seq: int
    counter: str
    by: int


class Doubles:
    """The entries, by group for values and by stream for telling others."""

    def __init__(self, seq_of: Callable[[Stream, str], int]) -> None:
        """`seq_of` tells how far the register of (stream, counter) has come."""
        self._seq_of = seq_of
        self._groups: dict[bytes, dict[_Group, dict[Place, bool]]] = {}
        """By key, then group: whether each event is present."""
        self._winners: dict[_Group, Place] = {}
        """Of each group the smallest that is present."""
        self._streams: dict[Stream, list[Double]] = {}
        self._absent: dict[tuple[Stream, str], list[tuple[int, _Group]]] = {}
        """By register: events that it has not reached."""
        self._count = 0
        self.left_out = 0
        """Events that are left out of values."""

    def __len__(self) -> int:
        return self._count

    def __contains__(self, key: bytes) -> bool:
        return key in self._groups

    def events(self, key: bytes) -> list[KeyedEvent]:
        """Every event entered under a key."""
        groups = self._groups.get(key, {})
        return [
            KeyedEvent(stream, seq, counter, by)
            for (_, counter, by), places in groups.items()
            for stream, seq in places
        ]

    def has_group(self, key: bytes, counter: str, by: int) -> bool:
        """Whether any event is entered that says this."""
        return (key, counter, by) in self._groups.get(key, ())

    def of(self, stream: Stream, above: int = 0) -> list[Double]:
        """The entries of a stream with seq > `above`, smallest first."""
        held = self._streams.get(stream, [])
        return held[bisect_right(held, above, key=_seq_of_double) :]

    def streams(self) -> list[Stream]:
        """The streams that have entries."""
        return list(self._streams)

    def left_out_of(self, counter: str) -> int:
        """What the value of a counter leaves out, computed from the entries anew (I7)."""
        return sum(
            by * (sum(places.values()) - 1)
            for groups in self._groups.values()
            for (_, name, by), places in groups.items()
            if name == counter and any(places.values())
        )

    def add(self, stream: Stream, double: Double) -> list[LeftOut] | None:
        """Enter an event; what is left out by that, None if it is entered already."""
        group = (double.key, double.counter, double.by)
        places = self._groups.setdefault(double.key, {}).setdefault(group, {})
        place = (stream, double.seq)
        if place in places:
            return None
        self._count += 1
        insort(self._streams.setdefault(stream, []), double, key=_order)
        places[place] = False
        if self._seq_of(stream, double.counter) >= double.seq:
            return self._arrive(group, place)
        insort(self._absent.setdefault((stream, double.counter), []), (double.seq, group))
        return []

    def reached(self, stream: Stream, counter: str, seq: int) -> list[LeftOut]:
        """A register has come up to `seq`: what is left out by that."""
        waiting = self._absent.get((stream, counter))
        if waiting is None:
            return []
        out: list[LeftOut] = []
        while waiting and waiting[0][0] <= seq:
            place, group = waiting.pop(0)
            out += self._arrive(group, (stream, place))
        if not waiting:
            del self._absent[stream, counter]
        return out

    def _arrive(self, group: _Group, place: Place) -> list[LeftOut]:
        """An event is present: if another one of its group is, the larger one is left out."""
        places = self._groups[group[0]][group]
        places[place] = True
        winner = self._winners.get(group)
        self._winners[group] = place if winner is None else min(winner, place)
        if winner is None:
            return []
        self.left_out += 1
        _, counter, by = group
        return [LeftOut(*max(winner, place), counter, by)]


def _seq_of_double(double: Double) -> int:
    return double.seq


def _order(double: Double) -> tuple[int, bytes, str, int]:
    return double.seq, double.key, double.counter, double.by
