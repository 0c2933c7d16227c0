"""A connection by a deadline that holds for all of it: the name, its addresses, every byte.

A socket's own time-out is per call, and resolving a name has none at all. So what is left is set
before each call, and a name is resolved in a thread that is left behind when the time is over.
"""

from __future__ import annotations

import socket
import time
from typing import Any

from gossipd.config.endpoint import is_reachable
from gossipd.config.unix import ApiAddress, UnixSocket

AddressInfo = tuple[Any, ...]
"""One of `socket.getaddrinfo`."""


class Deadline:
    def __init__(self, seconds: float) -> None:
        """`seconds` from now."""
        self.seconds = seconds
        self._at = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds, more than 0. Raises `TimeoutError` when it is over."""
        left = self._at - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left


def resolve(host: str, port: int, deadline: Deadline) -> list[AddressInfo]:
    """The addresses of a host. Raises `TimeoutError`, and as `socket.getaddrinfo` does OSError
    and UnicodeError."""
    try:
        flags = socket.AI_NUMERICHOST
        address = host.encode()  # of text it would be made a name, with what is slow to import
        return socket.getaddrinfo(address, port, type=socket.SOCK_STREAM, flags=flags)
    except socket.gaierror:
        return _looked_up(host, port, deadline)


def is_here(api: ApiAddress, deadline: Deadline) -> bool:
    """Whether a daemon there runs on this host, whatever it says itself: only then the files that
    it names are those that it means. A port that is forwarded to elsewhere looks as if. Raises as
    `resolve` does."""
    if isinstance(api, UnixSocket):
        return True
    return all(_is_own(*found) for found in resolve(api.host, api.port, deadline))


def _is_own(family: int, _: int, __: int, ___: str, address: tuple[Any, ...]) -> bool:
    """Nobody but this host itself is reached from the very address that he has."""
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(address)  # which sends nothing
        except OSError:
            return False
        return not is_reachable(address[0]) or probe.getsockname()[0] == address[0]


def connect(addresses: list[AddressInfo], deadline: Deadline) -> socket.socket:
    """A connection to the first address that takes one. One that is silent must not take the time
    of the others: each has an equal share of what is left. Raises OSError."""
    trouble = OSError("the name has no address")
    for place, (family, kind, protocol, _, address) in enumerate(addresses):
        connection = socket.socket(family, kind, protocol)
        try:
            connection.settimeout(deadline.left() / (len(addresses) - place))
            connection.connect(address)
        except OSError as error:
            connection.close()
            trouble = error
        except BaseException:
            connection.close()
            raise
        else:
            return connection
    raise trouble


def connect_here(path: str, deadline: Deadline) -> socket.socket:
    """A connection to a Unix socket. Raises OSError."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(deadline.left())
        connection.connect(path)
    except BaseException:
        connection.close()
        raise
    return connection


def send(connection: socket.socket, data: bytes, deadline: Deadline) -> None:
    """Send all of it. Raises OSError."""
    connection.settimeout(deadline.left())
    connection.sendall(data)


def receive(connection: socket.socket, size: int, deadline: Deadline) -> bytes:
    """What has come, at most `size` bytes; none: the other side has closed. Raises OSError."""
    connection.settimeout(deadline.left())
    return connection.recv(size)


def _looked_up(host: str, port: int, deadline: Deadline) -> list[AddressInfo]:
    from threading import Thread  # an address needs none

    found: list[AddressInfo] = []
    failed: list[Exception] = []

    def look_up() -> None:
        try:
            found.extend(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            failed.append(error)

    thread = Thread(target=look_up, daemon=True)
    thread.start()
    thread.join(deadline.left())
    if failed:
        raise failed[0]
    if not found:
        raise TimeoutError
    return found
