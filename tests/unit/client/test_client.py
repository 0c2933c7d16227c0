"""Asking a daemon: an answer, a refusal, or nobody there."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from gossipd.client import (
    NUMBER,
    NUMBER_OR_NONE,
    Answer,
    Client,
    NoAnswerError,
    RefusedError,
    StrangerError,
    UnresolvedError,
)
from gossipd.client.exchange import HEAD_SIZE_MAX, Response
from gossipd.config.endpoint import Endpoint
from tests.unit.cli import hostile
from tests.unit.cli.fake_daemon import FakeDaemon, fake_daemon


@pytest.fixture
def daemon() -> Iterator[FakeDaemon]:
    with fake_daemon() as fake:
        fake.echoing = False
        yield fake


@pytest.fixture
def client(daemon: FakeDaemon) -> Client:
    return Client(Endpoint.parse(daemon.address), timeout=5)


@contextmanager
def _says(reply: bytes | None) -> Iterator[Client]:
    """A listener that answers one request with these bytes; None: not at all."""
    done = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                if reply is None:
                    done.wait(10)
                else:
                    connection.sendall(reply)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield Client(Endpoint("127.0.0.1", listener.getsockname()[1]), timeout=0.2)
        finally:
            done.set()
            thread.join()


def test_an_answer_is_kept_as_text_and_as_data(daemon: FakeDaemon, client: Client) -> None:
    daemon.body = b'{"counter": "a",  "count": 3}\n'
    answer = client.get("/count", counter="a b&c=ü")
    assert answer.text == '{"counter": "a",  "count": 3}'
    assert answer.fields(counter=str, count=int) == {"counter": "a", "count": 3}
    assert daemon.requests == [("GET", "/count?counter=a+b%26c%3D%C3%BC", None)]


def test_fields_of_a_post_travel_as_json(daemon: FakeDaemon, client: Client) -> None:
    client.post("/increment", counter="ü", by=-2)
    client.post("/leave")
    assert daemon.requests == [
        ("POST", "/increment", {"counter": "ü", "by": -2}),
        ("POST", "/leave", None),
    ]


def test_an_empty_host_is_this_machine(daemon: FakeDaemon) -> None:
    daemon.answers([1])
    assert Client(Endpoint("", int(daemon.address[10:])), timeout=5).get("/").entries(int) == [1]


def test_ipv6_is_spoken() -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as listener:
        client = Client(Endpoint("::1", listener.getsockname()[1]), timeout=0.1)
        with pytest.raises(NoAnswerError, match=r"no answer from \[::1\]:\d+ within 0\.1 s"):
            client.get("/count")


def test_a_refusal_says_why(daemon: FakeDaemon, client: Client) -> None:
    daemon.refuses(400, detail="by must not be 0")
    with pytest.raises(RefusedError, match=r"^by must not be 0$"):
        client.get("/count")


OWN = {"title": "Bad Gateway", "status": 502, "detail": "no"}


@pytest.mark.parametrize(
    ("status", "data", "content_type"),
    [
        (500, ["?"], "application/problem+json"),
        (502, {}, "application/problem+json"),
        (502, OWN, "application/json"),
        (502, OWN | {"status": 503}, "application/problem+json"),
        (502, OWN | {"detail": None}, "application/problem+json"),
        (502, {"status": 502, "detail": "no"}, "application/problem+json"),
        (301, {}, "application/json"),
        (403, {"message": "Forbidden"}, "application/json"),
    ],
)
def test_an_error_that_no_daemon_tells_so_is_a_strangers_and_may_have_done_anything(
    daemon: FakeDaemon, client: Client, status: int, data: object, content_type: str
) -> None:
    daemon.answers(data, status)
    daemon.content_type = content_type
    with pytest.raises(StrangerError, match=rf"like gossipd \(HTTP {status}\)$") as told:
        client.post("/increment", by=1)
    assert (told.value.passing, told.value.doubtful) == (True, True)
    with pytest.raises(StrangerError) as told:
        client.get("/count")
    assert (told.value.passing, told.value.doubtful) == (True, False)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({}, "has no 'count'"),
        ([], "is not an object"),
        (None, "is not an object"),
        ({"count": None}, "has None for 'count'"),
        ({"count": True}, "has True for 'count'"),
        ({"count": "7"}, "has '7' for 'count'"),
        ({"count": 7.0}, r"has 7\.0 for 'count'"),
        ({"count": 2**80}, "has 1208925819614629174706176 for 'count'"),
    ],
)
def test_a_field_is_there_and_of_its_kind_or_the_answer_is_no_answer(
    data: object, said: str
) -> None:
    for changing in True, False:
        with pytest.raises(StrangerError, match=f"^the answer {said}; is this another") as told:
            Answer("", data, changing=changing).fields(count=int)
        assert (told.value.passing, told.value.doubtful) == (True, changing)


def test_lists_and_numbers_are_checked_too() -> None:
    assert Answer("", [{"at": 1.5, "more": None}]).records(at=NUMBER, rtt=NUMBER_OR_NONE)
    assert Answer("", {"a": -(2**62)}).items(int) == {"a": -(2**62)}
    assert Answer("", ["a"]).entries(str) == ["a"]
    for wrong in (
        lambda: Answer("", {}).entries(str),
        lambda: Answer("", ["a", 1]).entries(str),
        lambda: Answer("", [1]).records(at=NUMBER),
        lambda: Answer("", [{"at": float("inf")}]).records(at=NUMBER),
        lambda: Answer("", {"a": 1.5}).items(int),
    ):
        with pytest.raises(StrangerError, match="another version"):
            wrong()


@pytest.mark.parametrize(
    "body",
    [
        b"<html>",
        b"\xff",
        b"",
        b'{"a": NaN}',
        b"[" * 100_000,
        '"\ufeff"'.encode("utf-16"),
        b"9" * 5000,
    ],
)
def test_what_is_no_json_is_no_daemon(daemon: FakeDaemon, client: Client, body: bytes) -> None:
    daemon.body = body
    with pytest.raises(RefusedError, match="does not answer like gossipd"):
        client.get("/count")


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (b"SSH-2.0-x\r\n", "does not speak HTTP"),
        (b"HTTP/1.1 abc\r\n\r\n", "does not speak HTTP"),
        (b"\x15\x03\x01\x00\x02\x02\x46", "does not speak HTTP"),
        (b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", "not speak HTTP"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * HEAD_SIZE_MAX, "a head of more than 64 KiB"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 4000, "a head of more than 64 KiB"),
    ],
)
def test_what_speaks_no_http_is_no_daemon(reply: bytes, said: str) -> None:
    with _says(reply) as client, pytest.raises(StrangerError, match=said) as told:
        client.post("/increment", by=1)
    assert (told.value.passing, told.value.doubtful) == (True, True)


@pytest.mark.parametrize(
    "reply",
    [
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"1\r\n[\r\n1\r\n]\r\n0\r\nT: x\r\n\r\n",
        b"HTTP/1.0 200 OK\r\n\r\n[]",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n[]and more",
    ],
)
def test_an_answer_may_be_framed_in_any_way_of_http(reply: bytes) -> None:
    with _says(reply) as client:
        assert client.get("/peers").text == "[]"


def test_what_comes_behind_an_answer_is_none_of_it() -> None:
    """A proxy may send more than it was asked for, in the same piece."""
    response = Response()
    first = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\nRetry-After: 1\r\n\r\n{}"
    second = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nRetry-After: 9\r\n\r\n[1]"
    response.feed(first + second)
    assert response.complete
    assert (response.status, bytes(response.body), response.retry_after) == (503, b"{}", "1")


def test_nobody_listening_is_no_answer() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        with pytest.raises(NoAnswerError) as silence:
            Client(Endpoint("127.0.0.1", port), timeout=5).get("/count")
    assert str(silence.value) == (
        f"no daemon answers at 127.0.0.1:{port} (connection refused); "
        "is it running? try: gossipd run"
    )


DRIPS = {
    "status line": b"HTTP/1.1 200 ",
    "headers": b"HTTP/1.1 200 OK\r\n",
    "body": b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n",
    "chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    "interim answers": b"",
}
DRIP = {
    "status line": b"x",
    "headers": b"X-A: b\r\n",
    "body": b" ",
    "chunks": b"1\r\n \r\n",
    "interim answers": b"HTTP/1.1 100 Continue\r\n\r\n",
}


@pytest.mark.parametrize("part", DRIPS)
def test_one_deadline_holds_however_the_answer_drips(part: str) -> None:
    with hostile.dripping(DRIPS[part], DRIP[part]) as api:
        begun_at = time.monotonic()
        with pytest.raises(NoAnswerError, match=r"within 0\.5 s$"):
            Client(api, timeout=0.5).get("/count")
        assert 0.4 < time.monotonic() - begun_at < 5


def test_an_answer_without_end_is_not_taken_in() -> None:
    begin = b"HTTP/1.1 200 OK\r\n\r\n"
    with (
        hostile.dripping(begin, b" " * 2**20, every=0.0) as api,
        pytest.raises(StrangerError, match="sent more than 16 MiB"),
    ):
        Client(api, timeout=30).get("/count")


def test_sending_has_the_same_deadline() -> None:
    with hostile.deaf() as api:
        begun_at = time.monotonic()
        with pytest.raises(NoAnswerError, match=r"within 2 s$") as told:
            Client(api, timeout=2.0).post_lines("/increments", b" " * 2**25)
        assert told.value.doubtful
        assert time.monotonic() - begun_at < 20


def test_a_name_that_nobody_resolves_takes_no_longer_than_the_deadline(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ended = threading.Event()
    real = socket.getaddrinfo

    def hanging(host: str, port: int, *others: Any, **more: Any) -> Any:
        if more.get("flags") != socket.AI_NUMERICHOST:
            ended.wait(30)
        return real(host, port, *others, **more)

    monkeypatch.setattr(socket, "getaddrinfo", hanging)
    try:
        with pytest.raises(
            UnresolvedError, match=r"'web\.example': no answer within 0\.2 s"
        ) as told:
            Client(Endpoint("web.example", 1), timeout=0.2).get("/count")
        assert told.value.passing
    finally:
        ended.set()


def test_an_address_that_is_silent_leaves_time_for_the_others_of_its_name(
    daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon.answers([])
    with hostile.full() as silent:
        good = int(daemon.address.rpartition(":")[2])
        found = [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))
            for port in (silent.port, good)
        ]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        assert Client(Endpoint("two.example", 1), timeout=2).get("/peers").text == "[]"
        found.pop()
        with pytest.raises(NoAnswerError, match=r"at two\.example:1 \(timed out\)"):
            Client(Endpoint("two.example", 1), timeout=0.2).get("/peers")


def test_everything_that_is_asked_of_a_client_has_one_deadline() -> None:
    with _says(None) as client:
        with pytest.raises(NoAnswerError, match="within"):
            client.get("/count")
        with pytest.raises(NoAnswerError, match="timed out"):
            client.get("/count")


def test_a_daemon_that_hangs_is_no_answer() -> None:
    with _says(None) as client, pytest.raises(NoAnswerError, match=r"within 0\.2 s$"):
        client.get("/count")


def test_only_what_was_sent_to_change_something_is_in_doubt() -> None:
    with _says(None) as client, pytest.raises(NoAnswerError) as silence:
        client.post("/increment", by=1)
    assert (silence.value.passing, silence.value.doubtful) == (True, True)
    with _says(b"") as client, pytest.raises(NoAnswerError) as silence:
        client.get("/count")
    assert (silence.value.passing, silence.value.doubtful) == (True, False)


@pytest.mark.parametrize(
    ("status", "passing", "doubtful"),
    [
        (400, False, False), (409, False, False), (422, False, False), (500, False, True),
        (429, True, False), (503, True, True), (504, False, True),
    ],
)  # fmt: skip
def test_only_429_and_503_pass_and_only_errors_of_the_daemon_leave_a_doubt(
    daemon: FakeDaemon, client: Client, status: int, passing: bool, doubtful: bool
) -> None:
    daemon.refuses(status, count=3)
    with pytest.raises(RefusedError) as refusal:
        client.post("/increment", by=1)
    told = refusal.value
    assert (told.passing, told.doubtful) == (passing, doubtful)
    assert (told.status, told.problem["count"]) == (status, 3)
    with pytest.raises(RefusedError) as refusal:
        client.get("/count")
    assert not refusal.value.doubtful


@pytest.mark.parametrize(("header", "seconds"), [("7", 7), ("", 0), ("Sun, 06 Nov", 0)])
def test_a_daemon_may_ask_to_be_left_alone(
    daemon: FakeDaemon, client: Client, header: str, seconds: float
) -> None:
    daemon.refuses(503)
    daemon.retry_after = header
    with pytest.raises(RefusedError) as refusal:
        client.get("/count")
    assert refusal.value.retry_after == seconds


def test_lines_travel_as_they_are(daemon: FakeDaemon, client: Client) -> None:
    daemon.answers([1, 2])
    assert client.post_lines("/increments", b'{"by":1}\n{"by":2}\n').entries(int) == [1, 2]
    assert daemon.requests == [("POST", "/increments", [{"by": 1}, {"by": 2}])]


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"HTTP/1.1 200",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n[]\r\n",
    ],
)
def test_a_daemon_that_dies_before_it_has_answered_is_no_answer(reply: bytes) -> None:
    with _says(reply) as client, pytest.raises(NoAnswerError, match="closed the connection"):
        client.get("/count")


@pytest.mark.parametrize(
    "host", ["no-such-host.invalid", "ü.invalid", "x" * 64 + ".example", "a..b"]
)
def test_a_name_that_does_not_resolve_is_a_refusal(host: str) -> None:
    with pytest.raises(RefusedError, match="cannot resolve"):
        Client(Endpoint(host, 1), timeout=5).get("/count")


def test_what_a_signal_raises_while_an_answer_is_parsed_is_not_hidden() -> None:
    class Signalled(Response):
        def on_header(self, *_: object) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Signalled().feed(b"HTTP/1.1 200 OK\r\nDate: now\r\n\r\n")
