"""TLS in front of a connection: handshakes, whole and broken, and what holds for all alike."""

from __future__ import annotations

import asyncio
import gc
import socket
import ssl
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import cast

import pytest
import pytest_asyncio

from gossipd.config.endpoint import Endpoint
from gossipd.sideport.connection import Connection
from gossipd.sideport.limits import Limits
from gossipd.sideport.port import SidePort
from gossipd.sideport.tls import Layer, Outcome, Tls
from gossipd.sideport.turns import Turns
from tests.certificates import Authority
from tests.deadline import DEADLINE

from .fake import Client, FakeBackend, FakeTransport, until
from .new_keys import Keys
from .test_waits import ID, end

BROKEN = b"\x16\x03\x01\x00\x05hello"
HELLO_BEGUN = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"

Secure = Callable[[], Awaitable[Client]]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def context(authority: Authority) -> ssl.SSLContext:
    pair = authority.issue("server", "127.0.0.1")
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(pair.cert, pair.key)
    return made


@pytest.fixture
def trusting(authority: Authority) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=authority.cert)


@pytest_asyncio.fixture
async def port(
    backend: FakeBackend, limits: Limits, context: ssl.SSLContext, ended_if_it_hangs: None
) -> AsyncIterator[SidePort]:
    """One that speaks TLS; at the end nothing may have escaped to the loop."""
    told: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, said: told.append(said))
    port = SidePort(backend, limits)
    port.tls = Tls(context, limits.handshakes_max)
    await port.listen(Endpoint("127.0.0.1", 0))
    yield port
    await port.stop(0.2)
    assert port.connection_count == 0
    assert told == []


@pytest_asyncio.fixture
async def connect(port: SidePort, trusting: ssl.SSLContext) -> AsyncIterator[Secure]:
    clients: list[Client] = []

    async def connect() -> Client:
        streams = await asyncio.open_connection(*port.addresses[0], ssl=trusting)
        clients.append(Client(*streams))
        return clients[-1]

    yield connect
    for client in clients:
        await client.close()


@pytest_asyncio.fixture
async def client(connect: Secure) -> Client:
    return await connect()


async def test_all_dialects_are_spoken(connect: Secure, port: SidePort) -> None:
    http, text, resp = await connect(), await connect(), await connect()
    assert (await http.request("POST", "/increment")).status == 200
    assert (await http.request("GET", "/count")).status == 200
    await text.send(b"increment\ncount\n")
    assert [await text.line(), await text.line()] == ["2", "2"]
    await resp.send(b"*2\r\n$4\r\nINCR\r\n$7\r\ndefault\r\n")
    assert await resp.line() == ":3\r"
    assert port.tls is not None
    assert port.tls.handshakes[Outcome.DONE] == 3


async def test_large_requests_and_answers_pass(client: Client, backend: FakeBackend) -> None:
    lines = b"".join(b'{"counter": "c%d"}\n' % number for number in range(3000))
    answer = asyncio.create_task(client.request("POST", "/increments", lines))
    await until(lambda: bool(backend.batches))
    backend.count_all()
    assert (await answer).body.count(b"\n") == 3000


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        (b"GET /count HTTP/1.1\r\nHost: a\r\n\r\n", b"HTTP/1.1 400 Bad Request"),
        (b"POST /increment HTTP/1.1\r\nHost: a\r\n\r\n", b"this port speaks TLS: ask for https"),
        (b"increment\n", b"error: this port speaks TLS\n"),
        (b"*1\r\n$4\r\nPING\r\n", b"-ERR this port speaks TLS\r\n"),
        (b"\r\n", b"error: this port speaks TLS\n"),
    ],
)
async def test_who_speaks_no_tls_is_told_in_his_language(
    port: SidePort, backend: FakeBackend, said: bytes, answer: bytes
) -> None:
    client = Client(*await asyncio.open_connection(*port.addresses[0]))
    await client.send(said)
    assert answer in await client.rest()
    await client.close()
    assert backend.started == []
    assert port.tls is not None
    assert port.tls.handshakes[Outcome.PLAIN] == 1


