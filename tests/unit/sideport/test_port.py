"""Many connections, too many connections, stopping, and arbitrary bytes."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import random
import resource
import socket
import time
from collections.abc import Iterator

import pytest

from gossipd.config.endpoint import Endpoint
from gossipd.core import Refused, Why
from gossipd.sideport.connection import Connection
from gossipd.sideport.limits import Limits
from gossipd.sideport.port import SidePort
from tests.deadline import DEADLINE

from .conftest import Connect
from .fake import (
    Client,
    FakeBackend,
    FakeHost,
    FakeTransport,
    until,
)


def has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


@pytest.fixture
def descriptors() -> Iterator[None]:
    """Room for both ends of 1,000 connections in this one process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 4096
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.skip("too few file descriptors are allowed here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("descriptors")
async def test_a_good_request_is_served_beside_1000_idle_connections(
    port: SidePort, client: Client
) -> None:
    idle = [socket.create_connection(port.addresses[0]) for _ in range(400)]
    for sock in idle[::2]:
        sock.sendall(b"GET /count HTTP/1.1\r\nHost:")
    await until(lambda: port.connection_count == 401)
    more = [socket.create_connection(port.addresses[0]) for _ in range(600)]
    await until(lambda: port.connection_count == 1001)
    started_at = time.monotonic()
    assert (await client.request("POST", "/increment")).status == 200
    assert time.monotonic() - started_at < DEADLINE
    for sock in idle + more:
        sock.close()
    await until(lambda: port.connection_count == 1)


@pytest.mark.parametrize(
    "limits",
    [{"connections_max": 2, "address_share": 1.0, "reserve_max": 0, "refusals_max": 1}],
    indirect=True,
)
async def test_a_connection_too_many_is_told_so(
    port: SidePort, connect: Connect, limits: Limits
) -> None:
    first, second = await connect(), await connect()
    await until(lambda: port.connection_count == 2)
    third = await connect()
    await third.send(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n")
    refused = await third.response()
    assert (refused.status, refused.headers["retry-after"]) == (503, "1")
    assert refused.detail == "too many connections"
    assert await third.rest() == b""
    assert port.refused_count == 1
    await first.close()
    await until(lambda: port.connection_count == 1)
    assert (await (await connect()).request("GET", "/health")).status == 200
    assert (await second.request("GET", "/health")).status == 200


@pytest.mark.parametrize(
    "limits", [{"connections_max": 0, "reserve_max": 0, "refusals_max": 1}], indirect=True
)
async def test_refusing_costs_a_bounded_number_of_connections(
    port: SidePort, connect: Connect, limits: Limits
) -> None:
    first = await connect()
    assert (await first.response()).status == 503
    second = await connect()
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await second.response()


async def test_stopping_answers_what_is_pending_and_closes_the_idle(
    port: SidePort, connect: Connect, backend: FakeBackend
) -> None:
    backend.paused = True
    busy, idle, half = await connect(), await connect(), await connect()
    await busy.send(b"POST /increment HTTP/1.1\r\nHost: a\r\n\r\n")
    await half.send(b"POST /increment HTTP/1.1\r\nHost: a\r\n")
    await until(lambda: len(backend.waiting) == 1 and port.connection_count == 3)
    stopping = asyncio.create_task(port.stop(5))
    assert await idle.rest() == b""
    await until(lambda: port.connection_count <= 2)
    with pytest.raises(ConnectionError):
        await connect()
    backend.commit()
    assert (await busy.response()).status == 200
    assert await busy.rest() == b""
    await busy.close()
    await stopping


async def test_stopping_cuts_who_is_not_done_in_time(
    port: SidePort, client: Client, backend: FakeBackend
) -> None:
    backend.paused = True
    await client.send(b"increment\n")
    await until(lambda: len(backend.waiting) == 1)
    await port.stop(0.05)
    assert port.connection_count == 0
    backend.commit()


async def test_a_port_that_never_started_stops(backend: FakeBackend) -> None:
    await SidePort(backend).stop()


async def test_a_port_in_use_is_an_error(port: SidePort, backend: FakeBackend) -> None:
    with pytest.raises(OSError, match="in use"):
        await SidePort(backend).listen(port.places[0])


@pytest.mark.parametrize(
    "limits",
    [{"linger_timeout": 0.1}, {"linger_timeout": 60.0, "linger_size_max": 100_000}],
    indirect=True,
)
async def test_a_client_that_goes_on_after_its_last_answer_is_cut_in_the_end(
    port: SidePort, client: Client, limits: Limits
) -> None:
    await client.send(b"POST /increment HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999\r\n\r\n")
    assert (await client.response()).status == 413
    if limits.linger_timeout > 1:
        with contextlib.suppress(ConnectionError):
            await client.send(b"x" * 200_000)
    await until(lambda: port.connection_count == 0)


async def test_a_flood_after_the_last_request_is_not_read_for_ever(
    client: Client, backend: FakeBackend
) -> None:
    backend.paused = True
    await client.send(b"increment\nquit\n")
    await until(lambda: len(backend.waiting) == 1)
    flood = asyncio.create_task(client.send(b"x" * 64 * 1024 * 1024))
    await asyncio.wait([flood], timeout=1)
    assert not flood.done()
    backend.commit()
    assert await client.line() == "1"
    flood.cancel()


async def test_a_client_that_takes_its_answers_slowly_is_given_more_time(
    backend: FakeBackend,
) -> None:
    transport = FakeTransport()
    limits = Limits(write_timeout=0.05, write_rate_min=1000)
    connection = Connection(FakeHost(backend, limits))
    connection.connection_made(transport)
    transport.buffered = 100
    connection.pause_writing()
    transport.buffered = 50
    now = asyncio.get_running_loop().time()
    connection.look(now + 0.06)
    assert not transport.is_closing(), "it took some within its first time-out"
    connection.look(now + 1)
    assert transport.is_closing()
    connection.connection_lost(None)


async def test_a_client_that_takes_its_answers_too_slowly_is_cut(backend: FakeBackend) -> None:
    transport = FakeTransport()
    limits = Limits(write_timeout=0.05, write_rate_min=1000)
    connection = Connection(FakeHost(backend, limits))
    connection.connection_made(transport)
    transport.buffered = 1000
    connection.pause_writing()
    transport.buffered = 951
    now = asyncio.get_running_loop().time()
    connection.look(now)
    assert not transport.is_closing()
    connection.look(now + 0.06)
    assert transport.is_closing()
    connection.connection_lost(None)


@pytest.mark.parametrize("limits", [{"silent_timeout": 0.4}], indirect=True)
async def test_a_connection_that_cannot_be_looked_at_costs_no_other_its_deadline(
    port: SidePort,
    connect: Connect,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    looked, look = list[Connection](), Connection.look

    def breaks(connection: Connection, now: float) -> None:
        looked.append(connection)
        if connection is looked[0]:
            raise ZeroDivisionError
        look(connection, now)

    monkeypatch.setattr(Connection, "look", breaks)
    clients = [await connect() for _ in range(3)]
    await until(lambda: port.connection_count == len(clients))
    await until(lambda: port.connection_count == 0)
    assert len(caplog.records) == 1, "who cannot be looked at is cut"


async def test_an_increment_that_cannot_even_start_is_an_answer(
    client: Client, backend: FakeBackend
) -> None:
    backend.unstartable = Refused(Why.UNAVAILABLE, "leaving")
    answer = await client.request("POST", "/increment")
    assert (answer.status, answer.detail) == (503, "leaving")


SEEDS = (
    b"GET /count HTTP/1.1\r\nHost: a\r\n\r\n",
    b'POST /increment HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\n{"by":1}',
    b"POST /increment HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"2\r\n{}\r\n0\r\n\r\n",
    b"POST /increment HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n{}",
    b"POST /increments HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n{}\n{}",
    b'PUT /sources/a/b HTTP/1.1\r\nHost: a\r\nContent-Length: 21\r\n\r\n{"seq":10,"total":10}',
    b"POST /increment?ack=2&timeout=1s HTTP/1.1\r\nHost: a\r\nIdempotency-Key: x\r\n\r\n",
    b"GET /count?after=00000000-0000-8000-8000-000000000001 HTTP/1.1\r\nHost: a\r\n\r\n",
    b'increment "a b" 3 ack=1\ncount\nlog 5\n',
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
)


@pytest.mark.parametrize("seed", range(4))
async def test_mutated_requests_break_nothing(
    port: SidePort, connect: Connect, backend: FakeBackend, seed: int
) -> None:
    rng = random.Random(seed)
    for _ in range(50):
        client = await connect()
        data = bytearray(b"".join(rng.choices(SEEDS, k=rng.randint(1, 4))))
        for _ in range(rng.randint(0, 6)):
            at = rng.randrange(len(data))
            data[at : at + rng.randint(0, 3)] = rng.randbytes(rng.randint(0, 3))
        cut = rng.randrange(len(data) + 1)
        try:
            await client.send(bytes(data[:cut]))
            await client.send(bytes(data[cut:]))
            client.half_close()
            await client.rest()
        except ConnectionError:
            pass
    good = await connect()
    assert (await good.request("GET", "/health")).status == 200


IPV6 = pytest.mark.skipif(not has_ipv6(), reason="this host has no ::1")


async def listening(backend: FakeBackend, port: int) -> SidePort:
    side = SidePort(backend)
    await side.listen(Endpoint("localhost", port))
    return side


@IPV6
async def test_localhost_is_both_loopback_addresses(backend: FakeBackend) -> None:
    side = await listening(backend, 0)
    (ipv4, port), (ipv6, same) = side.addresses
    assert (ipv4, ipv6, same) == ("127.0.0.1", "::1", port)
    for address in side.addresses:
        client = Client(*await asyncio.open_connection(*address))
        assert (await client.request("GET", "/health")).status == 200
        await client.close()
    await side.stop(0.2)
    again = await listening(backend, port)
    await again.stop(0.2)


@IPV6
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_what_is_taken_on_one_loopback_address_is_taken(
    backend: FakeBackend, host: str
) -> None:
    other = SidePort(backend)
    await other.listen(Endpoint(host, 0))
    port = other.addresses[0][1]
    with pytest.raises(OSError, match="address already in use") as caught:
        await listening(backend, port)
    assert caught.value.errno == errno.EADDRINUSE
    free = "::1" if host == "127.0.0.1" else "127.0.0.1"
    nothing_left = SidePort(backend)
    await nothing_left.listen(Endpoint(free, port))
    await nothing_left.stop(0.2)
    await other.stop(0.2)


async def test_nobody_is_asked_or_answered_before_all_is_open(backend: FakeBackend) -> None:
    port = SidePort(backend, Limits())
    passed = socket.create_server(("127.0.0.1", 0))  # it listens already
    passed.setblocking(False)
    port.hold()
    await port.listen_on(passed, Endpoint(*passed.getsockname()))
    with socket.create_connection(passed.getsockname()) as early:
        early.sendall(b"increment\n")
        await port.listen(Endpoint("localhost", 0))
        for _ in range(100):
            await asyncio.sleep(0)
        assert (port.accepted_count, backend.started) == (0, [])
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(port.addresses[-1]).close()
        await port.begin()
        await until(lambda: len(backend.started) == 1)
        early.setblocking(False)
        assert await asyncio.get_running_loop().sock_recv(early, 10) == b"1\n"
    socket.create_connection(port.addresses[-1]).close()
    await port.stop()
