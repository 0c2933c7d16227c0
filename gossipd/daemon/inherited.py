"""The sockets of a node that its service manager opened, and keeps open over a restart.

Each has to be one that the node would have opened itself: what it is told by its options and what
its unit says must not differ, for members and clients would look for it in two places. What is not
passed the node opens itself.
"""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from gossipd.config.endpoint import ANYWHERE, LOCALHOST, LOOPBACK, LOOPBACKS, Endpoint
from gossipd.config.unix import ApiAddress, UnixSocket
from gossipd.daemon.udp import plain, speaks
from gossipd.process.passed import Passed

_WRITES = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH

_KINDS = {
    (socket.AF_INET, socket.SOCK_DGRAM),
    (socket.AF_INET6, socket.SOCK_DGRAM),
    (socket.AF_INET, socket.SOCK_STREAM),
    (socket.AF_INET6, socket.SOCK_STREAM),
    (socket.AF_UNIX, socket.SOCK_STREAM),
}
"""What may be passed."""


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
    if (sock.family, sock.type) not in _KINDS:
        sock.close()
        raise UnfitError(f"{_named(passed)} is no UDP, TCP or Unix socket")
    return sock


def _named(passed: Passed) -> str:
    return f"what systemd passes as {passed.name or 'unnamed'} ({passed.descriptor})"


def check(sock: socket.socket, bind: Endpoint, hosts: Iterable[str]) -> None:
    """Whether the gossip socket is bound as the option says; `hosts`: the addresses of the
    option's name. Raises `UnfitError`."""
    if not is_at(sock, bind, hosts):
        raise unfit(sock, "ListenDatagram", "--bind", str(bind))
    if not bind.host and not speaks(sock, (LOOPBACK, 0)):
        raise UnfitError(
            f"systemd passes a socket for IPv6 only, but --bind is {bind}: "
            "set BindIPv6Only=both in its unit"
        )


def is_at(sock: socket.socket, wanted: ApiAddress, hosts: Iterable[str]) -> bool:
    """Whether a socket is bound there; `hosts`: the addresses of the name."""
    if isinstance(wanted, UnixSocket):
        return sock.family == socket.AF_UNIX and _same_file(sock.getsockname(), wanted.path)
    if sock.family == socket.AF_UNIX:
        return False
    host, port = plain(sock.getsockname())
    return wanted.port in (0, port) and host in _hosts(wanted, hosts)


def check_mode(wanted: UnixSocket) -> None:
    """Whether those alone may use a Unix socket that the option says: who may write to its file.
    Systemd lets everybody, unless its unit says otherwise. Raises `UnfitError`."""
    mode = stat.S_IMODE(Path(wanted.path).stat().st_mode)
    if mode & _WRITES & ~wanted.mode:
        as_it_is = replace(wanted, mode=mode)
        raise UnfitError(
            f"systemd lets others use it (mode {mode:04o}): set SocketMode={wanted.mode:04o} in "
            f"its unit, or --api {as_it_is}"
        )


def unfit(sock: socket.socket, unit: str, option: str, wanted: str) -> UnfitError:
    """What to say of a socket that is none of those of an option."""
    bound = sock.getsockname()
    at = f"unix:{bound}" if sock.family == socket.AF_UNIX else Endpoint(*plain(bound))
    return UnfitError(
        f"systemd passes a socket at {at} ({unit}), but {option} is {wanted}: make them equal"
    )


def _same_file(bound: str | bytes, path: str) -> bool:
    return isinstance(bound, str) and os.path.realpath(bound) == os.path.realpath(path)


def _hosts(wanted: Endpoint, resolved: Iterable[str]) -> Iterable[str]:
    if not wanted.host:
        return ANYWHERE
    return LOOPBACKS if wanted.host == LOCALHOST else resolved
