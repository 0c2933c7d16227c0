"""The port of the tests' own nodes: none that a node of the user's may hold.

Tests run beside each other on loopback addresses of their own, so one port does for all of them.
But whoever listens on all addresses, as `gossipd run` does on its default port, has it on these,
too.
"""

from __future__ import annotations

import secrets
import socket
from contextlib import ExitStack
from functools import cache

FIRST, LAST, STEP = 17946, 31946, 1000
"""Ports that are looked at: below those that a system gives to clients."""


@cache
def free_port() -> int:
    """A port for nodes on loopback addresses; the next is free for their side ports."""
    return found_port()


def found_port() -> int:
    """The same, looked for now."""
    host = (
        f"127.{1 + secrets.randbelow(254)}.{secrets.randbelow(255)}.{1 + secrets.randbelow(254)}"
    )
    for port in range(FIRST, LAST + 1, STEP):
        with ExitStack() as stack:
            try:
                for kind, number in (
                    (socket.SOCK_DGRAM, port),
                    (socket.SOCK_STREAM, port + 1),
                ):
                    stack.enter_context(socket.socket(socket.AF_INET, kind)).bind((host, number))
            except OSError:
                continue
            return port
    taken = ", ".join(str(port) for port in range(FIRST, LAST + 1, STEP))
    raise OSError(f"no port is free for the tests' nodes: all of {taken} (or the next) are taken")