async def plain(port: SidePort) -> Client:
    return Client(*await asyncio.open_connection(*port.addresses[0]))


@pytest.mark.parametrize("hello", [BROKEN, BROKEN[:5]])
async def test_what_is_no_handshake_is_answered_by_an_alert(port: SidePort, hello: bytes) -> None:
    client = await plain(port)
    await client.send(hello)
    if hello != BROKEN:
        await asyncio.sleep(0)
        await client.send(BROKEN[5:])
    assert (await client.rest())[:2] == b"\x15\x03"
    await client.close()
    assert port.tls is not None
    assert port.tls.handshakes[Outcome.FAILED] == 1


@pytest.mark.parametrize("limits", [{"silent_timeout": 0.2}], indirect=True)
@pytest.mark.parametrize("said", [b"", HELLO_BEGUN])
async def test_a_handshake_that_does_not_go_on_is_cut(port: SidePort, said: bytes) -> None:
    client = await plain(port)
    await client.send(said)
    with suppress(ConnectionResetError):
        assert await client.rest() == b""
    await client.close()
    assert port.tls is not None
    assert port.tls.handshakes[Outcome.ABANDONED] == bool(said)


@pytest.mark.parametrize("limits", [{"handshakes_max": 2}], indirect=True)
async def test_of_too_many_handshakes_the_oldest_gives_way(
    port: SidePort, connect: Secure
) -> None:
    clients = [await plain(port) for _ in range(3)]
    for client in clients:
        await client.send(HELLO_BEGUN)
    tls = port.tls
    assert tls is not None
    await until(lambda: tls.handshakes[Outcome.CROWDED] == 1)
    await until(lambda: port.connection_count == 2)
    good = await connect()  # which takes the place of another one
    assert (await good.request("GET", "/health")).status == 200
    assert tls.handshakes[Outcome.CROWDED] == 2
    for client in clients:
        await client.close()


async def test_a_handshake_waits_for_its_turn(port: SidePort, connect: Secure) -> None:
    """As all work does when the slice of time of this turn of the loop is used up."""
    loop, waits = asyncio.get_running_loop(), 20

    def spend() -> None:
        nonlocal waits
        port.turns.slice().spend()
        if waits:
            waits -= 1
            loop.call_soon(spend)

    spend()
    client = await connect()
    assert (await client.request("GET", "/health")).status == 200


@pytest.mark.parametrize("limits", [{"presence_interval": 0.01}], indirect=True)
@pytest.mark.parametrize("times", [1, 200])
async def test_what_one_who_has_gone_waits_for_is_given_up(
    port: SidePort, client: Client, backend: FakeBackend, times: int
) -> None:
    backend.slow = True
    await client.send(f"count after={ID}\n".encode() * times)
    await until(lambda: len(backend.waits) > 0)
    client.writer.transport.abort()
    await until(lambda: port.connection_count == 0)
    await until(lambda: all(wait.cancelled() for wait in backend.waits))


async def test_stopping_answers_what_is_pending(
    port: SidePort, client: Client, backend: FakeBackend
) -> None:
    backend.paused = True
    await client.send(b"increment\n")
    await until(lambda: bool(backend.waiting))
    stopping = asyncio.create_task(port.stop(5.0))
    await asyncio.sleep(0)
    backend.commit()
    assert await client.rest() == b"1\n"
    await client.close()
    await stopping


@pytest.mark.parametrize("limits", [{"write_timeout": 0.3, "send_size_max": 4096}], indirect=True)
async def test_who_does_not_read_is_cut(
    port: SidePort, client: Client, backend: FakeBackend
) -> None:
    """What waits for him is bounded meanwhile."""
    for number in range(20_000):
        backend.values[f"counter {number}"] = number
    cast(asyncio.Transport, client.writer.transport).pause_reading()
    await client.send(b"counters\n" * 60)
    await until(lambda: port.connection_count == 0)
    client.writer.transport.abort()


