"""What the side port asks of a node (`sideport.backend.Backend`), answered from its parts."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from uuid import UUID

from gossipd import reports
from gossipd.alone import Alone
from gossipd.copying import Copying
from gossipd.core import (
    Effect,
    KeyedEvent,
    Node,
    Put,
    PutTaken,
    Stream,
    increment_id,
    parse_increment_id,
    source_stream,
)
from gossipd.counting import Counting
from gossipd.diskwatch import DiskWatch
from gossipd.endpoint import Endpoint
from gossipd.seeds import Seeds, TooManyWishesError
from gossipd.sideport.backend import Event, Incremented, Item, Refused, Source
from gossipd.sideport.commands import RETRY_AFTER
from gossipd.sideport.values import refusal
from gossipd.store import Store
from gossipd.troubles import Troubles
from gossipd.waiting import TooManyReadsError, Waiting

log = logging.getLogger(__name__)


class Service:
    """One node, as its clients see it."""

    def __init__(
        self,
        node: Node,
        store: Store,
        counting: Counting,
        copying: Copying,
        waiting: Waiting,
        watch: DiskWatch,
        seeds: Seeds,
        troubles: Troubles,
        alone: Alone,
        perform: Callable[[Sequence[Effect]], None],
        begin_leave: Callable[[], None],
        process: Callable[[], dict[str, object]],
        cluster: str,
    ) -> None:
        """`process` tells what is to be shown of the process around the node."""
        self._node = node
        self._store = store
        self._counting = counting
        self._copying = copying
        self._waiting = waiting
        self._watch = watch
        self._seeds = seeds
        self._troubles = troubles
        self._alone = alone
        self._perform = perform
        self._begin_leave = begin_leave
        self._process = process
        self._cluster = cluster

    # --- counting ----------------------------------------------------------------------------

    def increment(
        self, counter: str, by: int, key: UUID | None = None
    ) -> asyncio.Future[Incremented]:
        return self._counting.increment(counter, by, key)

    def increment_all(self, items: Sequence[Item]) -> asyncio.Future[list[Incremented | Refused]]:
        return self._counting.increment_all(items)

    def put_source(
        self, client: str, counter: str, seq: int, total: int
    ) -> asyncio.Future[Source]:
        put = Put(source_stream(client, counter), counter, seq, total)
        return asyncio.ensure_future(self._put(client, put))

    async def _put(self, client: str, put: Put) -> Source:
        taken: PutTaken
        taken, count = await self._counting.put(put)
        return Source(client, put.counter, taken.seq, taken.total, count)

    # --- reading -----------------------------------------------------------------------------

    def count(self, counter: str) -> int:
        return self._node.log.value(counter)

    def counters(self, prefix: str, after: str) -> Iterator[tuple[str, int]]:
        return reports.counters(self._node, prefix, after)

    def counted(self, increment: UUID, counter: str | None) -> bool:
        return self._node.counted(*_event(increment), counter)

    def event_of(self, key: UUID) -> asyncio.Future[Event]:
        return asyncio.ensure_future(self._event_of(key))

    async def _event_of(self, key: UUID) -> Event:
        events = self._node.events(key.bytes)
        if self._node.is_doubtful(key.bytes, time.time()):
            try:
                stored = await self._watch.answer(lambda: self._store.find_keys([key.bytes]))
            except OSError as error:
                raise refusal(503, f"cannot look: {error}", RETRY_AFTER) from error
            events.update(stored.get(key.bytes, ()))
        if not events:
            raise refusal(404, "this node knows nothing of this key")
        is_present = self._node.log.is_present
        winner: KeyedEvent = min(filter(is_present, events), default=min(events))
        uuid = increment_id(winner.stream, winner.seq)
        return Event(uuid, winner.counter, winner.by, is_present(winner))

    def included(
        self, increment: UUID, counter: str | None, timeout: float
    ) -> asyncio.Future[bool]:
        try:
            return self._waiting.wait(*_event(increment), counter, timeout)
        except TooManyReadsError as error:
            raise refusal(503, str(error), RETRY_AFTER) from error

    def held(
        self, increment: UUID, copies: int, memory: bool, timeout: float
    ) -> asyncio.Future[int]:
        return self._copying.wait(*_event(increment), copies, memory, timeout)

    def log(self, prefix: str, after: UUID | None) -> Iterator[dict[str, object]]:
        try:
            return reports.tail(self._node, prefix, None if after is None else _event(after))
        except KeyError:
            raise refusal(404, f"no recent increment has the id {after}") from None

    # --- the cluster -------------------------------------------------------------------------

    def incomplete(self) -> str | None:
        if self._node.ready:
            return None
        return self._alone.why_not_ready

    def not_ready(self) -> str | None:
        return self.incomplete() or self._troubles.not_serving

    def peers(self) -> Iterator[str]:
        return reports.peers(self._node)

    def members(self, prefix: str, after: str) -> Iterator[dict[str, object]]:
        return reports.members(self._node, prefix, after)

    def status(self) -> dict[str, object]:
        ready = {"ready": self.not_ready() is None}
        return {**reports.status(self._node, self._cluster), **ready, **self._process()}

    def join(self, peers: list[str]) -> None:
        try:
            endpoints = [Endpoint.parse_peer(text) for text in peers]
        except ValueError as error:
            raise refusal(400, str(error)) from error
        try:
            self._seeds.wish(endpoints)
        except TooManyWishesError as error:
            raise refusal(503, str(error), RETRY_AFTER) from error

    def seeds(self) -> list[dict[str, object]]:
        return self._seeds.report()

    def leave(self) -> None:
        log.info("asked to leave: leaving")
        self._begin_leave()

    def forget(self, name: str) -> None:
        try:
            self._perform(self._node.forget(name, time.monotonic()))
        except KeyError:
            raise refusal(404, f"no member is called {name!r}") from None
        except ValueError as error:
            raise refusal(409, f"{error}; only failed and left members can be forgotten") from None


def _event(increment: UUID) -> tuple[Stream, int]:
    try:
        return parse_increment_id(increment)
    except ValueError as error:
        raise refusal(400, str(error)) from error
