"""Asking a daemon: an answer, a refusal, or nobody there."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from gossipd.client import Client, NoAnswerError, RefusedError
from gossipd.endpoint import Endpoint
from tests.unit.fake_daemon import FakeDaemon, fake_daemon


@pytest.fixture
def daemon() -> Iterator[FakeDaemon]:
    with fake_daemon() as fake:
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
    assert answer.field("count") == 3
    assert answer.items() == [("counter", "a"), ("count", 3)]
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
    assert Client(Endpoint("", int(daemon.address[10:])), timeout=5).get("/").entries() == [1]


def test_ipv6_is_spoken() -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as listener:
        client = Client(Endpoint("::1", listener.getsockname()[1]), timeout=0.1)
        with pytest.raises(NoAnswerError, match=r"no answer from \[::1\]:\d+ within 0\.1 s"):
            client.get("/count")


@pytest.mark.parametrize(
    ("problem", "said"),
    [
        ({"title": "Bad", "detail": "by must not be 0"}, "by must not be 0"),
        ({"title": "Bad"}, "Bad"),
        ({}, "HTTP 400"),
    ],
)
def test_a_refusal_says_why(
    daemon: FakeDaemon, client: Client, problem: dict[str, str], said: str
) -> None:
    daemon.refuses(400, **problem)
    with pytest.raises(RefusedError, match=f"^{said}$"):
        client.get("/count")


def test_an_error_of_any_shape_is_a_refusal(daemon: FakeDaemon, client: Client) -> None:
    daemon.answers(["?"], status=500)
    with pytest.raises(RefusedError, match="HTTP 500"):
        client.get("/count")


def test_an_answer_of_another_shape_is_a_refusal(daemon: FakeDaemon, client: Client) -> None:
    daemon.answers({"a": 1})
    answer = client.get("/")
    with pytest.raises(RefusedError, match="no 'count'"):
        answer.field("count")
    with pytest.raises(RefusedError, match="not a list"):
        answer.records()
    daemon.answers([{"a": 1}, 2])
    answer = client.get("/")
    assert answer.records() == [{"a": 1}]
    with pytest.raises(RefusedError, match="not an object"):
        answer.items()


@pytest.mark.parametrize("body", [b"<html>", b"\xff", b""])
def test_what_is_no_json_is_no_daemon(daemon: FakeDaemon, client: Client, body: bytes) -> None:
    daemon.body = body
    with pytest.raises(RefusedError, match="does not answer like gossipd"):
        client.get("/count")


@pytest.mark.parametrize("reply", [b"SSH-2.0-x\r\n", b"HTTP/1.1 abc\r\n\r\n"])
def test_what_speaks_no_http_is_no_daemon(reply: bytes) -> None:
    with _says(reply) as client, pytest.raises(RefusedError, match="does not answer like gossipd"):
        client.get("/count")


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


def test_a_connection_that_takes_too_long_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def connect(*_: object, **__: object) -> None:
        raise TimeoutError

    monkeypatch.setattr(socket, "create_connection", connect)
    with pytest.raises(NoAnswerError, match=r"at 10\.0\.0\.1:1 \(timed out\)"):
        Client(Endpoint("10.0.0.1", 1), timeout=1).get("/count")


def test_what_the_connection_took_is_not_waited_for_again(
    daemon: FakeDaemon, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[socket.socket] = []
    clock = [100.0]
    create = socket.create_connection

    def slowly(address: tuple[str, int], *others: Any) -> socket.socket:
        made.append(create(address, *others))
        clock[0] += 2
        return made[0]

    monkeypatch.setattr(socket, "create_connection", slowly)
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    client.get("/count")
    assert [connection.gettimeout() for connection in made] == [3]


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
        (503, True, True), (504, False, True),
    ],
)  # fmt: skip
def test_only_503_passes_and_only_errors_of_the_daemon_leave_a_doubt(
    daemon: FakeDaemon, client: Client, status: int, passing: bool, doubtful: bool
) -> None:
    daemon.refuses(status, count=3)
    with pytest.raises(RefusedError) as refusal:
        client.post("/increment", by=1)
    told = refusal.value
    assert (told.passing, told.doubtful) == (passing, doubtful)
    assert (told.status, told.problem) == (status, {"status": status, "count": 3})
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
    assert client.post_lines("/increments", b'{"by":1}\n{"by":2}\n').entries() == [1, 2]
    assert daemon.requests == [("POST", "/increments", [{"by": 1}, {"by": 2}])]


@pytest.mark.parametrize("reply", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"])
def test_a_daemon_that_dies_is_no_answer(reply: bytes) -> None:
    with _says(reply) as client, pytest.raises(NoAnswerError, match="closed the connection"):
        client.get("/count")


@pytest.mark.parametrize("host", ["no-such-host.invalid", "x" * 64 + ".example", "a..b"])
def test_a_name_that_does_not_resolve_is_a_refusal(host: str) -> None:
    with pytest.raises(RefusedError, match="cannot resolve"):
        Client(Endpoint(host, 1), timeout=5).get("/count")
