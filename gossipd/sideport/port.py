"""The listener: takes connections, bounds their number, and ends them when the daemon stops."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from gossipd.config.tokens import Grants
from gossipd.daemon.service import Service
from gossipd.sideport.access import Access
from gossipd.sideport.answered import Answered
from gossipd.sideport.connection import Connection
from gossipd.sideport.limits import Limits
from gossipd.sideport.memo import Meaning, Memo
from gossipd.sideport.places import Place, Places
from gossipd.sideport.resp.session import Common
from gossipd.sideport.turns import Turns
from gossipd.sideport.watching import STOPPING, Watchers

log = logging.getLogger(__name__)

BACKLOG = 1024

LOCALHOST = "localhost"
"""Both loopback addresses, whatever a resolver makes of the name."""

_LOOPBACKS = ("127.0.0.1", "::1")
_ABSENT = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
"""How a host fails that has only one of the two."""

LOOK_INTERVAL = 0.25
"""Seconds between two looks at all connections for those that wait for too long: a timer for each,
set with each request, would cost each request a microsecond."""

_TRIES = 16
"""How often a free port is looked for that is free on both."""


class SidePort:
    """The TCP side port of one daemon."""

    def __init__(self, node: Service, limits: Limits | None = None) -> None:
        self.node = node
        self.limits = limits or Limits()
        self.turns = Turns()
        self.answered = Answered()
        self.access = Access()
        """What holds for the clients of listeners that ask for tokens, if there are any, ..."""
        self.open = Access()
        """... and for those who need none, wherever they come from."""
        self.lines = Memo[Meaning]()
        """What clients say again and again in text."""
        self.resp = Common()
        """The same of RESP, and what else its connections share."""
        self.watchers = Watchers(node, self.limits)
        self._servers: list[asyncio.Server] = []
        self._addresses: list[tuple[str, int]] = []
        self._connections: set[Connection] = set()
        self._places = Places(self.limits, time.monotonic)
        self._refused: set[Connection] = set()
        self._stopping = False
        self._look: asyncio.TimerHandle | None = None
        """When the connections are looked at next; None while there are none."""
        self._empty: asyncio.Event = asyncio.Event()
        self._empty.set()
        self.accepted_count = 0
        """Connections that came so far."""
        self.refused_count = 0
        """Connections refused so far because there were too many."""

    async def start(self, host: str | None, port: int) -> None:
        """Listen; None is every address, IPv4 and IPv6. Raises `OSError` where it cannot."""
        listen = self._listen
        if host != LOCALHOST:
            self._servers = [await listen(host, port)]
        elif port:
            self._servers = await _listen_locally(listen, port)
        else:
            self._servers = await _listen_anywhere(listen)
        self._opened()

    async def start_on(self, passed: Sequence[socket.socket]) -> None:
        """Listen on sockets that others have bound, and that outlive this process."""
        self._servers = [await self._listen(sock=sock) for sock in passed]
        self._opened()

    async def _listen(self, *where: Any, **sock: Any) -> asyncio.Server:
        loop = asyncio.get_running_loop()
        made = partial(Connection, self)
        return await loop.create_server(made, *where, **sock, backlog=BACKLOG)

    def _opened(self) -> None:
        sockets = (sock for server in self._servers for sock in server.sockets)
        self._addresses = [sock.getsockname()[:2] for sock in sockets]

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Where it listens, with the ports that the system chose for port 0."""
        return self._addresses

    @property
    def connection_count(self) -> int:
        return len(self._connections)

    async def stop(self, timeout: float = 1.0) -> None:  # noqa: ASYNC109 - it cuts, never raises
        """Take no more connections, answer what is pending, then close all; whoever is not done
        after `timeout` seconds is cut."""
        self._stopping = True
        self.take_no_more()
        self.watchers.end(STOPPING)
        for connection in self._all():
            connection.drain()
        try:
            await asyncio.wait_for(self._empty.wait(), timeout)
        except TimeoutError:
            for connection in self._all():
                connection.abort()
            await self._empty.wait()
        for server in self._servers:
            await server.wait_closed()
        self._servers = []

    def change_tokens(self, tokens: Grants) -> None:
        """These hold from now on, for who is there, too."""
        self.access.change(tokens)
        for connection in self._all():
            connection.tokens_changed()

    def take_no_more(self) -> None:
        """New connections are not for this process any more."""
        for server in self._servers:
            server.close()

    def _all(self) -> list[Connection]:
        return [*self._connections, *self._refused]

    @property
    def held_size(self) -> int:
        """Bytes of large bodies that all connections hold."""
        return sum(connection.held_size for connection in self._connections)

    def admit(self, connection: Connection, host: str | None) -> Place:
        """Whether a new connection may stay."""
        self.accepted_count += 1
        self._empty.clear()
        if self._look is None:
            self._look = asyncio.get_running_loop().call_later(LOOK_INTERVAL, self._look_at_all)
        if self._stopping:
            self._refused.add(connection)
            connection.abort()
            return Place.KEPT
        place = self._places.take(connection, host)
        if place is not Place.NONE:
            self._connections.add(connection)
            return place
        self.refused_count += 1
        if len(self._refused) >= self.limits.refusals_max:
            connection.abort()
        self._refused.add(connection)
        return place

    def _look_at_all(self) -> None:
        loop = asyncio.get_running_loop()
        now, connections = loop.time(), self._all()
        for connection in connections:
            try:
                connection.look(now)
            except Exception:
                # All others are looked at, too, and again.
                log.exception("a connection is cut: this is a bug in gossipd")
                connection.abort()
        self._look = loop.call_later(LOOK_INTERVAL, self._look_at_all) if connections else None

    def gone(self, connection: Connection) -> None:
        """It has ended."""
        self._places.leave(connection)
        self._connections.discard(connection)
        self._refused.discard(connection)
        if not self._connections and not self._refused:
            self._empty.set()
            if self._look is not None:
                self._look.cancel()
                self._look = None


_Listen = Callable[[str, int], Awaitable[asyncio.Server]]


async def _listen_locally(listen: _Listen, port: int) -> list[asyncio.Server]:
    """On both loopback addresses, or on the one that there is."""
    servers: list[asyncio.Server] = []
    absent: OSError | None = None
    for host in _LOOPBACKS:
        try:
            servers.append(await listen(host, port))
        except OSError as error:
            if error.errno in _ABSENT:
                absent = error
                continue
            for server in servers:
                server.close()
            raise
    if absent is not None and not servers:
        raise absent
    return servers


async def _listen_anywhere(listen: _Listen) -> list[asyncio.Server]:
    """On one port of both that the system chooses."""
    for _ in range(_TRIES):
        server = await listen(_LOOPBACKS[0], 0)
        port = server.sockets[0].getsockname()[1]
        server.close()
        with suppress(OSError):
            return await _listen_locally(listen, port)
    return await _listen_locally(listen, port)
