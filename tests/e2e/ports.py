"""The addresses and the port of the tests' own nodes: none that anybody else may hold.

Tests run beside each other on loopback addresses of their own, so one port does for all of them.
But whoever listens on all addresses, as `gossipd run` does on its default port, has it on these,
too.
"""

from __future__ import annotations

import secrets
import socket
from contextlib import ExitStack, closing
from functools import cache

TRIES = 1000
"""Networks that are tried, of some 65,000."""
FIRST, LAST, STEP = 17946, 31946, 1000
"""Ports that are looked at: below those that a system gives to clients."""


class Net:
    """A network of loopback addresses that no other has on this host until it is closed.

    It is held by a name that only one socket can have: what two that drew the same would do to
    each other is seldom, and then it looks like a fault of the product.
    """

    def __init__(self) -> None:
        for _ in range(TRIES):
            self._prefix = f"127.{1 + secrets.randbelow(254)}.{secrets.randbelow(255)}"
            self._held = socket.socket(socket.AF_UNIX)
            try:
                self._held.bind(f"\0gossipd tests {self._prefix}")
            except OSError:
                self._held.close()
            else:
                return
        raise OSError(f"none of {TRIES} loopback networks is free for the tests' nodes")

    def address(self, number: int) -> str:
        """One of its addresses, from 1 on."""
        return f"{self._prefix}.{number}"

    def close(self) -> None:
        self._held.close()


@cache
def free_port() -> int:
    """A port for nodes on loopback addresses; the next is free for their side ports."""
    return found_port()


def found_port() -> int:
    """The same, looked for now."""
    with closing(Net()) as net:
        for port in range(FIRST, LAST + 1, STEP):
            with ExitStack() as stack:
                try:
                    for kind, number in (
                        (socket.SOCK_DGRAM, port),
                        (socket.SOCK_STREAM, port + 1),
                    ):
                        held = stack.enter_context(socket.socket(socket.AF_INET, kind))
                        held.bind((net.address(1), number))
                except OSError:
                    continue
                return port
    taken = ", ".join(str(port) for port in range(FIRST, LAST + 1, STEP))
    raise OSError(f"no port is free for the tests' nodes: all of {taken} (or the next) are taken")
