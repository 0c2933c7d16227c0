"""HTTP as a protocol: framing, keep-alive, limits, time-outs, and what breaks it."""

from __future__ import annotations

import asyncio
import time
from email.utils import parsedate_to_datetime

import pytest

from gossipd.sideport.limits import Limits
from tests.fuzz.conversation import LIMITS as SMALL
from tests.fuzz.conversation import converse, host

from .fake import KEY, Client, FakeBackend


async def test_a_connection_is_kept_alive(client: Client) -> None:
    for _ in range(3):
        answer = await client.request("GET", "/health")
        assert "connection" not in answer.headers


async def test_connection_close_is_obeyed(client: Client) -> None:
    answer = await client.request("GET", "/health", None, "Connection: close")
    assert answer.headers["connection"] == "close"
    assert await client.rest() == b""


async def test_http_1_0_closes_unless_asked_to_keep(client: Client) -> None:
    await client.send(b"GET /health HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    assert (await client.response()).headers["connection"] == "keep-alive"
    await client.send(b"GET /health HTTP/1.0\r\n\r\nGET /health HTTP/1.0\r\n\r\n")
    assert (await client.response()).headers["connection"] == "close"
    assert await client.rest() == b""


async def test_a_chunked_body_is_read_with_extensions_and_trailers(
    client: Client, backend: FakeBackend
) -> None:
    await client.send(
        b"POST /increment HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        b'5;a=b\r\n{"by"\r\n4\r\n: 7}\r\n0\r\nOrigin: late\r\n\r\n'
        b"GET /count HTTP/1.1\r\nHost: a\r\n\r\n"
    )
    assert (await client.response()).status == 200
    assert (await client.response()).json == {"counter": "default", "count": 7}


async def test_a_request_may_come_byte_by_byte(client: Client, backend: FakeBackend) -> None:
    for byte in b'\r\nPOST /increment HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\n{"by":7}':
        await client.send(bytes([byte]))
    assert (await client.response()).status == 200
    assert backend.values == {"default": 7}


async def test_a_head_is_too_large_or_not_in_however_many_reads_it_comes() -> None:
    line, refused = b"UNLOCK /count HTTP/1.1\r\n", set[bool]()
    for size in range(SMALL.head_size_max - 60, SMALL.head_size_max + 10):
        for fields in (b"Host: a", b"Host: a\r\nA: a\r\nB: b"):
            head = (line + fields).ljust(size - 4, b"c") + b"\r\n\r\n"
            at_once = b" 431 " in await converse(host()[1], [head])
            assert (b" 431 " in await converse(host()[1], [head[:-1], head[-1:]])) == at_once
            assert at_once or size <= SMALL.head_size_max
            refused.add(at_once)
    assert refused == {False, True}


async def test_a_client_that_expects_100_continue_gets_it(
    client: Client, backend: FakeBackend
) -> None:
    await client.send(
        b"POST /increment HTTP/1.1\r\nHost: a\r\n\r\n"
        b"POST /increment HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 8\r\n\r\n"
    )
    assert [(await client.response()).status, (await client.response()).status] == [200, 100]
    await client.send(b'{"by":7}')
    assert (await client.response()).status == 200
    assert backend.values == {"default": 8}


async def test_an_unknown_expectation_is_refused(client: Client) -> None:
    answer = await client.request("POST", "/increment", b"{}", "Expect: a-miracle")
    assert answer.status == 417


async def test_a_body_that_would_be_too_large_is_refused_before_it_is_sent(
    client: Client,
) -> None:
    await client.send(
        b"POST /increment HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
        b"Content-Length: 65537\r\n\r\n"
    )
    assert (await client.response()).status == 413
    assert await client.rest() == b""


UPGRADE = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk")


@pytest.mark.parametrize("upgrade", [UPGRADE, ("Connection: upgrade", "Upgrade: websocket")])
async def test_an_upgrade_is_declined_by_answering_without(
    client: Client, upgrade: tuple[str, ...]
) -> None:
    answer = await client.request("GET", "/health", None, *upgrade)
    assert answer.body == b"OK\n"
    assert "connection" not in answer.headers
    for body in (b"{}", b'{"by": 6}'):
        answer = await client.request("POST", "/increment", body, *upgrade)
        assert answer.status == 200
    assert (await client.request("GET", "/count")).json == {"counter": "default", "count": 7}


async def test_what_stands_in_a_head_with_an_upgrade_is_heeded(
    client: Client, backend: FakeBackend
) -> None:
    other = ("Origin: http://evil.example", *UPGRADE)
    assert (await client.request("POST", "/increment", b"{}", *other)).status == 403
    twice = (*UPGRADE, *[f"Idempotency-Key: {KEY}"] * 2)
    assert (await client.request("POST", "/increment", b"{}", *twice)).status == 400
    once = (*UPGRADE, f"Idempotency-Key: {KEY}")
    assert (await client.request("POST", "/increment?by=2", b"{}", *once)).status == 200
    assert (backend.started, backend.keys) == ([("default", 2)], [KEY])
    close = ("Connection: close", "Upgrade: h2c")
    answer = await client.request("POST", "/increment", b"{}", *close)
    assert (answer.status, answer.headers["connection"]) == (200, "close")


async def test_an_upgrade_may_come_with_a_chunked_body_after_100_continue(client: Client) -> None:
    head = "\r\n".join(("POST /increment HTTP/1.1", "Host: a", *UPGRADE))
    await client.send(
        f"{head}\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    )
    assert (await client.response()).status == 100
    await client.send(b'8\r\n{"by":7}\r\n0\r\n\r\nGET /count HTTP/1.1\r\nHost: a\r\n\r\n')
    assert (await client.response()).status == 200
    assert (await client.response()).json == {"counter": "default", "count": 7}


async def test_a_body_with_an_upgrade_has_the_limits_of_any(client: Client) -> None:
    answer = await client.request("POST", "/increment", b" " * 65_537, *UPGRADE)
    assert answer.status == 413


@pytest.mark.parametrize(
    "fields",
    [
        "Content-Length: 5\r\n\r\nhello",
        "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "\r\n".join((*UPGRADE, "Content-Length: 5", "", "hello")),
    ],
)
async def test_a_connect_with_a_body_is_refused_and_ends_the_connection(
    client: Client, fields: str
) -> None:
    """The parser calls it an upgrade whatever is declined, which was tried for ever."""
    await client.send(f"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n{fields}".encode())
    answer = await client.response()
    assert (answer.status, answer.headers["connection"]) == (404, "close")
    assert await client.rest() == b""


async def test_http_1_1_without_host_is_refused(client: Client, backend: FakeBackend) -> None:
    await client.send(b"POST /increment HTTP/1.1\r\n\r\nPOST /increment HTTP/1.0\r\n\r\n")
    refused = await client.response()
    assert (refused.status, "Host" in refused.detail) == (400, True)
    assert (await client.response()).status == 200
    assert len(backend.started) == 1


@pytest.mark.parametrize(
    ("target", "allow"),
    [
        ("/count", "GET, HEAD, OPTIONS"),
        ("/increments", "POST, GET, HEAD, OPTIONS"),
        ("/sources/a/b", "PUT, OPTIONS"),
        ("*", "GET, HEAD, OPTIONS, POST, PUT"),
    ],
)
async def test_options_tells_what_a_target_may_be_asked(
    client: Client, target: str, allow: str
) -> None:
    answer = await client.request("OPTIONS", target)
    assert (answer.status, answer.headers["allow"], answer.body) == (204, allow, b"")
    assert "content-length" not in answer.headers
    assert (await client.request("OPTIONS", "/nowhere")).status == 404


@pytest.mark.parametrize("coding", ["gzip", "br, gzip", "zstd"])
async def test_a_coded_body_is_a_415(client: Client, backend: FakeBackend, coding: str) -> None:
    answer = await client.request("POST", "/increment", b"\x1f\x8b", f"Content-Encoding: {coding}")
    assert (answer.status, answer.headers["accept-encoding"]) == (415, "identity")
    assert backend.started == []
    plain = "Content-Encoding: identity"
    assert (await client.request("POST", "/increment", b"{}", plain)).status == 200


async def test_every_answer_tells_the_time(client: Client) -> None:
    for method, target in (("GET", "/count"), ("POST", "/increment"), ("GET", "/nowhere")):
        date = parsedate_to_datetime((await client.request(method, target)).headers["date"])
        assert abs(date.timestamp() - time.time()) < 60


@pytest.mark.parametrize("path", ["/", "/health", "/count", "/counters", "/metrics", "/nowhere"])
async def test_no_answer_is_taken_for_a_page_that_is_none(client: Client, path: str) -> None:
    """Names are the clients' own."""
    answer = await client.request("GET", path)
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_connect_is_refused_and_closes(client: Client) -> None:
    await client.send(b"CONNECT example.org:443 HTTP/1.1\r\nHost: a\r\n\r\nwhatever")
    assert (await client.response()).status == 404
    assert await client.rest() == b""


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET /\r\n\r\n", 400),
        (b"GET / HTTP/9.9\r\n\r\n", 400),
        (b"GET / HTTP/1.2\r\nHost: a\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\n\r\n", 505),
        (b"BREW /pot HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"POST x HTTP/1.1\r\nHost: a\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"POST /increment HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n", 400),
        (b"POST /increment HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400),
        (
            b"POST /increment HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n",
            400,
        ),
        (
            b"POST /increment HTTP/1.1\r\nHost: a\r\n"
            b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
            400,
        ),
        (b"POST /increment HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 400),
        (b"POST /increment HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501),
        (b"POST /increment HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", 400),
        (
            b"POST /increment HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
        ),
    ],
)
async def test_malformed_http_is_refused(
    client: Client, backend: FakeBackend, data: bytes, status: int
) -> None:
    await client.send(data)
    answer = await client.response()
    assert answer.status == status
    assert answer.detail
    assert backend.started == []


@pytest.mark.parametrize("more", [b"", b"Connection: upgrade, keep-alive\r\nUpgrade: h2c\r\n"])
async def test_the_old_http_knows_no_chunks_so_nothing_behind_them_is_a_request(
    client: Client, backend: FakeBackend, more: bytes
) -> None:
    await client.send(
        b"POST /increment HTTP/1.0\r\nConnection: keep-alive\r\n%b"
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        b"POST /increment HTTP/1.0\r\n\r\n" % more
    )
    answer = await client.response()
    assert (answer.status, answer.headers["connection"]) == (400, "close")
    assert "Transfer-Encoding" in answer.detail
    assert await client.rest() == b""
    assert backend.started == []


async def test_a_malformed_request_is_answered_after_those_before_it(
    client: Client, backend: FakeBackend
) -> None:
    await client.send(
        b"POST /increment HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\nbroken\r\n\r\n"
        * 2
    )
    assert (await client.response()).status == 200
    broken = await client.response()
    assert (broken.status, broken.headers["connection"]) == (400, "close")
    assert await client.rest() == b""
    assert len(backend.started) == 1


async def test_a_request_that_ends_early_is_refused(client: Client, backend: FakeBackend) -> None:
    await client.send(b"POST /increment HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n{}")
    client.half_close()
    assert (await client.response()).status == 400
    assert await client.rest() == b""
    assert backend.started == []


async def test_a_half_closed_client_gets_its_answers(client: Client) -> None:
    await client.send(
        b"POST /increment HTTP/1.1\r\nHost: a\r\n\r\nGET /count HTTP/1.1\r\nHost: a\r\n\r\n"
    )
    client.half_close()
    assert (await client.response()).status == 200
    assert (await client.response()).json == {"counter": "default", "count": 1}
    assert await client.rest() == b""


async def test_a_body_at_the_limit_is_read(client: Client) -> None:
    body = b'{"by": 1' + b" " * (64 * 1024 - 9) + b"}"
    assert (await client.request("POST", "/increment", body)).status == 200
    assert (await client.request("POST", "/increment", body)).status == 200


async def test_a_body_beyond_the_limit_is_refused_though_the_client_sends_it_all(
    client: Client,
) -> None:
    answer = await client.request("POST", "/increment", b" " * (4 * 1024 * 1024))
    assert answer.status == 413
    assert await client.rest() == b""


async def test_a_chunked_body_beyond_the_limit_is_refused(client: Client) -> None:
    await client.send(
        b"POST /increment HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        + (b"1000\r\n" + b" " * 4096 + b"\r\n") * 100
    )
    assert (await client.response()).status == 413
    assert await client.rest() == b""


async def test_a_head_at_the_limit_is_read(client: Client) -> None:
    answer = await client.request("GET", "/health", None, *["X: " + "x" * 4000] * 4)
    assert answer.status == 200


@pytest.mark.parametrize(
    "head",
    [
        b"GET /" + b"x" * 20000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 20000 + b"\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: a\r\n" + b"A: b\r\n" * 3000 + b"\r\n",
        b"GET /health HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 1_000_000,
        b"POST /increment HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: "
        + b"x" * 30000,
    ],
)
async def test_a_head_beyond_the_limit_is_refused(client: Client, head: bytes) -> None:
    await client.send(head)
    answer = await client.response()
    assert answer.status == 431
    assert "16384 bytes" in answer.detail
    assert await client.rest() == b""


@pytest.mark.parametrize("limits", [{"head_timeout": 0.1}], indirect=True)
@pytest.mark.parametrize("start", [b"GE", b"GET /heal", b"GET /health HTTP/1.1\r\nHost: a\r\nX: "])
async def test_a_slow_head_is_a_408(client: Client, limits: Limits, start: bytes) -> None:
    await client.send(start)
    assert (await client.response()).status == 408
    assert await client.rest() == b""


@pytest.mark.parametrize("limits", [{"head_timeout": 0.2}], indirect=True)
async def test_a_head_that_drips_is_a_408(client: Client, limits: Limits) -> None:
    assert (await client.request("GET", "/health")).status == 200
    answer = asyncio.create_task(client.response())
    await client.send(b"GET /health HTTP/1.1\r\nHost: a\r\n")
    while not answer.done():
        await client.send(b"A: b\r\n")
        await asyncio.wait([answer], timeout=0.02)
    assert (await answer).status == 408


@pytest.mark.parametrize("limits", [{"body_timeout": 0.1}], indirect=True)
async def test_a_slow_body_is_a_408(client: Client, limits: Limits) -> None:
    await client.send(b"POST /increment HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n{}")
    assert "body" in (await client.response()).detail
    assert await client.rest() == b""


@pytest.mark.parametrize("limits", [{"idle_timeout": 0.1}], indirect=True)
async def test_an_idle_connection_is_closed_silently(client: Client, limits: Limits) -> None:
    assert (await client.request("GET", "/health")).status == 200
    assert await client.rest() == b""


@pytest.mark.parametrize("limits", [{"idle_timeout": 0.1, "head_timeout": 0.1}], indirect=True)
async def test_a_slow_commit_is_not_the_clients_fault(
    client: Client, backend: FakeBackend, limits: Limits
) -> None:
    backend.paused = True
    await client.send(b"POST /increment HTTP/1.1\r\nHost: a\r\n\r\nGET /count HTT")
    answer = asyncio.create_task(client.response())
    await asyncio.wait([answer], timeout=0.3)
    assert not answer.done()
    backend.commit()
    assert (await answer).status == 200
