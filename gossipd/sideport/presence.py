"""Whether a client that waits for an answer is still there.

Whoever has closed a connection looks like one who has only said his last word (half a close, as by
`nc -N`) and still listens: until something is sent to him. So a byte is sent beside the stream
(urgent data, RFC 9293 3.8.5), which no client reads that does not ask for it: the system of who
listens takes it, that of who has closed answers with a reset.
"""

from __future__ import annotations

import contextlib
import socket

_CLOSE, _CLOSE_WAIT = 7, 8
"""States of a connection, as Linux numbers them: there is none any more; the client has closed it,
in one direction at least."""


def is_gone(connected: socket.socket) -> bool:
    """Whether nobody will read what is sent there, as far as is known; what is found out now is
    known a round trip later."""
    try:
        state = connected.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
    except OSError:
        return True
    if state == _CLOSE_WAIT:
        _touch(connected.fileno())
    return state == _CLOSE


def _touch(descriptor: int) -> None:
    """A transport's socket has no `send`."""
    its_own = socket.socket(fileno=descriptor)
    try:
        with contextlib.suppress(OSError):  # it has been reset, or takes nothing: others look then
            its_own.send(b"\n", socket.MSG_OOB | socket.MSG_DONTWAIT)
    finally:
        its_own.detach()
