"""What is not on the disk yet: taken in parts, and what is there once these are stored.

Own increments are committed before they are exposed (see `writer`); everything else is stored
lazily, in cycles. A cycle covers all that had changed when it began: first registers, as they are
when they are taken, then in its last part the versions as they were at the beginning, and members.
So no version is stored before every record that it covers, and whoever waits for something that
arrived before a cycle began waits for the end of that cycle.

A node that keeps its state in memory only has none of this: there, what is held counts as stored.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple, TypeAlias

from .identity import Stream
from .log import Log
from .members import MemberTable
from .messages import MemberView

Row: TypeAlias = tuple[Stream, str, int, int]
"""(stream, counter, seq, total): a register with its stream."""


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
    generation: int = 0
    """The node's own one, which never falls, where it has said something new of itself; else 0."""


@dataclass(slots=True)
class _Cycle:
    registers: dict[tuple[Stream, str], None]
    versions: dict[Stream, int]
    members: dict[str, None] = field(default_factory=dict)


class Saving:
    """The cycles of one node. One part is under way at a time."""

    def __init__(self, log: Log, members: MemberTable) -> None:
        self._log = log
        self._members = members
        self._cycle: _Cycle | None = None
        self.begun = 0
        """Cycles that have begun."""
        self.done = 0
        """Cycles whose last part is stored."""

    @property
    def pending(self) -> bool:
        """Whether there is anything to store."""
        marks = self._log.changed
        return self._cycle is not None or bool(
            marks.registers or marks.versions or self._members.changed
        )

    def skip(self, members: Iterable[MemberView]) -> None:
        """What has changed so far comes from the disk, these members, too; those that did not
        enter the table, as they are too old, have to go from the disk."""
        self._log.changed.take()
        refused = [view.name for view in members if self._members.get(view.name) is None]
        self._members.changed = dict.fromkeys(refused if self._members.keeps_marks else ())

    def take(self, limit: int, now: float) -> Changes | None:
        """The next part, of at most `limit` registers, in a new cycle if none runs."""
        if not self.pending:
            return None
        cycle = self._cycle = self._cycle or self._begin()
        places = list(islice(cycle.registers, limit))
        for place in places:
            del cycle.registers[place]
        rows = tuple((*place, *self._log.register(*place)) for place in places)
        if cycle.registers:
            return Changes(rows, (), (), (), last=False)
        own = self._members.own
        generation = own.generation if own.name in cycle.members else 0
        names = (name for name in cycle.members if name != own.name)
        views = {name: self._members.remembered(name, now) for name in names}
        return Changes(
            rows,
            tuple(cycle.versions.items()),
            tuple(view for view in views.values() if view is not None),
            tuple(name for name, view in views.items() if view is None),
            last=True,
            generation=generation,
        )

    def stored(self, changes: Changes) -> None:
        """A part is on the disk."""
        for stream, version in changes.versions:
            self._log.set_durable(stream, version)
        if changes.last:
            self._cycle = None
            self.done = self.begun

    def not_stored(self, changes: Changes) -> None:
        """A part could not be stored: it comes again."""
        assert self._cycle is not None
        for stream, counter, _, _ in changes.registers:
            self._cycle.registers[stream, counter] = None

    def _begin(self) -> _Cycle:
        self.begun += 1
        registers, streams = self._log.changed.take()
        versions = {stream: self._log.version(stream) for stream in streams}
        members, self._members.changed = self._members.changed, {}
        return _Cycle(registers, versions, members)
