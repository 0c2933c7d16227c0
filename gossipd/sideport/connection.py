"""One TCP connection: what all dialects share.

It tells the dialect, feeds it slices of input while there is room for answers, obeys the
transport's back pressure, knows until when it may wait for whatever it waits for, and closes so
that the last answer arrives. Memory per connection is bounded: at most one read of input is held
unparsed, a bounded number of commands is pending, and no answer is made while the client does not
take the ones before.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from typing import TYPE_CHECKING, cast

from gossipd.core import Refused, Why
from gossipd.sideport import http_answers as answers
from gossipd.sideport.access import GONE
from gossipd.sideport.detection import OpeningDialect
from gossipd.sideport.dialect import Dialect
from gossipd.sideport.http import HttpDialect
from gossipd.sideport.limits import Limits
from gossipd.sideport.listening import TCP, Listener
from gossipd.sideport.pipeline import Pipeline
from gossipd.sideport.places import Place, source_of
from gossipd.sideport.presence import is_gone, touch
from gossipd.sideport.resp.dialect import RespDialect
from gossipd.sideport.text import TextDialect
from gossipd.sideport.turns import Slice

if TYPE_CHECKING:
    from gossipd.sideport.port import SidePort

SLICE_SIZE = 1024
"""Input is parsed in slices of this size, between which the limits on pending work, and the time
that it takes, are heeded."""

_PEER = struct.Struct("3i")
"""Linux: process, user and group of who has connected to a Unix socket."""

_TOO_MANY = Refused(Why.UNAVAILABLE, "too many connections", 1)


class Connection(asyncio.Protocol):
    """One client's."""

    def __init__(self, port: SidePort, listener: Listener = TCP) -> None:
        self.listener = listener
        access = port.access if listener.asks_tokens else port.open
        self._port = port
        self._turns = port.turns
        self._limits = limits = port.limits
        self._loop = asyncio.get_running_loop()
        self._pipeline = pipeline = Pipeline(self._write, self._go_on, self._end, port.turns)
        pipeline.at_flow = self._hold_little
        self._dialect: Dialect = OpeningDialect(
            lambda: HttpDialect(port, pipeline, access, brief=self._brief),
            lambda: TextDialect(port, pipeline, access, brief=self._brief),
            lambda: RespDialect(port, pipeline, access, brief=self._brief),
            self._become,
            pipeline,
            limits,
        )
        self._transport: asyncio.Transport | None = None
        self._unparsed = b""
        self._parsed = 0
        """How much of `_unparsed` is parsed already."""
        self._eof = False
        self._reading = True
        self._active_at = self._made_at = self._loop.time()
        self._brief = False
        """It has a place for one short answer only."""
        self._stalled_size = 0
        """What waited for the client when it was last looked whether it takes anything."""
        self._seen_at = float("-inf")
        """When it was last looked whether the client is there."""
        self._touched = False
        """Whether a client that has closed was asked if that is all it does."""
        self._linger_until: float | None = None
        self._discarded_size = 0

    # What the transport says.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is not a subclass
        _set_up(transport, self._limits)
        origin = _origin(transport)
        self._pipeline.source = source_of(origin)
        self._pipeline.client = f"user {origin}" if isinstance(origin, int) else str(origin)
        place = self._port.admit(self, origin)
        self._brief = place is Place.BRIEF
        if place is Place.NONE:
            self._pipeline.say(answers.problem(_TOO_MANY, answers.CLOSE))
            self._pipeline.end(linger=True)
            self._work(self._turns.slice())

    def connection_lost(self, _: Exception | None) -> None:
        """Nothing may refer to this connection any more, not even its own parts: cycles would
        wait for Python's collector, whose searches hold the loop the longer the more there are."""
        self._transport = None
        self._pipeline.abandon()
        self._dialect.end()
        self._unparsed = b""
        self._port.gone(self)

    def data_received(self, data: bytes) -> None:
        pipeline = self._pipeline
        if pipeline.closed:
            self._discard(len(data))
            return
        self._active_at = self._loop.time()
        if self._unparsed or pipeline.resting or len(data) > SLICE_SIZE or not self._reading:
            self._unparsed = self._unparsed[self._parsed :] + data if self._unparsed else data
            self._parsed = 0
            self._arrive()
            return
        time = self._turns.slice()  # the usual case: as `_arrive`, in fewer steps
        if time.over:
            self._unparsed = data
            pipeline.rest(is_new=True)
            return
        self._dialect.feed(data, self._active_at)
        pipeline.advance(time)
        if not pipeline.closed and not self._has_room():
            self._turn_reading()

    def eof_received(self) -> bool:
        """Half a close: the client may still be reading, so it gets all its answers."""
        self._eof = True
        if self._linger_until is not None:
            self._close()
        else:
            self._arrive()
        return True

    def pause_writing(self) -> None:
        self._pipeline.held = True
        self._begin_to_wait_for_writes()

    def resume_writing(self) -> None:
        self._pipeline.held = False
        self._active_at = self._loop.time()
        self._arrive()

    # What the port says and asks.

    @property
    def held_size(self) -> int:
        """Bytes of large bodies that it holds or is about to receive."""
        return self._dialect.size + self._pipeline.size

    def drain(self) -> None:
        """Answer what is pending, take nothing more, close."""
        self._unparsed = b""
        self._pipeline.end(linger=self._pipeline.pending > 0)
        self._work(self._turns.slice())
        if self._pipeline.is_cut:
            self._loop.call_later(self._limits.word_timeout, self.abort)

    def refuse(self) -> None:
        """All is said already: wait for the client to hear it, and close."""
        if self._pipeline.closed:
            self.abort()
        else:
            self._pipeline.end(linger=True)
            self._work(self._turns.slice())

    def tokens_changed(self) -> None:
        """Some are not welcome any more."""
        if not self._dialect.stays():
            self.turn_out(GONE)

    def turn_out(self, why: str) -> None:
        """The client is told so, if possible, and has to go."""
        if (flow := self._pipeline.flow) is not None:
            flow.stop(why)
            flow.close()
        elif self._pipeline.closed:
            self.abort()
        else:
            self._pipeline.turn_away()
            self.drain()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    # Work.

    def _become(self, dialect: Dialect) -> None:
        self._dialect = dialect

    def _arrive(self) -> None:
        """There is something to do: in this slice of time, or when it is its turn."""
        time = self._turns.slice()
        if time.over:
            self._pipeline.rest(is_new=True)
        self._work(time)

    def _go_on(self) -> None:
        """It is its turn: to answer what has ended, or to go on with what is not parsed yet."""
        self._pipeline.resting = False
        self._active_at = self._loop.time()
        self._work(self._turns.slice())

    def _work(self, time: Slice) -> None:
        """Parse what there is room and time for, answer what can be answered."""
        pipeline = self._pipeline
        if pipeline.pending:
            pipeline.advance(time)
        while self._unparsed and not pipeline.resting and self._has_room():
            self._dialect.feed(self._next_slice(), self._active_at)
            pipeline.advance(time)
            if self._unparsed and time.over:
                pipeline.rest()
        if self._eof and not self._unparsed and not pipeline.closed:
            self._dialect.finish()
            pipeline.advance(time)
        if pipeline.closed:
            self._unparsed = b""
        if (pipeline.closed or self._has_room()) is not self._reading:
            self._turn_reading()

    def _next_slice(self) -> bytes:
        data, start = self._unparsed, self._parsed
        end = start + SLICE_SIZE
        if end < len(data):
            self._parsed = end
            return data[start:end]
        self._unparsed, self._parsed = b"", 0
        return data[start:]  # the very same if nothing of it was parsed yet

    def _has_room(self) -> bool:
        pipeline = self._pipeline
        if pipeline.closed or pipeline.held or pipeline.size:
            return False
        if pipeline.resting and len(self._unparsed) - self._parsed > SLICE_SIZE:
            return False
        return pipeline.pending < self._limits.pending_max

    def _turn_reading(self) -> None:
        """Read no more, or again."""
        if self._eof or self._transport is None:
            return
        self._reading = not self._reading
        if self._reading:
            self._dialect.resume(self._active_at)
            self._transport.resume_reading()
        else:
            self._transport.pause_reading()

    def _write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def _hold_little(self) -> None:
        """Of an answer that does not end, for it may never be read."""
        if self._transport is not None:
            self._transport.set_write_buffer_limits(high=0)
            _limit_sending(self._transport, self._limits.flow_size_max)
            _hold_unsent(self._transport, self._limits.unsent_max)

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
        elif self._reading:
            self._turn_reading()

    def _close(self) -> None:
        if self._transport is not None:
            self._linger_until = None
            self._transport.close()
            self._begin_to_wait_for_writes()

    # Deadlines.

    @property
    def idle_since(self) -> float | None:
        """Since when it waits for its client to say something; None: it does not."""
        pipeline, transport = self._pipeline, self._transport
        if transport is None or self._linger_until is not None or transport.is_closing():
            return None
        if pipeline.held or pipeline.pending or pipeline.resting or not self._reading:
            return None
        return self._active_at

    def look(self, now: float) -> None:
        """Once in a while: whether it has waited for its client for longer than that deserves."""
        transport = self._transport
        if transport is None:
            return
        if self._linger_until is not None:
            if now >= self._linger_until:
                self._close()
        elif self._pipeline.held or transport.is_closing():
            if now >= self._active_at + self._limits.write_timeout:
                self._look_at_writes(transport)
        elif self._pipeline.pending and (self._eof or not self._reading):
            # The loop does not hear of its client now.
            if now >= max(self._active_at, self._seen_at) + self._limits.presence_interval:
                self._seen_at = now
                self._turns.add(self._look_for_client)
        elif self.idle_since is not None:
            until = self._dialect.expires_at(self._active_at)
            if self._brief:
                until = min(until, self._made_at + self._limits.reserve_timeout)
            if now >= until:
                self._dialect.expire()
                self._arrive()

    def _look_for_client(self) -> None:
        transport = self._transport
        if transport is None:
            return
        connected = transport.get_extra_info("socket")
        if is_gone(connected):
            transport.abort()
        elif not self._touched:
            self._touched = touch(connected)

    def _begin_to_wait_for_writes(self) -> None:
        if self._transport is not None:
            self._stalled_size = self._transport.get_write_buffer_size()
        self._active_at = self._loop.time()

    def _look_at_writes(self, transport: asyncio.Transport) -> None:
        taken = self._stalled_size - transport.get_write_buffer_size()
        if taken >= self._limits.write_rate_min * self._limits.write_timeout:
            self._begin_to_wait_for_writes()
        else:
            transport.abort()


