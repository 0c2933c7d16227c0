"""An increment that is answered once other nodes hold it (`ack`)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from gossipd.core import Counted, Refused
from gossipd.daemon.service import Service

log = logging.getLogger(__name__)


class Acknowledged(NamedTuple):
    """An increment that was to be answered once `wanted` nodes hold it."""

    done: Counted
    acks: int
    """Nodes known to hold it, the one that was asked included."""

    wanted: int
    memory: bool
    timeout: float


def acknowledge(
    node: Service,
    counter: str,
    by: int,
    ack: int,
    ack_memory: bool,
    timeout: float,
    _: Callable[[object], None],
    key: bytes | None = None,
) -> Awaitable[object]:
    """What is to be awaited for the answer."""
    started: asyncio.Future[Counted | Refused] = asyncio.get_running_loop().create_future()

    def settle(result: Counted | Refused) -> None:
        if not started.done():
            started.set_result(result)

    node.increment(counter, by, settle, key)
    return _acknowledged(node, started, ack, ack_memory, timeout)


async def _acknowledged(
    node: Service,
    started: asyncio.Future[Counted | Refused],
    ack: int,
    ack_memory: bool,
    timeout: float,  # noqa: ASYNC109 - a client's wish, kept by the daemon
) -> Acknowledged | Refused:
    """The time that the commit takes is a part of the timeout."""
    loop = asyncio.get_running_loop()
    until = loop.time() + timeout
    done = await started
    if isinstance(done, Refused):
        return done
    try:
        left = max(0.0, until - loop.time())
        acks = await node.held(done.id, ack, ack_memory, left)
    except Exception:
        # It counted, and an error would say that it did not.
        log.warning("cannot tell which nodes hold increment %s", done.id, exc_info=True)
        acks = 0
    return Acknowledged(done, acks, ack, ack_memory, timeout)
