"""Following a daemon over one connection."""

from __future__ import annotations

from typing import NoReturn

import pytest

from gossipd.client import Client, NoAnswerError, RefusedError, StrangerError, stream
from gossipd.client.stream import Event, Stream
from gossipd.config.endpoint import Endpoint
from tests.unit.cli.teller import HEAD, WAITS, Teller, refusal, teller, told

MANY = [told("increment", {"n": number}, number) for number in range(50)]


def begin(made: Teller, last: str = "") -> Stream:
    query = [("counter", "a b"), ("counter", "c")]
    return Stream(Client(Endpoint("127.0.0.1", made.port), 10.0), "/events", query, last)


def read(found: Stream, events: list[Event], wait: float = 10.0) -> NoReturn:
    """To the end, which raises."""
    try:
        while True:
            events += found.events(wait)
    finally:
        found.close()


def until_the_end(found: Stream) -> list[Event]:
    events: list[Event] = []
    with pytest.raises(NoAnswerError, match="closed the connection") as raised:
        read(found, events)
    assert raised.value.passing
    return events


@pytest.mark.parametrize("size", [1, 7, 1000, 10**6])
def test_events_are_read_however_they_come(size: int) -> None:
    whole = HEAD + b"9\r\nretry: 10\r\n2\r\n\n\n\r\n" + b"".join(MANY)
    parts = [whole[at : at + size] for at in range(0, len(whole), size)]
    with teller(parts) as made:
        found = begin(made)
        assert until_the_end(found) == [Event("increment", {"n": n}) for n in range(50)]
        assert found.last == "x-49"
    assert made.heads[0].startswith("GET /events?counter=a+b&counter=c HTTP/1.1\r\n")
    assert "Last-Event-ID" not in made.heads[0]


def test_a_heartbeat_tells_where_to_go_on_and_is_no_event() -> None:
    beat = b": heartbeat\nid: x-7\n\n: heartbeat\nid: x-8\n"  # the last one is not whole
    with teller([HEAD + b"%x\r\n%b\r\n" % (len(beat), beat)]) as made:
        found = begin(made, last="x-3")
        assert until_the_end(found) == []
        assert found.last == "x-7"
    assert "\r\nLast-Event-ID: x-3\r\n" in made.heads[0]


def test_an_event_that_is_not_whole_was_not_told() -> None:
    with teller([HEAD, MANY[0], MANY[1][:-10]]) as made:
        found = begin(made)
        assert until_the_end(found) == [Event("increment", {"n": 0})]
        assert found.last == "x-0"


def test_who_refuses_is_heard() -> None:
    with (
        teller([refusal(503, "too many")]) as made,
        pytest.raises(RefusedError, match="too many") as raised,
    ):
        begin(made)
    assert raised.value.passing


@pytest.mark.parametrize(
    "reply",
    [
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
        b"SSH-2.0-OpenSSH_9.2\r\n",
    ],
)
def test_who_tells_no_events_is_a_stranger(reply: bytes) -> None:
    with teller([reply]) as made, pytest.raises(StrangerError):
        begin(made)


def test_who_hangs_up_at_once_does_not_answer() -> None:
    with teller([b""]) as made, pytest.raises(NoAnswerError):
        begin(made)


@pytest.mark.parametrize(
    "line",
    [
        *(b"data: {\n\n", b"data: 7\n\n", b"data: \xff\n\n"),
        *(b"data: " + b"x" * 200, b"data: \n" * 50),
    ],
)
def test_what_is_no_event_is_a_strangers(monkeypatch: pytest.MonkeyPatch, line: bytes) -> None:
    monkeypatch.setattr(stream, "EVENT_SIZE_MAX", 100)
    with teller([HEAD, b"%x\r\n%b\r\n" % (len(line), line)]) as made:
        found = begin(made)
        with pytest.raises(StrangerError):
            read(found, [])


def test_what_breaks_the_protocol_is_a_strangers() -> None:
    with teller([HEAD, b"no size\r\n"]) as made, pytest.raises(StrangerError):
        read(begin(made), [])


def test_who_is_silent_for_long_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "SILENCE_MAX", 0.03)
    with teller([HEAD, WAITS]) as made:
        found = begin(made)
        with pytest.raises(NoAnswerError, match="has been silent for") as raised:
            read(found, [], 0.01)
    assert raised.value.passing
