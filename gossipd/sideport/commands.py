"""The one set of commands: what may be asked.

Both dialects bring their arguments here as they found them (`object`) and get back plain data,
`Later` for what takes time, or `Refused`. This module knows no HTTP and no text.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import islice
from typing import NamedTuple
from uuid import UUID

from gossipd.sideport import values
from gossipd.sideport.backend import Backend, Event, Incremented, Item, Refused, Source
from gossipd.sideport.outcomes import Later, ended, failed, look
from gossipd.sideport.turns import Turns
from gossipd.sideport.values import refusal

log = logging.getLogger(__name__)

COUNTER_DEFAULT = "default"
LOG_LIMIT_DEFAULT = 100
TIMEOUT_DEFAULT = 2.0
"""Seconds for which `ack` and `after` wait unless told otherwise."""

RETRY_AFTER = 1
"""Seconds after which a node that was not ready is worth asking again."""


class Ack(NamedTuple):
    """The wish to be answered once `copies` nodes hold the increment."""

    copies: int
    memory: bool
    """Nodes that keep their state in memory count too."""

    timeout: float
    """Seconds after which it is answered all the same, the commit included."""


class Acknowledged(NamedTuple):
    done: Incremented
    acks: int
    """Nodes known to hold it, the one that was asked included."""


class NotIncluded(Refused):
    """504: what a count was to include did not come in time. The count without it is told."""

    def __init__(self, increment: UUID, counter: str, count: int, waited: float) -> None:
        detail = (
            f"increment {increment} has not come to this node within {waited:g}s; "
            f"the count without it is {count}"
        )
        super().__init__(504, "Gateway Timeout", detail)
        self.counter = counter
        self.count = count


class Commands:
    """What may be asked of the daemon. Plain increments take another way: `increment_of`
    validates one, and the connection's pipeline starts it in its turn."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self.turns = Turns()
        self.batching = asyncio.Lock()
        """Held by who reads, counts and answers a large batch: many at a time would be too many
        objects for the collector to search in one go."""
        self.increment = backend.increment

    @staticmethod
    def increment_of(
        counter: object = COUNTER_DEFAULT, by: object = 1, **options: object
    ) -> tuple[str, int, UUID | None, Ack | None]:
        """An increment from the fields `counter`, `by`, `key`, `ack`, `ack_memory`, `timeout`."""
        if not options:
            return values.name(counter), values.amount(by), None, None
        key = values.key(options["key"]) if "key" in options else None
        return values.name(counter), values.amount(by), key, _ack(options)

    def increment_acknowledged(
        self, counter: str, by: int, key: UUID | None, ack: Ack
    ) -> Later[Acknowledged]:
        """Start an increment now; later it is committed, and held as wished or the time is over.
        It goes on when nobody waits for it any more."""
        try:
            started = self.increment(counter, by, key)
        except Exception as failure:  # ends as an answer like any other failure
            started = failed(failure)
        started.add_done_callback(look)
        return Later(partial(self._acknowledged, started, ack))

    async def increment_all(self, items: Sequence[Item]) -> list[Incremented | Refused]:
        """Count all that can be counted, in one commit; it goes on when nobody waits."""
        return await ended(self._backend.increment_all(items)) if items else []

    def count(self, counter: object = COUNTER_DEFAULT) -> tuple[str, int]:
        known = values.name(counter)
        self._caught_up()
        return known, self._backend.count(known)

    async def count_after(
        self,
        after: object,
        counter: object = COUNTER_DEFAULT,
        timeout: object = TIMEOUT_DEFAULT,  # noqa: ASYNC109 - a client's wish, kept by the daemon
    ) -> tuple[str, int]:
        """The count once this node includes the increment `after`; raises `NotIncluded`."""
        increment, known = values.increment_id(after), values.name(counter)
        patience = values.timeout(timeout)
        self._caught_up()
        waiting = self._backend.included(increment, known, patience)
        included = await ended(waiting, drop=True)
        _, count = self.count(known)
        if not included:
            raise NotIncluded(increment, known, count, patience)
        return known, count

    def counters(self, **page: object) -> Iterator[tuple[str, int]]:
        """With the fields `prefix`, `limit`, `after`, which all lists have."""
        prefix, after, limit = values.page(**page)
        self._caught_up()
        return islice(self._backend.counters(prefix, after), limit)

    def counted(self, increment: object, counter: object = None) -> tuple[UUID, bool]:
        uuid = values.increment_id(increment)
        known = None if counter is None else values.name(counter)
        return uuid, self._backend.counted(uuid, known)

    async def event_of(self, key: object) -> Event:
        """What a key stands for."""
        return await ended(self._backend.event_of(values.key(key)), drop=True)

    async def put_source(
        self, client: object, counter: object, seq: object, total: object
    ) -> Source:
        """Set a client's own total; it goes on when nobody waits for it any more."""
        return await ended(
            self._backend.put_source(
                values.name(client, "client"),
                values.name(counter),
                values.source_seq(seq),
                values.source_total(total),
            )
        )

    def log(
        self, limit: object = LOG_LIMIT_DEFAULT, prefix: object = "", after: object = None
    ) -> Iterator[dict[str, object]]:
        known = None if after is None else values.increment_id(after)
        entries = self._backend.log(values.prefix(prefix), known)
        return islice(entries, values.log_limit(limit))

    def ready(self) -> None:
        """Returns when the node serves well, else raises `Refused` with the reason."""
        reason = self._backend.not_ready()
        if reason is not None:
            raise refusal(503, reason, RETRY_AFTER)

    def peers(self) -> Iterator[str]:
        return self._backend.peers()

    def members(self, **page: object) -> Iterator[dict[str, object]]:
        prefix, after, limit = values.page(**page)
        return islice(self._backend.members(prefix, after), limit)

    def status(self) -> dict[str, object]:
        return self._backend.status()

    def seeds(self) -> list[dict[str, object]]:
        return self._backend.seeds()

    def join(self, peers: object) -> list[str]:
        known = values.addresses(peers)
        self._backend.join(known)
        return known

    def leave(self) -> None:
        self._backend.leave()

    def forget(self, member: object) -> str:
        known = values.name(member, "name")
        self._backend.forget(known)
        return known

    async def _acknowledged(self, started: asyncio.Future[Incremented], ack: Ack) -> Acknowledged:
        loop = asyncio.get_running_loop()
        until = loop.time() + ack.timeout
        done = await ended(started)
        left = max(0.0, until - loop.time())
        try:
            held = self._backend.held(done.id, ack.copies, ack.memory, left)
            return Acknowledged(done, await ended(held, drop=True))
        except Exception:
            # It counted, and an error would say that it did not.
            log.warning("cannot tell which nodes hold increment %s", done.id, exc_info=True)
            return Acknowledged(done, 0)

    def _caught_up(self) -> None:
        """A count that lacks what the others already have would be a wrong answer."""
        reason = self._backend.incomplete()
        if reason is not None:
            raise refusal(503, f"catching up: {reason}", RETRY_AFTER)


def _ack(options: dict[str, object]) -> Ack | None:
    memory = values.flag(options.get("ack_memory", False), "ack_memory")
    timeout = values.timeout(options.get("timeout", TIMEOUT_DEFAULT))
    return Ack(values.copies(options["ack"]), memory, timeout) if "ack" in options else None
