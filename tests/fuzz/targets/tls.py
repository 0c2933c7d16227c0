"""TLS in front of a connection: a client that speaks it, and somebody on the way who meddles.

Input is what happens, one step after the other (see `_STEPS`); the first byte says which client
and which port. Whatever is done to the bytes on their way nothing is raised, and what is heard on
either side is what the other one has said, or its beginning. Where nobody meddles it is all of it.
That somebody has said his last word is heard from him alone: one whose stream ends without is cut.
Without TLS nothing is heard. A handshake holds little, however long it is made.
"""

from __future__ import annotations

import asyncio
import ssl
import tempfile
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import cast

from gossipd.daemon.certificates import load_certificate
from gossipd.sideport.connection import Connection
from gossipd.sideport.tls import Layer, Outcome, Tls
from gossipd.sideport.turns import Turns
from tests.certificates import Authority
from tests.fuzz.target import Broken, Target
from tests.unit.sideport.fake import FakeTransport

_OLD, _ASKS, _SHOWS, _RAW = 1, 2, 4, 8
"""Bits of the first byte: the client speaks TLS 1.2; the port asks for a certificate; the client
shows one; there is no client, and the rest of the input is what comes."""

_HELD_MAX = 256 * 1024
"""Bytes that may come in a handshake before it is given up."""

_TEXT = bytes(range(256)) * 256

FORGED = (
    b"\x14\x03\x03\x00\x01\x01",
    b"\x15\x03\x03\x00\x02\x01\x00",  # goodbye, but not sealed
    b"\x15\x03\x03\x00\x02\x02\x28",
    b"\x17\x03\x03\x00\x05hello",
    b"\x16\x03\x03\x00\x04\x18\x00\x00\x00",
    b"\x16\x03\x01\x40\x00" + bytes(0x4000),
    b"\x16\x03\x01\x40\x00\x01\xff\xff\xff" + bytes(0x3FFC),
    b"GET / HTTP/1.1\r\n\r\n",
)


class _Wire(FakeTransport):
    """The transport of TCP, as strict as the real one."""

    has_ended = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self.has_ended:
            raise Broken("it writes behind its end")
        super().write(data)

    def write_eof(self) -> None:
        self.has_ended = True


class _Heard:
    """The connection behind the layer, which keeps what it is told."""

    def __init__(self) -> None:
        self.layer: Layer
        self.data = b""
        self.has_eof = self.is_over = False

    def connection_made(self, layer: Layer) -> None:
        self.layer = layer

    def connection_lost(self, _: Exception | None) -> None:
        self.is_over = True

    def data_received(self, data: bytes) -> None:
        if not self.is_over:
            self.data += data

    def eof_received(self) -> bool:
        self.has_eof = not self.is_over
        return True

    def refuse(self) -> None:
        self.end()

    def end(self) -> None:
        """This side says nothing more, and listens no more."""
        self.is_over = True
        self.layer.write_eof()


