"""Whether a client that waits for an answer is still there.

Whoever has closed a connection looks like one who has only said his last word (half a close, as by
`nc -N`) and still listens: until something is sent to him. So a byte is sent beside the stream
(urgent data, RFC 9293 3.8.5), which no client reads that does not ask for it: the system of who
listens takes it, that of who has closed answers with a reset. It is sent once to each: where a
second one comes before what precedes the first is read, Linux leaves the first in the stream. So
of one who was found listening and goes later, no more may be known until his answer is sent.

A Unix socket tells both apart by itself: who is gone has hung up.
"""

from __future__ import annotations

import select
import socket

_CLOSE, _CLOSE_WAIT = 7, 8
"""States of a connection, as Linux numbers them: there is none any more; the client has closed it,
in one direction at least."""


def is_gone(connected: socket.socket) -> bool:
    """Whether nobody will read what is sent there, as far as is known."""
    if connected.family == socket.AF_UNIX:
        return _has_hung_up(connected.fileno())
    return _state(connected) == _CLOSE


def touch(connected: socket.socket) -> bool:
    """Find out whether a client that has closed in one direction has closed in both; that is known
    a round trip later. False where there is nothing to find out now."""
    if connected.family == socket.AF_UNIX:
        return False
    if _state(connected) != _CLOSE_WAIT:
        return False
    its_own = socket.socket(fileno=connected.fileno())  # a transport's has no `send`
    try:
        its_own.send(b"\n", socket.MSG_OOB | socket.MSG_DONTWAIT)
    except OSError:  # it has been reset, or takes nothing: others look then
        return False
    finally:
        its_own.detach()
    return True


def _has_hung_up(descriptor: int) -> bool:
    poll = select.poll()
    poll.register(descriptor, 0)
    return bool(poll.poll(0))


def _state(connected: socket.socket) -> int:
    try:
        return connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
    except OSError:
        return _CLOSE
