"""Asking a running daemon over HTTP: one request, one connection, one of three outcomes.

An answer, `RefusedError` (somebody answered and did not do it) or `NoAnswerError` (nobody did).
Knows nothing of the command line. Light to import, for it is most of what a client command does.
"""

from __future__ import annotations

import http.client
import json
import socket
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from gossipd.endpoint import Endpoint

LOOPBACK = "127.0.0.1"


class RefusedError(Exception):
    """The daemon refused, or what answered is no gossipd; the text says why."""


class NoAnswerError(Exception):
    """No daemon answered; the text says what was tried."""


@dataclass(frozen=True, slots=True)
class Answer:
    text: str
    """The body as it came, without newlines at its end."""

    data: Any
    """The same, decoded."""

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
        """`timeout`: seconds for the connection, and again for each wait for data."""
        self._api = Endpoint(api.host or LOOPBACK, api.port)
        self._timeout = timeout

    def get(self, path: str, **query: object) -> Answer:
        """Raises `RefusedError` and `NoAnswerError`, like `post`."""
        return self._call("GET", f"{path}?{urlencode(query)}" if query else path, None)

    def post(self, path: str, **fields: object) -> Answer:
        return self._call("POST", path, json.dumps(fields).encode() if fields else None)

    def _call(self, method: str, target: str, body: bytes | None) -> Answer:
        connection = http.client.HTTPConnection(
            self._api.host, self._api.port, timeout=self._timeout
        )
        try:
            self._connect(connection)
            status, answered = self._exchange(connection, method, target, body)
        finally:
            connection.close()
        return self._answer(status, answered)

    def _connect(self, connection: http.client.HTTPConnection) -> None:
        try:
            connection.connect()
        except (socket.gaierror, UnicodeError) as error:
            reason = (error.strerror if isinstance(error, OSError) else "") or str(error)
            raise RefusedError(f"cannot resolve {self._api.host!r}: {reason}") from None
        except OSError as error:
            timed_out = isinstance(error, TimeoutError)
            reason = "timed out" if timed_out else error.strerror or str(error)
            raise NoAnswerError(
                f"no daemon answers at {self._api} ({reason.lower()}); "
                "is it running? try: gossipd run"
            ) from None

    def _exchange(
        self, connection: http.client.HTTPConnection, method: str, target: str, body: bytes | None
    ) -> tuple[int, bytes]:
        doubt = "; it may have been done all the same" if method == "POST" else ""
        headers = {"Accept": "application/json", "Connection": "close"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        try:
            connection.request(method, target, body, headers)
            response = connection.getresponse()
            return response.status, response.read()
        except TimeoutError:
            raise NoAnswerError(
                f"no answer from {self._api} within {self._timeout:g} s{doubt}"
            ) from None
        except (OSError, http.client.RemoteDisconnected, http.client.IncompleteRead):
            raise NoAnswerError(
                f"{self._api} closed the connection before it had answered{doubt}"
            ) from None
        except http.client.HTTPException:
            raise self._stranger() from None

    def _answer(self, status: int, body: bytes) -> Answer:
        try:
            text = body.decode().strip()
            data = json.loads(text)
        except ValueError:
            raise self._stranger(status) from None
        if 200 <= status < 300:
            return Answer(text, data)
        problem = data if isinstance(data, dict) else {}
        raise RefusedError(str(problem.get("detail") or problem.get("title") or f"HTTP {status}"))

    def _stranger(self, status: int | None = None) -> RefusedError:
        said = f" (HTTP {status})" if status else ""
        return RefusedError(f"what listens at {self._api} does not answer like gossipd{said}")
