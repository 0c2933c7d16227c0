"""Counts that wait for an increment, and increments that wait for other nodes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket

import pytest

from gossipd.core import Refused, Why
from gossipd.sideport.connection import Connection
from gossipd.sideport.port import SidePort

from .conftest import Connect
from .fake import (
    KEY,
    Client,
    FakeBackend,
    increment_id,
    until,
)

ID = increment_id(7)

TIMEOUTS = [
    ('"2s"', 2.0),
    ('"500ms"', 0.5),
    ('"1.5"', 1.5),
    ('"0.25s"', 0.25),
    ('"0"', 0.0),
    ("3", 3.0),
    ("0.5", 0.5),
    ("60", 60.0),
    ('"60s"', 60.0),
    ('"60000ms"', 60.0),
]
BAD_TIMEOUTS = [
    '"2m"', '"-1s"', "-1", '""', '"s"', '"1e1"', '" 2s"', '"2 s"', '"inf"', '"nan"', '"0x2"',
    '"."', '"1."', '"61s"', "61", "1e400", '"99999999999s"', "true", "null", "[]", '"\u0662s"',
]  # fmt: skip


@pytest.mark.parametrize(("text", "seconds"), TIMEOUTS)
async def test_timeouts_are_numbers_or_text_with_a_unit(
    client: Client, backend: FakeBackend, text: str, seconds: float
) -> None:
    body = f'{{"ack": 1, "timeout": {text}}}'.encode()
    assert (await client.request("POST", "/increment", body)).status == 200
    ((_, _, _, left),) = backend.asked
    assert isinstance(left, float)
    assert 0 <= left <= seconds + 1e-6  # a difference of two large floats
    query = json.loads(text)
    assert (await client.request("GET", f"/count?after={ID}&timeout={query}")).status == 200
    assert backend.asked[1] == (ID, "default", seconds)


@pytest.mark.parametrize("text", BAD_TIMEOUTS)
async def test_a_bad_timeout_is_refused(client: Client, backend: FakeBackend, text: str) -> None:
    for fields in (f'{{"ack": 1, "timeout": {text}}}', f'{{"timeout": {text}}}'):
        answer = await client.request("POST", "/increment", fields.encode())
        assert answer.status == 400
        assert "timeout must be 0 to 60 seconds" in answer.detail
    assert (backend.started, backend.asked) == ([], [])


async def test_a_count_after_an_increment_waits_for_it(
    client: Client, backend: FakeBackend
) -> None:
    backend.slow = True
    await client.send(f"GET /count?counter=a&after={ID} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    await until(lambda: len(backend.waits) == 1)
    assert backend.asked == [(ID, "a", 2.0)]
    backend.values["a"] = 5
    end(backend, True)
    answer = await client.response()
    assert (answer.status, answer.json) == (200, {"counter": "a", "count": 5})


async def test_a_count_whose_increment_does_not_come_is_a_504_with_the_count(
    client: Client, backend: FakeBackend
) -> None:
    backend.values["a"] = 5
    backend.included_at_once = False
    answer = await client.request("GET", f"/count?counter=a&after={ID}&timeout=500ms")
    assert answer.status == 504
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json == {
        "title": "Gateway Timeout",
        "status": 504,
        "detail": f"increment {ID} has not come to this node within 0.5s; "
        "the count without it is 5",
        "counter": "a",
        "count": 5,
    }
    target = f"/count?counter=a&after={ID}&timeout=1ms&counts=string"
    assert b'"count": "5"' in (await client.request("GET", target)).body


@pytest.mark.parametrize("after", ["", "x", str(ID).replace("-", ""), str(KEY)])
async def test_a_count_after_what_is_no_increment_is_refused(client: Client, after: str) -> None:
    assert (await client.request("GET", f"/count?after={after}")).status == 400
    assert (await client.request("GET", "/count")).status == 200


async def test_a_count_after_an_increment_is_refused_while_the_node_catches_up(
    client: Client, backend: FakeBackend
) -> None:
    backend.reason = "not yet"
    answer = await client.request("GET", f"/count?after={ID}")
    assert (answer.status, backend.asked) == (503, [])
    assert answer.headers["retry-after"] == "1"


async def test_head_of_a_count_that_waits_has_no_body(client: Client) -> None:
    assert (await client.request("HEAD", f"/count?after={ID}")).status == 200
    assert (await client.request("GET", "/health")).body == b"OK\n"


async def test_a_wait_that_the_daemon_breaks_off_is_a_503(
    client: Client, backend: FakeBackend
) -> None:
    backend.slow = True
    await client.send(f"GET /count?after={ID} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    await until(lambda: len(backend.waits) == 1)
    backend.waits[0].cancel()
    assert (await client.response()).status == 503
    assert (await client.request("GET", "/health")).status == 200


@pytest.mark.parametrize(("copies", "status"), [(1, 202), (2, 200), (3, 200)])
async def test_an_acknowledged_increment_tells_how_many_nodes_hold_it(
    client: Client, backend: FakeBackend, copies: int, status: int
) -> None:
    backend.copies = copies
    answer = await client.request("POST", f"/increment?counter=a&by=3&ack=2&key={KEY}")
    assert answer.status == status
    assert answer.json == {
        "id": str(increment_id(3)),
        "counter": "a",
        "by": 3,
        "count": 3,
        "duplicate": False,
        "acks": copies,
    }
    ((increment, wanted, memory, left),) = backend.asked
    assert (increment, wanted, memory) == (increment_id(3), 2, False)
    assert isinstance(left, float)
    assert 0 <= left <= 2
    assert backend.keys == [KEY]


@pytest.mark.parametrize(
    ("query", "body", "memory"),
    [
        ("&ack_memory=true", None, True),
        ("&ack_memory=false", None, False),
        ("", b'{"ack_memory": true}', True),
        ("", b'{"ack_memory": false}', False),
    ],
)
async def test_nodes_in_memory_count_when_asked_for(
    client: Client, backend: FakeBackend, query: str, body: bytes | None, memory: bool
) -> None:
    assert (await client.request("POST", f"/increment?ack=1{query}", body)).status == 200
    assert backend.asked[0][2] is memory


@pytest.mark.parametrize(
    "body",
    [
        '{"ack": 0}', '{"ack": 65}', '{"ack": -1}', '{"ack": 1.0}', '{"ack": "2"}',
        '{"ack": true}', '{"ack": null}', '{"ack": 1, "ack_memory": 1}',
        '{"ack": 1, "ack_memory": "true"}', '{"ack_memory": null}',
    ],
)  # fmt: skip
async def test_bad_wishes_for_acknowledgement_are_refused(
    client: Client, backend: FakeBackend, body: str
) -> None:
    answer = await client.request("POST", "/increment", body.encode())
    assert (answer.status, backend.started) == (400, [])
    assert "ack" in answer.detail


@pytest.mark.parametrize("query", ["ack=", "ack=x", "ack=0", "ack_memory=yes", "ack_memory="])
async def test_bad_wishes_in_a_query_are_refused(
    client: Client, backend: FakeBackend, query: str
) -> None:
    answer = await client.request("POST", f"/increment?{query}")
    assert (answer.status, backend.started) == (400, [])


@pytest.mark.parametrize("unstartable", [False, True])
async def test_an_increment_that_fails_is_not_acknowledged(
    client: Client, backend: FakeBackend, unstartable: bool
) -> None:
    refused = Refused(Why.CONFLICT, "out of range")
    backend.unstartable, backend.refusal = (refused, None) if unstartable else (None, refused)
    await client.send(b"POST /increment?ack=2 HTTP/1.1\r\nHost: a\r\n\r\n" * 2)
    for _ in range(2):
        answer = await client.response()
        assert (answer.status, answer.detail) == (409, "out of range")
    assert backend.asked == []


async def test_an_increment_counted_by_a_daemon_that_cannot_tell_who_holds_it_is_a_202(
    client: Client, backend: FakeBackend
) -> None:
    backend.broken = True
    answer = await client.request("POST", "/increment?ack=1")
    assert answer.status == 202
    assert isinstance(answer.json, dict)
    assert answer.json["acks"] == 0


async def test_waiting_for_the_commit_takes_from_the_timeout(
    client: Client, backend: FakeBackend
) -> None:
    backend.paused = True
    await client.send(b"POST /increment?ack=2&timeout=50ms HTTP/1.1\r\nHost: a\r\n\r\n")
    await until(lambda: len(backend.waiting) == 1)
    loop = asyncio.get_running_loop()
    due = loop.time() + 0.06
    await until(lambda: loop.time() > due)
    backend.commit()
    assert (await client.response()).status == 202
    assert backend.asked[0][3] == 0.0


async def test_increments_around_an_acknowledged_one_share_its_commit_and_answer_in_order(
    client: Client, backend: FakeBackend
) -> None:
    backend.paused = backend.slow = True
    post, acknowledged = b"POST /increment%b HTTP/1.1\r\nHost: a\r\n\r\n", b"?ack=2"
    requests = [post % b"", post % acknowledged, post % b"", post % acknowledged]
    await client.send(b"".join(requests) + b"GET /count HTTP/1.1\r\nHost: a\r\n\r\n")
    await until(lambda: len(backend.waiting) == 4)
    backend.commit()
    assert (await client.response()).status == 200
    await until(lambda: len(backend.waits) == 2)
    backend.waits.reverse()
    end(backend, 2)
    first = asyncio.create_task(client.response())
    await asyncio.sleep(0)
    end(backend, 1)
    assert (await first).status == 202
    statuses = [(await client.response()).status for _ in range(3)]
    assert statuses == [200, 200, 200]
    assert [by for _, by in backend.started] == [1, 1, 1, 1]


async def test_nothing_is_started_past_a_count_that_waits(
    client: Client, backend: FakeBackend
) -> None:
    backend.slow = True
    await client.send(
        (
            f"GET /count?after={ID} HTTP/1.1\r\nHost: a\r\n\r\n"
            "POST /increment HTTP/1.1\r\nHost: a\r\n\r\n"
        ).encode()
        * 2
    )
    for number in range(1, 3):
        await until(lambda number=number: len(backend.asked) == number)  # type: ignore[misc]
        assert len(backend.started) == number - 1
        end(backend, True)
        answer = await client.response()
        assert answer.json == {"counter": "default", "count": number - 1}
        assert (await client.response()).status == 200


async def test_a_connection_that_waits_holds_up_no_other(
    connect: Connect, backend: FakeBackend
) -> None:
    backend.slow = True
    waiting, other = await connect(), await connect()
    await waiting.send(f"GET /count?after={ID} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    await until(lambda: len(backend.waits) == 1)
    assert (await other.request("POST", "/increment")).status == 200
    end(backend, True)
    assert (await waiting.response()).json == {"counter": "default", "count": 1}


@pytest.mark.parametrize(
    "request_line", [f"GET /count?after={ID} HTTP/1.1", "POST /increment?ack=2 HTTP/1.1"]
)
async def test_a_wait_is_dropped_when_the_client_goes_away(
    port: SidePort, connect: Connect, backend: FakeBackend, request_line: str
) -> None:
    backend.slow = True
    client = await connect()
    await client.send(f"{request_line}\r\nHost: a\r\n\r\n".encode())
    await until(lambda: len(backend.waits) == 1)
    client.reset()
    await until(lambda: port.connection_count == 0)
    await until(lambda: backend.waits[0].cancelled())


async def test_an_increment_goes_on_when_the_client_that_wanted_it_acknowledged_goes_away(
    port: SidePort, connect: Connect, backend: FakeBackend
) -> None:
    backend.paused = True
    client = await connect()
    await client.send(b"POST /increment?ack=2 HTTP/1.1\r\nHost: a\r\n\r\n" * 2)
    await until(lambda: len(backend.waiting) == 2)
    client.reset()
    await until(lambda: port.connection_count == 0)
    backend.commit(1)
    assert backend.values == {"default": 1}
    backend.refusal = Refused(Why.UNAVAILABLE, "leaving")
    backend.commit()
    assert backend.asked == []


@pytest.mark.parametrize("limits", [{"presence_interval": 0.01}], indirect=True)
@pytest.mark.parametrize("times", [1, 200])
@pytest.mark.parametrize(
    "said",
    [
        f"GET /count?after={ID} HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST /increment?ack=2 HTTP/1.1\r\nHost: a\r\n\r\n",
        f"count after={ID}\n",
        "increment ack=2\n",
    ],
)
async def test_a_wait_is_dropped_when_the_client_has_closed(
    port: SidePort, connect: Connect, backend: FakeBackend, said: str, times: int
) -> None:
    """Also where it has said more than is read, so that nothing is read from it any more."""
    backend.slow = True
    client = await connect()
    await client.send(said.encode() * times)
    await until(lambda: len(backend.waits) > 0)
    await client.close()
    await until(lambda: port.connection_count == 0)
    await until(lambda: all(wait.cancelled() for wait in backend.waits))


@pytest.mark.parametrize("limits", [{"presence_interval": 0.01}], indirect=True)
async def test_a_half_closed_client_is_asked_for_a_sign_beside_what_it_reads(
    port: SidePort, backend: FakeBackend
) -> None:
    backend.slow = True
    client = await asyncio.to_thread(socket.create_connection, port.addresses[0])
    with client:
        client.setblocking(False)
        client.send(f"count after={ID}\n".encode())
        client.shutdown(socket.SHUT_WR)

        def was_touched() -> bool:
            with contextlib.suppress(OSError):
                return len(client.recv(1, socket.MSG_OOB)) == 1
            return False

        await until(was_touched)
        end(backend, True)
        assert await asyncio.get_running_loop().sock_recv(client, 100) == b"0\n"


@pytest.mark.parametrize("limits", [{"presence_interval": 0.01}], indirect=True)
async def test_a_half_closed_client_that_reads_late_reads_nothing_but_its_answers(
    port: SidePort, backend: FakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend.slow = True
    looks, look = list[float](), Connection.look

    def count(connection: Connection, now: float) -> None:
        looks.append(now)
        look(connection, now)

    monkeypatch.setattr(Connection, "look", count)
    client = await asyncio.to_thread(socket.create_connection, port.addresses[0])
    with client:
        client.setblocking(False)
        client.send(f"count\ncount after={ID}\n".encode())
        client.shutdown(socket.SHUT_WR)
        await until(lambda: len(looks) > 6)
        end(backend, True)
        await until(lambda: port.connection_count == 0)
        assert b"".join(iter(lambda: client.recv(100), b"")) == b"0\n0\n"


async def test_a_half_closed_client_gets_the_answers_it_waits_for(
    client: Client, backend: FakeBackend
) -> None:
    backend.slow = True
    await client.send(f"count after={ID}\nincrement ack=2\n".encode())
    client.half_close()
    await until(lambda: len(backend.waits) == 1)
    end(backend, True)
    await until(lambda: len(backend.waits) == 1)
    end(backend, 2)
    assert await client.rest() == b"0\n1\n"


async def test_stopping_cuts_who_waits_for_too_long(
    port: SidePort, client: Client, backend: FakeBackend
) -> None:
    backend.slow = True
    await client.send(f"GET /count?after={ID}&timeout=60s HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    await until(lambda: len(backend.waits) == 1)
    await port.stop(0.05)
    assert port.connection_count == 0
    await until(lambda: backend.waits[0].cancelled())


def end(backend: FakeBackend, result: int) -> None:
    """End the oldest wait."""
    wait: asyncio.Future[int] | asyncio.Future[bool] = backend.waits.pop(0)
    wait.set_result(result)  # type: ignore[arg-type]
