"""Arbitrary bytes, in arbitrary pieces, against a connection without a network."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from gossipd.sideport.connection import Connection
from gossipd.sideport.limits import Limits
from gossipd.sideport.tokens import quote, split
from tests.effort import examples

from .fake import (
    KEY,
    FakeBackend,
    FakeHost,
    FakeTransport,
)

GRAMMAR = st.sampled_from(
    [
        b"GET ", b"POST ", b"/increment", b"/count", b"?by=", b"&counter=", b" HTTP/1.1\r\n",
        b"Host: a\r\n", b"Origin: http://a\r\n", b"Content-Length: 2\r\n", b"\r\n", b"{}", b"%",
        b"Transfer-Encoding: chunked\r\n", b"Connection: close\r\n", b"Connection: upgrade\r\n",
        b"Upgrade: x\r\n", b"Expect: 100-continue\r\n", b"2\r\n{}\r\n0\r\n\r\n", b"increment ",
        b"PUT ", b"/increments", b"/sources/a/b", b"?after=", b"&ack=2", b"&key=", b"timeout=0",
        b"Idempotency-Key: ", str(KEY).encode(), b"00000000-0000-8000-8000-000000000001",
        b"Content-Length: 5\r\n", b"{}\n{}", b'{"seq": 1, "total": 2}', b" ack=1", b" after=",
        b'"', b"\\", b"count\n", b"\n", b"log 3\n", b"quit\n", b"\x16", b"\0", b"x" * 5000,
        b"*2\r\n$4\r\nINCR\r\n$1\r\na\r\n", b"*3\r\n$4\r\nWAIT\r\n$1\r\n2\r\n", b"$1\r\n9\r\n",
        b"*2\r\n$4\r\nKEYS\r\n", b"$1\r\n*\r\n", b"*1\r\n$5\r\nMULTI\r\n", b"*1\r\n$4\r\nQUIT\r\n",
    ]
)  # fmt: skip
TURNS_MAX = 100_000
"""Turns of the loop within which all that was asked has been answered: a few for each command."""

PIECES = st.lists(st.lists(GRAMMAR | st.binary(max_size=20), max_size=20).map(b"".join))


@examples(300)
@given(pieces=PIECES, held=st.booleans(), full=st.booleans(), eof=st.booleans())
def test_no_input_escapes_the_protocol(
    pieces: list[bytes], held: bool, full: bool, eof: bool
) -> None:
    async def run() -> None:
        escaped: list[object] = []
        asyncio.get_running_loop().set_exception_handler(
            lambda _, context: escaped.append(context)
        )
        backend, transport = FakeBackend(), FakeTransport()
        backend.paused = held
        host = FakeHost(backend, Limits())
        connection = Connection(host)
        connection.connection_made(transport)
        for number, piece in enumerate(pieces):
            if transport.closing:
                break
            if full and number == 1:
                connection.pause_writing()
            if piece and transport.reading:
                connection.data_received(piece)
            if full and number == 3:
                connection.resume_writing()
            if number == 2:
                backend.commit()
                await asyncio.sleep(0)
        if eof and transport.reading and not transport.closing:
            assert connection.eof_received()
            if full:
                connection.resume_writing()
            for _ in range(TURNS_MAX):
                if transport.is_closing():
                    break
                backend.commit()
                await asyncio.sleep(0)
            assert transport.closing, "half a close is answered and then closed"
        connection.connection_lost(None)
        assert host.left == [connection]
        assert escaped == []

    asyncio.run(run())


@given(st.lists(st.text().filter(lambda text: "\n" not in text)))
def test_quoted_words_are_read_as_they_were(words: list[str]) -> None:
    assert split(" ".join(map(quote, words))) == words
