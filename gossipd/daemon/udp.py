"""The one UDP socket of a node: bytes in, effects' bytes out, refusals of the kernel counted.

IPv4 and IPv6 share a socket where the bind address allows both; addresses are shown to the core in
their plain form, so that a member has one address whatever the socket.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import socket
import struct
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from typing import Any, NamedTuple, cast

from gossipd.config.endpoint import is_link_local
from gossipd.config.networks import MAPPED, unmapped
from gossipd.core import Address

RECEIVE_BUFFER = 4 * 1024 * 1024
"""Bytes asked of the kernel for datagrams that wait; it may grant less."""

HOSTS_MAX = 4096
"""IPv6 addresses whose plain form is remembered: to find it takes longer than to drop what came
from there."""

_PREFER_PUBLIC = (72, 2)
"""Linux: IPV6_ADDR_PREFERENCES, IPV6_PREFER_SRC_PUBLIC."""

_MEMORY = (55, struct.Struct("9I"))
"""Linux: SO_MEMINFO, of which the first number is what was received and waits, the last what was
dropped."""


class Memory(NamedTuple):
    """What the kernel keeps for a socket."""

    used: int
    """Bytes."""
    overflows: int
    """Datagrams that found no room."""


def open_socket(host: str, port: int) -> socket.socket:
    """A bound, non-blocking UDP socket; an empty host is all addresses of both families.

    Raises `OSError` where the name cannot be resolved or the address cannot be bound.
    """
    if host:
        candidates = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
        family, _, _, _, address = candidates[0]
        return _bound(socket.AddressFamily(family), address)
    if socket.has_ipv6:
        try:
            return _bound(socket.AF_INET6, ("::", port), dual=True)
        except OSError as error:
            if error.errno not in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
                raise
    return _bound(socket.AF_INET, ("", port))


def _bound(
    family: socket.AddressFamily, address: tuple[object, ...], dual: bool = False
) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if dual else 1)
        prepare(sock)
        sock.bind(address)
    except OSError:
        sock.close()
        raise
    return sock


def prepare(sock: socket.socket) -> None:
    """Make a socket what gossip needs. Raises `OSError`."""
    sock.setblocking(False)
    prefer_public(sock)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)


def plain(address: tuple[Any, ...]) -> Address:
    """An address as the core knows it: IPv4 not mapped, IPv6 in its shortest form."""
    host: str = address[0]
    return _plain_host(host) if ":" in host else host, address[1]


@lru_cache(HOSTS_MAX)
def _plain_host(host: str) -> str:
    host = unmapped(host)
    return str(ipaddress.ip_address(host)) if ":" in host else host


def prefer_public(sock: socket.socket) -> None:
    """Let a socket send from an IPv6 address that stays, where there is one: what comes from one
    that changes for privacy looks as if it came from somebody else."""
    if sock.family == socket.AF_INET6:
        with suppress(OSError):  # not every kernel knows this wish
            sock.setsockopt(socket.IPPROTO_IPV6, *_PREFER_PUBLIC)


def is_local(address: Address) -> bool:
    """Whether an address is one of this host's."""
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address[0], 0))
        except OSError:
            return False
        return True


def speaks(sock: socket.socket, address: Address) -> bool:
    """Whether a socket can send to an address of that family; never to one of some link that
    does not say which."""
    if ":" in address[0]:
        says_which = "%" in address[0] or not is_link_local(address[0])
        return sock.family == socket.AF_INET6 and says_which
    return sock.family == socket.AF_INET or not sock.getsockopt(
        socket.IPPROTO_IPV6, socket.IPV6_V6ONLY
    )


class Udp(asyncio.DatagramProtocol):
    """Sends and receives datagrams, and counts what the kernel refuses instead of failing."""

    def __init__(self, sock: socket.socket, receive: Callable[[bytes, Address], None]) -> None:
        self._sock = sock
        self._receive = receive
        self._transport: asyncio.DatagramTransport | None = None
        self._is_v6 = sock.family == socket.AF_INET6
        self._permits: Callable[[str], bool] | None = None
        """Whether datagrams may come from an address and go there; None: everybody's."""
        self._barred: Callable[[Address], None] | None = None
        self.received_count = 0
        self.sent_count = 0
        self.sent_bytes = 0
        self.refusals: Counter[str] = Counter()
        """What the kernel refused, by the name of the error, or (EPERM) what was not allowed."""

    async def start(self) -> None:
        """Begin to receive."""
        loop = asyncio.get_running_loop()
        await loop.create_datagram_endpoint(lambda: self, sock=self._sock)

    def receive_with(self, receive: Callable[[bytes, Address], None]) -> None:
        """Hand datagrams to `receive` from now on."""
        self._receive = receive

    def restrict(
        self,
        permits: Callable[[str], bool] | None,
        barred: Callable[[Address], None] | None = None,
    ) -> None:
        """From now on exchange datagrams only with addresses that `permits` allows (None: all);
        `barred` is told who has sent something else."""
        self._permits, self._barred = permits, barred

    def why_not(self, address: Address) -> str | None:
        """Why nothing can be sent to an address; None where it can."""
        if not speaks(self._sock, address):
            return "cannot speak to"
        if self._permits is not None and not self._permits(address[0]):
            return "may not speak to (allow)"
        return None

    @property
    def socket(self) -> socket.socket:
        """The socket, to be asked about."""
        return self._sock

    @property
    def address(self) -> Address:
        """Where the socket is bound."""
        return plain(self._sock.getsockname())

    @property
    def receive_buffer(self) -> int:
        """Bytes that the kernel granted for waiting datagrams (Linux reports the double)."""
        return self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2

    @property
    def memory(self) -> Memory:
        """What waits to be received, and what found no room so far."""
        option, form = _MEMORY
        found = form.unpack(self._sock.getsockopt(socket.SOL_SOCKET, option, form.size))
        return Memory(found[0], found[-1])

    def send(self, data: bytes, to: Address) -> None:
        """Send one datagram; a refusal is counted, for the protocol expects loss."""
        if self._transport is None or self._transport.is_closing():
            return
        host, port = to
        if self._permits is not None and not self._permits(host):
            self._count(PermissionError(errno.EPERM, "not in allow"))
            return
        if self._is_v6 and ":" not in host:
            host = MAPPED + host
        try:
            self._transport.sendto(data, (host, port))
        except (OSError, ValueError) as error:
            self._count(error)
        else:
            self.sent_count += 1
            self.sent_bytes += len(data)

    def close(self) -> None:
        """Stop receiving; what was handed to the kernel is still sent."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are none of asyncio's classes, though they do what those do.
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        self.received_count += 1
        if self._permits is not None and not self._permits(addr[0]):
            if self._barred is not None:
                self._barred(plain(addr))
            return
        self._receive(data, plain(addr))

    def error_received(self, exc: Exception) -> None:
        self._count(exc)

    def _count(self, error: Exception) -> None:
        code = error.errno if isinstance(error, OSError) else None
        self.refusals[errno.errorcode.get(code or 0, type(error).__name__)] += 1
