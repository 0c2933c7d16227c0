"""Asking a running daemon over HTTP: one request, one connection, one of three outcomes.

An answer, `RefusedError` (somebody answered and did not do it) or `NoAnswerError` (nobody did).
Knows nothing of the command line. Light to import, for it is most of what a client command does.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.client import (
    HTTPConnection,
    HTTPException,
    IncompleteRead,
    RemoteDisconnected,
)
from types import MappingProxyType
from typing import Any
from urllib.parse import urlencode

from gossipd.endpoint import Endpoint

LOOPBACK = "127.0.0.1"
JSON = "application/json"
JSON_LINES = "application/x-ndjson"

SHORTEST_WAIT = 0.01
"""Seconds left for an answer at least, however long the connection took."""


class AskingError(Exception):
    """Asked in vain; the text says why."""

    def __init__(
        self, text: str, reason: str = "", *, passing: bool = False, doubtful: bool = False
    ) -> None:
        super().__init__(text)
        self.reason = reason or text
        """The text for where the address stands beside it."""

        self.passing = passing
        """Whether another node, or this one later, may do it."""

        self.doubtful = doubtful
        """Whether it may have been done all the same."""

        self.retry_after = 0.0
        """Seconds for which the daemon asks to be left alone."""


class NoAnswerError(AskingError):
    """No daemon answered; the text says what was tried."""


class RefusedError(AskingError):
    """The daemon refused, or what answered is no gossipd."""

    status: int | None = None
    """That of HTTP."""

    problem: Mapping[str, Any] = MappingProxyType({})
    """The fields of a problem (RFC 9457)."""

    @classmethod
    def of(cls, status: int, data: object, retry_after: str, changing: bool) -> RefusedError:
        """That of an answer which is a problem; `changing`: to what was to change something."""
        problem = data if isinstance(data, dict) else {}
        refused = cls(
            str(problem.get("detail") or problem.get("title") or f"HTTP {status}"),
            passing=status == HTTPStatus.SERVICE_UNAVAILABLE,
            doubtful=changing and status >= HTTPStatus.INTERNAL_SERVER_ERROR,
        )
        refused.status, refused.problem = status, problem
        if retry_after.isascii() and retry_after.isdigit():
            refused.retry_after = float(retry_after)
        return refused


class UnresolvedError(RefusedError):
    """The name of the host has no address, for now (`passing`) or at all."""


@dataclass(frozen=True, slots=True)
class Answer:
    text: str
    """The body as it came, without newlines at its end."""

    data: Any
    """The same, decoded."""

    status: int = HTTPStatus.OK

    def field(self, name: str) -> Any:
        """A field of an answer that is an object. Raises `RefusedError` when it is not there."""
        if not isinstance(self.data, dict) or name not in self.data:
            raise RefusedError(f"the answer has no {name!r}; is this another version of gossipd?")
        return self.data[name]

    def items(self) -> list[tuple[str, Any]]:
        """The fields of an answer that is an object."""
        if not isinstance(self.data, dict):
            raise RefusedError("the answer is not an object; is this another version of gossipd?")
        return list(self.data.items())

    def entries(self) -> list[Any]:
        """The entries of an answer that is a list."""
        if not isinstance(self.data, list):
            raise RefusedError("the answer is not a list; is this another version of gossipd?")
        return self.data

    def records(self) -> list[dict[str, Any]]:
        """The entries of an answer that is a list of objects."""
        return [entry for entry in self.entries() if isinstance(entry, dict)]


class Client:
    def __init__(self, api: Endpoint, timeout: float) -> None:
        """`timeout`: seconds until data comes; what the connection took of it is also missing in
        each further wait for data."""
        self._api = Endpoint(api.host or LOOPBACK, api.port)
        self.timeout = timeout

    def get(self, path: str, **query: object) -> Answer:
        """Raises `RefusedError` and `NoAnswerError`, like all that ask."""
        return self._call("GET", f"{path}?{urlencode(query)}" if query else path, None, JSON)

    def post(self, path: str, **fields: object) -> Answer:
        return self._call("POST", path, json.dumps(fields).encode() if fields else None, JSON)

    def post_lines(self, path: str, lines: bytes) -> Answer:
        """Post JSON lines."""
        return self._call("POST", path, lines, JSON_LINES)

    def _call(self, method: str, target: str, body: bytes | None, kind: str) -> Answer:
        changing = method != "GET"
        headers = {"Accept": JSON, "Connection": "close"}
        if body is not None:
            headers["Content-Type"] = kind
        connection = HTTPConnection(self._api.host, self._api.port, timeout=self.timeout)
        begun_at = time.monotonic()
        try:
            self._connect(connection)
            left = self.timeout - (time.monotonic() - begun_at)
            connection.sock.settimeout(max(left, SHORTEST_WAIT))
            connection.request(method, target, body, headers)
            response = connection.getresponse()
            answered = response.read()
        except (OSError, HTTPException) as error:
            raise self._broken(error, changing) from None
        finally:
            connection.close()
        text, data = self._decoded(response.status, answered)
        if 200 <= response.status < 300:
            return Answer(text, data, response.status)
        retry_after = response.headers.get("Retry-After", "")
        raise RefusedError.of(response.status, data, retry_after, changing)

    def _connect(self, connection: HTTPConnection) -> None:
        try:
            connection.connect()
        except (socket.gaierror, UnicodeError) as error:
            reason = (error.strerror if isinstance(error, OSError) else "") or str(error)
            text = f"cannot resolve {self._api.host!r}: {reason}"
            for_now = isinstance(error, OSError) and error.errno == socket.EAI_AGAIN
            raise UnresolvedError(text, passing=for_now) from None
        except OSError as error:
            timed_out = isinstance(error, TimeoutError)
            reason = ("timed out" if timed_out else error.strerror or str(error)).lower()
            text = f"no daemon answers at {self._api} ({reason}); is it running? try: gossipd run"
            raise NoAnswerError(text, reason, passing=True) from None

    def _broken(self, error: OSError | HTTPException, changing: bool) -> AskingError:
        if isinstance(error, TimeoutError):
            within = f"within {self.timeout:.3g} s"
            text, reason = f"no answer from {self._api} {within}", f"no answer {within}"
        elif isinstance(error, OSError | RemoteDisconnected | IncompleteRead):
            reason = "closed the connection before it had answered"
            text = f"{self._api} {reason}"
        else:
            return self._stranger()
        return NoAnswerError(text, reason, passing=True, doubtful=changing)

    def _decoded(self, status: int, body: bytes) -> tuple[str, Any]:
        try:
            text = body.decode().strip()
            return text, json.loads(text)
        except ValueError:
            raise self._stranger(status) from None

    def _stranger(self, status: int | None = None) -> RefusedError:
        said = f"does not answer like gossipd{f' (HTTP {status})' if status else ''}"
        return RefusedError(f"what listens at {self._api} {said}", said)
