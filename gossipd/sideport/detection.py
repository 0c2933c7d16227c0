"""Which dialect a client speaks, told from the first bytes it sends.

Decided as early as it is certain: a star is the beginning of RESP, a method and a target make it
HTTP, any other complete line is text, and neither waits for more than one line. What begins like
another protocol is refused in the words of that one, and nothing of it is run. A connection never
changes its dialect again, so a browser cannot smuggle text commands into a request's body.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import Enum

from gossipd.sideport import protocols
from gossipd.sideport.dialect import Dialect
from gossipd.sideport.http_answers import CLOSE, Problem, problem
from gossipd.sideport.limits import Limits
from gossipd.sideport.pipeline import Pipeline

METHODS = (
    b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"CONNECT", b"OPTIONS", b"TRACE", b"PATCH",
)  # fmt: skip

_REQUEST_LINE = re.compile(rb"[!-~]+ +[^ \r\n]+ +HTTP/[0-9]")
_REQUEST_START = re.compile(rb"(" + b"|".join(METHODS) + rb") [/*hH]")


class Opening(Enum):
    UNSURE = "nothing certain yet"
    UNSURE_HTTP = "the beginning of an HTTP method, so far"
    HTTP = "HTTP"
    TEXT = "text"
    RESP = "RESP, the protocol of Redis"
    OTHER = "another protocol"


def tell(first: bytes, size_max: int) -> Opening:
    """The dialect of a client that has sent `first` (without empty lines before it)."""
    if not first:
        return Opening.UNSURE
    if first.startswith(b"*"):
        return Opening.RESP
    if _REQUEST_START.match(first):
        return Opening.HTTP
    if protocols.refused(first) is not None:
        return Opening.OTHER
    if _REQUEST_LINE.match(first):
        return Opening.HTTP
    if b"\n" in first or len(first) > size_max:
        return Opening.TEXT
    if any((method + b" ").startswith(first) for method in METHODS):
        return Opening.UNSURE_HTTP
    return Opening.UNSURE


class OpeningDialect:
    """The time before the dialect is known: keeps the first line until it tells."""

    size = 0

    def __init__(
        self,
        http: Callable[[], Dialect],
        text: Callable[[], Dialect],
        resp: Callable[[], Dialect],
        become: Callable[[Dialect], None],
        pipeline: Pipeline,
        limits: Limits,
    ) -> None:
        self._http = http
        self._text = text
        self._resp = resp
        self._become = become
        self._pipeline = pipeline
        self._limits = limits
        self._first = b""
        self._http_since: float | None = None
        self._since: float | None = None
        """When its first byte came."""

    def feed(self, data: bytes, now: float) -> None:
        self._first = (self._first + data).lstrip(b"\r\n")
        self._since = self._since or now
        match tell(self._first, self._limits.line_size_max):
            case Opening.HTTP:
                self._turn_into(self._http(), now)
            case Opening.TEXT:
                self._turn_into(self._text(), now)
            case Opening.RESP:
                self._turn_into(self._resp(), now)
            case Opening.OTHER:
                self._pipeline.say(protocols.refused(self._first) or b"")
                self._pipeline.end(linger=True)
            case Opening.UNSURE:
                self._http_since = None
            case Opening.UNSURE_HTTP:
                self._http_since = self._http_since or now

    def finish(self) -> None:
        text = self._text()
        text.feed(self._first, 0.0)
        text.finish()

    def expires_at(self, active_at: float) -> float:
        if self._http_since is not None:
            return self._http_since + self._limits.head_timeout
        since = active_at if self._since is None else self._since
        return since + self._limits.silent_timeout

    def expire(self) -> None:
        if self._http_since is not None:
            slow = Problem(408, "the request's head did not arrive in time")
            self._pipeline.say(problem(slow, CLOSE))
        self._pipeline.end(linger=True)

    def resume(self, now: float) -> None:
        """Nothing to do: input is never paused before the first command."""

    def stays(self) -> bool:
        return True

    def end(self) -> None:
        del self._http, self._text, self._resp, self._become

    def _turn_into(self, dialect: Dialect, now: float) -> None:
        self._become(dialect)
        dialect.feed(self._first, now)