async def test_nothing_of_a_connection_is_left(port: SidePort, connect: Secure) -> None:
    """Without Python's collector."""
    client = await connect()
    await client.send(b"count\n")
    assert await client.line() == "0"
    gc.disable()
    try:
        left = weakref.WeakSet(each for each in gc.get_objects() if isinstance(each, Layer))
        assert len(left) >= 1
        await client.close()
        await until(lambda: not left)
    finally:
        gc.enable()


async def test_half_a_close_is_one_here_too(
    port: SidePort, trusting: ssl.SSLContext, backend: FakeBackend
) -> None:
    """Who has said his last word still gets his answers, and the last word of the port."""
    backend.slow = True
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    session = trusting.wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")
    reader, writer = await asyncio.open_connection(*port.addresses[0])

    async def pump(step: Callable[[], object]) -> object:
        while True:
            try:
                return step()
            except ssl.SSLWantReadError:
                writer.write(outgoing.read())
                data = await asyncio.wait_for(reader.read(65536), DEADLINE)
                assert data
                incoming.write(data)

    await pump(session.do_handshake)
    session.write(f"count after={ID}".encode())  # a last line that does not end, too
    with pytest.raises(ssl.SSLWantReadError):
        session.unwrap()
    writer.write(outgoing.read())
    await until(lambda: len(backend.waits) == 1)
    end(backend, True)
    assert await pump(lambda: session.read(100)) == b"0\n"
    with pytest.raises(ssl.SSLZeroReturnError):  # which no cut looks like
        await pump(lambda: session.read(100))
    writer.close()


class Shaken:
    """A client that has shaken hands with a port."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.session = context.wrap_bio(self.incoming, self.outgoing, server_hostname="127.0.0.1")

    async def shake(self, port: SidePort) -> None:
        little = socket.socket()
        little.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        little.setblocking(False)
        await asyncio.get_running_loop().sock_connect(little, port.addresses[0])
        self.reader, self.writer = await asyncio.open_connection(sock=little, limit=1024)
        while True:
            try:
                self.session.do_handshake()
            except ssl.SSLWantReadError:
                self.writer.write(self.outgoing.read())
                self.incoming.write(await asyncio.wait_for(self.reader.read(65536), DEADLINE))
            else:
                self.writer.write(self.outgoing.read())
                return


@pytest.mark.parametrize("limits", [{"send_size_max": 4096}], indirect=True)
@pytest.mark.parametrize("at_once", [True, False])
async def test_who_only_asks_for_new_keys_is_cut(
    port: SidePort, trusting: ssl.SSLContext, tmp_path: Path, at_once: bool
) -> None:
    """Each is work of some 30 us, and has an answer, which nobody need read."""
    trusting.keylog_filename = str(tmp_path / "keys")
    client = Shaken(trusting)
    await client.shake(port)
    keys = Keys(tmp_path / "keys")
    client.writer.write(b"".join(keys.update() for _ in range(3)))  # which is no harm
    with suppress(ConnectionError):
        while port.connection_count:
            client.writer.write(b"".join(keys.update() for _ in range(800 if at_once else 30)))
            await client.writer.drain()
            await asyncio.sleep(0)
    assert not at_once or len(await _all_of(client.reader)) < 8192
    client.writer.close()


async def _all_of(reader: asyncio.StreamReader) -> bytes:
    with suppress(ConnectionError):
        return await asyncio.wait_for(reader.read(), DEADLINE)
    return b""


class Sink(asyncio.Protocol):
    """A connection that keeps what it is told."""

    data, has_eof, is_refused = b"", False, False

    def refuse(self) -> None:
        self.is_refused = True

    def data_received(self, data: bytes) -> None:
        self.data += data

    def eof_received(self) -> bool:
        self.has_eof = True
        return True


async def shaken(layer: Layer, wire: FakeTransport, client: Shaken) -> None:
    """All of a handshake but the client's last word in it, which is yet to be sent."""
    with suppress(ssl.SSLWantReadError):
        client.session.do_handshake()
    layer.data_received(client.outgoing.read())
    await until(lambda: bool(wire.written))
    client.incoming.write(wire.written)
    wire.written = b""
    client.session.do_handshake()


