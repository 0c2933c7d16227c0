"""What is not on the disk yet: taken in parts, and what is there once these are stored.

Own increments are committed before they are exposed (see `writer`); everything else is stored
lazily, in cycles. A cycle covers all that had changed when it began: first registers, as they are
when they are taken, then key records, doubles and corrections, with or behind the last of these
the versions as they were at the beginning, and in its last part members. So no version is stored
before every record that it covers, and whoever waits for something that arrived before a cycle
began waits for the end of that cycle.

A node that keeps its state in memory only has none of this: there, what is held counts as stored.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple, TypeAlias, TypeVar

from gossipd.core.identity import Stream
from gossipd.core.log.dedup import Dedup
from gossipd.core.log.log import Log
from gossipd.core.log.marks import Marks
from gossipd.core.snapshot import Snapshot
from gossipd.core.swim.members import MemberTable
from gossipd.core.wire.messages import MemberView
from gossipd.core.wire.records import Correction, Double, KeyRecord

Row: TypeAlias = tuple[Stream, str, int, int]
"""(stream, counter, seq, total): a register with its stream."""

T = TypeVar("T")


class Changes(NamedTuple):
    """A part of a cycle, to be stored in one transaction."""

    registers: tuple[Row, ...]
    versions: tuple[tuple[Stream, int], ...]
    members: tuple[MemberView, ...]
    """With the age of verdicts."""
    gone: tuple[str, ...]
    """Members that are not remembered any more."""
    last: bool = True
    """Whether the cycle ends with it."""
    keys: tuple[tuple[Stream, KeyRecord], ...] = ()
    doubles: tuple[tuple[Stream, Double], ...] = ()
    horizon: int = 0
    """See `dedup`."""
    corrections: tuple[tuple[Stream, Correction], ...] = ()
    generation: int = 0
    """The node's own one, which never falls, where it has said something new of itself; else 0."""


@dataclass(slots=True)
class _Cycle:
    marks: Marks
    """What is not stored of it."""
    members: dict[str, None]


class WriteBehind:
    """The cycles of one node. One part is under way at a time."""

    def __init__(self, log: Log, members: MemberTable, dedup: Dedup) -> None:
        self._log = log
        self._members = members
        self._dedup = dedup
        self._cycle: _Cycle | None = None
        self.begun = 0
        """Cycles that have begun."""
        self.done = 0
        """Cycles whose last part is stored."""

    @property
    def pending(self) -> bool:
        """Whether there is anything to store."""
        return self._cycle is not None or bool(self._log.changed or self._members.changed)

    def skip(self, snapshot: Snapshot, kept: Container[str]) -> None:
        """What has changed so far comes from the disk, but for doubles that only showed in this
        snapshot. Members that did not enter the table, as they are too old, have to go from it,
        but for those `kept` aside."""
        marks, self._log.changed = self._log.changed, Marks()
        self._log.changed.doubles = marks.doubles
        for stream in snapshot.streams:
            for double in stream.doubles:
                marks.doubles.pop((stream.stream, double.seq), None)
        refused = [
            view.name
            for view in snapshot.members
            if self._members.get(view.name) is None and view.name not in kept
        ]
        self._members.changed = dict.fromkeys(refused if self._members.keeps_marks else ())

    def is_unsaved(self, stream: Stream, seq: int) -> bool:
        """Whether the key record of an event is yet to be stored."""
        place = (stream, seq)
        if place in self._log.changed.keys:
            return True
        return self._cycle is not None and place in self._cycle.marks.keys

    def take(self, limit: int, now: float) -> Changes | None:
        """The next part, of at most `limit` records, and as many versions, in a new cycle if none
        runs. It is taken again until it is stored."""
        if not self.pending:
            return None
        cycle = self._cycle = self._cycle or self._begin()
        marks = cycle.marks
        places = islice(marks.registers, limit)
        rows = tuple((*place, *self._log.register(*place)) for place in places)
        keys = _held(marks.keys, self._log.keys.at, limit - len(rows), now)
        doubles = _held(marks.doubles, self._log.doubles.at, limit - len(rows) - len(keys), now)
        corrections = self._corrections(marks, limit - len(rows) - len(keys) - len(doubles))
        part = Changes(
            rows,
            (),
            (),
            (),
            last=False,
            keys=keys,
            doubles=doubles,
            corrections=corrections,
            horizon=self._dedup.horizon,
        )
        taken = (
            (rows, marks.registers),
            (keys, marks.keys),
            (doubles, marks.doubles),
            (corrections, marks.corrections),
        )
        if any(len(some) < len(marked) for some, marked in taken):
            return part
        part = part._replace(versions=tuple(islice(marks.versions.items(), limit)))
        if len(part.versions) < len(marks.versions):
            return part
        own = self._members.own
        generation = own.generation if own.name in cycle.members else 0
        names = (name for name in cycle.members if name != own.name)
        views = {name: self._members.worth_keeping(name, now) for name in names}
        return part._replace(
            members=tuple(view for view in views.values() if view is not None),
            gone=tuple(name for name, view in views.items() if view is None),
            last=True,
            generation=generation,
        )

    def stored(self, changes: Changes) -> None:
        """A part is on the disk."""
        assert self._cycle is not None
        marks = self._cycle.marks
        for stream, counter, _, _ in changes.registers:
            del marks.registers[stream, counter]
        for stream, record in changes.keys:
            del marks.keys[stream, record.seq]
        for stream, double in changes.doubles:
            del marks.doubles[stream, double.seq]
        for stream, correction in changes.corrections:
            del marks.corrections[stream, correction.counter]
        for stream, version in changes.versions:
            self._log.set_durable(stream, version)
            del marks.versions[stream]
        if changes.last:
            self._cycle = None
            self.done = self.begun

    def _begin(self) -> _Cycle:
        self.begun += 1
        marks, self._log.changed = self._log.changed, Marks()
        members, self._members.changed = self._members.changed, {}
        return _Cycle(marks, members)

    def _corrections(self, marks: Marks, limit: int) -> tuple[tuple[Stream, Correction], ...]:
        """As they are now."""
        held = self._log.doubles.correction
        places = islice(marks.corrections, limit)
        found = ((stream, held(stream, counter)) for stream, counter in places)
        return tuple((stream, correction) for stream, correction in found if correction)


def _held(
    marks: dict[tuple[Stream, int], None],
    at: Callable[[Stream, int, float], T | None],
    limit: int,
    now: float,
) -> tuple[tuple[Stream, T], ...]:
    """What is marked, up to `limit`; it stays so until it is stored. What has gone meanwhile is
    not marked any more."""
    taken: list[tuple[Stream, T]] = []
    for stream, seq in list(islice(marks, limit)):
        found = at(stream, seq, now)
        if found is None:
            del marks[stream, seq]
        else:
            taken.append((stream, found))
    return tuple(taken)