class _Talk:
    """One connection."""

    def __init__(self, kind: int) -> None:
        server, client = _contexts(bool(kind & _OLD), bool(kind & _ASKS), bool(kind & _SHOWS))
        self.tls, self.turns, self.heard, self.wire = Tls(server, 8), Turns(), _Heard(), _Wire()
        self.layer = Layer(self.tls, self.turns, cast(Connection, self.heard))
        self.layer.connection_made(self.wire)
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.client = client.wrap_bio(self._incoming, self._outgoing, server_hostname="a")
        self.may_fail = bool(kind & _ASKS) and not kind & _SHOWS
        self.is_done = self.is_dead = self.said_goodbye = self.has_ended = False
        self.is_meddled = False
        self.under_way = bytearray()
        """What the client has sent and nobody has got yet."""
        self.said = self.answered = self.read = b""
        self.came = self._taken = 0

    async def go_on(self) -> None:
        """What has been sent by the port comes to the client, who does what he can."""
        for _ in range(2):
            await asyncio.sleep(0)
        self._incoming.write(self.wire.written[self._taken :])
        self._taken = len(self.wire.written)
        if not self.is_dead:
            try:
                if not self.is_done:
                    self.client.do_handshake()
                    self.is_done = True
                while part := self.client.read(65536):
                    self.read += part
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLError as error:
                self.is_dead = True
                if not (self.is_meddled or self.may_fail or self.heard.is_over):
                    raise Broken(f"the client fails: {error!r}") from error
        self.under_way += self._outgoing.read()

    def deliver(self, size: int) -> None:
        data = bytes(self.under_way[:size])
        del self.under_way[:size]
        if data and not self.has_ended and not self.wire.closing and self.wire.reading:
            self.came += len(data)
            self.layer.data_received(data)

    def say(self, size: int) -> None:
        if self.is_done and not self.is_dead and not self.said_goodbye:
            self.said += _TEXT[:size]
            if size:
                self.client.write(_TEXT[:size])
            self.under_way += self._outgoing.read()

    def flip(self, at: int) -> None:
        if self.under_way:
            self.is_meddled = True
            self.under_way[at % len(self.under_way)] ^= 1 << at % 8

    def drop(self, size: int) -> None:
        if self.under_way:
            self.is_meddled = True
            del self.under_way[-size - 1 :]

    def forge(self, what: int) -> None:
        self.is_meddled = True
        self.under_way += FORGED[what % len(FORGED)] * (what // len(FORGED) + 1)

    def goodbye(self, _: int) -> None:
        if self.is_done and not self.is_dead and not self.said_goodbye:
            self.said_goodbye = True
            with suppress(ssl.SSLError):  # the other goodbye has not come yet
                self.client.unwrap()
            self.is_dead = True
            self.under_way += self._outgoing.read()

    def end(self, _: int) -> None:
        """The stream of the client ends, whoever has ended it."""
        if not self.has_ended and not self.wire.closing:
            self.has_ended = True
            self.layer.eof_received()
            if not (self.wire.closing or self.heard.has_eof or self.heard.is_over):
                raise Broken("a stream that is cut goes on")

    def answer(self, size: int) -> None:
        if not self.layer.is_closing() and not self.heard.is_over:
            self.layer.write(_TEXT[:size])
            if self.tls.handshakes[Outcome.DONE]:
                self.answered += _TEXT[:size]

    def close(self, how: int) -> None:
        match how % 3:
            case 0:
                self.turns.slice().spend()
            case 1 if not self.heard.is_over:
                self.heard.end()
            case _:
                self.heard.is_over = True
                self.layer.close()

    def check(self) -> None:
        """All that holds at any moment. Raises `Broken`."""
        heard, is_whole = self.heard, not self.is_meddled and not self.under_way
        if not self.said.startswith(heard.data):
            raise Broken(f"heard {len(heard.data)} bytes that are not those of {len(self.said)}")
        if is_whole and not (heard.is_over or self.has_ended) and heard.data != self.said:
            raise Broken(f"heard {len(heard.data)} of {len(self.said)} bytes")
        if heard.has_eof and not (self.said_goodbye and heard.data == self.said):
            raise Broken("a last word that nobody has said")
        if not self.answered.startswith(self.read):
            raise Broken("the client has read what was not answered")
        if not (self.is_dead or self.is_meddled or heard.is_over) and self.read != self.answered:
            raise Broken(f"read {len(self.read)} of {len(self.answered)} bytes")
        is_open = self.is_done or self.wire.closing or heard.is_over
        if self.came > _HELD_MAX and not is_open:
            raise Broken(f"a handshake that has got {self.came} bytes goes on")


_STEPS: tuple[Callable[[_Talk, int], None], ...] = (
    lambda talk, size: talk.deliver(1 << 30 if size > 127 else size * size + 1),
    lambda talk, _: talk.deliver(1 << 30),
    lambda talk, size: talk.say(size * size),
    _Talk.flip,
    _Talk.drop,
    _Talk.forge,
    _Talk.goodbye,
    _Talk.end,
    lambda talk, size: talk.answer(size * size),
    _Talk.close,
)
"""A byte for each of these, and one that says more."""

_SOME, _ALL, _SAY, _FLIP, _DROP, _FORGE, _BYE, _END, _ANSWER, _CLOSE = range(len(_STEPS))


@cache
def _pair() -> tuple[Path, Path, Path]:
    directory = Path(tempfile.mkdtemp(prefix="gossipd-fuzz-"))
    authority = Authority(directory)
    pair = authority.issue("a", "a")
    return authority.cert, pair.cert, pair.key


@cache
def _contexts(old: bool, asks: bool, shows: bool) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    ca, cert, key = _pair()
    client = ssl.create_default_context(cafile=ca)
    if old:
        client.maximum_version = ssl.TLSVersion.TLSv1_2
    if shows:
        client.load_cert_chain(cert, key)
    found = load_certificate(str(cert), str(key), str(ca) if asks else None)
    return found.context, client


def take(data: bytes) -> bool:
    """Let it happen."""
    return asyncio.run(_take(data[:1], data[1:]))


async def _take(kind: bytes, steps: bytes) -> bool:
    escaped: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, what: escaped.append(what))
    talk = _Talk(kind[0] if kind else 0)
    if kind and kind[0] & _RAW:
        talk.is_meddled = True
        for piece in (steps[:3], steps[3:]):
            talk.under_way[:] = piece
            talk.deliver(1 << 30)
            await talk.go_on()
            talk.check()
        if steps[:1] not in (b"", b"\x16") and b"this port speaks TLS" not in talk.wire.written:
            raise Broken(f"who speaks no TLS is told {talk.wire.written!r}")
    else:
        await talk.go_on()
        for step, more in zip(steps[::2], steps[1::2], strict=False):
            _STEPS[step % len(_STEPS)](talk, more)
            await talk.go_on()
            talk.check()
    talk.layer.connection_lost(None)
    await asyncio.sleep(0)
    if escaped:
        raise Broken(f"raised in the loop: {escaped}")
    return bool(talk.heard.data)


