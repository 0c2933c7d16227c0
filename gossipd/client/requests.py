"""Asking one daemon: what is sent, and what to make of whatever comes back."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from urllib.parse import urlencode

from gossipd.client.answers import (
    Answer,
    AskingError,
    NoAnswerError,
    RefusedError,
    StrangerError,
    UnresolvedError,
    UntrustedError,
    decoded,
    problem_of,
    seconds,
)
from gossipd.client.connecting import AddressInfo, Deadline, connect, connect_here, resolve, send
from gossipd.client.credentials import NONE, Credentials
from gossipd.client.exchange import NoHttpError, Response, exchange, read_more
from gossipd.config.endpoint import LOCALHOST, LOOPBACK, Endpoint, Https
from gossipd.config.unix import ApiAddress, UnixSocket

JSON = "application/json"
JSON_LINES = "application/x-ndjson"


class Client:
    """One daemon, to be asked now. What asks raises `AskingError`."""

    def __init__(self, api: ApiAddress, timeout: float, credentials: Credentials = NONE) -> None:
        """`timeout`: seconds from now for everything that is asked of it."""
        self._credentials = credentials
        self.api = api
        if isinstance(api, Endpoint) and not api.host:
            self.api = Endpoint(LOOPBACK, api.port)
        self.timeout = timeout
        self._deadline = Deadline(timeout)

    def get(self, path: str, **query: object) -> Answer:
        return self._call("GET", f"{path}?{urlencode(query)}" if query else path, None, JSON)

    def post(self, path: str, **fields: object) -> Answer:
        return self._call("POST", path, json.dumps(fields).encode() if fields else b"", JSON)

    def post_lines(self, path: str, lines: bytes) -> Answer:
        """Post JSON lines."""
        return self._call("POST", path, lines, JSON_LINES)

    def _call(self, method: str, target: str, body: bytes | None, kind: str) -> Answer:
        changing = method != "GET"
        with self._connected() as connection, self._told(changing):
            request = self._request(method, target, body, kind)
            response = exchange(connection, request, self._deadline)
        return self.answer(response, changing)

    def begin(self, target: str, accept: str, fields: Sequence[str]) -> socket.socket:
        """A connection on which a GET was sent, with these header fields; `read_more` reads what
        comes back."""
        connection = self._connected()
        try:
            with self._told(changing=False):
                request = self._request("GET", target, None, accept, fields)
                send(connection, request, self._deadline)
        except BaseException:
            connection.close()
            raise
        return connection

    def read_more(self, connection: socket.socket, response: Response) -> None:
        """Receive a part of an answer."""
        with self._told(changing=False):
            read_more(connection, response, self._deadline)

    @contextmanager
    def _told(self, changing: bool) -> Iterator[None]:
        """What goes wrong, in the words of the interface."""
        try:
            yield
        except OSError as error:
            raise self._broken(error, changing) from None
        except NoHttpError as error:
            raise self._stranger(str(error), changing) from None

    def _connected(self) -> socket.socket:
        api = self.api
        try:
            if isinstance(api, UnixSocket):
                return connect_here(api.path, self._deadline)
            connection = connect(self._resolved(api), self._deadline)
        except OSError as error:
            timed_out = isinstance(error, TimeoutError)
            reason = ("timed out" if timed_out else error.strerror or str(error)).lower()
            if isinstance(error, PermissionError):
                text = f"this user may not use {api} ({reason})"
                raise NoAnswerError(text, reason, passing=True) from None
            text = f"no daemon answers at {api} ({reason}); is it running? try: gossipd run"
            raise NoAnswerError(text, reason, passing=True) from None
        return self._secured(connection, api) if isinstance(api, Https) else connection

    def _secured(self, connection: socket.socket, api: Https) -> socket.socket:
        from gossipd.client.secure import UnusableError, secured  # of no use to most

        try:
            return secured(connection, api.host, self._credentials, self._deadline)
        except UnusableError as error:
            connection.close()
            raise UntrustedError(str(error)) from None
        except OSError as error:
            connection.close()
            raise self._broken(error, changing=False) from None

    def _resolved(self, api: Endpoint) -> list[AddressInfo]:
        try:
            return resolve(api.host, api.port, self._deadline)
        except (OSError, UnicodeError) as error:
            raise self._unresolved(api.host, error) from None

    def _request(
        self,
        method: str,
        target: str,
        body: bytes | None,
        kind: str,
        fields: Sequence[str] = (),
    ) -> bytes:
        head = [
            f"{method} {target} HTTP/1.1",
            f"Host: {_host(self.api)}",
            f"Accept: {JSON if method != 'GET' else kind}",
            "Accept-Encoding: identity",
            "Connection: close",
            *self._credentials.fields,
            *fields,
        ]
        if body:
            head.append(f"Content-Type: {kind}")
        if body is not None:
            head.append(f"Content-Length: {len(body)}")
        return "\r\n".join([*head, "", ""]).encode() + (body or b"")

    def answer(self, response: Response, changing: bool) -> Answer:
        """What an answer that is whole says. Raises `AskingError`."""
        try:
            text = response.body.decode().strip()
            data = decoded(text)
        except ValueError:
            raise self._unlike(response, changing) from None
        if 200 <= response.status < 300:
            wait = seconds(response.retry_after)
            return Answer(text, data, response.status, changing, response.date, wait)
        problem = problem_of(response, data)
        if problem is None:
            raise self._unlike(response, changing)
        raise RefusedError.of(response, problem, changing)

    def _unresolved(self, host: str, error: Exception) -> UnresolvedError:
        if isinstance(error, TimeoutError):
            reason = f"no answer within {self.timeout:.3g} s"
        else:
            reason = (error.strerror if isinstance(error, OSError) else "") or str(error)
        for_now = isinstance(error, TimeoutError) or (
            isinstance(error, OSError) and error.errno == socket.EAI_AGAIN
        )
        return UnresolvedError(f"cannot resolve {host!r}: {reason}", passing=for_now)

    def _broken(self, error: OSError, changing: bool) -> AskingError:
        said = self._said_of_tls(error)
        if said is not None:
            return UntrustedError(f"{self.api} {said}", said)
        if isinstance(error, TimeoutError):
            within = f"within {self.timeout:.3g} s"
            text, reason = f"no answer from {self.api} {within}", f"no answer {within}"
        else:
            reason = "closed the connection before it had answered"
            text = f"{self.api} {reason}"
        return NoAnswerError(text, reason, passing=True, doubtful=changing)

    def _said_of_tls(self, error: OSError) -> str | None:
        if not isinstance(self.api, Https):
            return None
        from gossipd.client.secure import said

        return said(error)

    def _unlike(self, response: Response, changing: bool) -> StrangerError:
        error = self._stranger(f"does not answer like gossipd (HTTP {response.status})", changing)
        error.status = response.status
        error.retry_after = seconds(response.retry_after)
        return error

    def _stranger(self, said: str, changing: bool) -> StrangerError:
        return StrangerError(f"what listens at {self.api} {said}", said, doubtful=changing)


def _host(api: ApiAddress) -> str:
    """Of a URL."""
    if isinstance(api, UnixSocket):
        return LOCALHOST  # a host has to be named
    host, _, _zone = api.host.partition("%")
    # Without the scheme.
    return str(Endpoint(host if host.isascii() else host.encode("idna").decode(), api.port))
