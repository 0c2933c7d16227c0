"""Requests that come again mean what they meant when they were parsed."""

from __future__ import annotations

import re
from uuid import UUID, uuid4

import pytest

from gossipd.core import Refused, Why
from gossipd.sideport.connection import Connection
from gossipd.sideport.limits import Limits
from gossipd.sideport.memo import MEANINGS_MAX, SIZE_MAX, Meaning, Memo
from gossipd.sideport.places import Place

from .fake import FakeBackend, FakeHost, FakeTransport, until

ONE, OTHER = "0190b7d2-1111-7aaa-8bbb-0123456789ab", "9f0c2b1a-2222-4ccc-9ddd-ba9876543210"

MEANING = Meaning(lambda *_: None, lambda _: b"", True)


def http(line: str, *fields: str, body: str = "") -> bytes:
    head = "\r\n".join((f"{line} HTTP/1.1", "Host: a", *fields))
    length = f"\r\nContent-Length: {len(body)}" if body else ""
    return f"{head}{length}\r\n\r\n{body}".encode()


def resp(*words: str) -> bytes:
    encoded = [word.encode(errors="surrogateescape") for word in words]
    parts = [b"$%d\r\n%b\r\n" % (len(word), word) for word in encoded]
    return b"*%d\r\n%b" % (len(parts), b"".join(parts))


def keyed(key: str) -> list[bytes]:
    return [
        http("POST /increment", f"Idempotency-Key: {key}"),
        http(f"POST /increment?key={key}&by=2"),
        http("POST /increment", body=f'{{"key": "{key}", "counter": "a"}}'),
        http(f"POST /increment?counter={key}"),
        http(f"POST /increment?counter={ONE}", f"Idempotency-Key: {key}"),
        http(f"POST /increment?counter={key}", f"Idempotency-Key: {key}"),
        http("POST /increment", f"Idempotency-Key: {key.upper()}"),
        http("POST /increment", f'Idempotency-Key: "{key}"'),
        http(f"POST /increment?key={key}&ack=1"),
        http(f"GET /increments?key={key}"),
        http(f"GET /count?after={key}"),
    ]


def strange(other: str) -> list[bytes]:
    """The key is always the same, though another one stands where it stood."""
    escaped = ONE.replace("-", "%2D")
    return [
        http(f"POST /increment?key={escaped}", f"X-Request-Id: {other}"),
        http(f"POST /increment?key={ONE.upper()}", f"Idempotency-Key: {other}"),
        http(f"POST /increment?key={{{ONE.upper()}}}", f"X-Request-Id: {other}"),
        http("POST /increment", f"X-Request-Id: {other}", body=f'{{"key": "\\u0030{ONE[1:]}"}}'),
    ]


