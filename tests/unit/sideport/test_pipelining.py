"""Order of answers, what is started together, and back pressure."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from gossipd.core import Refused, Why
from gossipd.sideport.limits import Limits
from gossipd.sideport.port import SidePort

from .conftest import Connect
from .fake import Client, FakeBackend, until

POST = b"POST /increment HTTP/1.1\r\nHost: a\r\n\r\n"
COUNT = b"GET /count HTTP/1.1\r\nHost: a\r\n\r\n"


async def test_increments_that_follow_each_other_share_a_commit(
    client: Client, backend: FakeBackend
) -> None:
    backend.paused = True
    await client.send(POST * 10)
    await until(lambda: len(backend.waiting) == 10)
    backend.commit()
    bodies = [(await client.response()).json for _ in range(10)]
    assert [body["count"] for body in bodies if isinstance(body, dict)] == list(range(1, 11))


async def test_answers_keep_their_order_when_commits_do_not(
    client: Client, backend: FakeBackend
) -> None:
    backend.paused = True
    await client.send(b"increment a\nincrement b\nincrement c\n")
    await until(lambda: len(backend.waiting) == 3)
    backend.waiting.reverse()
    backend.commit(2)
    backend.refusal = Refused(Why.CONFLICT, "out of range")
    backend.commit()
    assert [await client.line() for _ in range(3)] == ["error: out of range", "1", "1"]


@pytest.mark.parametrize("text", [False, True])
async def test_a_read_sees_the_increments_before_it_and_none_after(
    client: Client, backend: FakeBackend, text: bool
) -> None:
    backend.paused = True
    await client.send((b"increment\ncount\n" if text else POST + COUNT) * 3)
    for number in range(1, 4):
        await until(lambda number=number: len(backend.started) == number)  # type: ignore[misc]
        backend.commit()
    if text:
        client.half_close()
        assert await client.rest() == b"1\n1\n2\n2\n3\n3\n"
    else:
        for number in range(1, 4):
            assert (await client.response()).status == 200
            assert (await client.response()).json == {"counter": "default", "count": number}


async def test_errors_stand_in_their_place(client: Client) -> None:
    await client.send(POST + b"GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n" + POST + COUNT)
    statuses = [(await client.response()).status for _ in range(4)]
    assert statuses == [200, 404, 200, 200]


@pytest.mark.parametrize("limits", [{"pending_max": 8}], indirect=True)
async def test_no_more_is_started_than_may_be_pending(
    client: Client, backend: FakeBackend, limits: Limits
) -> None:
    backend.paused = True
    flood = asyncio.create_task(client.send(b"increment\n" * 200_000))
    await until(lambda: len(backend.waiting) >= 8)
    most = 0
    answers = asyncio.create_task(client.reader.readexactly(2 * 9))
    while not answers.done():
        most = max(most, len(backend.waiting))
        backend.commit(1)
        await asyncio.sleep(0)
    assert most <= 8 + 4096 // len("increment\n") + 1
    flood.cancel()


@pytest.mark.parametrize("limits", [{"pending_max": 8}], indirect=True)
async def test_a_long_pipeline_is_answered_whole(
    client: Client, backend: FakeBackend, limits: Limits
) -> None:
    send = asyncio.create_task(client.send(POST * 5000))
    for _ in range(5000):
        assert (await client.response()).status == 200
    await send
    assert backend.values == {"default": 5000}


@pytest.mark.parametrize("limits", [{"write_timeout": 0.3}], indirect=True)
async def test_a_client_that_does_not_read_is_cut_and_costs_no_more_answers(
    port: SidePort, connect: Connect, backend: FakeBackend, limits: Limits
) -> None:
    backend.values = {f"counter {number}": number for number in range(20_000)}
    made = 0
    answer = backend.counters

    def counted(prefix: str, after: str) -> Iterator[tuple[str, int]]:
        nonlocal made
        made += 1
        return answer(prefix, after)

    backend.counters = counted  # type: ignore[method-assign]
    client = await connect()
    client.writer.transport.pause_reading()  # type: ignore[attr-defined]
    await client.send(b"GET /counters HTTP/1.1\r\nHost: a\r\n\r\n" * 200)
    await until(lambda: made > 0)
    other = await connect()
    assert (await other.request("GET", "/health")).status == 200
    await until(lambda: port.connection_count == 1)
    assert made < 60


async def test_a_slow_reader_gets_everything(client: Client, backend: FakeBackend) -> None:
    backend.values = {f"counter {number}": number for number in range(20_000)}
    await client.send(b"GET /counters HTTP/1.1\r\nHost: a\r\n\r\n" * 30)
    for _ in range(30):
        answer = await client.response()
        assert isinstance(answer.json, dict)
        assert len(answer.json) == 20_000


async def test_a_client_that_vanishes_leaves_no_trace(
    port: SidePort, connect: Connect, backend: FakeBackend
) -> None:
    backend.paused = True
    client = await connect()
    await client.send(POST * 3 + COUNT + POST)
    await until(lambda: len(backend.waiting) == 3)
    client.reset()
    await until(lambda: port.connection_count == 0)
    backend.commit(1)
    backend.refusal = Refused(Why.UNAVAILABLE, "leaving")
    backend.commit()
    assert len(backend.started) == 3
    assert backend.values == {"default": 1}
