"""Key records that are on the disk only, read for peers that pull them.

The core asks for what its memory lacks; the answer goes on when the disk has told. Whoever pulled
asks again, elsewhere in the end, so what cannot be read is only logged.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence

from gossipd.core import Effect, KeysWanted, Node
from gossipd.diskwatch import DiskWatch, HangsError
from gossipd.store import Store

log = logging.getLogger(__name__)

READS_MAX = 32
"""Reads under way at most; peers that ask for more will ask again."""


class Archive:
    """The reads of one node."""

    def __init__(
        self,
        node: Node,
        store: Store,
        perform: Callable[[Sequence[Effect]], None],
        watch: DiskWatch,
    ) -> None:
        self._node = node
        self._store = store
        self._perform = perform
        self._watch = watch
        self._reads: set[asyncio.Task[None]] = set()

    def want(self, wanted: KeysWanted) -> None:
        """Begin to read."""
        if len(self._reads) < READS_MAX:
            read = asyncio.get_running_loop().create_task(self._read(wanted))
            self._reads.add(read)
            read.add_done_callback(self._reads.discard)

    def stop(self) -> None:
        """Nobody waits for what is being read."""
        for read in self._reads:
            read.cancel()

    async def _read(self, wanted: KeysWanted) -> None:
        try:
            records = await self._watch.answer(
                lambda: self._store.read_keys(
                    wanted.stream, wanted.above, wanted.upto, wanted.limit
                )
            )
        except HangsError:
            return  # which is told already
        except OSError as error:
            log.error("cannot read idempotency keys for %s: %s", wanted.asker, error)
            return
        self._perform(self._node.keys_read(wanted, records, time.monotonic()))
