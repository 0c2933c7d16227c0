"""Names to addresses, side by side: a resolver that does not answer holds up nothing else.

The system's look-up blocks for as long as it likes, so each one has a thread to itself. These are
daemon threads: a process that ends does not wait for them.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import threading
from contextlib import suppress

from gossipd.config.endpoint import Endpoint, is_link_local
from gossipd.core import Address
from gossipd.daemon.udp import plain

LOOKUPS_MAX = 64
"""Names that are looked up at the same time; further ones wait for a free thread."""


def resolve_now(endpoint: Endpoint, *, flags: int = 0) -> list[Address]:
    """All addresses (A and AAAA) of an endpoint. Raises `OSError` where there is none; blocks."""
    try:
        found = socket.getaddrinfo(
            endpoint.host, endpoint.port, type=socket.SOCK_DGRAM, flags=flags
        )
    except UnicodeError as error:  # an empty label, or one that is too long
        raise OSError(socket.EAI_NONAME, "not a name that can exist") from error
    return list(dict.fromkeys(_with_zone(address) for *_, address in found))


def _with_zone(address: tuple[object, ...]) -> Address:
    """The address of a socket; an IPv6 address of one link with the link's name, as a text."""
    host, port = plain(address)
    link = address[3] if is_link_local(host) else None
    if not isinstance(link, int) or not link:
        return host, port
    return f"{host.partition('%')[0]}%{socket.if_indextoname(link)}", port


def literal(endpoint: Endpoint) -> list[Address]:
    """The address of an endpoint that is one already; nothing for a name. Does not block."""
    try:
        return resolve_now(endpoint, flags=socket.AI_NUMERICHOST)
    except OSError:
        return []


class Resolver:
    """Looks names up for the running loop."""

    def __init__(self, lookups_max: int = LOOKUPS_MAX) -> None:
        self._loop = asyncio.get_running_loop()
        self._free = asyncio.Semaphore(lookups_max)

    async def resolve(self, endpoint: Endpoint) -> list[Address]:
        """As `resolve_now`, without blocking; who gives up waiting leaves the thread to itself."""
        await self._free.acquire()
        found: asyncio.Future[list[Address]] = self._loop.create_future()
        thread = threading.Thread(target=self._look_up, args=(endpoint, found), daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            self._free.release()
            raise OSError(errno.EAGAIN, f"no thread for the look-up: {error}") from error
        return await found

    def _look_up(self, endpoint: Endpoint, found: asyncio.Future[list[Address]]) -> None:
        outcome: list[Address] | OSError
        try:
            outcome = resolve_now(endpoint)
        except OSError as error:
            outcome = error
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(self._end, found, outcome)

    def _end(self, found: asyncio.Future[list[Address]], outcome: list[Address] | OSError) -> None:
        self._free.release()
        if found.done():
            return
        if isinstance(outcome, OSError):
            found.set_exception(outcome)
        else:
            found.set_result(outcome)
