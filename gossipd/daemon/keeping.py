"""The node's disk: does what the core decides, and tells it how that ended.

What is committed, stored, looked up or read, when, and what follows from a failure is the core's
(see `core.durability.committing` and `core.durability.storing`).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, TypeAlias, TypeVar, assert_never

from gossipd.core import (
    Abandon,
    AllSaved,
    Batch,
    Changes,
    Commit,
    CommitSoon,
    DiskRefuses,
    DiskTakes,
    Effect,
    Expire,
    Failure,
    FindKeys,
    KeyRecord,
    KeysWanted,
    Node,
    Probe,
    Save,
    SaveWanted,
    Stored,
)
from gossipd.daemon.diskwatch import DiskWatch
from gossipd.daemon.lines import fields
from gossipd.daemon.numbers import HANGS, Numbers
from gossipd.daemon.troubles import Trouble, Troubles
from gossipd.store import BrokenError, Store

log = logging.getLogger(__name__)

T = TypeVar("T")

Of: TypeAlias = (
    CommitSoon
    | Commit
    | FindKeys
    | Abandon
    | SaveWanted
    | Save
    | Expire
    | Probe
    | AllSaved
    | KeysWanted
    | DiskRefuses
    | DiskTakes
)
"""The effects that are performed here."""


class Keeping:
    """The store of one node, on behalf of its core."""

    def __init__(
        self,
        node: Node,
        store: Store,
        perform: Callable[[Sequence[Effect]], None],
        troubles: Troubles,
        numbers: Numbers,
        disk_timeout: float,
    ) -> None:
        self._node = node
        self._store = store
        self._perform = perform
        self._troubles = troubles
        self._numbers = numbers
        self._loop = asyncio.get_running_loop()
        self.watch = DiskWatch(disk_timeout, troubles, self._hang_changed)
        self._calls: set[asyncio.Future[Any]] = set()
        """What the store is asked. Held here, or nobody would."""
        self._all_saved: asyncio.Future[None] = self._loop.create_future()

    def do(self, effect: Of) -> None:  # noqa: C901  a table
        """Perform one effect."""
        match effect:
            case CommitSoon():
                self._loop.call_soon(self._commit)
            case Commit(batch, _):
                self._store_batch(batch)
            case FindKeys(question, keys):
                self._ask(self._store.find_keys(keys), partial(self._found, question))
            case Abandon(batch, exposed):
                self._store.abandon(batch, exposed)
            case SaveWanted():
                self._loop.call_soon(self._save)
            case Save(changes):
                self._ask(self._store.save(changes), partial(self._saved, changes))
            case Expire():
                self._ask(self._store.expire(), self._expired)
            case Probe():
                self._ask(self._store.probe(), self._probed)
            case KeysWanted(stream, above, upto, limit):
                records = self._store.read_keys(stream, above, upto, limit)
                self._ask(records, partial(self._read, effect))
            case DiskRefuses(detail):
                self._troubles.begin(
                    Trouble.REFUSES, f"cannot write to the disk: {detail}", serves=False
                )
            case DiskTakes():
                self._troubles.end(Trouble.REFUSES)
            case AllSaved():
                if not self._all_saved.done():
                    self._all_saved.set_result(None)
            case _:
                assert_never(effect)

    async def drain(self, seconds: float) -> None:
        """Store what there is once more, for `seconds` at most, and no more after that."""
        self._perform(self._node.save_rest(time.monotonic()))
        done, _ = await asyncio.wait([self._all_saved], timeout=seconds)
        if not done:
            log.warning("this disk is too slow: not all that other nodes told is stored")
        for call in list(self._calls):
            call.cancel()

    # --- commits -----------------------------------------------------------------------------

    def _commit(self) -> None:
        self._give(lambda: self._node.commit(time.monotonic(), time.time()))

    def _store_batch(self, batch: Batch) -> None:
        self._numbers.commit_begins(time.monotonic())
        try:
            done = self._store.commit(batch)
        except Exception as error:
            self._numbers.commit_fails()
            self._fail(self._node.commit_failed, error)
            return
        if done is None:
            self._committed(batch)
        else:
            self._ask(done, partial(self._stored, batch))

    def _stored(self, batch: Batch, call: asyncio.Future[None]) -> None:
        error = call.exception()
        if error is None:
            self._committed(batch)
        else:
            self._numbers.commit_fails()
            self._fail(self._node.commit_failed, error)

    def _committed(self, batch: Batch) -> None:
        now = time.monotonic()
        self._numbers.commit_ends(len(batch.results) + len(batch.put_results), now)
        self._give(lambda: self._node.committed(batch, now))

    def _found(self, question: int, call: asyncio.Future[Stored]) -> None:
        error = call.exception()
        if error is not None:
            self._fail(partial(self._node.keys_not_found, question), error)
        else:
            now, wall, found = time.monotonic(), time.time(), call.result()
            self._give(lambda: self._node.keys_found(question, found, now, wall))

    def _give(self, give: Callable[[], Sequence[Effect]]) -> None:
        """Give the core an input; whoever waits for the batch is answered should that raise."""
        try:
            effects = give()
        except Exception:
            now = time.monotonic()
            self._perform(self._node.commit_failed(Failure.MISTAKE, "", now))
            raise
        self._perform(effects)

    # --- all the rest ------------------------------------------------------------------------

    def _save(self) -> None:
        self._perform(self._node.save(time.monotonic()))

    def _saved(self, changes: Changes, call: asyncio.Future[Stored]) -> None:
        error = call.exception()
        if error is None:
            self._perform(self._node.saved(changes, time.monotonic(), call.result()))
        else:
            self._fail(self._node.disk_failed, error)

    def _expired(self, call: asyncio.Future[float]) -> None:
        error = call.exception()
        if error is None:
            self._perform(self._node.expired(time.monotonic(), call.result()))
        else:
            self._fail(self._node.disk_failed, error)

    def _probed(self, call: asyncio.Future[None]) -> None:
        error = call.exception()
        if error is None:
            self._perform(self._node.probed(time.monotonic()))
        else:
            self._fail(self._node.disk_failed, error)

    def _read(self, wanted: KeysWanted, call: asyncio.Future[Sequence[KeyRecord]]) -> None:
        error = call.exception()
        if error is None:
            self._perform(self._node.keys_read(wanted, call.result(), time.monotonic()))
            return
        self._node.keys_not_read()
        if not isinstance(error, OSError):
            raise error
        extra = fields(member=wanted.asker)
        log.error("cannot read idempotency keys for %s: %s", wanted.asker, error, extra=extra)

    # --- how the disk does -------------------------------------------------------------------

    def _fail(
        self, told: Callable[[Failure, str, float], list[Effect]], error: BaseException
    ) -> None:
        """Tell the core of a failure, and everybody if it is this program's."""
        failure = Failure.BROKEN if isinstance(error, BrokenError) else Failure.FULL
        if not isinstance(error, OSError):
            failure = Failure.MISTAKE
        self._numbers.disk_errors[failure.name.lower()] += 1
        self._perform(told(failure, str(error), time.monotonic()))
        if failure is Failure.MISTAKE:
            raise error

    def _ask(self, asked: Awaitable[T], then: Callable[[asyncio.Future[T]], None]) -> None:
        """Wait for the disk's answer."""
        call = asyncio.ensure_future(asked)
        self._calls.add(call)
        wait = self.watch.begin()

        def answered(call: asyncio.Future[T]) -> None:
            self._calls.discard(call)
            if not call.cancelled():
                try:
                    self.watch.end(wait)
                finally:
                    then(call)

        call.add_done_callback(answered)

    def _hang_changed(self) -> None:
        self._numbers.disk_errors[HANGS] += self.watch.hangs
        tell = self._node.disk_hangs if self.watch.hangs else self._node.disk_answers
        self._perform(tell(time.monotonic()))
