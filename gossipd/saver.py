"""Stores what the core has learned, lazily: at most a second later, or at once when asked.

Own increments are committed before they are exposed (see `counting`); this is for all the rest. A
cycle is taken in parts, so that neither the loop nor a batch waits long. What could not be stored
is tried again, later and later, for as long as the disk may come back; a disk that is broken ends
the node. Now and then it has the store remove what has expired, whether or not anything changed.

A node whose disk takes nothing is not ready, so clients count elsewhere and nothing of theirs
would show that it takes something again: this tries until it does.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence

from gossipd.core import Effect, Node
from gossipd.diskwatch import DiskWatch
from gossipd.store import BrokenError, Store

log = logging.getLogger(__name__)

SAVE_INTERVAL = 1.0
"""Seconds after which what has changed is stored."""

EXPIRE_INTERVAL = 5.0
"""Seconds after which key records that have expired are removed from the store."""

PART_MAX = 2000
"""Registers that are taken at a time: some milliseconds."""

RETRY_MAX = 10.0
"""Longest pause between two tries on a disk that takes nothing, seconds."""


class Saver:
    """Keeps the store up to date until it is drained."""

    def __init__(
        self,
        node: Node,
        store: Store,
        perform: Callable[[Sequence[Effect]], None],
        watch: DiskWatch,
        broken: Callable[[OSError], None],
    ) -> None:
        """`broken` is told of a failure that does not pass."""
        self._node = node
        self._store = store
        self._perform = perform
        self._watch = watch
        self._broken = broken
        self._wanted = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._ends = False
        self._expire_at = 0.0

    def start(self) -> None:
        """Begin to store."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    def want(self) -> None:
        """Somebody waits: store what has changed now."""
        self._wanted.set()

    async def drain(self, seconds: float) -> None:
        """Store what there is once more, for `seconds` at most, and no more after that."""
        self._ends = True
        self._wanted.set()
        if self._task is not None:
            await asyncio.wait([self._task], timeout=seconds)
            if self._task.cancel():
                log.warning("this disk is too slow: not all that other nodes told is stored")

    async def _run(self) -> None:
        pause = SAVE_INTERVAL
        while True:
            ends = self._ends
            try:
                while await self._save_part():
                    pass
                if not ends:
                    await self._expire()
                    await self._probe()
                pause = SAVE_INTERVAL
            except BrokenError as error:
                self._watch.failed(error)
                self._broken(error)
                return
            except OSError as error:
                self._watch.failed(error)
                pause = min(2 * pause, RETRY_MAX)
            except Exception:
                log.exception("internal error: what other nodes told is not stored")
                pause = min(2 * pause, RETRY_MAX)
            if ends:
                return
            await self._rest(pause)

    async def _rest(self, seconds: float) -> None:
        if not self._ends:
            try:
                await asyncio.wait_for(self._wanted.wait(), seconds)
            except TimeoutError:
                return
        if not self._ends:
            self._wanted.clear()

    async def _expire(self) -> None:
        if time.monotonic() >= self._expire_at:
            self._expire_at = time.monotonic() + EXPIRE_INTERVAL
            with self._watch.during():
                await self._store.expire()

    async def _probe(self) -> None:
        if self._watch.refuses:
            with self._watch.during():
                await self._store.probe()
            self._watch.succeeded()

    async def _save_part(self) -> bool:
        changes = self._node.take_changes(PART_MAX, time.monotonic())
        if changes is None:
            return False
        try:
            with self._watch.during():
                twins = await self._store.save(changes)
        except BaseException:
            self._node.not_stored(changes)
            raise
        self._perform(self._node.stored(changes, time.monotonic(), twins))
        return not changes.last
