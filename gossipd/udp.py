"""The one UDP socket of a node: bytes in, effects' bytes out, refusals of the kernel counted.

IPv4 and IPv6 share a socket where the bind address allows both; addresses are shown to the core in
their plain form, so that a member has one address whatever the socket.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import ipaddress
import socket
from collections import Counter
from collections.abc import Callable
from typing import cast

from gossipd.core import Address

RECEIVE_BUFFER = 4 * 1024 * 1024
"""Bytes asked of the kernel for datagrams that wait; it may grant less."""

_SIOCGIFADDR = 0x8915
_IFREQ_SIZE = 40
_MAPPED = "::ffff:"


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
        sock.setblocking(False)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if dual else 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        sock.bind(address)
    except OSError:
        sock.close()
        raise
    return sock


def plain(address: tuple[object, ...]) -> Address:
    """An address as the core knows it: IPv4 not mapped, IPv6 in its shortest form."""
    host, port = str(address[0]), int(str(address[1]))
    if host.startswith(_MAPPED):
        host = host[len(_MAPPED) :]
    elif ":" in host:
        host = str(ipaddress.ip_address(host))
    return host, port


def routed_address(towards: Address, sock: socket.socket) -> str | None:
    """The local address from which `towards` is reached; None where there is no route.

    Nothing is sent: connecting a UDP socket only asks the routing table.
    """
    family = socket.AF_INET6 if ":" in towards[0] else socket.AF_INET
    if not speaks(sock, towards):
        return None
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(towards)
        except OSError:
            return None
        return plain(probe.getsockname())[0]


def interface_address() -> str | None:
    """The first IPv4 address of an interface other than loopback; None where there is none.

    What is left to advertise on a network without a default route (asked as Linux wants it).
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, name in socket.if_nameindex():
            request = name.encode().ljust(_IFREQ_SIZE, b"\0")
            try:
                answer = fcntl.ioctl(probe.fileno(), _SIOCGIFADDR, request)
            except OSError:
                continue  # it has none
            host = socket.inet_ntoa(answer[20:24])
            if not host.startswith("127."):
                return host
    return None


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
    """Whether a socket can send to an address of that family."""
    if ":" in address[0]:
        return sock.family == socket.AF_INET6
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
        self.received_count = 0
        self.sent_count = 0
        self.sent_bytes = 0
        self.refusals: Counter[str] = Counter()
        """What the kernel refused, by the name of the error."""

    async def start(self) -> None:
        """Begin to receive."""
        loop = asyncio.get_running_loop()
        await loop.create_datagram_endpoint(lambda: self, sock=self._sock)

    def receive_with(self, receive: Callable[[bytes, Address], None]) -> None:
        """Hand datagrams to `receive` from now on."""
        self._receive = receive

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

    def send(self, data: bytes, to: Address) -> None:
        """Send one datagram; a refusal is counted, for the protocol expects loss."""
        if self._transport is None or self._transport.is_closing():
            return
        host, port = to
        if self._is_v6 and ":" not in host:
            host = _MAPPED + host
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

    def datagram_received(self, data: bytes, addr: tuple[object, ...]) -> None:
        self.received_count += 1
        self._receive(data, plain(addr))

    def error_received(self, exc: Exception) -> None:
        self._count(exc)

    def _count(self, error: Exception) -> None:
        code = error.errno if isinstance(error, OSError) else None
        self.refusals[errno.errorcode.get(code or 0, type(error).__name__)] += 1
