"""Where the port listens: the sockets of an address, and the files of some."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import socket
import stat
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from gossipd.config.endpoint import LOCALHOST, LOOPBACK, LOOPBACKS, Endpoint
from gossipd.config.unix import UnixSocket

BACKLOG = 1024

_ABSENT = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
"""How a host fails that has only one of the two."""

_TRIES = 16
"""How often a free port is looked for that is free on both."""

_LOCK_INTERVAL = 0.02
"""Seconds between two tries to be the only one that opens a socket in a directory."""

LOCK_PATIENCE = 2.0
"""Seconds after which one goes on though somebody else still holds the directory. A node is done
in milliseconds; but whoever can read a directory can lock it for ever, and is to keep no node from
starting."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """What a connection knows of where it came in."""

    asks_tokens: bool
    """Whether a client has to show a token, where there are any. By a Unix socket it has shown
    already that it may write to its file."""


TCP = Listener(asks_tokens=True)
UNIX = Listener(asks_tokens=False)

Listen: TypeAlias = Callable[[str | None, int], Awaitable[asyncio.Server]]


async def listen_at(listen: Listen, endpoint: Endpoint) -> list[asyncio.Server]:
    """At a place, at all its addresses. Raises `OSError`."""
    if endpoint.host != LOCALHOST:
        return [await listen(endpoint.host or None, endpoint.port)]
    if endpoint.port:
        return await _listen_locally(listen, endpoint.port)
    for _ in range(_TRIES):
        server = await listen(LOOPBACK, 0)
        port = server.sockets[0].getsockname()[1]
        server.close()
        with suppress(OSError):
            return await _listen_locally(listen, port)
    return await _listen_locally(listen, port)


async def _listen_locally(listen: Listen, port: int) -> list[asyncio.Server]:
    """On both loopback addresses, or on the one that there is."""
    servers: list[asyncio.Server] = []
    absent: OSError | None = None
    for host in LOOPBACKS:
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


class SocketFile:
    """A Unix socket that listens, and its file, which is removed at the end."""

    def __init__(self, where: UnixSocket) -> None:
        """While one is `alone_in` its directory. Raises `OSError`: also where somebody else
        listens there. A file behind which nobody listens, as a node leaves it that was killed, is
        replaced."""
        self._path = path = Path(where.path)
        _make_way(path)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self.socket.setblocking(False)
            self.socket.bind(where.path)
            self._made = _identity(path)
            path.chmod(where.mode)  # before anybody can connect
            self.socket.listen(BACKLOG)
        except OSError:
            self.socket.close()
            raise

    def remove(self) -> None:
        """Unless it is somebody else's by now."""
        with suppress(OSError):
            if _identity(self._path) == self._made:
                self._path.unlink()


def _identity(path: Path) -> tuple[int, int]:
    status = path.lstat()
    return status.st_dev, status.st_ino


@asynccontextmanager
async def alone_in(directory: str) -> AsyncIterator[None]:
    """While no other node opens a socket in a directory, and may take this one for left behind."""
    loop = asyncio.get_running_loop()
    until = loop.time() + LOCK_PATIENCE
    try:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise OSError(errno.ENOENT, f"there is no directory {directory}") from None
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if loop.time() >= until:
                    break
                await asyncio.sleep(_LOCK_INTERVAL)
            else:
                break
        yield
    finally:
        os.close(descriptor)


def _make_way(path: Path) -> None:
    """Remove what nobody uses any more. Raises `OSError` where somebody does."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise OSError(errno.EEXIST, "there is a file that is no socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as trial:
        trial.setblocking(False)  # one whose queue is full is there, too
        try:
            trial.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
        except BlockingIOError:
            pass
    raise OSError(errno.EADDRINUSE, "somebody listens there")