HTTP = [
    http("POST /increment"),
    http("POST /increment?by=-3&counts=string"),
    http("POST /increment", "Connection: close"),
    http("POST /increment", body='{"by": 7}'),
    http("POST /increment?by=0"),
    http("POST /increment", "Expect: 100-continue", body="{}"),
    http("POST /increment", "Origin: http://elsewhere"),
    http("GET /count"),
    http("HEAD /count?counter=a"),
    http("GET /count") + http("POST /increment"),
    http("POST /increment") + b"GET /cou",
    b"nt HTTP/1.1\r\nHost: a\r\n\r\n",
    http("POST /increment")[:-1],
    b"\n",
    b"\r\n" + http("POST /increment"),
    *keyed(ONE),
    *keyed(OTHER),
    *strange(ONE),
    *strange(OTHER),
]
TEXT = [
    *(b"increment\n", b"increment a 5\r\n", b"count a\n", b'count "a"\n', b"count\n"),
    *(b"increment a 0\n", b"increment\nincrement a", b"\n", b"nonsense\n", b"counters\n"),
    *(f"increment a 1 key={key}\n".encode() for key in (ONE, OTHER)),
    *(f"increment {ONE} key={key}\n".encode() for key in (ONE, OTHER)),
    *(b"ping\n", b"increment\n" * 3, b"increment a\n" * 2 + b"increment a\r\n" * 2),
    *(b"increment a\n" * 3 + b"count a\n" * 2 + b"increment a\n" * 2, b"increment a ack=1\n" * 3),
    *(f"increment a key={key}\n".encode() * 2 for key in (ONE, OTHER, "17")),
    *(b"increment a\n" * 2 + b"increm", b"ent a\n" * 2),
    *(b"increment a\n" * 2 + b"quit\n" + b"increment a\n" * 2, b"increment a\n"),
]
REDIS = [
    resp("INCR", "a"),
    resp("INCRBY", "a", "0"),
    resp("GET", "a"),
    *(
        resp("gossipd.incrby", name, "2", key)
        for name in ("a", ONE, "")
        for key in (ONE, OTHER, ONE.upper(), f"{{{ONE}}}", "order 17", "order 18", "", "\udcff")
    ),
    *(resp("GOSSIPD.INCRBY", key, "1", "order 17") for key in (ONE, OTHER)),
    *(resp("GOSSIPD.INCRBY", key, "1", key) for key in (ONE, OTHER)),
    *(resp("GOSSIPD.INCRBY", "b", by, OTHER) for by in ("0", "x", str(2**53 + 1), "-7")),
    resp("GOSSIPD.INCRBY", "b", "1"),
    *(resp("GOSSIPD.INCRBY", "b", "1", key) * 3 for key in (ONE, OTHER)),
    *(resp("GOSSIPD.INCRBY", "b", "2", key) + resp("INCR", "c") for key in (ONE, OTHER)),
    resp("GOSSIPD.INCRBY", "b", "1", ONE)[:-1],
    b"\n",
    b"*0\r\n" + resp("GOSSIPD.INCRBY", "b", "1", OTHER),
    resp("MULTI"),
    resp("GOSSIPD.INCRBY", "b", "1", OTHER),
    resp("INCR", "a"),
    resp("EXEC"),
    resp("GOSSIPD.INCRBY", "b", "1", OTHER),
    *(resp("INCR", "a") * 3, resp("GET", "a") * 3, resp("INCRBY", "a", "0") * 2),
    resp("INCR", "a") * 2 + resp("GET", "a") * 2 + resp("incr", "a") * 2 + resp("INCR", "a"),
    resp("INCR", "a") * 2 + b"*0\r\n" + resp("INCR", "a") + resp("INCR", "a")[:-4],
    resp("INCR", "a")[-4:] + resp("INCR", "a") * 2,
    resp("INCR", "a") * 2 + resp("MULTI") + resp("INCR", "a") * 2,
    resp("INCR", "a") * 2,
    resp("INCR", "a") * 2 + resp("EXEC") + resp("INCR", "a") * 2,
    resp("INCR", "a") * 2 + resp("CLIENT", "REPLY", "OFF") + resp("INCR", "a") * 2,
    resp("INCR", "a") * 2 + resp("WAIT", "0", "1") + resp("INCR", "a"),
    resp("INCR", "a") * 2 + resp("QUIT") + resp("INCR", "a") * 2,
]


class Ended(FakeTransport):
    """Nobody sends anything more when the last answer was given."""

    def write_eof(self) -> None:
        self.closing = True


async def say(connection: Connection, transport: FakeTransport, data: bytes) -> None:
    """Until it is answered."""
    connection.data_received(data)
    await until(lambda: transport.closing or connection.idle_since is not None)


async def answered(said: list[bytes], remembering: bool) -> list[object]:
    """What a client is told, and what the node was asked; each piece on a connection of its own as
    soon as one was closed."""
    backend = FakeBackend()
    host = FakeHost(backend, Limits())
    if not remembering:
        host.access.requests.remember = host.lines.remember = lambda *_: None  # type: ignore[method-assign]
        host.resp.remember = lambda *_: None  # type: ignore[method-assign]
        host.resp.remember_said = lambda *_: None  # type: ignore[method-assign]
    told: list[object] = []
    connection, transport = Connection(host), Ended()
    connection.connection_made(transport)
    for piece in said:
        if transport.closing:
            connection.connection_lost(None)
            connection, transport = Connection(host), Ended()
            connection.connection_made(transport)
        await say(connection, transport, piece)
        told.append(re.sub(rb"Date: .*?\r\n", b"", transport.written))
        transport.written = b""
    connection.connection_lost(None)
    keys = [None if key is None else str(key) for key in backend.keys]
    return [*told, backend.started, keys, [about[:2] for about in backend.asked]]