def _steps(kind: int, *steps: int) -> bytes:
    return bytes((kind, *steps))


_SHAKEN = (_ALL, 0) * 3


def seeds() -> Iterable[bytes]:
    """Conversations: whole ones, such that are cut, and such with somebody in between."""
    for kind in (0, _OLD, _ASKS | _SHOWS, _OLD | _ASKS | _SHOWS):
        yield _steps(kind, *_SHAKEN, _SAY, 9, _ALL, 0, _ANSWER, 200, _BYE, 0, _ALL, 0, _END, 0)
    yield _steps(0, *_SHAKEN, _SAY, 250, *(_SOME, 90) * 9, _END, 0)
    yield _steps(0, *_SHAKEN, _SAY, 5, _FLIP, 9, _ALL, 0, _END, 0)
    yield _steps(_OLD, *_SHAKEN, _SAY, 5, _DROP, 0, _ALL, 0, _BYE, 0, _ALL, 0)
    yield _steps(_ASKS, *_SHAKEN, _SAY, 5, _ALL, 0)
    yield _steps(0, *(_CLOSE, 0, _ALL, 0) * 3, _SAY, 5, _ALL, 0, _CLOSE, 1, _ALL, 0, _END, 0)
    yield _steps(0, *_SHAKEN, _SAY, 5, _ALL, 0, _ANSWER, 9, _CLOSE, 2)
    for what in range(len(FORGED)):
        yield _steps(0, *_SHAKEN, _SAY, 5, _FORGE, what, _ALL, 0, _END, 0)
        yield _steps(_OLD, _SOME, 3, _FORGE, what, _FORGE, 248 + what, _ALL, 0, _END, 0)
    yield bytes((_RAW,)) + b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    yield bytes((_RAW,)) + FORGED[5]
    yield b""


TLS = Target(
    take=take,
    seeds=seeds,
    pieces=(*(bytes((step, 3)) for step in range(len(_STEPS))), bytes(_SHAKEN), *FORGED[:5]),
    size_max=400,
)
