"""Long answers: in pieces and by parts, between which everybody else is served."""

from __future__ import annotations

import asyncio
import json

import pytest

from gossipd.core import Refused, Why
from gossipd.sideport.limits import Limits
from gossipd.sideport.port import SidePort
from gossipd.sideport.streaming import ROWS_AT_ONCE

from .conftest import Connect
from .fake import Client, FakeBackend, until

MANY = 20_000
NAMES = [f"counter-{number:05}" for number in range(MANY)]


def many(backend: FakeBackend) -> None:
    backend.values = {name: number for number, name in enumerate(NAMES)}


@pytest.mark.parametrize("count", [0, 1, ROWS_AT_ONCE - 1, ROWS_AT_ONCE, ROWS_AT_ONCE + 1, 500])
async def test_a_list_is_whole_however_many_pieces_it_takes(
    client: Client, backend: FakeBackend, count: int
) -> None:
    backend.values = dict.fromkeys(NAMES[:count], 2**60)
    answer = await client.request("GET", "/counters")
    assert answer.json == backend.values
    head = await client.request("HEAD", "/counters")
    assert head.status == 200
    assert head.headers.keys() == answer.headers.keys()
    assert (await client.request("GET", "/health")).body == b"OK\n"


@pytest.mark.parametrize("count", [0, ROWS_AT_ONCE, 500])
async def test_a_text_list_is_whole_and_ends_with_an_empty_line(
    client: Client, backend: FakeBackend, count: int
) -> None:
    backend.values = dict.fromkeys(NAMES[:count], 5)
    await client.send(b"counters\nping\n")
    assert await client.lines() == [f"{name}\t5" for name in NAMES[:count]]
    assert await client.line() == "pong"


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("limit=2", NAMES[:2]),
        ("prefix=counter-0001", NAMES[10:20]),
        ("prefix=counter-0001&limit=3", NAMES[10:13]),
        ("after=counter-19997", NAMES[19998:]),
        ("after=counter-19997x", NAMES[19998:]),
        ("prefix=counter-0001&after=counter-00017", NAMES[18:20]),
        ("prefix=x", []),
        ("after=", NAMES),
    ],
)
async def test_parts_of_a_list_may_be_asked_for(
    client: Client, backend: FakeBackend, query: str, names: list[str]
) -> None:
    many(backend)
    answer = await client.request("GET", f"/counters?{query}")
    assert isinstance(answer.json, dict)
    assert list(answer.json) == names
    await client.send(b"GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert (await client.response()).status == 200


async def test_the_same_parts_are_had_as_text(client: Client, backend: FakeBackend) -> None:
    many(backend)
    await client.send(
        b"counters prefix=counter-0001 after=counter-00017 limit=1\nmembers after=n1\n"
    )
    assert await client.lines() == ["counter-00018\t18"]
    assert [line.split()[0] for line in await client.lines()] == ["node-2"]
    await client.send(
        b"members limit=1\nmembers prefix=x\nlog 2 prefix=two limit=2\nlog prefix=two 2\n"
    )
    assert len(await client.lines()) == 1
    assert await client.lines() == []
    assert await client.line() == "error: limit is given twice"
    assert len(await client.lines()) == 2


@pytest.mark.parametrize("path", ["/counters", "/members"])
@pytest.mark.parametrize(
    "query", ["limit=0", "limit=x", "limit=", "prefix=" + "x" * 129, "limit=1&limit=2", "first=3"]
)
async def test_what_makes_no_part_is_refused(client: Client, path: str, query: str) -> None:
    assert (await client.request("GET", f"{path}?{query}")).status == 400


async def test_the_log_takes_a_number_or_the_id_of_an_increment_to_go_on_behind(
    client: Client, backend: FakeBackend
) -> None:
    for wrong in ("x", "-1", "1.5", "0" * 17):
        assert (await client.request("GET", f"/log?after={wrong}")).status == 400
    assert (await client.request("GET", "/log?after=17&limit=1")).status == 200
    await client.send(b"GET /log?limit=1&after=%d HTTP/1.1\r\nHost: a\r\n\r\n" % 2**53)
    assert (await client.response()).status == 200
    assert backend.asked == [("", 17), ("", 2**53)]
    backend.log_refusal = Refused(Why.UNKNOWN, "no recent increment has the id")
    answer = await client.request("GET", "/log?after=00000000-0000-8000-8000-000000000009")
    assert answer.status == 404
    await client.send(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n")
    assert (await client.response()).status == 200


async def test_others_are_served_while_a_long_answer_is_made(
    connect: Connect, backend: FakeBackend
) -> None:
    many(backend)
    long, other = await connect(), await connect()
    answer = asyncio.create_task(long.request("GET", "/counters"))
    served = 0
    while not answer.done():
        assert (await other.request("GET", "/count?counter=counter-00007")).status == 200
        served += 1
    assert served >= 3
    assert (await answer).json == backend.values


async def test_no_more_is_made_than_a_client_takes(
    port: SidePort, connect: Connect, backend: FakeBackend
) -> None:
    slow = await connect()
    slow.writer.transport.pause_reading()  # type: ignore[attr-defined]
    await slow.send(b"GET /log?limit=1000 HTTP/1.1\r\nHost: a\r\n\r\n" * 60)
    other = await connect()
    before = -1
    while before != backend.listed:
        before = backend.listed
        for _ in range(20):
            assert (await other.request("GET", "/health")).status == 200
    assert backend.listed < 60_000
    slow.writer.transport.resume_reading()  # type: ignore[attr-defined]
    for _ in range(60):
        assert len(json.loads((await slow.response()).body)) == 1000
    assert backend.listed >= 60_000


async def test_http_1_0_gets_a_list_without_chunks_until_the_end(
    connect: Connect, backend: FakeBackend
) -> None:
    backend.values = dict.fromkeys(NAMES[:500], 5)
    client = await connect()
    await client.send(b"GET /counters HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    head, _, body = (await client.rest()).partition(b"\r\n\r\n")
    assert b"connection: close" in head.lower()
    assert b"transfer-encoding" not in head.lower()
    assert json.loads(body) == backend.values


@pytest.mark.parametrize("limits", [{"write_timeout": 0.2}], indirect=True)
async def test_a_list_that_nobody_takes_is_cut(
    port: SidePort, connect: Connect, backend: FakeBackend, limits: Limits
) -> None:
    many(backend)
    client = await connect()
    client.writer.transport.pause_reading()  # type: ignore[attr-defined]
    await client.send(b"GET /counters HTTP/1.1\r\nHost: a\r\n\r\n" * 40)
    await until(lambda: port.connection_count == 0)


async def test_a_list_that_breaks_off_ends_the_connection_within_it(
    client: Client, backend: FakeBackend, caplog: pytest.LogCaptureFixture
) -> None:
    many(backend)
    backend.breaks_at = NAMES[1000]
    await client.send(b"GET /counters HTTP/1.1\r\nHost: a\r\n\r\n" * 2)
    rest = await client.rest()
    assert rest.startswith(b"HTTP/1.1 200 OK\r\n")
    assert not rest.endswith(b"0\r\n\r\n")
    assert b"counter-00900" in rest
    assert rest.count(b"HTTP/1.1") == 1
    assert "an answer broke off" in caplog.text
    caplog.clear()


@pytest.mark.parametrize(
    ("method", "target", "body", "members"),
    [
        ("GET", "/count?counter=a", None, {"count"}),
        ("POST", "/increment?counter=a", None, {"count"}),
        ("POST", "/increment?counter=a&ack=1", None, {"count"}),
        ("GET", "/counters?prefix=a", None, {"a"}),
        ("GET", "/log?limit=1", None, {"count", "by"}),
        ("POST", "/increments?", b'{"counter": "a"}', {"count"}),
        ("PUT", "/sources/x/a?", b'{"seq": 1, "total": 9007199254740993}', {"total"}),
    ],
)
async def test_counts_may_be_had_as_strings(
    client: Client,
    backend: FakeBackend,
    method: str,
    target: str,
    body: bytes | None,
    members: set[str],
) -> None:
    backend.values = {"a": 2**53}
    target += "" if target.endswith("?") else "&" if "?" in target else "?"
    for counts in (str, int):
        name = "string" if counts is str else "number"
        answer = await client.request(method, f"{target}counts={name}", body)
        assert answer.status == 200
        found = answer.json[0] if isinstance(answer.json, list) else answer.json
        assert isinstance(found, dict)
        assert {type(found[member]) for member in members} == {counts}
        others = {"by", "seq", "number"} - members
        assert all(type(found[other]) is int for other in others if other in found)
    for bad in ("strings", "", "1"):
        assert (await client.request(method, f"{target}counts={bad}", body)).status == 400


async def test_calls_without_counts_do_not_know_the_field(client: Client) -> None:
    for path in ("/members", "/status", "/health", "/join"):
        assert (await client.request("GET", f"{path}?counts=string")).status == 400
