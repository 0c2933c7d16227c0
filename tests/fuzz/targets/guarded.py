"""One connection to a side port that asks for tokens, whatever it speaks.

Without the bytes of a token nobody changes anything, and nobody is told of a counter; with a token
nobody does more than it is for, whatever else the connection says and whatever was said before on
others. In pieces, and when all of it is remembered, it is the same.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import re
import zlib
from collections.abc import Iterator
from dataclasses import replace
from random import Random

from gossipd.config.tokens import Grants, parse_tokens
from tests.fuzz.conversation import LIMITS, converse, host, split
from tests.fuzz.respoken import command
from tests.fuzz.target import Broken, Target
from tests.unit.sideport.fake import KEY, FakeBackend, FakeHost

from .port import HTTP_PIECES, TEXT_PIECES, are_same, changes

READ, WRITE, ADMIN, BOUND = (
    b"reader-0123456789",
    b"writer-0123456789",
    b"leader-0123456789",
    (b"5d0c1e5a-7f0b-4a55-8e9c-0d7c1b2a3f4e"),
)
"""The last one looks like a key of an increment."""
_FILE = f"read {READ.decode()}\nwrite {WRITE.decode()}\nadmin {ADMIN.decode()}\n" + (
    f"write {BOUND.decode()} prefix=a.\n"
)
GRANTS: Grants = parse_tokens(_FILE)
FRIEND = "https://friend.example"
HIDDEN, OPEN = "unheard-of", "a.known"
VALUES = {HIDDEN: 7_316_549, OPEN: 8_421_977}
_ALLOWED = re.compile(rb"\r\nAccess-Control-Allow-Origin: ([^\r]*)")
_WORD = re.compile(rb"[A-Za-z0-9+/]{16,}={0,2}")


def take(data: bytes) -> bool:
    """Say it in one piece, in several, and once more after others."""
    return asyncio.run(_take(data))


async def _take(data: bytes) -> bool:
    shown = {
        token for token in (READ, WRITE, ADMIN, BOUND) for text in _texts(data) if token in text
    }
    backend, port = _host()
    answers = await converse(port, [data])
    done = changes(backend)
    _check(shown, data, answers, backend)
    other, another = _host()
    parts = await converse(another, split(data, Random(zlib.crc32(data))))
    if not are_same(data, parts, answers) or changes(other) != done:
        raise Broken(f"in pieces {changes(other)} {parts!r}, not {done} {answers!r}")
    for before in (_with(data, READ), _with(data, ADMIN), data):
        await converse(port, [before])
    _again(backend)
    again = await converse(port, [data])
    _check(shown, data, again, backend)
    if not are_same(data, again, answers) or changes(backend) != done:
        raise Broken(f"after others {changes(backend)} {again!r}, not {done} {answers!r}")
    return changes(backend) != changes(FakeBackend())


def _host() -> tuple[FakeBackend, FakeHost]:
    backend, port = host(replace(LIMITS, origins=frozenset({FRIEND})))
    port.access.change(GRANTS)
    _again(backend)
    return backend, port


def _again(backend: FakeBackend) -> None:
    FakeBackend.__init__(backend)
    backend.values = dict(VALUES)


def _with(data: bytes, token: bytes) -> bytes:
    """The same by somebody else."""
    for each in (READ, WRITE, ADMIN, BOUND):
        data = data.replace(each, token)
    return data


def _texts(data: bytes) -> Iterator[bytes]:
    """What was said, and what it may have been written as."""
    yield data
    for word in _WORD.findall(data):
        for end in range(4):  # where a word begins is not known either
            try:
                yield base64.b64decode(word[end:] + b"=" * (-len(word[end:]) % 4))
            except binascii.Error:
                continue


def _check(shown: set[bytes], data: bytes, answers: bytes, backend: FakeBackend) -> None:
    is_bounded = shown.isdisjoint((READ, WRITE, ADMIN))
    if is_bounded and (_is_told(HIDDEN, data, answers) or b'"hits"' in answers):
        raise Broken(f"told with {shown}: {answers!r}")
    _check_page(answers)
    if not shown and _is_told(OPEN, data, answers):
        raise Broken(f"told without a token: {answers!r}")
    if ADMIN in shown:
        return
    if backend.joined or backend.left or backend.forgotten:
        raise Broken(f"with {shown}: {changes(backend)}")
    if WRITE in shown:
        return
    counted = {counter for counter, _ in backend.started}
    counted |= {counter for counter, _, _ in backend.items} | {at[1] for at in backend.sources}
    if counted and BOUND not in shown:
        raise Broken(f"with {shown}: {changes(backend)}")
    if any(not counter.startswith("a.") for counter in counted):
        raise Broken(f"with {shown}: {counted}")


def _check_page(answers: bytes) -> None:
    """Nobody but a friend is told that a page may read an answer."""
    for allowed in _ALLOWED.findall(answers):
        if allowed.lower() != FRIEND.encode():
            raise Broken(f"{allowed!r} may read {answers!r}")


def _is_told(counter: str, data: bytes, answers: bytes) -> bool:
    """Its count, or its name to who has not said it."""
    named = counter.encode()
    told = str(VALUES[counter]).encode() in answers
    return told or (named in answers and named[:4] not in data)


def seeds() -> Iterator[bytes]:
    """All that is said, by all who may and may not."""
    lines = (
        b"increment a.x\ncounters\n", b"increment b\n", b"forget gone\n", b"watch\n", b"log 3\n",
        b'count a.known\ncount unheard-of\nincrement a.x key="k"\n', b"watch unheard-of\n",
    )  # fmt: skip
    calls = (
        b"POST /increment?counter=a.x", b"POST /increment?counter=b", b"GET /counters",
        b"GET /count?counter=unheard-of", b"POST /leave", b"GET /log", b"GET /events",
        b"PUT /sources/till/a.x?seq=1&total=2", b"GET /metrics?counters=unheard-of", b"GET /",
        b"GET /increments?key=%b" % str(KEY).encode(),
    )  # fmt: skip
    redis = ((b"INCR", b"a.x"), (b"INCR", b"b"), (b"SCAN", b"0"), (b"GET", b"unheard-of"))
    for token in (b"", b"stranger-0123456789", READ, WRITE, ADMIN, BOUND):
        for line in lines:
            yield b"auth %b\n%b" % (token, line)
        for call in calls:
            yield b"%b HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %b\r\n\r\n" % (call, token)
        for origin in (FRIEND.encode(), b"https://foe.example", b"null"):
            page = b"Host: a\r\nOrigin: %b\r\nAuthorization: Bearer %b\r\n\r\n" % (origin, token)
            yield b"%b HTTP/1.1\r\n%b" % (calls[0], page)
        basic = base64.b64encode(b"me:" + token)
        yield b"%b HTTP/1.1\r\nHost: a\r\nAuthorization: Basic %b\r\n\r\n" % (calls[0], basic)
        for words in redis:
            yield command((b"AUTH", token)) + command(words) * 2
        hello = command((b"HELLO", b"3", b"AUTH", b"default", token))
        yield hello + command((b"KEYS", b"*")) + command((b"RESET",)) + command(redis[0])


GUARDED = Target(
    take=take,
    seeds=seeds,
    pieces=(
        *HTTP_PIECES, *TEXT_PIECES, READ, WRITE, ADMIN, BOUND, b"auth ", b"Authorization: Bearer ",
        b"Authorization: Basic ", b"\r\nauthorization:", base64.b64encode(b":" + WRITE), b"a.",
        command((b"AUTH", WRITE)), command((b"AUTH", b"x")), command((b"RESET",)), b"unheard-of",
        b"prefix=a.", b"counter=a.", b"Origin: https://friend.example\r\n", b"?counter=unheard-of",
        b"%2e", b"a%2ex",
    ),
)  # fmt: skip
