"""All who follow what changes: members, and increments, told as they happen.

They share two rings of what changed last; each has its place in them and nothing else, so a
watcher that does not read costs what its connection holds. Who is so slow that the ring has
passed it is told so and dropped, and may go on with what is left. What changes in one turn of the
loop is told together, and at most every `INTERVAL`.

Increments are numbered as they are told, and `life` tells whose numbers these are. While nobody
watches, nothing is done here: who comes then is told what the node itself remembers.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Hashable, Sequence
from functools import partial
from typing import NoReturn

from gossipd.core import RETRY_AFTER, RecentEvent, Refused, Why
from gossipd.daemon.service import Service
from gossipd.sideport.gathering import Gathered
from gossipd.sideport.limits import Limits
from gossipd.sideport.pipeline import Pipeline
from gossipd.sideport.rings import Event, Ring
from gossipd.sideport.streaming import ROWS_AT_ONCE
from gossipd.sideport.watch import Encoding, Wanted, Watch, itself

INTERVAL, INTERVAL_EACH = 0.005, 0.000_25
"""Seconds between two looks at what has changed, and this for each watcher if that is more: with
each look all of them are woken, which takes 20 to 50 us each."""

TOLD_MAX = 10_000
"""Increments that are told one by one after one look, times watchers. Of more than that, those of
one counter become one, and while somebody is half as far behind as he may be."""

GATHERED_MAX = 256
"""Increments that lie about between two looks; what is gathered in one go holds the loop."""

_DIGITS_MAX = 20

TOO_SLOW = "too slow: more has changed than is remembered for you"
STOPPING = "the node is stopping"


class Watchers:
    """All watchers of a node."""

    def __init__(self, node: Service, limits: Limits) -> None:
        self.node = node
        self._limits = limits
        self.watches: dict[Watch, None] = {}
        self.waiting: dict[Watch, None] = {}
        """Those of them who have been given all that there is. Others go on by themselves, or do
        not read: with each look nothing is done for these."""
        self._room = limits.changes_max
        """So many changes at least the one who is furthest behind may fall behind yet."""
        self.life = os.urandom(8).hex()
        """Whose the numbers are."""
        self._members = Ring(limits.changes_max)
        self._increments = Ring(limits.changes_max)
        self._seen = 0
        """Increments of the node that have been gathered."""
        self._gathered = Gathered()
        self._ready = False
        self._pulled_at = float("-inf")
        self._pull: asyncio.Handle | None = None
        self._beat: asyncio.TimerHandle | None = None
        self._of: Counter[Hashable] = Counter()
        """How many of them each address has."""
        self.dropped_count = 0
        """Watchers dropped so far because they were too slow."""
        self.refused_count = 0
        """Watchers refused so far because there were too many."""

    def __len__(self) -> int:
        return len(self.watches)

    def watch(self, wanted: Wanted, encoding: Encoding, pipeline: Pipeline) -> Watch:
        """A watcher, which is one from its first piece on. Raises `Refused`."""
        most = self._limits.watchers_max
        share = self._limits.share_of(most)
        if len(self.watches) >= most:
            self._refuse(f"{most} are watching this node already")
        if self._of[pipeline.source] >= share:
            self._refuse(f"{share} are watching this node from your address already")
        return Watch(self, wanted, encoding, pipeline)

    def _refuse(self, detail: str) -> NoReturn:
        self.refused_count += 1
        raise Refused(Why.UNAVAILABLE, detail, RETRY_AFTER)

    def id_of(self, number: int) -> str:
        return f"{self.life}-{number}"

    def look(self) -> None:
        """The node has had an input: if something has changed, it is told soon."""
        if not self.watches:
            return
        following = self.node.following
        if following.event_count - self._seen >= GATHERED_MAX:
            self._gather()
        if self._pull is not None:
            return
        if (
            following.event_count == self._seen
            and not self._gathered
            and not following.has_members
            and (self.node.incomplete() is None) is self._ready
        ):
            return
        loop = asyncio.get_running_loop()
        interval = max(INTERVAL, INTERVAL_EACH * len(self.watches))
        wait = self._pulled_at + interval - loop.time()
        self._pull = loop.call_later(wait, self.pull) if wait > 0 else loop.call_soon(self.pull)

    def end(self, reason: str) -> None:
        """Tell all of them that this was all, and why."""
        for watch in list(self.watches):
            watch.stop(reason)
            self.forget(watch)

    # --- what a watcher says -----------------------------------------------------------------

    def begin(self, watch: Watch) -> None:
        if not self.watches:
            self._begin()
        self.pull()  # it is told what changes from now on
        self.watches[watch] = None
        self._of[watch.source] += 1
        watch.start(self._members, self._increments, self._number_of(watch.wanted.last))
        self._room = min(self._room, watch.room)

    def forget(self, watch: Watch) -> None:
        self.waiting.pop(watch, None)
        if watch not in self.watches:
            return
        del self.watches[watch]
        self._of[watch.source] -= 1
        if not self._of[watch.source]:
            del self._of[watch.source]
        if not self.watches:
            self._end()

    def pull(self) -> None:
        """Take what has changed, and wake those whom it concerns."""
        if self._pull is not None:
            self._pull.cancel()
            self._pull = None
        if not self.watches:
            return
        self._pulled_at = asyncio.get_running_loop().time()
        node, following = self.node, self.node.following
        names = following.take_members()
        self._members.add([self._changed(name, len(names)) for name in names])
        self._gather()
        events = self._numbered(self._gathered.take())
        self._increments.add(events)
        self._room -= len(names) + len(events)
        if self._room < 0:
            self._drop_slow()
        ready = node.incomplete() is None
        became_ready, self._ready = ready and not self._ready, ready
        if not (names or events or became_ready):
            return
        counters = {event.name for event in events}
        for watch in list(self.waiting):
            watch.look(bool(names), counters, became_ready)

    def _drop_slow(self) -> None:
        """Those whom what has changed has passed."""
        for watch in list(self.watches):
            if watch.is_slow:
                self.dropped_count += 1
                watch.stop(TOO_SLOW)
                self.forget(watch)
        self._room = min((watch.room for watch in self.watches), default=0)

    # --- the first and the last one ----------------------------------------------------------

    def _begin(self) -> None:
        node, following, ring = self.node, self.node.following, self._increments
        following.begin()
        missed, recent = following.event_count - self._seen, node.recent_events()
        if missed > len(recent):
            ring.forget(missed - len(recent))
            missed = len(recent)
        ring.add(self._numbered(recent[len(recent) - missed :]))
        self._seen = following.event_count
        self._ready = node.incomplete() is None
        loop = asyncio.get_running_loop()
        self._beat = loop.call_later(self._limits.heartbeat_interval, self._beat_all)

    def _end(self) -> None:
        self._increments.add(self._numbered(self._gathered.take()))
        self.node.following.end()
        self._members.forget(0)  # who comes is told all of them
        for handle in (self._pull, self._beat):
            if handle is not None:
                handle.cancel()
        self._pull = self._beat = None

    def _beat_all(self) -> None:
        loop = asyncio.get_running_loop()
        self._beat = loop.call_later(self._limits.heartbeat_interval, self._beat_all)
        for watch in self.watches:
            watch.beat()

    def _numbered(self, entries: Sequence[RecentEvent]) -> list[Event]:
        """These increments, which follow those in the ring."""
        row = self.node.event_row
        return [
            Event("increment", entry.advance.counter, partial(row, entry), number)
            for number, entry in enumerate(entries, self._increments.end + 1)
        ]

    def _changed(self, name: str, count: int) -> Event:
        """A member of `count` that have changed. Of many the rows are made when they are told, a
        few at a time."""
        row = self.node.member_row
        make = partial(row, name) if count > ROWS_AT_ONCE else partial(itself, row(name))
        return Event("member", name, make)

    def _gather(self) -> None:
        """Take the increments that were made, or what they come to."""
        following, size = self.node.following, self._limits.changes_max
        self._seen = following.event_count
        most = min(max(ROWS_AT_ONCE, TOLD_MAX // len(self.watches)), size // 4)
        if self._room < size - size // 2 and any(
            each.backlog > size // 2 for each in self.watches
        ):
            most = 1
        self._gathered.add(following.take_events(), most)

    def _number_of(self, last: str) -> int | None:
        """Where to go on behind the event with this id; None where that is not known any more."""
        life, _, digits = last.partition("-")
        if life != self.life or not digits.isdecimal():
            return None
        number, ring = int(digits[:_DIGITS_MAX]), self._increments
        return number if ring.start <= number <= ring.end else None
