"""What the kernel knows of this host's addresses and routes. Nothing is sent to anybody.

Which address reaches another host, the routing table tells: connecting a UDP socket asks it. When
addresses, links or routes change, Linux says so on a netlink socket; where that is refused, one
has to look from time to time.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import socket
import struct
from collections.abc import Callable, Iterator
from typing import NamedTuple

from gossipd.config.endpoint import is_link_local, is_loopback
from gossipd.core import Address
from gossipd.daemon.udp import plain, prefer_public, speaks

OUTWARD: tuple[Address, ...] = (("192.0.2.1", 9), ("2001:db8::1", 9))
"""Documentation addresses (RFC 5737, RFC 3849): only the routing table is asked about them."""

DISCARD = 9
"""The port in questions to the routing table."""

SETTLES = 0.05
"""Seconds from the first word of a change to a look at it: changes come in groups. As long as it
waits, nothing is read, so that a router with many changes costs little."""

READ_MAX = 1000
"""Messages about changes that are thrown away at once."""

ANSWER_WITHIN = 1.0
_MESSAGE = 65536
_GROUPS = 0x1 | 0x10 | 0x40 | 0x100 | 0x400
"""RTMGRP_: LINK, IPV4_IFADDR, IPV4_ROUTE, IPV6_IFADDR, IPV6_ROUTE."""

_HEADER = struct.Struct("=IHHII")
_IFADDR = struct.Struct("=BBBBI")
_ATTRIBUTE = struct.Struct("=HH")
_ERROR, _DONE, _NEWADDR, _GETADDR = 2, 3, 20, 22
_REQUEST_DUMP = 0x301
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_UNUSABLE = 0x08 | 0x40
"""IFA_F_DADFAILED, IFA_F_TENTATIVE."""

_SECOND_CHOICE = 0x01 | 0x20
"""IFA_F_TEMPORARY (of IPv6; IPv4 calls it secondary), IFA_F_DEPRECATED."""


class Routes:
    """The ways from a socket's host to others."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def towards(self, address: Address) -> str | None:
        """The own address from which `address` is reached, if others can be told it; None where
        there is no way."""
        if not speaks(self._sock, address):
            return None
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            prefer_public(probe)
            try:
                probe.connect(address)
            except OSError:
                return None
            host, _ = plain(probe.getsockname())
        return None if is_link_local(host) else host

    def has(self, host: str) -> bool:
        """Whether `host` is an address of this host: such a one is reached from itself."""
        return is_loopback(host) or self.towards((host, DISCARD)) == host

    def outward(self) -> str | None:
        """The address of this host that others most likely reach: that of the default route, else
        the first one of an interface; None where it has only loopback."""
        for address in OUTWARD:
            host = self.towards(address)
            if host is not None and not is_loopback(host):
                return host
        found = [
            host
            for host in interface_hosts()
            if not is_loopback(host) and not is_link_local(host)
            if speaks(self._sock, (host, DISCARD))
        ]
        # What a host gives itself on a network where nobody gives addresses comes last.
        return min(found, key=lambda host: ipaddress.ip_address(host).is_link_local, default=None)


# --- netlink -------------------------------------------------------------------------------------


class _Interface(NamedTuple):
    second_choice: bool
    family: int
    number: int
    host: str


def interface_hosts() -> list[str]:
    """All usable addresses of interfaces, the best ones first; none where the kernel does not
    tell."""
    try:
        with _netlink() as sock:
            sock.settimeout(ANSWER_WITHIN)
            size = _HEADER.size + _IFADDR.size
            head = _HEADER.pack(size, _GETADDR, _REQUEST_DUMP, 1, 0)
            sock.send(head + _IFADDR.pack(socket.AF_UNSPEC, 0, 0, 0, 0))
            return [found.host for found in sorted(_answers(sock), key=lambda each: each[:3])]
    except OSError:
        return []


def _netlink(groups: int = 0) -> socket.socket:
    """A socket to the kernel's tables of the network. Raises `OSError` where there is none."""
    if not hasattr(socket, "AF_NETLINK"):
        raise OSError(errno.EAFNOSUPPORT, "no netlink here")
    sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC)
    try:
        sock.bind((0, groups))
    except OSError:
        sock.close()
        raise
    return sock


def _answers(sock: socket.socket) -> Iterator[_Interface]:
    while True:
        data = sock.recv(_MESSAGE)
        while len(data) >= _HEADER.size:
            size, kind, *_ = _HEADER.unpack_from(data)
            if kind in (_DONE, _ERROR) or size < _HEADER.size:
                return
            if kind == _NEWADDR:
                yield from _interface(data[_HEADER.size : size])
            data = data[_aligned(size) :]


def _interface(body: bytes) -> Iterator[_Interface]:
    family, _, flags, _, index = _IFADDR.unpack_from(body)
    if flags & _UNUSABLE or family not in (socket.AF_INET, socket.AF_INET6):
        return
    attributes = dict(_attributes(body[_IFADDR.size :]))
    # On a link between two hosts, ADDRESS is the other one's.
    raw = attributes.get(_IFA_LOCAL) or attributes.get(_IFA_ADDRESS)
    if raw is not None:
        second = family == socket.AF_INET6 and bool(flags & _SECOND_CHOICE)
        yield _Interface(second, family, index, socket.inet_ntop(family, raw))


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    while len(data) >= _ATTRIBUTE.size:
        size, kind = _ATTRIBUTE.unpack_from(data)
        if size < _ATTRIBUTE.size:
            return
        yield kind, data[_ATTRIBUTE.size : size]
        data = data[_aligned(size) :]


def _aligned(size: int) -> int:
    return (size + 3) & ~3


class Watch:
    """Tells when addresses, links or routes of this host change."""

    def __init__(self, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._loop = asyncio.get_running_loop()
        self._sock: socket.socket | None = None
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin. Raises `OSError` where the kernel does not tell."""
        self._sock = _netlink(_GROUPS)
        self._sock.setblocking(False)
        self._loop.add_reader(self._sock, self._hear)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._sock is not None:
            self._loop.remove_reader(self._sock)
            self._sock.close()
            self._sock = None

    def _hear(self) -> None:
        assert self._sock is not None
        self._loop.remove_reader(self._sock)
        self._timer = self._loop.call_later(SETTLES, self._settled)

    def _settled(self) -> None:
        assert self._sock is not None
        self._timer = None
        try:
            for _ in range(READ_MAX):
                self._sock.recv(_MESSAGE)
        except BlockingIOError:
            pass
        except OSError as error:
            if error.errno != errno.ENOBUFS:  # more came than there was room for: a change, too
                raise
        self._loop.add_reader(self._sock, self._hear)
        self._changed()
