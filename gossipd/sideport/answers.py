"""HTTP answers as bytes: JSON with a newline for the terminal, errors as RFC 9457 problems."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus

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


KEEP = Framing()
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
_OK_JSON = _STATUS_LINES[200] + b"Content-Type: application/json\r\nContent-Length: "

encode_string: Callable[[str], str] = json.encoder.encode_basestring


def encode(value: object) -> bytes:
    """A value as JSON. What JSON has no type for (UUIDs, instants) becomes its text."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text.encode(errors="replace") + b"\n"


def problem(refused: Refused) -> Answer:
    headers = b""
    if refused.retry_after is not None:
        headers += b"Retry-After: %d\r\n" % refused.retry_after
    if isinstance(refused, WrongMethod):
        headers += b"Allow: %b\r\n" % refused.allow.encode()
    return Answer(refused.status, PROBLEM, encode(problem_object(refused)), headers)


def problem_object(refused: Refused) -> dict[str, object]:
    """A refusal as RFC 9457 has it, with its extension members."""
    body: dict[str, object] = {
        "title": refused.title,
        "status": refused.status,
        "detail": refused.detail,
    }
    if isinstance(refused, NotIncluded):
        body |= {"counter": refused.counter, "count": refused.count}
    return body


def frame(answer: Answer, framing: Framing) -> bytes:
    return b"%bContent-Type: %b\r\nContent-Length: %d\r\n%b%b\r\n%b" % (
        _STATUS_LINES.get(answer.status) or _status_line(answer.status),
        answer.content_type,
        len(answer.body),
        answer.headers,
        framing.connection,
        answer.body if framing.body else b"",
    )


def incremented(done: Incremented, framing: Framing) -> bytes:
    """The answer to an increment: the hot path, so it is formatted by hand."""
    body = f"{{{incremented_members(done)}}}\n".encode()
    return b"%b%d\r\n%b\r\n%b" % (_OK_JSON, len(body), framing.connection, body)


def incremented_members(done: Incremented) -> str:
    """An increment as the members of a JSON object, without its braces."""
    return (
        f'"id": "{done.id}", "counter": {encode_string(done.counter)}, "by": {done.by}, '
        f'"count": {done.count}, "duplicate": {"true" if done.duplicate else "false"}'
    )


def acknowledged(answer: Acknowledged, wanted: int) -> Answer:
    """200 when as many nodes hold the increment as was wished, 202 when the time was over."""
    body = f'{{{incremented_members(answer.done)}, "acks": {answer.acks}}}\n'
    return Answer(200 if answer.acks >= wanted else 202, JSON, body.encode())
