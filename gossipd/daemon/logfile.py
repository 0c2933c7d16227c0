"""A log in a file is written by a process of its own, so that the node's can end whatever that
file's disk does.

Who writes to a file whose disk hangs cannot be ended before it answers (`store.worker` says more),
be it one thread of many. So a child writes, and the node waits for its answer, which it can give
up. The child is forked before anything else is there, ends when the node has, and may be left
behind with what it was given last. A pipe, a terminal or the journal needs none: who waits for
these can be ended.
"""

from __future__ import annotations

import os
import socket
import stat
from contextlib import suppress

from gossipd.process import signals, streams

SIZE_MAX = 64 * 1024
"""Bytes that the child is given at a time."""

_ANSWER_SIZE = 32


class FileWriter:
    """The child, as the node sees it."""

    def __init__(self, child: socket.socket) -> None:
        self._child = child

    def write(self, data: memoryview) -> int:
        """Write a part of `data`; how much. Raises `OSError`, as it would have here."""
        self._child.send(data[:SIZE_MAX])
        written = int(self._child.recv(_ANSWER_SIZE) or b"0")
        if written <= 0:
            raise OSError(-written, os.strerror(-written) if written else "its writer has ended")
        return written


def writer_of(fd: int) -> FileWriter | None:
    """Who writes to the file behind a descriptor; None where there is none, or no file. Raises
    `NoProcessError`."""
    try:
        is_file = stat.S_ISREG(os.fstat(fd).st_mode)
    except OSError:
        return None
    if not is_file:
        return None
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if signals.fork():
        theirs.close()
        return FileWriter(ours)
    try:
        ours.close()
        streams.close(*{0, 1, 2} - {fd})
        with suppress(OSError):  # the node has ended
            _serve(theirs, fd)
    finally:
        os._exit(0)


def _serve(node: socket.socket, fd: int) -> None:
    """Write what comes, and answer how much that was, or as which error it ended."""
    while data := node.recv(SIZE_MAX):
        try:
            written = os.write(fd, data)
        except OSError as error:
            written = -(error.errno or 0)
        node.send(b"%d" % written)
