"""HTTP answers as bytes: JSON with a newline for the terminal, errors as RFC 9457 problems."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from http import HTTPStatus
from itertools import chain, islice
from typing import NamedTuple

from gossipd.core import Counted, Refused, Why, increment_text
from gossipd.sideport.access import Denied
from gossipd.sideport.acknowledging import Acknowledged
from gossipd.sideport.answered import Answers
from gossipd.sideport.operations import Operation
from gossipd.sideport.streaming import Pieces, in_json

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

JSON = b"application/json"
PROBLEM = b"application/problem+json"
TEXT = b"text/plain; charset=utf-8"
EVENTS = b"text/event-stream"
_UNBUFFERED = b"Cache-Control: no-store\r\nX-Accel-Buffering: no\r\n"
"""Nobody on the way keeps what is told, nor waits until it is more."""


VARIES = b"Vary: Accept\r\n"


class Document(NamedTuple):
    """An answer that is no JSON."""

    content_type: bytes
    body: bytes
    headers: bytes
    """Further fields, each with its line end."""


@dataclass(frozen=True, slots=True)
class Framing:
    """What the request and the state of the connection make of an answer."""

    connection: bytes = b""
    """The `Connection` field with its line end; empty where HTTP/1.1 keeps alive by itself. With
    what a page of another origin is told beside it."""

    body: bool = True
    """False for HEAD: the same head, without the body."""

    chunked: bool = False
    """Whether the client reads chunks; else what is long ends with the connection."""


KEEP = Framing(chunked=True)
KEEP_OLD = Framing(b"Connection: keep-alive\r\n")
CLOSE = Framing(b"Connection: close\r\n")


def framing_of(keep: bool, version: str, method: str) -> Framing:
    """Of a request of this version and method, if its connection stays or ends."""
    framing = KEEP if keep and version == "1.1" else KEEP_OLD if keep else CLOSE
    if framing is KEEP and method != "HEAD":
        return framing
    return replace(framing, body=method != "HEAD", chunked=version == "1.1")


STATUS = {
    Why.WRONG: 400,
    Why.UNKNOWN: 404,
    Why.CONFLICT: 409,
    Why.TOO_LARGE: 413,
    Why.KEY: 422,
    Why.MISTAKE: 500,
    Why.UNAVAILABLE: 503,
    Why.DISK: 503,
    Why.UNCERTAIN: 503,
    Why.LATE: 504,
}


class Problem(Refused):
    """What only HTTP refuses, with its status."""

    def __init__(self, status: int, detail: str, headers: bytes = b"") -> None:
        super().__init__(Why.WRONG, detail)
        self.status = status
        self.headers = headers


def _status_line(status: int) -> bytes:
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = "Refused"
    return f"HTTP/1.1 {status} {phrase}\r\n".encode()


_STATUS_LINES: dict[int, bytes] = {status: _status_line(status) for status in HTTPStatus}
_OK_JSON = _STATUS_LINES[200] + b"Content-Type: application/json\r\n"


@lru_cache(maxsize=1)  # it stands in every answer
def _date(second: int) -> bytes:
    # In English, for nobody here sets a locale; `email.utils` would be half a MiB of memory.
    return time.strftime("Date: %a, %d %b %Y %H:%M:%S GMT\r\n", time.gmtime(second)).encode()


def _dated() -> bytes:
    """The `Date` field (RFC 9110 6.6.1), by which a client may set its clock right."""
    return _date(int(time.time()))


encode_string: Callable[[str], str] = json.encoder.encode_basestring


_encode: Callable[[object], str] = json.JSONEncoder(ensure_ascii=False, default=str).encode


def encode(value: object) -> bytes:
    """A value as JSON. What JSON has no type for (UUIDs, instants) becomes its text."""
    return _encode(value).encode(errors="replace") + b"\n"


def problem(refused: Refused, framing: Framing, text: bool = False) -> bytes:
    """A refusal, whatever it was that was refused. `text`: a count in it is a string."""
    body = problem_object(refused)
    headers = b"" if refused.retry_after is None else b"Retry-After: %d\r\n" % refused.retry_after
    if isinstance(refused, Problem | Denied):
        headers += refused.headers
    encoded = encode(with_text(body) if text else body)
    return frame(status_of(refused), PROBLEM, encoded, framing, headers)


def status_of(refused: Refused) -> int:
    return refused.status if isinstance(refused, Problem | Denied) else STATUS[refused.why]


def problem_object(refused: Refused) -> dict[str, object]:
    """A refusal as RFC 9457 has it (the title is that of `about:blank`), with its extension
    members."""
    status = status_of(refused)
    body: dict[str, object] = {
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": refused.detail,
    }
    if refused.retry_after is not None:
        body["retry_after"] = refused.retry_after
    return {**body, **refused.facts}


def answer(
    operation: Operation, framing: Framing, text: bool, answered: Answers, value: object
) -> bytes | Iterator[bytes]:
    """What an operation has ended with. `text`: counts are strings; `answered`: where the answer
    is counted."""
    if isinstance(value, Counted):
        answered.ok += 1
        return incremented(value, framing, text)
    if isinstance(value, Refused):
        answered.add(status_of(value))
        return problem(value, framing, text)
    begins = value.acks < value.wanted if isinstance(value, Acknowledged) else operation.begins
    status = 202 if begins else 200
    answered.add(status)
    if isinstance(value, Pieces):
        return framed(status, value.pieces, framing, value.content_type, VARIES)
    if operation.rows:
        assert isinstance(value, Iterator)
        row, around = (_pair, "{}") if operation.pairs else (_row, "[]")
        pieces = in_json(value, partial(row, text), around[0], f"{around[1]}\n")
        return framed(status, pieces, framing)
    if isinstance(value, Acknowledged):
        members = f'{{{incremented_members(value.done, text)}, "acks": {value.acks}}}\n'
        return frame(status, JSON, members.encode(errors="replace"), framing)
    match value:
        case bytes():
            return frame(status, JSON, value, framing)
        case Document(content_type, body, headers):
            return frame(status, content_type, body, framing, headers)
        case str():
            return frame(status, TEXT, value.encode(), framing)
        case _:
            return frame(status, JSON, encode(with_text(value) if text else value), framing)


def _row(text: bool, row: object) -> str:
    return _encode(with_text(row) if text else row)


def _pair(text: bool, row: tuple[str, int]) -> str:
    name, count = row
    return f'{encode_string(name)}: "{count}"' if text else f"{encode_string(name)}: {count}"


def frame(
    status: int, content_type: bytes, body: bytes, framing: Framing, headers: bytes = b""
) -> bytes:
    """`headers`: further fields, each with its line end."""
    length = b"Content-Length: %d\r\n" % len(body)
    return _head(status, content_type, length + headers, framing) + (body if framing.body else b"")


def framed(
    status: int,
    pieces: Iterator[bytes],
    framing: Framing,
    content_type: bytes = JSON,
    headers: bytes = b"",
) -> Iterator[bytes]:
    """What comes in pieces, with its length where there are few. Without a length HTTP/1.1
    gets chunks; older clients read until the end of the connection, which must follow."""
    ahead = list(islice(pieces, 2))  # two, to see whether there is more than one
    if len(ahead) < 2:
        yield frame(status, content_type, b"".join(ahead), framing, headers)
        return
    coding = b"Transfer-Encoding: chunked\r\n" if framing.chunked else b""
    yield _head(status, content_type, coding + headers, framing)
    if not framing.body:
        return
    for piece in chain(ahead, pieces):
        yield b"%x\r\n%b\r\n" % (len(piece), piece) if framing.chunked else piece
    if framing.chunked:
        yield b"0\r\n\r\n"


def stream_head(framing: Framing) -> bytes:
    """Of what does not end by itself."""
    coding = b"Transfer-Encoding: chunked\r\n" if framing.chunked else b""
    return _head(200, EVENTS, coding + _UNBUFFERED, framing)


def flow(
    framing: Framing,
    answered: Answers,
    turned_away: Callable[[str], bytes] | None,
    value: Iterator[bytes] | Refused,
) -> bytes | Iterator[bytes]:
    """What does not end by itself, with its head; or why it does not begin. `turned_away` tells
    that to a client that cannot read a problem."""
    if isinstance(value, Refused):
        answered.add(status_of(value))
        return problem(value, framing) if turned_away is None else turned_away(value.detail)
    answered.ok += 1
    return value


def options(framing: Framing, answered: Answers, allow: str | Refused) -> bytes:
    """What a path may be asked (RFC 9110 9.3.7); a 204 has no body, so no length either."""
    if isinstance(allow, Refused):
        answered.add(status_of(allow))
        return problem(allow, framing)
    answered.add(204)
    return b"%b%bAllow: %b\r\n%b\r\n" % (
        _STATUS_LINES[204], _dated(), allow.encode(), framing.connection,
    )  # fmt: skip


def _head(status: int, content_type: bytes, headers: bytes, framing: Framing) -> bytes:
    return b"%b%bContent-Type: %b\r\nX-Content-Type-Options: nosniff\r\n%b%b\r\n" % (
        _STATUS_LINES.get(status) or _status_line(status),
        _dated(),
        content_type,
        headers,
        framing.connection,
    )


def incremented(done: Counted, framing: Framing, text: bool = False) -> bytes:
    """The answer to an increment: the hot path, so it is formatted by hand. `text`: its count is
    a string."""
    body = f"{{{incremented_members(done, text)}}}\n".encode()
    head, length = _counted_head(int(time.time())), len(body)
    return b"%b%d\r\n%b\r\n%b" % (head, length, framing.connection, body)


@lru_cache(maxsize=1)
def _counted_head(second: int) -> bytes:
    return _OK_JSON + _date(second) + b"Content-Length: "


def incremented_members(done: Counted, text: bool = False) -> str:
    """An increment as the members of a JSON object, without its braces."""
    stream, counter, seq, by, value, duplicate, _ = done
    name, count = encode_string(counter), f'"{value}"' if text else value
    return (
        f'"id": "{increment_text(stream, seq)}", "counter": {name}, "by": {by}, '
        f'"count": {count}, "duplicate": {"true" if duplicate else "false"}'
    )


def with_text(value: object) -> object:
    """An answer, or a member of a list, whose counts are strings, and by how much they changed."""
    if not isinstance(value, dict):
        return value
    return {
        member: str(inner) if member in ("by", "count", "total") else inner
        for member, inner in value.items()
    }
