"""The listener: takes connections, bounds their number, and ends them when the daemon stops."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from gossipd.sideport.backend import Backend
from gossipd.sideport.commands import Commands
from gossipd.sideport.connection import Connection
from gossipd.sideport.limits import Limits

BACKLOG = 1024


class SidePort:
    """The TCP side port of one daemon."""

    def __init__(self, backend: Backend, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._commands = Commands(backend)
        self._server: asyncio.Server | None = None
        self._addresses: list[tuple[str, int]] = []
        self._connections: set[Connection] = set()
        self._refused: set[Connection] = set()
        self._stopping = False
        self._empty: asyncio.Event = asyncio.Event()
        self._empty.set()
        self.refused_count = 0
        """Connections refused so far because there were too many."""

    async def start(self, host: str | Sequence[str] | None, port: int) -> None:
        """Listen; None is every address, IPv4 and IPv6. Raises `OSError` where it cannot."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._connection, host, port, backlog=BACKLOG)
        self._addresses = [sock.getsockname()[:2] for sock in self._server.sockets]

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
        if self._server is not None:
            self._server.close()
        for connection in self._all():
            connection.drain()
        try:
            await asyncio.wait_for(self._empty.wait(), timeout)
        except TimeoutError:
            for connection in self._all():
                connection.abort()
            await self._empty.wait()
        if self._server is not None:
            await self._server.wait_closed()
            self._server = None

    def _all(self) -> list[Connection]:
        return [*self._connections, *self._refused]

    def _connection(self) -> Connection:
        return Connection(self._commands, self._limits, self._admit, self._gone, self._held_size)

    def _held_size(self) -> int:
        return sum(connection.held_size for connection in self._connections)

    def _admit(self, connection: Connection) -> bool:
        self._empty.clear()
        if self._stopping:
            self._refused.add(connection)
            connection.abort()
            return True
        if len(self._connections) < self._limits.connections_max:
            self._connections.add(connection)
            return True
        self.refused_count += 1
        if len(self._refused) >= self._limits.refusals_max:
            connection.abort()
        self._refused.add(connection)
        return False

    def _gone(self, connection: Connection) -> None:
        self._connections.discard(connection)
        self._refused.discard(connection)
        if not self._connections and not self._refused:
            self._empty.set()
