"""One who follows what changes: what he is told, and when.

He is first told what there is, then what changes: every member, and unless he goes on where he
was, every count that he asked for. A list of counts is given in parts, in the order of names; an
increment is told of a counter whose count has been told already, so at any moment a count that was
told and the sum of `by` since make exactly the count that the node has. A node that is not ready
lists the members that it knows so far, and says once it knows them all.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple, Protocol

from gossipd.sideport.pipeline import Flow, Pipeline
from gossipd.sideport.rings import Event, Place, Ring
from gossipd.sideport.streaming import ROWS_AT_ONCE

if TYPE_CHECKING:
    from gossipd.sideport.watching import Watchers


class Wanted(NamedTuple):
    """What a watcher wants to be told of."""

    members: bool
    counters: frozenset[str] | None
    """None: all."""

    last: str = ""
    """The id of the last event that it was told, where it goes on."""

    prefix: str = ""
    """All that begin so, where `counters` is None."""

    def concerns(self, counter: str) -> bool:
        if self.counters is None:
            return counter.startswith(self.prefix)
        return counter in self.counters


class Encoding(Protocol):
    """How a dialect tells events."""

    head: bytes

    def piece(self, events: Iterable[Event]) -> bytes: ...

    def last(self, event: Event) -> bytes:
        """The last event, and the end."""
        ...


class Watch(Flow):
    """One watcher: pieces of an answer that does not end by itself."""

    def __init__(
        self, watchers: Watchers, wanted: Wanted, encoding: Encoding, pipeline: Pipeline
    ) -> None:
        self._watchers = watchers
        self._node = watchers.node
        self.wanted = wanted
        self._encoding = encoding
        self._pipeline = pipeline
        self.source = pipeline.source
        self._begun = False
        self._listed: str | None = "" if wanted.members else None
        """The last member that was listed; None once all are."""
        self._counted: str | None = ""
        """The same of counters."""
        self._member_count = 0
        self._early = False
        """Members were listed while the node did not know all of them yet."""
        self._beats = False
        """It is to be told that the node lives."""

    def __next__(self) -> bytes:
        if not self._begun:
            self._begun = True
            self._watchers.begin(self)
            if self._encoding.head:
                return self._encoding.head
        while events := self._take():
            if piece := self._encoding.piece(events):
                return piece
        self._watchers.waiting[self] = None
        return b""

    def close(self) -> None:
        self._watchers.forget(self)

    # --- what the watchers say ---------------------------------------------------------------

    def start(self, members: Ring, increments: Ring, last: int | None) -> None:
        """`last`: the number of the increment behind which it goes on."""
        self._members = Place(members, members.end)
        self._increments = Place(increments, increments.end if last is None else last)
        if last is not None or self.wanted.counters == frozenset():
            self._counted = None

    def stop(self, reason: str) -> None:
        self._pipeline.cut(self._encoding.last(Event("end", "", lambda: {"reason": reason})))

    def look(self, members: bool, counters: set[str], ready: bool) -> None:
        """It waits, and something is new: members, these counters, or that the node is ready."""
        wanted = self.wanted
        concerned = not counters.isdisjoint(wanted.counters or ())
        if wanted.counters is None:
            concerned = any(map(wanted.concerns, counters)) if wanted.prefix else bool(counters)
        waits = self._early or self._counted is not None
        if concerned or (members and wanted.members) or (ready and waits):
            self._wake()
        else:
            self._increments.skip()

    def beat(self) -> None:
        """Tell, if there is nothing else, that the node lives."""
        self._beats = True
        self._wake()

    def _wake(self) -> None:
        self._watchers.waiting.pop(self, None)
        self._pipeline.wake()

    @property
    def backlog(self) -> int:
        """How many increments it has not looked at."""
        place = self._increments
        return 0 if self.wanted.counters == frozenset() else place.ring.end - place.at

    @property
    def room(self) -> int:
        """How many more changes it may fall behind."""
        rooms = [self._members.room] if self.wanted.members else []
        if self.wanted.counters != frozenset():
            rooms.append(self._increments.room)
        return min(rooms)

    @property
    def is_slow(self) -> bool:
        wants_members, wanted = self.wanted.members, self.wanted.counters
        passed = wanted != frozenset() and self._increments.is_passed
        return passed or (wants_members and self._members.is_passed)

    # --- what is told ------------------------------------------------------------------------

    def _take(self) -> list[Event]:
        """What is told next; nothing if there is nothing now."""
        if self._listed is not None or self._counted is not None:
            self._watchers.pull()  # what is listed is as it is now
        if self.is_slow:
            return []  # it was told so
        events = self._take_members() or self._take_increments()
        if not events and self._beats:
            number = self._increments.at if self._counted is None else None
            events = [Event("heartbeat", "", _nothing, number)]
        self._beats = False
        return events

    def _take_members(self) -> list[Event]:
        listed = self._listed
        if not self.wanted.members:
            return []
        changed = self._members.take(lambda event: listed is None or event.name <= listed)
        if len(changed) == ROWS_AT_ONCE:
            return changed
        ready = self._node.incomplete() is None
        if listed is None:
            if self._early and ready:
                self._early = False
                changed.append(Event("ready", "", lambda: {"ready": True}))
            return changed
        rows = islice(self._node.members("", listed), ROWS_AT_ONCE)
        page = [Event("member", str(row["name"]), partial(itself, row)) for row in rows]
        self._member_count += len(page)
        self._listed = page[-1].name if page else None
        if len(page) < ROWS_AT_ONCE:
            self._listed, self._early = None, not ready
            told = {"members": self._member_count, "ready": ready}
            page.append(Event("present", "", lambda: told))
        return changed + page

    def _take_increments(self) -> list[Event]:
        counted, concerns, made = self._counted, self.wanted.concerns, list[Event]()
        if counted == "":
            self._increments.skip()  # no count was told yet
        else:
            made = self._increments.take(
                lambda event: concerns(event.name) and (counted is None or event.name <= counted)
            )
        if counted is None:
            return made
        # Where to go on is known once all counts were told.
        made = [Event(event.kind, event.name, event.data) for event in made]
        if len(made) < ROWS_AT_ONCE and self._node.incomplete() is None:
            made.append(self._count(counted))
        return made

    def _count(self, counted: str) -> Event:
        """The next counts."""
        node, wanted, number = self._node, self.wanted.counters, None
        if wanted is None:
            found = node.counters(self.wanted.prefix, counted)
            counts = dict(islice(found, ROWS_AT_ONCE))
        else:
            counts = {name: node.count(name) for name in sorted(wanted)}
        self._counted = next(reversed(counts), None)
        if wanted is not None or len(counts) < ROWS_AT_ONCE:
            self._counted, number = None, self._increments.at
        return Event("counts", "", lambda: counts, number)


def itself(row: dict[str, object]) -> dict[str, object]:
    """What an event tells that was made already."""
    return row


def _nothing() -> None:
    return None
