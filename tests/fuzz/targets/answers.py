"""What a client of the side port is answered, by whoever listens there.

Whatever comes, it is gossipd's answer or an `AskingError` that says in one line that it is none.
In pieces it is the same, but for events that come in one piece with what is none.
"""

from __future__ import annotations

import json
import socket
import zlib
from collections.abc import Callable, Iterable
from random import Random

from gossipd.client.answers import AskingError
from gossipd.client.requests import Client
from gossipd.client.stream import Stream
from gossipd.config.endpoint import Endpoint
from tests.fuzz.conversation import split
from tests.fuzz.target import Broken, Target


class Canned(Client):
    """A client whose daemon has said all already, in these pieces."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        super().__init__(Endpoint("127.0.0.1", 1), 5.0)
        self._pieces = pieces

    def _connected(self) -> socket.socket:
        ours, self._theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._theirs.setblocking(False)
        for piece in self._pieces:
            self._theirs.send(piece)
        self._theirs.shutdown(socket.SHUT_WR)
        return ours

    def end(self) -> None:
        """Close the daemon's end."""
        self._theirs.close()


def take(data: bytes) -> bool:
    """As the answer to a question, to an increment, and as a stream of events."""
    rng = Random(zlib.crc32(data))
    pieces = split(data, rng)
    if len(pieces) > 100:  # the kernel takes no more
        pieces = [data[: len(data) // 2], data[len(data) // 2 :]]
    taken = False
    for ask in (_get, _post, _follow):
        whole = _answer(ask, [data] if data else [])
        parts = _answer(ask, pieces)
        if parts[: len(whole)] != whole:
            raise Broken(f"in pieces {parts}, not {whole}")
        taken |= len(whole) > 1
    return taken


def _answer(ask: Callable[[Client], list[object]], pieces: list[bytes]) -> list[object]:
    client = Canned(pieces)
    try:
        return ask(client)
    finally:
        client.end()


def _get(client: Client) -> list[object]:
    try:
        answer = client.get("/counters")
        return [repr(answer.items(int)), answer.status]
    except AskingError as error:
        return [_checked(error)]


def _post(client: Client) -> list[object]:
    try:
        found = client.post("/increment", by=1).fields(id=str, counter=str, by=int, count=int)
        return [repr(found), 0]
    except AskingError as error:
        return [(error.doubtful, _checked(error))]


def _follow(client: Client) -> list[object]:
    told: list[object] = []
    stream = None
    try:
        stream = Stream(client, "/events", ())
        while True:
            told += map(repr, stream.events(5.0))
    except AskingError as error:
        _checked(error)
        return told
    finally:
        if stream is not None:
            stream.close()


def _checked(error: AskingError) -> str:
    if len(str(error)) > 8000:
        raise Broken(f"it is told at length: {error}") from error
    return str(error)


def _http(body: bytes, kind: str, status: str = "200 OK", more: str = "") -> bytes:
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n{more}\r\n"
    )
    return head.encode() + body


_COUNTED = {"id": "00", "counter": "a", "by": 1, "count": 2, "duplicate": False}
_PROBLEM = {"title": "Service Unavailable", "status": 503, "detail": "not counted: leaving"}
_EVENTS = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"15\r\nretry: 1000\n\nevent: a\r\n"
    b"2f\r\n\nid: 1-2\ndata: {\"visits\": 10}\n\n: heartbeat\nid:7\n\n\r\n"
    b"0\r\n\r\n"
)  # fmt: skip


def seeds() -> Iterable[bytes]:
    """Good answers, and such of others."""
    yield _http(json.dumps({"a": 1, "b": 2}).encode(), "application/json")
    yield _http(json.dumps(_COUNTED).encode(), "application/json")
    problem = json.dumps(_PROBLEM).encode()
    retry = "Retry-After: 1\r\nDate: Sun, 29 Nov 2026 20:00:00 GMT\r\n"
    yield _http(problem, "application/problem+json", "503 Service Unavailable", retry)
    yield _http(b"<html>", "text/html")
    yield b"HTTP/1.1 100 Continue\r\n\r\n" + _http(b"{}", "application/json")
    yield _EVENTS
    yield b"HTTP/1.0 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: {}\n\ndata: 1\n\n"
    yield b"-ERR what?\r\n"


ANSWERS = Target(
    take=take,
    seeds=seeds,
    pieces=(
        b"HTTP/1.1 ", b"200 OK\r\n", b"503 x\r\n", b"101 x\r\n", b"Content-Length: 3\r\n", b"\r\n",
        b"Transfer-Encoding: chunked\r\n", b"Connection: upgrade\r\nUpgrade: x\r\n", b"\n\n", b"0",
        b"data: {}\n\n", b"data:", b"id: ", b"event: ", b"retry: 1\n", b'"', b"{", b"}",
        b"[" * 900, b"9" * 5000,
        b"1e999", b"NaN", b"\xff", b"\\ud800", b"null", b"true", b"-", b": \n", b"\r",
        b"Retry-After: 9", b"Content-Type: application/problem+json\r\n", b'"status": 503', b"\0",
    ),
    size_max=12_000,
)  # fmt: skip
