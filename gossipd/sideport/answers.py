"""HTTP answers as bytes: JSON with a newline for the terminal, errors as RFC 9457 problems."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus
from itertools import chain, islice

from gossipd.sideport.backend import Incremented, Refused
from gossipd.sideport.commands import Acknowledged, NotIncluded

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

JSON = b"application/json"
PROBLEM = b"application/problem+json"
TEXT = b"text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    content_type: bytes
    body: bytes
    headers: bytes = b""
    """Further header fields, each with its line end."""


@dataclass(frozen=True, slots=True)
class Framing:
    """What the request and the state of the connection make of an answer."""

    connection: bytes = b""
    """The `Connection` field with its line end; empty where HTTP/1.1 keeps alive by itself."""

    body: bool = True
    """False for HEAD: the same head, without the body."""

    chunked: bool = False
    """Whether the client reads chunks; else what is long ends with the connection."""


KEEP = Framing(chunked=True)
KEEP_OLD = Framing(b"Connection: keep-alive\r\n")
CLOSE = Framing(b"Connection: close\r\n")


class WrongMethod(Refused):
    """405, which names the methods that the path has."""

    def __init__(self, detail: str, allow: str) -> None:
        super().__init__(405, HTTPStatus(405).phrase, detail)
        self.allow = allow


def _status_line(status: int) -> bytes:
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = "Refused"
    return f"HTTP/1.1 {status} {phrase}\r\n".encode()


_STATUS_LINES: dict[int, bytes] = {status: _status_line(status) for status in HTTPStatus}
_OK_JSON = _STATUS_LINES[200] + b"Content-Type: application/json\r\n"

_date = (0, b"")
"""The second of the last answer, and how a head says it."""


def _dated() -> bytes:
    """The `Date` field (RFC 9110 6.6.1), by which a client may set its clock right."""
    global _date  # formatted once a second: it stands in every answer
    now = int(time.time())
    if _date[0] != now:
        _date = (now, f"Date: {formatdate(now, usegmt=True)}\r\n".encode())
    return _date[1]


encode_string: Callable[[str], str] = json.encoder.encode_basestring


_encode: Callable[[object], str] = json.JSONEncoder(ensure_ascii=False, default=str).encode


def encode(value: object) -> bytes:
    """A value as JSON. What JSON has no type for (UUIDs, instants) becomes its text."""
    return _encode(value).encode(errors="replace") + b"\n"


def encoded_row(row: Mapping[str, object] | str, text: bool) -> str:
    """A row of a list; `text`: its counts are strings."""
    return _encode(with_text(row) if text else row)


def problem(refused: Refused, text: bool = False) -> Answer:
    """`text`: a count in it is a string."""
    headers = b""
    if refused.retry_after is not None:
        headers += b"Retry-After: %d\r\n" % refused.retry_after
    if isinstance(refused, WrongMethod):
        headers += b"Allow: %b\r\n" % refused.allow.encode()
    if refused.status == HTTPStatus.UNSUPPORTED_MEDIA_TYPE:
        headers += b"Accept-Encoding: identity\r\n"
    body = problem_object(refused)
    return Answer(refused.status, PROBLEM, encode(with_text(body) if text else body), headers)


def problem_object(refused: Refused) -> dict[str, object]:
    """A refusal as RFC 9457 has it, with its extension members."""
    body: dict[str, object] = {
        "title": refused.title,
        "status": refused.status,
        "detail": refused.detail,
    }
    if refused.retry_after is not None:
        body["retry_after"] = refused.retry_after
    if isinstance(refused, NotIncluded):
        body |= {"counter": refused.counter, "count": refused.count}
    return body


def frame(answer: Answer, framing: Framing) -> bytes:
    length = b"Content-Length: %d\r\n" % len(answer.body)
    body = answer.body if framing.body else b""
    return _head(answer.status, answer.content_type, length + answer.headers, framing) + body


def framed(status: int, pieces: Iterator[bytes], framing: Framing) -> Iterator[bytes]:
    """JSON that comes in pieces, with its length where there are few. Without a length HTTP/1.1
    gets chunks; older clients read until the end of the connection, which must follow."""
    ahead = list(islice(pieces, 2))  # two, to see whether there is more than one
    if len(ahead) < 2:
        yield frame(Answer(status, JSON, b"".join(ahead)), framing)
        return
    coding = b"Transfer-Encoding: chunked\r\n" if framing.chunked else b""
    yield _head(status, JSON, coding, framing)
    if not framing.body:
        return
    for piece in chain(ahead, pieces):
        yield b"%x\r\n%b\r\n" % (len(piece), piece) if framing.chunked else piece
    if framing.chunked:
        yield b"0\r\n\r\n"


def options(allow: str, framing: Framing) -> bytes:
    """What a path may be asked (RFC 9110 9.3.7); a 204 has no body, so no length either."""
    return b"%b%bAllow: %b\r\n%b\r\n" % (
        _STATUS_LINES[204], _dated(), allow.encode(), framing.connection,
    )  # fmt: skip


def _head(status: int, content_type: bytes, headers: bytes, framing: Framing) -> bytes:
    return b"%b%bContent-Type: %b\r\n%b%b\r\n" % (
        _STATUS_LINES.get(status) or _status_line(status),
        _dated(),
        content_type,
        headers,
        framing.connection,
    )


def incremented(done: Incremented, framing: Framing, text: bool = False) -> bytes:
    """The answer to an increment: the hot path, so it is formatted by hand. `text`: its count is
    a string."""
    body = f"{{{incremented_members(done, text)}}}\n".encode()
    return b"%b%bContent-Length: %d\r\n%b\r\n%b" % (
        _OK_JSON, _dated(), len(body), framing.connection, body,
    )  # fmt: skip


def incremented_members(done: Incremented, text: bool = False) -> str:
    """An increment as the members of a JSON object, without its braces."""
    count = f'"{done.count}"' if text else done.count
    return (
        f'"id": "{done.id}", "counter": {encode_string(done.counter)}, "by": {done.by}, '
        f'"count": {count}, "duplicate": {"true" if done.duplicate else "false"}'
    )


def with_text(value: object) -> object:
    """An answer, or a member of a list, whose counts are strings."""
    if not isinstance(value, dict):
        return value
    return {
        member: str(inner) if member in ("count", "total") else inner
        for member, inner in value.items()
    }


def acknowledged(answer: Acknowledged, wanted: int, text: bool = False) -> Answer:
    """200 when as many nodes hold the increment as was wished, 202 when the time was over."""
    body = f'{{{incremented_members(answer.done, text)}, "acks": {answer.acks}}}\n'
    return Answer(200 if answer.acks >= wanted else 202, JSON, body.encode())
