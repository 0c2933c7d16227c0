"""What is said to a side port without a network, in pieces, and what it says to that."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from random import Random

from gossipd.sideport.connection import Connection
from gossipd.sideport.limits import Limits
from tests.unit.sideport.fake import FakeBackend, FakeHost, FakeTransport

from .target import Broken

LIMITS = Limits(
    request_size_max=3000,
    words_max=40,
    head_size_max=1500,
    body_size_max=800,
    batch_size_max=2000,
    line_size_max=600,
    pending_max=8,
)
"""Small, so that they are met."""

TURNS_MAX = 10_000
"""Turns of the loop within which all is answered."""


async def converse(host: FakeHost, pieces: Sequence[bytes]) -> bytes:
    """What a connection says to these, until it is closed. One that follows what changes is closed
    once it has nothing more to tell."""
    transport = FakeTransport()
    connection = Connection(host)
    connection.connection_made(transport)
    for piece in pieces:
        await _while_it_works(host, transport)
        if not transport.reading or transport.closing:
            break
        connection.data_received(piece)
    await _while_it_works(host, transport)
    if not transport.closing:
        connection.eof_received()
    await _until_it_ends(host, transport)
    connection.connection_lost(None)
    return transport.written


async def _while_it_works(host: FakeHost, transport: FakeTransport) -> None:
    for _ in range(TURNS_MAX):
        await asyncio.sleep(0)
        if transport.reading or transport.closing or len(host.watchers):
            return
    raise Broken("not read on")


async def _until_it_ends(host: FakeHost, transport: FakeTransport) -> None:
    said, quiet = 0, 0
    for _ in range(TURNS_MAX):
        if transport.closing or quiet > 50:
            return
        await asyncio.sleep(0)
        quiet = quiet + 1 if len(host.watchers) and len(transport.written) == said else 0
        said = len(transport.written)
    raise Broken("not closed at the end")


def split(data: bytes, rng: Random) -> list[bytes]:
    """In pieces, some of one byte, some at the end of a line or within it."""
    step = rng.choice((1, 3, 60, 1024, 5000))
    pieces, at = [], 0
    while at < len(data):
        size = rng.randrange(1, step + 1)
        pieces.append(data[at : at + size])
        at += size
    return pieces


def host(limits: Limits = LIMITS) -> tuple[FakeBackend, FakeHost]:
    """A node, and its port."""
    backend = FakeBackend()
    port = FakeHost(backend, limits)
    port.watchers.life = "0" * 16
    return backend, port