async def test_many_little_records_are_decrypted_in_turns(
    context: ssl.SSLContext, trusting: ssl.SSLContext
) -> None:
    """Nothing more is read meanwhile, and the last word is heard behind all of them."""
    sink, wire, tls, turns = Sink(), FakeTransport(), Tls(context, 8), Turns()
    layer = Layer(tls, turns, cast(Connection, sink))
    layer.connection_made(wire)
    client = Shaken(trusting)
    await shaken(layer, wire, client)
    layer.data_received(client.outgoing.read())
    await until(lambda: tls.handshakes[Outcome.DONE] == 1)
    for sign in (said := bytes(range(256)) * 10):
        client.session.write(bytes((sign,)))
    with suppress(ssl.SSLWantReadError):
        client.session.unwrap()
    turns.slice().spend()
    layer.data_received(client.outgoing.read())
    layer.pause_reading()
    heard = len(sink.data)
    for _ in range(10):
        await asyncio.sleep(0)
    assert 0 < heard == len(sink.data) < 100
    layer.resume_reading()
    assert not wire.reading
    await until(lambda: sink.has_eof)
    assert sink.data == said
    assert wire.reading


@pytest.mark.parametrize("is_late", [False, True])
async def test_much_may_be_said_with_the_last_of_a_handshake(
    context: ssl.SSLContext, trusting: ssl.SSLContext, is_late: bool
) -> None:
    """As a batch that a client sends while the loop is busy: one read brings up to 256 KiB."""
    sink, wire, turns = Sink(), FakeTransport(), Turns()
    layer = Layer(Tls(context, 8), turns, cast(Connection, sink))
    layer.connection_made(wire)
    client = Shaken(trusting)
    await shaken(layer, wire, client)
    said = bytes(range(256)) * 1024
    client.session.write(said)
    if is_late:
        turns.slice().spend()
    layer.data_received(client.outgoing.read())
    assert not (is_late and wire.reading)
    await until(lambda: wire.closing or len(sink.data) == len(said))
    assert sink.data == said
    await until(lambda: wire.reading)


async def test_a_handshake_without_end_is_cut(context: ssl.SSLContext) -> None:
    wire, tls = FakeTransport(), Tls(context, 8)
    layer = Layer(tls, Turns(), cast(Connection, Sink()))
    layer.connection_made(wire)
    piece = b"\x16\x03\x01\x00\x01\x01"  # a byte of a hello in a record of its own
    layer.data_received(b"\x16\x03\x01\x00\x04\x01\x00\xff\x00")
    came = 0
    while not wire.closing and came < 2**20:
        came += len(piece) * 1000
        layer.data_received(piece * 1000)
        await until(lambda: wire.reading or wire.closing)
    assert wire.closing
    assert came <= 136 * 1024


async def test_who_fails_in_its_turn_is_still_read(context: ssl.SSLContext) -> None:
    """Else a close would take the alert away from a client that has more to say."""
    wire, turns, sink = FakeTransport(), Turns(), Sink()
    layer = Layer(Tls(context, 8), turns, cast(Connection, sink))
    layer.connection_made(wire)
    turns.slice().spend()
    layer.data_received(BROKEN)
    assert not wire.reading
    await until(lambda: sink.is_refused)
    assert wire.written
    assert wire.reading


async def test_what_is_cut_on_the_way_is_not_done(client: Client, backend: FakeBackend) -> None:
    """Else whoever sits in between makes 1 of 10."""
    await client.send(b"increment visits 1")
    sock = client.writer.get_extra_info("socket")
    its_own = socket.socket(fileno=sock.fileno())
    its_own.shutdown(socket.SHUT_WR)
    its_own.detach()
    assert await client.rest() == b""
    assert backend.started == []
