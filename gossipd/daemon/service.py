"""What clients ask of a node, answered from its parts."""

from __future__ import annotations

import time
from asyncio import Future
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID

from gossipd.config.endpoint import Endpoint
from gossipd.core import (
    RETRY_AFTER,
    Counted,
    Effect,
    Following,
    Item,
    KeyedEvent,
    Node,
    Put,
    RecentEvent,
    Refused,
    Status,
    Stream,
    Why,
    increment_id,
    parse_increment_id,
    source_stream,
)
from gossipd.daemon import explaining, reports
from gossipd.daemon.alone import Alone
from gossipd.daemon.counting import Counting, Increment
from gossipd.daemon.diskwatch import DiskWatch
from gossipd.daemon.sealing import Seals
from gossipd.daemon.seeds import Seeds
from gossipd.daemon.troubles import Troubles
from gossipd.daemon.waits import Waits
from gossipd.sideport.streaming import Pieces
from gossipd.store import Store


@dataclass(eq=False)
class Service:
    """One node, as its clients see it."""

    _node: Node
    _store: Store
    _counting: Counting
    _waits: Waits
    _watch: DiskWatch
    _seeds: Seeds
    _seals: Seals
    _troubles: Troubles
    _alone: Alone
    _perform: Callable[[Sequence[Effect]], None]
    leave: Callable[[], None]
    reload: Callable[[], None]
    _process: Callable[[], dict[str, object]]
    """What is to be shown of the process around the node."""

    metrics: Callable[[str | None, str], Awaitable[Pieces]]
    """What there is to be scraped: with the values of counters that begin so, in a format that
    the client accepts."""

    _cluster: str

    # --- counting ----------------------------------------------------------------------------

    @property
    def increment(self) -> Increment:
        """It is asked of no layer between: clients say the same again and again."""
        return self._counting.increment

    def increment_all(self, items: Sequence[Item]) -> Future[list[Counted | Refused]]:
        """Count many, with an answer for each; they go on though nobody waits. Raises
        `Refused`."""
        return self._counting.increment_all(items)

    async def put_source(
        self, client: str, counter: str, seq: int, total: int
    ) -> dict[str, object]:
        """Set what `client` counted on `counter` by itself."""
        put = Put(source_stream(client, counter), counter, seq, total)
        taken, count = await self._counting.put(put)
        return {
            "client": client,
            "counter": counter,
            "seq": taken.seq,
            "total": taken.total,
            "count": count,
        }

    # --- reading -----------------------------------------------------------------------------

    def count(self, counter: str) -> int:
        return self._node.log.value(counter)

    def find(self, counter: str) -> int | None:
        """The count of a counter; None where nothing was ever added to it."""
        return self._node.log.find(counter)

    @property
    def counter_count(self) -> int:
        return self._node.log.counter_count

    def counters_behind(self, count: int, limit: int) -> list[str]:
        """The names of some counters in their order, behind the first `count` of them: `limit` at
        most; none if there are no more."""
        return self._node.log.counters_behind(count, limit)

    def counters(self, prefix: str, after: str) -> Iterator[tuple[str, int]]:
        return reports.counters(self._node, prefix, after)

    def counted(self, increment: UUID, counter: str | None) -> bool:
        return self._node.counted(*_event(increment), counter)

    async def event_of(self, key: bytes) -> dict[str, object]:
        """What a key stands for: the winning event where there are several."""
        events = self._node.events(key)
        if self._node.is_doubtful(key, time.time()):
            try:
                stored = await self._watch.answer(lambda: self._store.find_keys([key]))
            except OSError as error:
                raise Refused(Why.UNAVAILABLE, f"cannot look: {error}", RETRY_AFTER) from error
            events.update(stored.get(key, ()))
        if not events:
            raise Refused(Why.UNKNOWN, "this node knows nothing of this key")
        is_present = self._node.log.is_present
        winner: KeyedEvent = min(filter(is_present, events), default=min(events))
        return {
            "id": increment_id(winner.stream, winner.seq),
            "counter": winner.counter,
            "by": winner.by,
            "counted": is_present(winner),
        }

    def included(self, increment: UUID, counter: str | None, timeout: float) -> Future[bool]:
        """Ends with True once this node counts that increment, with False after `timeout` seconds;
        when it is cancelled nobody waits any more. Raises `Refused` where too many wait."""
        return self._waits.included(*_event(increment), counter, timeout)

    def held(self, increment: UUID, copies: int, memory: bool, timeout: float) -> Future[int]:
        """Ends with how many nodes hold that increment durably (with `memory` also those that hold
        it in memory), this one included: once these are `copies`, or after `timeout` seconds. When
        it is cancelled nobody is asked any more."""
        return self._waits.held(*_event(increment), copies, memory, timeout)

    def log(self, prefix: str, after: UUID | int | None) -> Iterator[dict[str, object]]:
        """Recent events, newest first, on counters that begin with `prefix`; with `after` those
        before the event of that number, or before that increment."""
        behind = _event(after) if isinstance(after, UUID) else after
        try:
            return reports.recent(self._node, prefix, behind)
        except KeyError:
            what = "increment has the id" if isinstance(after, UUID) else "event has the number"
            raise Refused(Why.UNKNOWN, f"no recent {what} {after}") from None

    # --- following ---------------------------------------------------------------------------

    @property
    def following(self) -> Following:
        """What changes, for one who takes it."""
        return self._node.following

    def recent_events(self) -> list[RecentEvent]:
        """The last events, oldest first."""
        return self._node.recent()[::-1]

    def event_row(self, event: RecentEvent) -> dict[str, object]:
        """An event as `log` tells it."""
        return reports.event(event)

    def member_row(self, name: str) -> dict[str, object]:
        """A member as `members` tells it; of one that is listed no more, that it is forgotten."""
        view = self._node.member(name)
        if view is None or view.status is Status.FORGOTTEN:
            return {"name": name, "state": "forgotten"}
        return reports.member(self._node, self._seals, view)

    # --- the cluster -------------------------------------------------------------------------

    def incomplete(self) -> str | None:
        """Why counts are not complete yet; None when they are."""
        if self._node.ready:
            return None
        return self._alone.why_not_ready

    def not_ready(self) -> str | None:
        """Why clients should ask another node: `incomplete`, or a trouble."""
        return self.incomplete() or self._troubles.not_serving

    def peers(self) -> Iterator[str]:
        return reports.peers(self._node)

    def members(self, prefix: str, after: str) -> Iterator[dict[str, object]]:
        return reports.members(self._node, self._seals, prefix, after)

    def explain(self, name: str) -> dict[str, object]:
        """Why a member is in its state."""
        known = explaining.explain(self._node, name)
        if known is None:
            raise Refused(
                Why.UNKNOWN,
                f"no member is called {name!r}: this node has never heard of it, or it was gone "
                "for longer than members are remembered",
            )
        return known

    def status(self) -> dict[str, object]:
        ready = {"ready": self.not_ready() is None}
        return {**reports.status(self._node, self._cluster), **ready, **self._process()}

    def join(self, peers: list[str]) -> None:
        try:
            endpoints = [Endpoint.parse_peer(text) for text in peers]
        except ValueError as error:
            raise Refused(Why.WRONG, str(error)) from error
        self._seeds.wish(endpoints)

    def seeds(self) -> list[dict[str, object]]:
        return self._seeds.report()

    def forget(self, name: str) -> None:
        try:
            self._perform(self._node.forget(name, time.monotonic()))
        except KeyError:
            raise Refused(Why.UNKNOWN, f"no member is called {name!r}") from None
        except ValueError as error:
            detail = f"{error}; only failed and left members can be forgotten"
            raise Refused(Why.CONFLICT, detail) from None


def _event(increment: UUID) -> tuple[Stream, int]:
    try:
        return parse_increment_id(increment)
    except ValueError as error:
        raise Refused(Why.WRONG, str(error)) from error
