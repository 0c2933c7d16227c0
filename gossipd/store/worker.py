"""The disk has a process of its own, so that the node's can end whatever the disk does.

Who waits for a disk that hangs can often not be ended before it answers, not even by SIGKILL
(uninterruptible sleep), and a process is there for as long as one of its threads is. So the node
does not touch its disk: a child does, on its behalf, and is left behind if it has to be. It keeps
the lock of the directory for so long, for it may still write what it was given.

The child is forked before anything else is there: for who has threads must not fork, and what only
the node needs is to be no memory of the child. It does what comes through a socket, and ends when
that is closed, however the node ended. Calls are pickled: both ends are one program, and nobody
else has the socket.
"""

from __future__ import annotations

import gc
import logging
import os
import pickle
import select
import socket
import threading
import traceback
from collections import deque
from collections.abc import Coroutine, Iterator
from inspect import isawaitable
from pathlib import Path
from struct import Struct
from typing import Any, NamedTuple

from gossipd.core import Snapshot
from gossipd.process import signals, streams

from .sqlite import DiskStore

NOBODY = 0
"""The number of a call whose end nobody waits for; should the child fail, it says why under it."""

LOGGED = -1
"""The number of what the child logs: level and text, for the node to log."""

_LENGTH = Struct("!Q")
READ_SIZE = 2**18


class Keeper(NamedTuple):
    """The child, as the node sees it."""

    socket: socket.socket
    pid: int


def fork() -> Keeper:
    """Make the child. Nothing may run in this process yet but the one thread. Raises
    `NoProcessError`."""
    ours, theirs = socket.socketpair()
    node = os.getpid()
    gc.freeze()  # a search writes into all that it looks at, which both have as one until then
    pid = signals.fork()  # a signal to both is the node's: it needs its disk until it has left
    if pid:
        theirs.close()
        return Keeper(ours, pid)
    try:
        ours.close()
        streams.close(0, 1, 2)
        _log_through(theirs)
        threading.Thread(target=_end_with, args=(theirs,), daemon=True).start()
        serve(theirs, node)
    except BaseException as error:
        theirs.sendall(_answer(NOBODY, False, error))
    finally:
        os._exit(0)


class _Through(logging.Handler):
    """Hands what is logged to the node."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__()
        self._socket = sock

    def emit(self, record: logging.LogRecord) -> None:
        self._socket.sendall(frame((LOGGED, True, (record.levelno, self.format(record)))))


def _log_through(sock: socket.socket) -> None:
    """The child's streams are closed; the node decides what is to be seen."""
    root = logging.getLogger()
    root.handlers[:] = [_Through(sock)]
    root.setLevel(logging.NOTSET)


def frame(message: object) -> bytes:
    """A message as it goes through the socket."""
    body = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    return _LENGTH.pack(len(body)) + body


class Frames:
    """Takes apart what comes out of a socket."""

    def __init__(self) -> None:
        self._received = bytearray()

    def feed(self, data: bytes) -> Iterator[Any]:
        """The messages that are complete now."""
        self._received += data
        while len(self._received) >= _LENGTH.size:
            (size,) = _LENGTH.unpack_from(self._received)
            end = _LENGTH.size + size
            if len(self._received) < end:
                return
            with memoryview(self._received) as view, view[_LENGTH.size : end] as body:
                message = pickle.loads(body)
            del self._received[:end]
            yield message


def serve(sock: socket.socket, node: int) -> None:
    """Do what comes through the socket for the process `node`, until it is closed.

    Calls have their turns: one of many steps does not hold up one that comes meanwhile.
    """
    calls = _Calls(node)
    frames = Frames()
    turns: deque[tuple[int, Coroutine[None, None, object]]] = deque()
    while True:
        if received := _receive(sock, wait=not turns):
            for number, name, given in frames.feed(received):
                turns.append((number, calls.call(name, given)))
        elif received == b"":
            return
        if not turns:
            continue  # a message comes in pieces
        number, call = turns.popleft()
        try:
            call.send(None)
            turns.append((number, call))
        except StopIteration as end:
            sock.sendall(_answer(number, True, end.value))
        except Exception as error:
            error.add_note("".join(traceback.format_exception(error)))
            sock.sendall(_answer(number, False, error))


class _Calls:
    """The calls of a store by name."""

    def __init__(self, node: int) -> None:
        self._node = node
        self._store: DiskStore | None = None

    async def call(self, name: str, given: tuple[Any, ...]) -> object:
        if name == "open":
            return self._open(*given)
        called = getattr(self._store, name)(*given)
        return await called if isawaitable(called) else called

    def _open(self, directory: Path, options: dict[str, Any]) -> Snapshot:
        gc.disable()
        try:
            self._store = DiskStore.open(directory, holder=self._node, **options)
            return self._store.load()
        finally:
            gc.enable()


def _receive(sock: socket.socket, wait: bool) -> bytes | None:
    """What has come, nothing at the end; None where nothing has come and nobody waits for it."""
    try:
        return sock.recv(READ_SIZE, 0 if wait else socket.MSG_DONTWAIT)
    except BlockingIOError:
        return None


def _answer(number: int, done: bool, result: object) -> bytes:
    try:
        return frame((number, done, result))
    except Exception as error:  # what was raised may hold what cannot be sent
        return frame((number, False, RuntimeError(f"{result!r}: {error!r}")))


def _end_with(sock: socket.socket) -> None:
    """End at once when the node has, in the midst of what is under way, as in a crash."""
    poll = select.poll()
    poll.register(sock, select.POLLRDHUP)
    poll.poll()
    os._exit(0)
