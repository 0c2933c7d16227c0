"""One HTTP request and the answer to it, by a deadline and within limits of size.

The answer may be anybody's, so nothing of it is kept beyond the limits: not of a head that never
ends, not of interim answers (1xx) without end, not of a body.
"""

from __future__ import annotations

import socket

from httptools import (
    HttpParserCallbackError,
    HttpParserError,
    HttpParserUpgrade,
    HttpResponseParser,
)

from gossipd.client.connecting import Deadline, receive, send

HEAD_SIZE_MAX = 64 * 1024
"""Bytes before the body, interim answers included."""

ANSWER_SIZE_MAX = 16 * 1024 * 1024
"""Bytes in all: four times what a daemon answers to a batch or sends as a page."""

_READ_SIZE = 64 * 1024


class ClosedError(OSError):
    """The connection ended before the answer did."""


class NoHttpError(Exception):
    """What came is no answer in HTTP, or one beyond the limits; the text completes a sentence."""


class Response:
    """An answer as it is received. The `on_…` methods are the parser's callbacks: what comes
    behind the answer is none of it."""

    def __init__(self) -> None:
        self.status = 0
        self.complete = False
        self.body = bytearray()
        self._headers: dict[str, str] = {}
        self._in_body = False
        self._size = 0
        self._parser = HttpResponseParser(self)

    @property
    def has_head(self) -> bool:
        """Whether its status and its fields are known."""
        return self._in_body

    @property
    def content_type(self) -> str:
        return self._headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def retry_after(self) -> str:
        return self._headers.get("retry-after", "")

    @property
    def date(self) -> str:
        return self._headers.get("date", "")

    def feed(self, data: bytes) -> None:
        """Take what came. Raises `NoHttpError`."""
        self._size += len(data)
        try:
            self._parser.feed_data(data)
        except HttpParserCallbackError as error:
            # Callbacks do not fail; but a signal may come while one runs, and the parser hides
            # what its handler raises.
            raise error.__context__ or error from None
        except (HttpParserError, HttpParserUpgrade):
            if not self.complete:
                raise NoHttpError("does not speak HTTP") from None
        if not self._in_body and self._size > HEAD_SIZE_MAX:
            raise NoHttpError(f"sent a head of more than {HEAD_SIZE_MAX // 1024} KiB")
        if self._size > ANSWER_SIZE_MAX:
            raise NoHttpError(f"sent more than {ANSWER_SIZE_MAX // 2**20} MiB")

    def take(self) -> bytes:
        """What has come of a body that does not end; what was taken counts no more."""
        taken = bytes(self.body)
        self.body.clear()
        self._size = 0
        return taken

    def end(self) -> None:
        """The connection has ended. Raises `ClosedError` where the answer has not."""
        framed = self._headers.keys() & {"content-length", "transfer-encoding"}
        if not self.complete and (not self._in_body or framed):
            raise ClosedError
        self.complete = True

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_body:
            self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        if not self.complete:
            self.status = self._parser.get_status_code()
            self._in_body = self.status >= 200

    def on_body(self, part: bytes) -> None:
        if not self.complete:
            self.body += part

    def on_message_complete(self) -> None:
        if self._in_body:
            self.complete = True
        else:
            self._headers.clear()


def exchange(connection: socket.socket, request: bytes, deadline: Deadline) -> Response:
    """Send a request and receive its answer. Raises OSError (of which are `TimeoutError` and
    `ClosedError`) and `NoHttpError`."""
    send(connection, request, deadline)
    response = Response()
    while not response.complete:
        read_more(connection, response, deadline)
    return response


def read_more(connection: socket.socket, response: Response, deadline: Deadline) -> None:
    """Receive a part of an answer. Raises the same."""
    data = receive(connection, _READ_SIZE, deadline)
    if data:
        response.feed(data)
    else:
        response.end()