@pytest.mark.parametrize("said", [HTTP, TEXT, REDIS], ids=["HTTP", "text", "RESP"])
async def test_what_comes_again_is_answered_as_if_it_were_parsed(said: list[bytes]) -> None:
    three_times = [piece for piece in said for _ in range(3)] + said
    parsed = await answered(three_times, False)
    assert await answered(three_times, True) == parsed


class Full(FakeHost):
    """Where there are places in reserve only."""

    def admit(self, _: Connection, __: str | int | None) -> Place:
        return Place.BRIEF


@pytest.mark.parametrize("said", [http("GET /count") * 2, b"count\ncount\n"], ids=["HTTP", "text"])
async def test_in_the_reserve_one_question_is_answered_though_it_comes_again(said: bytes) -> None:
    full, host = Full(FakeBackend(), Limits()), FakeHost(FakeBackend(), Limits())
    transports: list[Ended] = []
    full.access.requests, full.lines = host.access.requests, host.lines
    for port in (host, full):
        transports.append(Ended())
        connection = Connection(port)
        connection.connection_made(transports[-1])
        for again in (said[: len(said) // 2], said):
            if not transports[-1].closing:
                await say(connection, transports[-1], again)
        connection.connection_lost(None)
    kept, brief = (transport.written for transport in transports)
    assert len(kept) == 3 * len(brief.replace(b"Connection: close\r\n", b""))


async def test_what_comes_again_is_not_parsed() -> None:
    backend = FakeBackend()
    host = FakeHost(backend, Limits())
    for again in (http("POST /increment"), b"increment\n"):
        for _ in range(2):
            connection, transport = Connection(host), FakeTransport()
            connection.connection_made(transport)
            await say(connection, transport, again)
            connection.connection_lost(None)
    assert host.access.requests.find(http("POST /increment")) is not None
    assert host.lines.find(b"increment") is not None
    keys = [str(uuid4()) for _ in range(3)]
    connection, transport = Connection(host), FakeTransport()
    connection.connection_made(transport)
    for key in keys:
        await say(connection, transport, http("POST /increment", f"Idempotency-Key: {key}"))
    connection.connection_lost(None)
    found = host.access.requests.find(http("POST /increment", f"Idempotency-Key: {ONE}"))
    assert found is not None
    assert [str(key) for key in backend.keys if key is not None] == keys
    await client_of_redis(host, backend)


@pytest.mark.parametrize("one", [b"increment a\n", resp("INCR", "a")], ids=["text", "RESP"])
async def test_the_same_in_a_row_is_started_as_one_once_it_is_known(one: bytes) -> None:
    backend, starts = FakeBackend(), list[int]()
    backend.starting = lambda: starts.append(1)
    host = FakeHost(backend, Limits())
    connection, transport = Connection(host), FakeTransport()
    connection.connection_made(transport)
    for said in range(1, 4):
        await say(connection, transport, one * 9)
        assert (len(starts), backend.values) == (1 + said, {"a": 9 * said})
    numbers = transport.written.replace(b":", b"").split()
    assert numbers == [b"%d" % value for value in range(1, 28)]
    connection.connection_lost(None)


async def client_of_redis(host: FakeHost, backend: FakeBackend) -> None:
    connection, transport = Connection(host), FakeTransport()
    connection.connection_made(transport)
    for key in ("order 17", "order 18", ONE, OTHER):
        await say(connection, transport, resp("GOSSIPD.INCRBY", "a", "1", key))
    assert host.resp.keyed
    found = host.resp.requests.find(resp("GOSSIPD.INCRBY", "a", "1", str(uuid4())))
    assert found is not None
    assert backend.keys[-2:] == [UUID(ONE), UUID(OTHER)]
    connection.connection_lost(None)


@pytest.mark.usefixtures("unhurried")
@pytest.mark.parametrize("one", [b"increment a\n", resp("INCR", "a")], ids=["text", "RESP"])
async def test_of_some_in_a_row_each_is_answered_though_not_all_counted(one: bytes) -> None:
    backend = FakeBackend()
    connection, transport = Connection(FakeHost(backend, Limits())), FakeTransport()
    connection.connection_made(transport)
    for _ in range(2):
        await say(connection, transport, one * 2)
    transport.written, backend.paused = b"", True
    connection.data_received(one * 5)
    backend.commit(2)
    backend.refusal = Refused(Why.CONFLICT, "out of range")
    backend.commit()
    backend.paused = False
    await say(connection, transport, one * 3)
    lines = transport.written.splitlines()
    assert [line.strip(b":") for line in lines[:2]] == [b"5", b"6"]
    assert [b"out of range" in line for line in lines[2:]] == [True] * 6
    connection.connection_lost(None)


async def test_empty_lines_between_requests_that_come_again_are_no_long_head() -> None:
    host = FakeHost(FakeBackend(), Limits(head_size_max=64))
    connection, transport = Connection(host), FakeTransport()
    connection.connection_made(transport)
    for _ in range(64):
        await say(connection, transport, http("POST /increment"))
        await say(connection, transport, b"\r\n")
    assert transport.written.count(b" 200 OK\r\n") == 64
    connection.connection_lost(None)


def test_the_key_of_a_request_is_the_one_that_stands_where_the_key_stood() -> None:
    memo = Memo[Meaning]()
    got: list[bytes] = []
    meaning = MEANING._replace(start=lambda key: got.append(key))
    for key in (ONE, ONE, OTHER):
        assert memo.find(f"add {key}".encode()) is None, "it may stand there by chance"
        memo.remember(f"add {key}".encode(), meaning, key)
    found = memo.find(b"add " + OTHER.encode())
    assert found is not None
    found.start()
    assert got == [UUID(OTHER).bytes]
    for other in (
        b"add  " + OTHER.encode(),
        b"ad " + OTHER.encode(),
        b"add " + OTHER.encode() + b" ",
    ):
        assert memo.find(other) is None
    for no_key in (
        "0190b7d2-1111-8aaa-8bbb-0123456789ab",
        "0" * 8 + "-0000-0000-0000-" + "0" * 12,
    ):
        assert memo.find(b"add " + no_key.encode()) is None, "it is refused, so it must be parsed"


def test_a_key_is_the_first_whole_one() -> None:
    memo, got = Memo[Meaning](), list[bytes]()
    meaning = MEANING._replace(start=lambda key: got.append(key))
    for beginning in ("-", "1-", f"{ONE[:-1]}-", f"{ONE[9:]} ", "0" * 7 + "-" + ONE[9:] + " a"):
        for key in (ONE, OTHER, ONE):
            found = memo.find(f"{beginning}{key}".encode())
            if found is not None:
                found.start()
            memo.remember(f"{beginning}{key}".encode(), meaning, key)
        assert got.pop() == UUID(ONE).bytes
    assert got == []


def test_it_is_not_remembered_where_the_key_stands_twice() -> None:
    memo = Memo[Meaning]()
    for key in (ONE, OTHER):
        memo.remember(f"{key} {key}".encode(), MEANING, key)
    memo.remember(f"{OTHER} {ONE}".encode(), MEANING, ONE)
    assert memo.find(f"{OTHER} {ONE}".encode()) is None
    assert memo.find(f"{OTHER} {OTHER}".encode()) is None


def test_so_many_requests_are_remembered_and_no_large_ones() -> None:
    memo = Memo[Meaning]()
    for number in range(MEANINGS_MAX):
        memo.remember(b"%d" % number, MEANING)
    assert memo.find(b"0") is MEANING
    memo.remember(b"one more", MEANING)
    assert memo.find(b"0") is None
    assert memo.find(b"one more") is MEANING
    memo.remember(b"x" * (SIZE_MAX + 1), MEANING)
    assert memo.find(b"x" * (SIZE_MAX + 1)) is None
