"""Batches: an answer for each line, limits of their own, and a loop that is never held."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence

import pytest

from gossipd.config.bounds import ITEM_SIZE_MAX, ITEMS_MAX
from gossipd.core import Item, Refused, Why
from gossipd.sideport.batch import answer_batch
from gossipd.sideport.limits import Limits
from gossipd.sideport.operations import OPERATIONS
from gossipd.sideport.port import SidePort
from gossipd.sideport.turns import Turns

from .conftest import Connect
from .fake import (
    KEY,
    Client,
    FakeBackend,
    Response,
    increment_id,
    until,
)

BATCH = next(operation for operation in OPERATIONS if operation.batch)

LARGE = b'{"counter": "a", "by": 2}' + b" " * 375 + b"\n"
"""A line of 401 bytes: 10,000 of them are a batch of almost 4 MiB."""


def rows(answer: Response) -> list[dict[str, object]]:
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    found = answer.json
    assert isinstance(found, list)
    return found


async def test_each_line_of_a_batch_is_answered_in_order(
    client: Client, backend: FakeBackend
) -> None:
    lines = [
        '{"counter": "a", "by": 2}',
        "",
        '{"by": 0}',
        " \t\r",
        f'{{"key": "{KEY}", "counter": "h\\u00e9"}}\r',
        '{"counter": "full"}',
        "{}",
    ]
    answer = rows(await client.request("POST", "/increments", "\n".join(lines).encode()))
    assert [row.get("count", row.get("status")) for row in answer] == [2, 400, 1, 409, 1]
    assert answer[0] == {
        "id": str(increment_id(2)),
        "counter": "a",
        "by": 2,
        "count": 2,
        "duplicate": False,
    }
    assert answer[1] == {"title": "Bad Request", "status": 400, "detail": "by must not be 0"}
    assert answer[3] == {"title": "Conflict", "status": 409, "detail": "out of range"}
    assert backend.items == [
        Item("a", 2),
        Item("hé", 1, KEY.bytes),
        Item("full", 1),
        Item("default", 1),
    ]
    assert len(backend.batches) == 1


@pytest.mark.parametrize("body", [None, b"", b"\n", b" \r\n\n\t\n"])
async def test_an_empty_batch_has_no_answers(
    client: Client, backend: FakeBackend, body: bytes | None
) -> None:
    assert rows(await client.request("POST", "/increments", body)) == []
    assert backend.batches == []


@pytest.mark.parametrize(
    ("line", "status", "detail"),
    [
        (b'{"by": 1', 400, "the line is not JSON"),
        (b"[1]", 400, "the line must be a JSON object"),
        (b"\xff", 400, "the line is not JSON"),
        (b"\xef\xbb\xbf{}", 400, "send UTF-8 without a byte order mark"),
        (b"\0", 400, "send UTF-8 without a byte order mark; this is marked, or UTF-16"),
        (b"{}{}", 400, "--data-binary keeps them"),
        (b"[" * ITEM_SIZE_MAX, 400, "the line is not JSON"),
        (b'{"by": 1, "by": 2}', 400, "twice"),
        (b'{"by": 1.5}', 400, "must be an integer"),
        (b'{"counter": "\\ud800"}', 400, "valid Unicode"),
        (b'{"key": ""}', 400, "a key is a UUID"),
        (f'{{"key": "{increment_id(1)}"}}'.encode(), 400, "version 8"),
        (b'{"ack": 2}', 400, "unknown field 'ack'; known here: by, counter, key"),
        (b"{}" + b" " * (ITEM_SIZE_MAX - 1), 413, "at most 4096 bytes"),
    ],
)
async def test_a_bad_line_costs_its_own_answer_only(
    client: Client, backend: FakeBackend, line: bytes, status: int, detail: str
) -> None:
    body = b"{}\n" + line + b'\n{"by": 2}'
    first, bad, last = rows(await client.request("POST", "/increments", body))
    assert (first["count"], last["count"]) == (1, 3)
    assert bad["status"] == status
    assert detail in str(bad["detail"])


async def test_a_batch_of_bad_lines_asks_the_daemon_nothing(
    client: Client, backend: FakeBackend
) -> None:
    answer = rows(await client.request("POST", "/increments", b"x\ny\n"))
    assert [row["status"] for row in answer] == [400, 400]
    assert backend.batches == []


async def test_a_full_batch_is_counted_and_one_line_more_is_refused_whole(
    client: Client, backend: FakeBackend
) -> None:
    body = LARGE * ITEMS_MAX
    answer = rows(await client.request("POST", "/increments", body + b"\n\n"))
    assert [row["count"] for row in answer] == list(range(2, 2 * ITEMS_MAX + 1, 2))
    refused = await client.request("POST", "/increments", body + b"x\n")
    assert refused.status == 413
    assert "at most 10000 increments" in refused.detail
    assert len(backend.batches) == 1
    assert (await client.request("GET", "/count?counter=a")).json == {
        "counter": "a",
        "count": 2 * ITEMS_MAX,
    }


async def test_a_batch_has_a_limit_of_its_own_and_other_calls_keep_theirs(
    client: Client, connect: Connect, backend: FakeBackend
) -> None:
    most = 4 * 1024 * 1024
    assert rows(await client.request("POST", "/increments", b"{}\n" + b"\n" * (most - 3)))
    answer = await client.request("POST", "/increments", b"\n" * (most + 1))
    assert (answer.status, "4194304 bytes" in answer.detail) == (413, True)
    assert await client.rest() == b""
    for target in ("/increment", "/increments/x", "/increments%zz", "/join", "/nowhere"):
        other = await connect()
        answer = await other.request("POST", target, b" " * (64 * 1024 + 1))
        assert (answer.status, "65536 bytes" in answer.detail) == (413, True)
        assert await other.rest() == b""
    assert len(backend.batches) == 1


async def test_a_batch_may_come_in_chunks_after_100_continue(client: Client) -> None:
    await client.send(
        b"POST http://127.0.0.1/increment%73 HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n"
    )
    assert (await client.response()).status == 100
    chunk = LARGE * 40
    for _ in range(10):
        await client.send(b"%x\r\n%b\r\n" % (len(chunk), chunk))
    await client.send(b"0\r\n\r\nGET /count?counter=a HTTP/1.1\r\nHost: a\r\n\r\n")
    assert len(rows(await client.response())) == 400
    assert (await client.response()).json == {"counter": "a", "count": 800}


async def test_a_chunked_batch_beyond_the_limit_is_refused(
    client: Client, backend: FakeBackend
) -> None:
    chunk = b"10000\r\n" + b"\n" * 65536 + b"\r\n"
    await client.send(
        b"POST /increments HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk * 65
    )
    assert (await client.response()).status == 413
    assert await client.rest() == b""
    assert backend.batches == []


async def test_a_batch_as_a_whole_can_be_refused(client: Client, backend: FakeBackend) -> None:
    backend.unstartable = Refused(Why.UNAVAILABLE, "leaving", 1)
    answer = await client.request("POST", "/increments", b"{}\n{}\n")
    assert (answer.status, answer.detail) == (503, "leaving")
    assert answer.headers["retry-after"] == "1"


@pytest.mark.parametrize("headers", [[f"Idempotency-Key: {KEY}"]])
async def test_a_batch_takes_no_key_for_all_its_lines(
    client: Client, backend: FakeBackend, headers: Sequence[str]
) -> None:
    answer = await client.request("POST", "/increments", b"{}", *headers)
    assert (answer.status, backend.batches) == (400, [])
    answer = await client.request("POST", "/increments?counter=a", b"{}")
    assert (answer.status, backend.batches) == (400, [])


async def test_answers_around_a_batch_keep_their_order(
    client: Client, backend: FakeBackend
) -> None:
    backend.slow = True
    post = b"POST /increment HTTP/1.1\r\nHost: a\r\n\r\n"
    body = b'{"by": 10}\n{"by": 10}\n'
    batch = b"POST /increments HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%b" % (
        len(body),
        body,
    )
    await client.send((post + batch) * 2 + post)
    for number in range(1, 3):
        await until(lambda number=number: len(backend.batches) == number)  # type: ignore[misc]
        assert len(backend.started) == number
        backend.batches[-1].set_result(backend.count_all())
    single = [await client.response() for _ in range(5)]
    counts = [
        [row["count"] for row in rows(answer)]
        if isinstance(answer.json, list)
        else dict(answer.json)["count"]  # type: ignore[call-overload]
        for answer in single
    ]
    assert counts == [1, [11, 21], 22, [32, 42], 43]


async def test_a_batch_that_was_taken_is_counted_though_its_client_goes_away(
    port: SidePort, connect: Connect, backend: FakeBackend
) -> None:
    backend.slow = True
    client = await connect()
    await client.send(b"POST /increments HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}")
    await until(lambda: len(backend.batches) == 1)
    client.reset()
    await until(lambda: port.connection_count == 0)
    assert not backend.batches[0].cancelled()
    backend.batches[0].set_exception(Refused(Why.UNAVAILABLE, "leaving"))


async def test_a_half_closed_client_gets_the_answers_to_its_batch(client: Client) -> None:
    await client.send(b"POST /increments HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n{}\n{}")
    client.half_close()
    assert len(rows(await client.response())) == 2
    assert await client.rest() == b""


async def test_others_get_their_turn_while_a_batch_is_read_and_answered() -> None:
    backend = FakeBackend()
    backend.slow = True
    turns = {"reading": 0, "writing": 0}
    batch = asyncio.ensure_future(answer_batch(BATCH, backend, Turns(), LARGE * ITEMS_MAX))
    while not batch.done():
        turns["writing" if backend.batches else "reading"] += 1
        if backend.batches and not backend.batches[0].done():
            backend.batches[0].set_result(backend.count_all())
        await asyncio.sleep(0)
    assert len(json.loads(batch.result())) == ITEMS_MAX
    assert turns["reading"] > 3
    assert turns["writing"] > 3


@pytest.mark.parametrize("limits", [{"pending_max": 1000}], indirect=True)
async def test_no_second_large_batch_is_read_before_the_first_is_answered(
    client: Client, backend: FakeBackend, limits: Limits
) -> None:
    backend.slow = True
    body = LARGE * 1000
    batch = b"POST /increments HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%b" % (
        len(body),
        body,
    )
    flood = asyncio.create_task(client.send(batch * 200))
    for number in range(1, 4):
        await until(lambda number=number: len(backend.batches) == number)  # type: ignore[misc]
        assert not flood.done(), "80 MB do not fit into what the system buffers"
        backend.batches[-1].set_result(backend.count_all())
        assert len(rows(await client.response())) == 1000
    flood.cancel()
    client.writer.transport.abort()


@pytest.mark.parametrize("limits", [{"batches_size_max": 1_000_000}], indirect=True)
@pytest.mark.parametrize("length", ["Content-Length: 700000", "Transfer-Encoding: chunked"])
async def test_all_connections_together_hold_a_bounded_size_of_batches(
    port: SidePort, connect: Connect, backend: FakeBackend, limits: Limits, length: str
) -> None:
    backend.slow = True
    body = LARGE * 2000
    holding = await connect()
    await holding.send(
        b"POST /increments HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    )
    await until(lambda: len(backend.batches) == 1)
    other = await connect()
    head = f"POST /increments HTTP/1.1\r\nHost: a\r\n{length}\r\nExpect: 100-continue\r\n\r\n"
    await other.send(head.encode())
    answer = await other.response()
    if answer.status == 100:
        await other.send(b"20000\r\n" + b"\n" * 0x20000 + b"\r\n")
        answer = await other.response()
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    assert answer.detail == "too many large batches at a time"
    assert await other.rest() == b""
    small = await connect()
    assert rows(await small.request("POST", "/increments", b" " * 64 * 1024)) == []
    backend.batches[0].set_result(backend.count_all())
    assert len(rows(await holding.response())) == 2000
    backend.slow = False
    assert len(rows(await small.request("POST", "/increments", body))) == 2000


@pytest.mark.parametrize("limits", [{"batches_size_max": 1_000_000}], indirect=True)
async def test_a_batch_that_never_came_makes_room_for_others(
    port: SidePort, connect: Connect, limits: Limits
) -> None:
    gone = await connect()
    await gone.send(
        b"POST /increments HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
        b"Content-Length: 900000\r\n\r\n"
    )
    assert (await gone.response()).status == 100
    body = LARGE * 2000
    assert (await (await connect()).request("POST", "/increments", body)).status == 503
    await gone.close()
    await until(lambda: port.connection_count <= 1)
    assert len(rows(await (await connect()).request("POST", "/increments", body))) == 2000


async def test_large_batches_are_counted_one_after_the_other_and_small_ones_beside_them(
    connect: Connect, backend: FakeBackend
) -> None:
    backend.slow = True
    first, second, small = [await connect() for _ in range(3)]
    large = b"{}\n" * 1000
    head = b"POST /increments HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"
    await first.send(head % len(large) + large)
    await until(lambda: len(backend.batches) == 1)
    await second.send(head % len(large) + large)
    await small.send(head % 3 + b"{}\n")
    await until(lambda: len(backend.batches) == 2)
    assert len(backend.items) == 1
    backend.batches[1].set_result([Refused(Why.UNAVAILABLE, "full", 7)])
    refused = await small.response()
    assert (refused.status, refused.headers["retry-after"]) == (503, "7")
    backend.batches[0].set_result(
        [Refused(Why.UNAVAILABLE, f"full {n % 2}", 7) for n in range(1000)]
    )
    assert {row["status"] for row in rows(await first.response())} == {503}
    await until(lambda: len(backend.batches) == 3)
    backend.batches[2].set_result([Refused(Why.UNAVAILABLE, "full", 7)] * 1000)
    assert (await second.response()).status == 503


@pytest.mark.parametrize("separator", [b"", b" ", b"\r"])
async def test_a_file_whose_line_ends_were_stripped_is_told_how_to_send_it(
    client: Client, backend: FakeBackend, separator: bytes
) -> None:
    (row,) = rows(await client.request("POST", "/increments", separator.join([b"{}"] * 3)))
    assert row["status"] == 400
    assert "curl -d strips line ends, --data-binary keeps them" in str(row["detail"])
    assert backend.batches == []


@pytest.mark.parametrize("code", ["utf-16", "utf-16-le", "utf-16-be", "utf-8-sig", "utf-32"])
async def test_what_is_no_plain_utf_8_gets_one_clear_answer(
    client: Client, backend: FakeBackend, code: str
) -> None:
    for call in ("/increments", "/increment"):
        answer = await client.request("POST", call, '{"by": 2}\n{"by": 3}\n'.encode(code))
        assert answer.status == 400
        assert "send UTF-8 without a byte order mark" in answer.detail
    assert backend.started == []
    assert backend.batches == []
