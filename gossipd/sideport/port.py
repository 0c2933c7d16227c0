"""The listener: takes connections, bounds their number, and ends them when the daemon stops."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
from collections.abc import Callable
from functools import partial

from gossipd.config.endpoint import Endpoint
from gossipd.config.tokens import Grants
from gossipd.config.unix import ApiAddress, UnixSocket
from gossipd.daemon.service import Service
from gossipd.sideport.access import Access
from gossipd.sideport.answered import Answered
from gossipd.sideport.connection import Connection
from gossipd.sideport.limits import Limits
from gossipd.sideport.listening import BACKLOG, TCP, UNIX, SocketFile, alone_in, listen_at
from gossipd.sideport.memo import Meaning, Memo
from gossipd.sideport.places import Place, Places
from gossipd.sideport.resp.session import Common
from gossipd.sideport.tls import DISTRUSTED, Layer, Tls
from gossipd.sideport.turns import Turns
from gossipd.sideport.watching import STOPPING, Watchers

log = logging.getLogger(__name__)

LOOK_INTERVAL = 0.25
"""Seconds between two looks at all connections for those that wait for too long: a timer for each,
set with each request, would cost each request a microsecond."""


class SidePort:
    """The side port of one daemon."""

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
        self._passed: list[asyncio.Server] = []
        """Those whose sockets outlive this process."""
        self._files: list[SocketFile] = []
        self.tls: Tls | None = None
        """What is spoken by TCP, if it is set before `listen`."""
        self.places: list[ApiAddress] = []
        """Where it listens, with the ports that the system chose for port 0."""
        self._connections: set[Connection] = set()
        self._guests = Places(self.limits, time.monotonic)
        self._refused: set[Connection] = set()
        self._held = self._stopping = False
        self._look: asyncio.TimerHandle | None = None
        """When the connections are looked at next; None while there are none."""
        self._empty: asyncio.Event = asyncio.Event()
        self._empty.set()
        self.accepted_count = 0
        """Connections that came so far."""
        self.refused_count = 0
        """Connections refused so far because there were too many."""

    def hold(self) -> None:
        """Take nobody's connection before `begin`: what listens first must not be asked while the
        others are opened, and the node has not loaded its state."""
        self._held = True

    async def begin(self) -> None:
        """Take connections from now on. Raises `OSError`."""
        self._held = False
        for server in self._servers:
            await server.start_serving()

    async def listen(self, where: ApiAddress) -> None:
        """Listen there, too. Raises `OSError` where it cannot."""
        if isinstance(where, UnixSocket):
            async with alone_in(os.path.dirname(where.path)):  # noqa: PTH120  no disk is asked
                file = SocketFile(where)
            self._files.append(file)
            self._opened(where, [await self._listen_on(file.socket)])
        else:
            self._opened(where, await listen_at(self._listen, where))

    async def listen_on(self, passed: socket.socket, where: ApiAddress) -> None:
        """The same on a socket that somebody else has bound there, and that outlives this
        process."""
        server = await self._listen_on(passed)
        self._passed.append(server)
        self._opened(where, [server])

    async def _listen(self, host: str | None, port: int) -> asyncio.Server:
        loop = asyncio.get_running_loop()
        return await loop.create_server(
            self._by_tcp(), host, port, backlog=BACKLOG, start_serving=not self._held
        )

    async def _listen_on(self, sock: socket.socket) -> asyncio.Server:
        loop = asyncio.get_running_loop()
        if sock.family == socket.AF_UNIX:
            made = partial(Connection, self, UNIX)
            return await loop.create_unix_server(
                made, sock=sock, backlog=BACKLOG, start_serving=not self._held
            )
        return await loop.create_server(
            self._by_tcp(), sock=sock, backlog=BACKLOG, start_serving=not self._held
        )

    def _by_tcp(self) -> Callable[[], asyncio.Protocol]:
        """Who takes a connection."""
        made, tls = partial(Connection, self, TCP), self.tls
        if tls is None:
            return made
        return lambda: Layer(tls, self.turns, made())

    def _opened(self, where: ApiAddress, servers: list[asyncio.Server]) -> None:
        self._servers += servers
        if isinstance(where, UnixSocket):
            self.places.append(where)
        else:
            names = (sock.getsockname() for server in servers for sock in server.sockets)
            self.places += [Endpoint(host, port) for host, port, *_ in names]

    @property
    def urls(self) -> list[str]:
        """The same, as clients are told them."""
        return [f"https://{each}" if self._is_secured(each) else str(each) for each in self.places]

    def _is_secured(self, where: ApiAddress) -> bool:
        return self.tls is not None and isinstance(where, Endpoint)

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Those of TCP."""
        return [(at.host, at.port) for at in self.places if isinstance(at, Endpoint)]

    @property
    def connection_count(self) -> int:
        return len(self._connections)

    async def stop(self, timeout: float = 1.0) -> None:  # noqa: ASYNC109 - it cuts, never raises
        """Take no more connections, answer what is pending, then close all; whoever is not done
        after `timeout` seconds is cut."""
        self._stopping = True
        self.close()
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
        if not self.access.change(tokens):
            return
        for connection in self._all():
            connection.tokens_changed()

    def distrust(self) -> None:
        """Some CA of clients is not trusted any more: whoever came by TLS has to come again, for
        it is not known who was let in for its sake."""
        for connection in self._all():
            if connection.listener is TCP:
                connection.turn_out(DISTRUSTED)

    def hand_over(self) -> None:
        """New connections are for the next process, where there is one that will get them."""
        for server in self._passed:
            server.close()

    def close(self) -> None:
        """Take no more connections."""
        for file in self._files:
            file.remove()
        for server in self._servers:
            server.close()

    def _all(self) -> list[Connection]:
        return [*self._connections, *self._refused]

    @property
    def held_size(self) -> int:
        """Bytes of large bodies that all connections hold."""
        return sum(connection.held_size for connection in self._connections)

    def admit(self, connection: Connection, host: str | int | None) -> Place:
        """Whether a new connection may stay, from an address or a user of this host."""
        self.accepted_count += 1
        self._empty.clear()
        if self._look is None:
            self._look = asyncio.get_running_loop().call_later(LOOK_INTERVAL, self._look_at_all)
        if self._stopping:
            self._refused.add(connection)
            connection.abort()
            return Place.KEPT
        place = self._guests.take(connection, host)
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
        self._guests.leave(connection)
        self._connections.discard(connection)
        self._refused.discard(connection)
        if not self._connections and not self._refused:
            self._empty.set()
            if self._look is not None:
                self._look.cancel()
                self._look = None
