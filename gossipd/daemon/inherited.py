"""The sockets of a node that its service manager opened, and keeps open over a restart.

Each has to be one that the node would have opened itself: what it is told by its options and what
its unit says must not differ, for members and clients would look for it in two places. What is not
passed the node opens itself.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable
from contextlib import ExitStack
from typing import NamedTuple

from gossipd.config.config import LOCALHOST
from gossipd.config.endpoint import Endpoint
from gossipd.daemon.udp import plain, speaks
from gossipd.process.passed import Passed

LOOPBACKS = frozenset({"127.0.0.1", "::1"})
EVERYWHERE = frozenset({"0.0.0.0", "::"})
_IPV4 = "127.0.0.1"
"""An address that a socket for both families can send to."""


class UnfitError(OSError):
    """What was passed cannot be used; the text is the one line that says why."""


class Inherited(NamedTuple):
    """What was passed; the rest is for the node to open."""

    gossip: socket.socket | None
    api: tuple[socket.socket, ...]


def sorted_out(passed: Iterable[Passed]) -> Inherited:
    """Raises `UnfitError`."""
    with ExitStack() as opened:
        named = {_named(each): opened.enter_context(_opened(each)) for each in passed}
        gossip = [sock for sock in named.values() if sock.type == socket.SOCK_DGRAM]
        api = {name: sock for name, sock in named.items() if sock.type != socket.SOCK_DGRAM}
        for name, sock in api.items():
            if not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                raise UnfitError(f"{name} is a connection: remove Accept=yes from its unit")
        if len(gossip) > 1:
            raise UnfitError(
                "systemd passes two UDP sockets, and a node has one: leave one ListenDatagram"
            )
        opened.pop_all()
        return Inherited(gossip[0] if gossip else None, tuple(api.values()))


def _opened(passed: Passed) -> socket.socket:
    try:
        sock = socket.socket(fileno=passed.descriptor)
    except OSError as error:
        raise UnfitError(f"{_named(passed)}: {error.strerror}") from error
    sock.setblocking(False)
    if sock.family not in (socket.AF_INET, socket.AF_INET6):
        sock.close()
        raise UnfitError(f"{_named(passed)} is no UDP or TCP socket")
    return sock


def _named(passed: Passed) -> str:
    return f"what systemd passes as {passed.name or 'unnamed'} ({passed.descriptor})"


def check(sock: socket.socket, option: str, wanted: Endpoint, hosts: Iterable[str]) -> None:
    """Whether a socket is bound as an option says; `hosts`: the addresses of the option's name.
    Raises `UnfitError`."""
    host, port = plain(sock.getsockname())
    if wanted.port not in (0, port) or host not in _hosts(wanted, hosts):
        unit = "ListenDatagram" if sock.type == socket.SOCK_DGRAM else "ListenStream"
        bound = Endpoint(host, port)
        raise UnfitError(
            f"systemd passes a socket at {bound} ({unit}), but {option} is {wanted}: "
            "make them equal"
        )
    if not wanted.host and sock.type == socket.SOCK_DGRAM and not speaks(sock, (_IPV4, 0)):
        raise UnfitError(
            f"systemd passes a socket for IPv6 only, but {option} is {wanted}: "
            "set BindIPv6Only=both in its unit"
        )


def _hosts(wanted: Endpoint, resolved: Iterable[str]) -> frozenset[str]:
    if not wanted.host:
        return EVERYWHERE
    return LOOPBACKS if wanted.host == LOCALHOST else frozenset(resolved)
