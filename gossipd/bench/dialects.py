"""The languages of the side port: how an increment is said, and what its answer says.

Answers are taken apart only where one is a refusal, which costs a search in what has come and no
more. That they are gossipd's own form is relied upon: who asks has looked before whom it asks.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple
from urllib.parse import quote

from gossipd.client import Credentials
from gossipd.client.answers import NOT_COUNTED


class Refusal(NamedTuple):
    place: int
    """Among the answers that came at once, from 0."""

    detail: str

    doubtful: bool
    """Whether it may have been counted all the same, as far as the answer tells."""


def _refusal(place: int, detail: str, certain: bool = False) -> Refusal:
    return Refusal(place, detail, not certain and not detail.startswith(NOT_COUNTED))


class Dialect(NamedTuple):
    increment: Callable[..., bytes]
    """That of a counter, `by` a number, with a `token`, which may be empty."""

    login: Callable[[str], bytes]
    """What shows a token at the beginning of a connection, where that is the way to do it. The
    answer is a line."""

    end: bytes
    """Ends each answer, and is nowhere else in it."""

    refusals: Callable[[bytes, int], Iterator[Refusal]]
    """Those among so many answers."""


# --- HTTP ----------------------------------------------------------------------------------------

_DONE = b"HTTP/1.1 200 OK\r\n"
_ANSWER = re.compile(rb"HTTP/1\.[01] (\d{3})[^\n]*\n(?:[^\r\n]+\r\n)*\r\n([^\n]*)\n")


def _http(counter: str, by: int, token: str = "") -> bytes:
    query = f"?counter={quote(counter, safe='')}" + (f"&by={by}" if by != 1 else "")
    head = f"POST /increment{query} HTTP/1.1\r\nHost: gossipd\r\nContent-Length: 0\r\n"
    shown = "".join(f"{field}\r\n" for field in Credentials(token).fields)
    return f"{head}{shown}\r\n".encode()


def _http_refusals(answers: bytes, count: int) -> Iterator[Refusal]:
    if answers.count(_DONE) == count:
        return
    for place, (status, body) in enumerate(_ANSWER.findall(answers)):
        if status != b"200":
            detail = _detail(body) or f"HTTP {int(status)}"
            yield _refusal(place, detail, certain=status < b"500")


def _detail(body: bytes) -> str:
    """The one of a problem (RFC 9457)."""
    try:
        problem = json.loads(body)
    except ValueError:
        return ""
    detail = problem.get("detail") if isinstance(problem, dict) else None
    return detail if isinstance(detail, str) else ""


# --- text ----------------------------------------------------------------------------------------

_PLAIN = re.compile(r"[\w.:/-]+", re.ASCII)
_ERROR = b"error: "


def _text(counter: str, by: int, token: str = "") -> bytes:  # noqa: ARG001 - it was shown before
    if not _PLAIN.fullmatch(counter):
        escaped = counter.replace("\\", "\\\\").replace('"', '\\"')
        counter = f'"{escaped}"'
    return (f"increment {counter}\n" if by == 1 else f"increment {counter} {by}\n").encode()


def _text_refusals(answers: bytes, _count: int) -> Iterator[Refusal]:
    if _ERROR not in answers:
        return
    for place, line in enumerate(answers.splitlines()):
        if line.startswith(_ERROR):
            yield _refusal(place, line.removeprefix(_ERROR).decode(errors="replace"))


# --- RESP ----------------------------------------------------------------------------------------

_CODE = re.compile(rb"-[A-Z]+ ?")


def _resp(counter: str, by: int, token: str = "") -> bytes:  # noqa: ARG001 - it was shown before
    return _words(*("INCR", counter) if by == 1 else ("INCRBY", counter, str(by)))


def _words(*given: str) -> bytes:
    words = [word.encode() for word in given]
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(w), w) for w in words)


def _resp_refusals(answers: bytes, count: int) -> Iterator[Refusal]:
    if answers.count(b"\n:") + answers.startswith(b":") == count:
        return
    for place, line in enumerate(answers.splitlines()):
        if not line.startswith(b":"):
            yield _refusal(place, _CODE.sub(b"", line, count=1).decode(errors="replace"))


DIALECTS = {
    "http": Dialect(_http, lambda _: b"", b"}\n", _http_refusals),
    "text": Dialect(_text, lambda token: f"auth {token}\n".encode(), b"\n", _text_refusals),
    "resp": Dialect(_resp, lambda token: _words("AUTH", token), b"\r\n", _resp_refusals),
}
