"""One TCP connection: what HTTP and text share.

It tells the dialect, feeds it slices of input while there is room for answers, obeys the
transport's back pressure, keeps one deadline for whatever is being waited for, and closes so that
the last answer arrives. Memory per connection is bounded: at most one read of input is held
unparsed, a bounded number of commands is pending, and no answer is made while the client does not
take the ones before.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import cast

from gossipd.sideport import answers
from gossipd.sideport.commands import Commands
from gossipd.sideport.deadline import NEVER, Deadline
from gossipd.sideport.dialect import Dialect
from gossipd.sideport.http import HttpDialect
from gossipd.sideport.limits import Limits
from gossipd.sideport.opening import OpeningDialect
from gossipd.sideport.pipeline import Pipeline
from gossipd.sideport.text import TextDialect
from gossipd.sideport.turns import Slice
from gossipd.sideport.values import refusal

SLICE_SIZE = 1024
"""Input is parsed in slices of this size, between which the limits on pending work, and the time
that it takes, are heeded."""

_TOO_MANY = answers.frame(answers.problem(refusal(503, "too many connections", 1)), answers.CLOSE)


class Connection(asyncio.Protocol):
    """`admit` is asked once whether the connection may stay, `gone` is told when it has ended,
    `held_size` tells how many bytes of large bodies all connections hold, this one included."""

    def __init__(
        self,
        commands: Commands,
        limits: Limits,
        admit: Callable[[Connection], bool],
        gone: Callable[[Connection], None],
        held_size: Callable[[], int],
    ) -> None:
        self._commands = commands
        self._limits = limits
        self._admit = admit
        self._gone = gone
        self._loop = asyncio.get_running_loop()
        self._deadline = Deadline(self._loop, self._expire)
        self._pipeline = Pipeline(
            commands.increment, self._write, self._progress, self._end, commands.turns
        )
        self._dialect: Dialect = OpeningDialect(
            lambda: HttpDialect(commands, self._pipeline, limits, held_size),
            lambda: TextDialect(commands, self._pipeline, limits),
            self._become,
            self._pipeline,
            limits,
        )
        self._transport: asyncio.Transport | None = None
        self._unparsed = b""
        self._parsed = 0
        """How much of `_unparsed` is parsed already."""
        self._eof = False
        self._reading = True
        self._active_at = self._loop.time()
        self._stalled_size = 0
        """What waited for the client when its write deadline was set."""
        self._linger_until: float | None = None
        self._discarded_size = 0

    # What the transport says.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is not a subclass
        _keep_alive(transport)
        if self._admit(self):
            self._rearm()
        else:
            self.refuse(_TOO_MANY)

    def connection_lost(self, _: Exception | None) -> None:
        self._transport = None
        self._deadline.cancel()
        self._pipeline.abandon()
        self._unparsed = b""
        self._gone(self)

    def data_received(self, data: bytes) -> None:
        if self._pipeline.closed:
            self._discard(len(data))
            return
        self._active_at = self._loop.time()
        self._unparsed = self._unparsed[self._parsed :] + data if self._unparsed else data
        self._parsed = 0
        self._work()

    def eof_received(self) -> bool:
        """Half a close: the client may still be reading, so it gets all its answers."""
        self._eof = True
        if self._linger_until is not None:
            self._close()
        else:
            self._work()
        return True

    def pause_writing(self) -> None:
        self._pipeline.held = True
        self._active_at = self._loop.time()
        self._rearm()

    def resume_writing(self) -> None:
        self._pipeline.held = False
        self._progress()

    # What the port says and asks.

    @property
    def held_size(self) -> int:
        """Bytes of large bodies that it holds or is about to receive."""
        return self._dialect.size + self._pipeline.size

    def refuse(self, answer: bytes) -> None:
        """Say `answer` and close, whatever the client wants."""
        self._pipeline.add(lambda: answer)
        self._pipeline.end(linger=True)
        self._work()

    def drain(self) -> None:
        """Answer what is pending, take nothing more, close."""
        self._unparsed = b""
        self._pipeline.end(linger=len(self._pipeline) > 0)
        self._work()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    # Work.

    def _become(self, dialect: Dialect) -> None:
        self._dialect = dialect

    def _progress(self) -> None:
        self._active_at = self._loop.time()
        self._work()

    def _work(self) -> None:
        """Parse what there is room and time for, answer what can be answered."""
        time = Slice()
        self._pipeline.advance(time)
        while self._parsed < len(self._unparsed) and self._has_room():
            start, self._parsed = self._parsed, self._parsed + SLICE_SIZE
            self._dialect.feed(self._unparsed[start : self._parsed], self._active_at)
            self._pipeline.advance(time)
            if time.over:
                self._pipeline.rest()
        if self._parsed >= len(self._unparsed) or self._pipeline.closed:
            self._unparsed, self._parsed = b"", 0
            if self._eof and not self._pipeline.closed:
                self._dialect.finish()
                self._pipeline.advance(time)
        self._set_reading(self._pipeline.closed or self._has_room())
        self._rearm()

    def _has_room(self) -> bool:
        pipeline, limits = self._pipeline, self._limits
        if pipeline.closed or pipeline.held or pipeline.resting:
            return False
        return len(pipeline) < limits.pending_max and not pipeline.size

    def _set_reading(self, reading: bool) -> None:
        if reading is self._reading or self._eof or self._transport is None:
            return
        self._reading = reading
        if reading:
            self._dialect.resume(self._active_at)
            self._transport.resume_reading()
        else:
            self._transport.pause_reading()

    def _write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    # The end.

    def _end(self, linger: bool) -> None:
        """Everything is answered. Unless the client closes first, wait for it a moment where it
        may still be sending: closing over unread input could destroy the answer."""
        if self._transport is None or self._transport.is_closing():
            return
        if not linger or self._eof:
            self._close()
            return
        self._linger_until = self._loop.time() + self._limits.linger_timeout
        with contextlib.suppress(OSError):  # the client may be gone already
            self._transport.write_eof()

    def _discard(self, size: int) -> None:
        self._discarded_size += size
        if self._discarded_size <= self._limits.linger_size_max:
            return
        if self._linger_until is not None:
            self._close()
        else:
            self._set_reading(False)

    def _close(self) -> None:
        if self._transport is not None:
            self._linger_until = None
            self._transport.close()
            self._active_at = self._loop.time()
            self._rearm()

    # Deadlines.

    def _rearm(self) -> None:
        """Wait for whatever this connection waits for, no longer than it deserves."""
        transport = self._transport
        if transport is None:
            return
        if self._linger_until is not None:
            at = self._linger_until
        elif self._pipeline.held or transport.is_closing():
            self._stalled_size = transport.get_write_buffer_size()
            at = self._active_at + self._limits.write_timeout
        elif len(self._pipeline) or not self._reading:
            at = NEVER
        else:
            at = self._dialect.expires_at(self._active_at)
        self._deadline.set(at)

    def _expire(self) -> None:
        transport = self._transport
        if transport is None:
            return
        if self._linger_until is not None:
            self._close()
        elif self._pipeline.held or transport.is_closing():
            if transport.get_write_buffer_size() < self._stalled_size:
                self._active_at = self._loop.time()
                self._rearm()
            else:
                transport.abort()
        else:
            self._dialect.expire()
            self._work()


def _keep_alive(transport: asyncio.BaseTransport) -> None:
    """Let the kernel notice hosts that vanished: idle text connections stay for an hour."""
    connected: socket.socket | None = transport.get_extra_info("socket")
    if connected is not None:
        with contextlib.suppress(OSError):
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
