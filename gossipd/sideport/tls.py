"""TLS between a transport and a connection, which hardly notices: it is a protocol to the one and
a transport to the other.

So back pressure, deadlines, places and lingering are those of any connection, and half a close is
one here, too: who has said his last word (close_notify) still gets his answers. A stream that
ends without it may have been cut by somebody on the way, and what it said last is not done.

A handshake is work of some hundred microseconds, or of milliseconds with a large RSA key: it takes
its turn (`turns`) as all long work does. Until it is done a connection is one that has said
nothing yet. Of too many at a time the one that has begun first gives way.

Decrypting takes its turn, too, for a client may send records of one byte, or such as say nothing
and have TLS itself answer: of these it gets through with a few.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from contextlib import suppress
from enum import Enum
from typing import TYPE_CHECKING, Any, cast

from gossipd.sideport.detection import Opening, tell
from gossipd.sideport.http_answers import CLOSE, Problem, problem

if TYPE_CHECKING:
    from gossipd.sideport.connection import Connection
    from gossipd.sideport.turns import Turns

_CLIENT_HELLO = 0x16
"""The first byte of a handshake (RFC 8446 5.1), and of nothing else that is spoken here."""

_HANDSHAKE_SIZE_MAX = 128 * 1024
"""Bytes of a client after which a handshake has to be done, its certificates included. What the
client says first may come with the last of them."""

_RECORD_SIZE = 16 * 1024
"""Bytes that are encrypted at a time, or read of what was decrypted: more than that the buffers of
a connection do not keep once they are empty."""

_PIECE_SIZE = 2048
"""Bytes that are decrypted at a time: a hundred records at most."""

_ASIDE_MAX = 1024
"""Bytes that TLS itself answers to such a piece, as to who asks for new keys: more is cut."""


DISTRUSTED = "the CAs of clients have changed"


class Outcome(Enum):
    """What became of a handshake."""

    DONE = "done"
    FAILED = "failed"
    PLAIN = "plain"
    """The client does not speak TLS."""
    CROWDED = "crowded"
    """It gave way to another one."""
    ABANDONED = "abandoned"
    """The client went, or took too long."""


class _State(Enum):
    FRESH = "the client has said nothing"
    SHAKING = "a handshake is under way"
    OPEN = "TLS is spoken"
    OVER = "nothing more is said"


class Tls:
    """What all connections of a port share that speak TLS."""

    def __init__(self, context: ssl.SSLContext, handshakes_max: int) -> None:
        self.context = context
        """Holds for connections that begin."""
        self.ends_at = 0.0
        """When its certificate expires, in seconds since the epoch."""
        self.handshakes = Counter(dict.fromkeys(Outcome, 0))
        """How many there were."""
        self._handshakes_max = handshakes_max
        self._shaking: dict[Layer, None] = {}

    def begin(self, layer: Layer) -> ssl.SSLContext:
        """A handshake begins."""
        if len(self._shaking) >= self._handshakes_max:
            oldest = next(iter(self._shaking))
            self.end(oldest, Outcome.CROWDED)
            oldest.abort()
        self._shaking[layer] = None
        return self.context

    def end(self, layer: Layer, outcome: Outcome) -> None:
        """A handshake has ended; nothing happens where it had ended already."""
        if layer in self._shaking:
            del self._shaking[layer]
            self.handshakes[outcome] += 1


class Layer(asyncio.Protocol, asyncio.Transport):
    """Of one connection. `raw` is the transport of TCP."""

    def __init__(self, tls: Tls, turns: Turns, connection: Connection) -> None:
        super().__init__()
        self._tls = tls
        self._turns = turns
        self._connection: Connection | None = connection
        self._raw: asyncio.Transport | None = None
        self._state = _State.FRESH
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._session: ssl.SSLObject | None = None
        self._came = 0
        """Bytes of the client in its handshake."""
        self._eof = False
        """The client has said its last word."""
        self._undone = b""
        """What has come and is not decrypted yet: meanwhile nothing more is read."""
        self._waits = False
        """For its turn to go on with that."""
        self._is_read = True
        """The connection takes more."""
        self._is_held = False
        """The transport takes no more."""

    # What the transport says.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._raw = cast(asyncio.Transport, transport)
        assert self._connection is not None
        self._connection.connection_made(self)

    def connection_lost(self, exc: Exception | None) -> None:
        connection, self._connection = self._connection, None
        self._raw = self._session = None
        self._undone = b""
        self._tls.end(self, Outcome.ABANDONED)
        if connection is not None:
            connection.connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._state is _State.OPEN:
            self._take(data)
        elif self._state is _State.OVER:
            if self._connection is not None:
                self._connection.data_received(data)  # which throws it away
        elif self._state is _State.SHAKING or data[0] == _CLIENT_HELLO:
            self._incoming.write(data)
            self._came += len(data)
            self._arrive()
        else:
            self._tls.handshakes[Outcome.PLAIN] += 1
            self._give_up(_not_tls(data))

    def eof_received(self) -> bool:
        if self._state is _State.OVER and self._connection is not None:
            return self._connection.eof_received()
        if not self._eof:
            self.abort()
        return True

    def pause_writing(self) -> None:
        self._is_held = True
        if self._connection is not None:
            self._connection.pause_writing()

    def resume_writing(self) -> None:
        self._is_held = False
        if self._connection is not None:
            self._connection.resume_writing()

    # The handshake.

    def _arrive(self) -> None:
        if self._session is None:
            context = self._tls.begin(self)
            self._session = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
            self._state = _State.SHAKING
        if self._turns.slice().over:
            self._turns.add(self._shake, is_new=True)
            if self._raw is not None:
                self._raw.pause_reading()
        else:
            self._shake()

    def _shake(self) -> None:
        session = self._session
        if session is None or self._state is not _State.SHAKING:
            return
        try:
            session.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
            if self._came > _HANDSHAKE_SIZE_MAX:
                self.abort()
        except ssl.SSLError:
            self._tls.end(self, Outcome.FAILED)
            self._give_up(self._outgoing.read())  # which says why
        else:
            self._tls.end(self, Outcome.DONE)
            self._state = _State.OPEN
            self._flush()
            self._take(self._incoming.read())
        self._turn_reading()

    def _give_up(self, last: bytes) -> None:
        """End with these bytes, as they are."""
        self._state, self._session = _State.OVER, None
        if self._raw is None or self._connection is None or self._raw.is_closing():
            return
        self._raw.write(last)
        self._connection.refuse()

    # What the client says.

    def _take(self, data: bytes) -> None:
        """Decrypt what has come, and hand it on."""
        if not self._undone and len(data) <= _PIECE_SIZE:
            self._take_piece(data)
            return
        self._undone += data
        if not self._waits and self._is_read:
            self._go_on()

    def _go_on(self) -> None:
        """As far as there is time in this turn of the loop, and the connection takes it."""
        self._waits = True
        data, at, time = self._undone, 0, self._turns.slice()
        while at < len(data) and self._state is _State.OPEN and self._is_read and not self._eof:
            self._take_piece(data[at : at + _PIECE_SIZE])
            at += _PIECE_SIZE
            if time.over:
                break
        is_open = self._state is _State.OPEN and not self._eof and self._raw is not None
        self._undone = data[at:] if is_open else b""
        self._waits = False
        self._turn_reading()

    def _turn_reading(self) -> None:
        """Go on with what has come, if the connection takes more; if there is nothing, read it."""
        if self._undone and self._is_read and not self._waits:
            self._waits = True
            self._turns.add(self._go_on)
        if self._raw is not None and not self._raw.is_closing():
            if self._is_read and not self._undone:
                self._raw.resume_reading()
            else:
                self._raw.pause_reading()

    def _take_piece(self, data: bytes) -> None:
        session, parts = self._session, list[bytes]()
        if session is None or self._connection is None or self._eof:
            return
        try:
            ended = self._decrypt(session, data, parts)
        except ssl.SSLError:
            self._give_up(self._outgoing.read())
            return
        if aside := self._outgoing.pending:
            if aside > _ASIDE_MAX or self._is_held:
                self.abort()
                return
            self._flush()
        if parts:
            self._connection.data_received(parts[0] if len(parts) == 1 else b"".join(parts))
        if ended and self._connection is not None:
            self._eof = True
            self._connection.eof_received()

    def _decrypt(self, session: ssl.SSLObject, data: bytes, parts: list[bytes]) -> bool:
        """Whether the client has said its last word. Raises `ssl.SSLError`."""
        incoming = self._incoming
        incoming.write(data)
        with suppress(ssl.SSLWantReadError):
            while incoming.pending or session.pending():
                part = session.read(_RECORD_SIZE)
                if not part:
                    return True
                parts.append(part)
        return False

    def _flush(self) -> None:
        if self._raw is not None and not self._raw.is_closing():
            self._raw.write(self._outgoing.read())

    # What the connection wants of its transport.

    def write(self, data: bytes | bytearray | memoryview) -> None:
        raw, session, outgoing = self._raw, self._session, self._outgoing
        if raw is None or session is None or self._state is not _State.OPEN:
            return
        if len(data) <= _RECORD_SIZE:
            session.write(data)
            raw.write(outgoing.read())
            return
        for start in range(0, len(data), _RECORD_SIZE):
            session.write(data[start : start + _RECORD_SIZE])
            raw.write(outgoing.read())

    def write_eof(self) -> None:
        self._say_goodbye()
        if self._raw is not None and not self._raw.is_closing():
            self._raw.write_eof()

    def close(self) -> None:
        self._say_goodbye()
        if self._raw is not None:
            self._raw.close()

    def abort(self) -> None:
        if self._raw is not None:
            self._raw.abort()

    def _say_goodbye(self) -> None:
        """What is behind it, nobody can hide from the client. Who has not begun is let go."""
        if self._state is _State.OPEN and self._session is not None:
            with suppress(ssl.SSLError):  # it has not been answered yet
                self._session.unwrap()
            self._flush()
            self._state, self._session = _State.OVER, None
        elif self._state is not _State.OVER:
            self.abort()

    def is_closing(self) -> bool:
        return self._raw is None or self._raw.is_closing()

    def pause_reading(self) -> None:
        self._is_read = False
        self._turn_reading()

    def resume_reading(self) -> None:
        self._is_read = True
        self._turn_reading()

    def get_write_buffer_size(self) -> int:
        return 0 if self._raw is None else self._raw.get_write_buffer_size()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        if self._raw is not None:
            self._raw.set_write_buffer_limits(high, low)

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default if self._raw is None else self._raw.get_extra_info(name, default)


def _not_tls(first: bytes) -> bytes:
    """The answer to a client that speaks without TLS, in its own language."""
    match tell(first.lstrip(b"\r\n"), len(first)):
        case Opening.HTTP | Opening.UNSURE_HTTP:
            return problem(Problem(400, "this port speaks TLS: ask for https://"), CLOSE)
        case Opening.RESP:
            return b"-ERR this port speaks TLS\r\n"
        case _:
            return b"error: this port speaks TLS\n"
