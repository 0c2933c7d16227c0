"""One connection to the side port, whatever it speaks.

However input is split it is answered the same, and so it is when all of it came before and is
remembered. Nothing is done that was not answered with success: a request that is refused changes
nothing. What RESP counts is what another reader finds in it. No answer is an internal error.
"""

from __future__ import annotations

import asyncio
import re
import zlib
from collections.abc import Iterable
from random import Random

from gossipd.sideport.detection import Opening, tell
from tests.fuzz.conversation import LIMITS, converse, host, split
from tests.fuzz.respoken import (
    PIECES,
    WORDS,
    check_memory,
    command,
    commands_in,
    counted_by,
    said,
)
from tests.fuzz.target import Broken, Target
from tests.unit.sideport.fake import FakeBackend

_CHANGING = re.compile(
    rb"(?<=\$2\r\nid\r\n:)[0-9]+|(?<=\nDate: )[^\r]*"  # of a connection; of a moment
)
_DONE = re.compile(rb"HTTP/1\.[01] 2[0-9][0-9] ")
_LINES = re.compile(rb"^(?!error: (?!counted)|\n).*\n", re.MULTILINE)
_REFUSAL = re.compile(
    rb"(?:HTTP/1\.[01] 4[^\n]*\r\n(?:[^\n]+\r\n)*\r\n[^\n]*\n|error: [^\n]*\n)\Z"
)
"""The last answer, if it is one: how what breaks a protocol is called may follow from how much of
it has come."""

_MISTAKE = b"internal error"

HTTP_PIECES = (
    b"GET ", b"POST ", b"PUT ", b"HEAD ", b"OPTIONS ", b"CONNECT ", b"/increment", b"/increments",
    b"/count", b"/counters", b"/sources/a/b", b"/events", b"/log", b"/metrics", b"/join",
    b"/leave", b"/forget", b"/explain", b"/members", b"/status", b"?by=",
    b"&counter=", b"&ack=2", b"&key=",
    b"&after=", b"&timeout=0", b"&limit=1", b"&prefix=", b"&counts=string", b" HTTP/1.1\r\n",
    b" HTTP/1.0\r\n", b"Host: a\r\n", b"Origin: null\r\n", b"Sec-Fetch-Site: cross-site\r\n",
    b"Content-Length: 2\r\n", b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: gzip\r\n",
    b"Connection: close\r\n", b"Connection: keep-alive\r\n", b"Upgrade: x\r\n", b"\r\n", b"\n",
    b"Expect: 100-continue\r\n", b"Idempotency-Key: ", b"Last-Event-ID: 0000000000000000-",
    b"Content-Encoding: gzip\r\n", b"2\r\n{}\r\n0\r\n\r\n", b"{}", b'{"by":', b"%00", b"%", b"\r",
    b"00000000-0000-8000-8000-000000000001", b"[" * 600, b"9" * 5000, b"1e999", b"\xff", b" : ",
    b"\r\n ", b"x" * 900,
)  # fmt: skip

TEXT_PIECES = (
    b"increment ", b"count ", b"counters ", b"members ", b"log ", b"watch ", b"join ", b"forget ",
    b"leave", b"put ", b"explain ", b"status", b"help", b"ping", b"quit", b'"', b"\\", b"\n",
    b"\r\n", b" ack=1", b" after=", b" key=", b" timeout=0", b" limit=1", b" prefix=", b" by",
    b"\0", b"\xff", "é".encode(), b"-1", b"9007199254740993", b"9" * 5000, b"x" * 700,
)  # fmt: skip


def take(data: bytes) -> bool:
    """Say it in one piece, in several, and once more."""
    return asyncio.run(_take(data))


async def _take(data: bytes) -> bool:
    escaped: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, what: escaped.append(what))
    rng = Random(zlib.crc32(data))
    backend, port = host()
    answers = await converse(port, [data])
    _check(data, answers, backend)
    done = changes(backend)
    other, another_port = host()
    parts = await converse(another_port, split(data, rng))
    if not are_same(data, parts, answers) or changes(other) != done:
        raise Broken(f"in pieces {changes(other)} {parts!r}, not {done} {answers!r}")
    FakeBackend.__init__(backend)
    again = await converse(port, [data])
    if not are_same(data, again, answers) or changes(backend) != done:
        raise Broken(f"the second time {changes(backend)} {again!r}, not {done} {answers!r}")
    if escaped:
        raise Broken(f"raised in the loop: {escaped}")
    return any(done)


def changes(backend: FakeBackend) -> tuple[object, ...]:
    """All that was done to a node."""
    added = [pair for pair, key in zip(backend.started, backend.keys, strict=True) if key is None]
    return (
        added, len(backend.started), len(backend.batches), backend.joined, backend.left,
        backend.forgotten, backend.sources,
    )  # fmt: skip


def _check(data: bytes, answers: bytes, backend: FakeBackend) -> None:
    if _MISTAKE in answers and _MISTAKE not in data:
        raise Broken(f"a mistake of its own: {answers!r}")
    did = len(backend.started) + len(backend.batches) + len(backend.forgotten)
    did += backend.left + bool(backend.joined) + len(backend.sources)
    match tell(data.lstrip(b"\r\n"), LIMITS.line_size_max):
        case Opening.HTTP:
            if did > len(_DONE.findall(answers)):
                raise Broken(f"{changes(backend)}, though the answers are {answers!r}")
        case Opening.RESP:
            expected = counted_by(commands_in(data.lstrip(b"\r\n")))
            if changes(backend)[0] != expected:
                raise Broken(f"it added {changes(backend)[0]}, not {expected}")
            check_memory(data, Random(1))
        case Opening.OTHER:
            if did:
                raise Broken(f"{changes(backend)} by what is not spoken here")
        case _:
            if did > len(_LINES.findall(answers)):
                raise Broken(f"{changes(backend)}, though the answers are {answers!r}")


def are_same(data: bytes, one: bytes, other: bytes) -> bool:
    """Whether two answers to the same say the same. `SCAN` goes as far as it comes in its time."""
    return _bare(one) == _bare(other) or b"scan" in data.lower()


def _bare(answers: bytes) -> bytes:
    return _REFUSAL.sub(b"refused", _CHANGING.sub(b"", answers))


def resp_seeds() -> Iterable[bytes]:
    """Conversations of clients of Redis, and such with something wrong in them."""
    yield command((b"INCR", b"a")) + command((b"ECHO", b"\r\n\r")) + command((b"GET", b"a"))
    yield command((b"HELLO", b"3")) + command((b"MULTI",)) + command((b"INCR", b"a"))
    for number in range(40):
        yield said(Random(number))


def _changed_resp(data: bytes, others: object, rng: Random) -> bytes:
    return b"*" + HTTP.change(data, resp_others, rng)[1:] if rng.random() < 0.5 else said(rng)


resp_others = [*resp_seeds()]

HTTP = Target(take=take, pieces=HTTP_PIECES)
TEXT = Target(take=take, pieces=TEXT_PIECES)
RESP = Target(
    take=take, seeds=resp_seeds, pieces=(*WORDS, *PIECES), change=_changed_resp, size_max=20_000
)
