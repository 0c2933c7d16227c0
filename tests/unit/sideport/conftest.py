"""A port on 127.0.0.1, run on uvloop, as a node is; in a thorough run on asyncio's own loop, too:
their transports differ."""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import replace
from typing import Protocol

import pytest
import pytest_asyncio
import uvloop

from gossipd.config.endpoint import Endpoint
from gossipd.sideport.limits import Limits
from gossipd.sideport.port import SidePort
from tests.effort import THOROUGH

from .fake import Client, FakeBackend


class Connect(Protocol):
    def __call__(self, received_max: int | None = None) -> Awaitable[Client]:
        """`received_max`: bytes that the system takes for a client who does not read."""


LIMITS = Limits(linger_timeout=0.3)


@pytest.hookimpl(optionalhook=True)
def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    others = {"asyncio": asyncio.new_event_loop} if THOROUGH else {}
    return {"uvloop": uvloop.new_event_loop, **others}


BUSY_MAX = 10.0
"""Seconds of CPU time, so that a busy machine does not matter, after which a test is ended. Port
and client share one loop: what is tried for ever keeps every deadline of the test from passing."""


@pytest.fixture
def ended_if_it_hangs() -> Iterator[None]:
    """It may be raised where it gets lost, as in a parser's callback: so it is raised again."""

    def end(_number: int, _frame: object) -> None:
        raise AssertionError(f"busy for {BUSY_MAX:g} s")

    before = signal.signal(signal.SIGVTALRM, end)
    signal.setitimer(signal.ITIMER_VIRTUAL, BUSY_MAX, 1.0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


@pytest.fixture
def backend() -> FakeBackend:
    return FakeBackend()


@pytest.fixture
def limits(request: pytest.FixtureRequest) -> Limits:
    """The limits, with what `@pytest.mark.parametrize("limits", [{…}], indirect=True)` changes."""
    return replace(LIMITS, **getattr(request, "param", {}))


@pytest.fixture(scope="module")
def escaped() -> Iterator[list[tuple[str, object]]]:
    """What came to a loop's exception handler, each with its test; nothing may.

    What is told only when something is freed, as of an exception that nobody retrieved, may come
    late; the memory is searched once a module, as each search takes as long as many tests.
    """
    found: list[tuple[str, object]] = []
    yield found
    gc.collect()
    assert found == []


@pytest_asyncio.fixture
async def port(
    request: pytest.FixtureRequest,
    backend: FakeBackend,
    limits: Limits,
    escaped: list[tuple[str, object]],
    ended_if_it_hangs: None,
) -> AsyncIterator[SidePort]:
    """A port; at the end nothing may have escaped to the loop's exception handler."""
    test = request.node.nodeid
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: escaped.append((test, context)))
    port = SidePort(backend, limits)
    await port.listen(Endpoint("127.0.0.1", 0))
    yield port
    await port.stop(0.2)
    assert port.connection_count == 0
    backend.waiting.clear()
    await asyncio.sleep(0)
    told = escaped.copy()
    escaped.clear()
    assert told == []


@pytest_asyncio.fixture
async def connect(port: SidePort) -> AsyncIterator[Connect]:
    clients: list[Client] = []

    async def connect(received_max: int | None = None) -> Client:
        sock = socket.socket()
        sock.setblocking(False)
        if received_max is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, received_max)
        try:
            await asyncio.get_running_loop().sock_connect(sock, port.addresses[0])
        except OSError:
            sock.close()
            raise
        clients.append(Client(*await asyncio.open_connection(sock=sock)))
        return clients[-1]

    yield connect
    for client in clients:
        await client.close()


@pytest_asyncio.fixture
async def client(connect: Connect) -> Client:
    return await connect()
