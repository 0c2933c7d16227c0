"""What a daemon tells for as long as somebody listens: one connection, Server-Sent Events.

A daemon says something every few seconds, if only that it lives; one that is silent for longer is
taken for gone. What cannot be read is none of gossipd's. `last` is where to go on behind the last
event that was read, on this connection or the next.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any, NamedTuple
from urllib.parse import urlencode

from gossipd.client.answers import NoAnswerError, StrangerError, decoded
from gossipd.client.connecting import Deadline, receive
from gossipd.client.exchange import NoHttpError, Response
from gossipd.client.requests import Client

EVENTS = "text/event-stream"

_READ = f"{EVENTS}, application/problem+json"
"""What is read of an answer. Who reads events alone, as browsers do, is told of a refusal by
one."""

SILENCE_MAX = 45.0
"""Seconds without a byte after which a daemon is gone: it sends something every 15."""

EVENT_SIZE_MAX = 4 * 1024 * 1024
"""Bytes of one event, or of a line of it."""

_READ_SIZE = 64 * 1024


class Event(NamedTuple):
    kind: str
    data: dict[str, Any]


class Stream:
    """What one daemon tells, from now on."""

    def __init__(
        self, client: Client, path: str, query: Iterable[tuple[str, str]], last: str = ""
    ) -> None:
        """Raises `AskingError` where it is not begun."""
        self.api = client.api
        self.last = last
        self._rest = b""
        self._kind, self._id = "", last
        self._data: list[str] = []
        self._size = 0
        """Of the lines of these, about."""
        self._response = Response()
        self._heard_at = time.monotonic()
        target = f"{path}?{urlencode(list(query))}" if query else path
        fields = (f"Last-Event-ID: {last}",) if last else ()
        self._connection = client.begin(target, _READ, fields)
        try:
            self._open(client)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._connection.close()

    def events(self, wait: float) -> list[Event]:
        """What is told within so many seconds, as soon as there is something. Raises
        `NoAnswerError` when it ends, and `StrangerError`."""
        response = self._response
        if told := self._told():  # it came with the head
            return told
        try:
            data = receive(self._connection, _READ_SIZE, Deadline(wait))
            self._heard_at = time.monotonic()
            if not data:
                raise NoAnswerError(f"{self.api} closed the connection", passing=True)
            response.feed(data)
        except TimeoutError:
            if time.monotonic() - self._heard_at > SILENCE_MAX:
                text = f"{self.api} has been silent for {SILENCE_MAX:g} s"
                raise NoAnswerError(text, passing=True) from None
            return []
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise NoAnswerError(f"lost {self.api} ({reason})", passing=True) from None
        except NoHttpError as error:
            raise self._strange(str(error)) from None
        return self._told()

    def _open(self, client: Client) -> None:
        """Read its head."""
        response = self._response
        while not response.has_head or (response.content_type != EVENTS and not response.complete):
            client.read_more(self._connection, response)
        if response.status != HTTPStatus.OK or response.content_type != EVENTS:
            client.answer(response, changing=False)
            raise self._strange("does not tell events")

    def _told(self) -> list[Event]:
        *lines, self._rest = (self._rest + self._response.take()).split(b"\n")
        if len(self._rest) > EVENT_SIZE_MAX:
            raise self._strange("sent an event without end")
        try:
            told = [self._take(line.decode().removesuffix("\r")) for line in lines]
        except ValueError:
            raise self._strange("sent what is no event") from None
        return [event for event in told if event is not None]

    def _take(self, line: str) -> Event | None:
        if not line:
            return self._end()
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match name:
            case "event":
                self._kind = value
            case "data":
                self._data.append(value)
                self._size += len(line)
                if self._size > EVENT_SIZE_MAX:
                    raise ValueError(name)
            case "id":
                self._id = value
        return None

    def _end(self) -> Event | None:
        self.last = self._id
        kind, told = self._kind, self._data
        self._kind, self._data, self._size = "", [], 0
        if not told:
            return None
        data = decoded("\n".join(told))
        if not isinstance(data, dict):
            raise ValueError(kind)
        return Event(kind, data)

    def _strange(self, said: str) -> StrangerError:
        return StrangerError(f"what listens at {self.api} {said}", said, doubtful=False)