def _origin(transport: asyncio.BaseTransport) -> str | int | None:
    """The address of a client, or by a Unix socket its user."""
    connected: socket.socket | None = transport.get_extra_info("socket")
    if connected is not None and connected.family == socket.AF_UNIX:
        found = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)
        return int(_PEER.unpack(found)[1])
    peer = transport.get_extra_info("peername")
    return str(peer[0]) if peer else None


def _set_up(transport: asyncio.BaseTransport, limits: Limits) -> None:
    """Let the kernel notice hosts that vanished, as idle text connections stay for an hour, and
    hold little for those who do not read."""
    connected: socket.socket | None = transport.get_extra_info("socket")
    if connected is not None:
        with contextlib.suppress(OSError):
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    _limit_sending(transport, limits.send_size_max)


def _limit_sending(transport: asyncio.BaseTransport, size: int) -> None:
    connected: socket.socket | None = transport.get_extra_info("socket")
    if connected is not None:
        with contextlib.suppress(OSError):
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, size)


def _hold_unsent(transport: asyncio.BaseTransport, size: int) -> None:
    """Let the kernel take no more while so much waits for a client to read, or for the network."""
    connected: socket.socket | None = transport.get_extra_info("socket")
    if connected is not None:
        with contextlib.suppress(OSError):  # of a Unix socket
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, size)
