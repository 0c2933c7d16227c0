"""Standard streams that keep their promise: no output is lost without a word.

What stdout cannot take raises `StreamError`, whoever prints, and ends the command; what stderr
cannot take is lost, for there is nowhere left to say it. Signs that an encoding lacks are written
as in JSON, so that JSON stays JSON. A descriptor that was closed at the start does not become that
of a socket or of the database.
"""

from __future__ import annotations

import codecs
import io
import os
import select
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

READER_GONE = 141
"""The exit code where nobody reads stdout any more: that of a program which SIGPIPE ends."""

ESCAPED = "gossipd.escaped"
"""The error handler for signs that an encoding lacks."""


class StreamError(Exception):
    """stdin cannot be read or stdout not be written; the text is the one line that says why."""


class ReaderGone(Exception):  # noqa: N818  no fault of anybody
    """Who read stdout wants no more, as in `gossipd counters | head -1`."""


def begin() -> None:
    """Open what is closed, and put streams that keep their promise over the three descriptors."""
    _open_closed()
    stdin = io.BufferedReader(_In(0, "rb", closefd=False))
    sys.stdin = io.TextIOWrapper(stdin, encoding="utf-8", errors="surrogateescape")
    sys.stdout = text_over(_Out(1, "wb", closefd=False), encoding_of(sys.stdout))
    sys.stderr = text_over(_Err(2, "wb", closefd=False), encoding_of(sys.stderr))


def text_over(raw: io.RawIOBase, encoding: str) -> io.TextIOWrapper:
    """A stream of text that is written at the end of each line where people read it."""
    lines = raw.isatty() or not isinstance(raw, _Out)
    buffered = io.BufferedWriter(raw)
    return io.TextIOWrapper(buffered, encoding=encoding, errors=ESCAPED, line_buffering=lines)


def encoding_of(stream: object) -> str:
    """That of a stream; there is none where the descriptor was closed at the start."""
    return getattr(stream, "encoding", None) or "utf-8"


def write(fd: int, data: bytes | memoryview) -> int:
    """Write a part of `data`; how much. Waits also where the descriptor is one that does not.

    Raises `OSError`.
    """
    while True:
        try:
            return os.write(fd, data)
        except BlockingIOError:
            writable = select.poll()
            writable.register(fd, select.POLLOUT)
            writable.poll()


def close(*streams: int) -> None:
    """In a process that may be left behind: who waits for the end of what the others write into
    these need not wait for it."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in streams:
        os.dup2(nowhere, stream)
    if nowhere > 2:
        os.close(nowhere)


def say(text: str) -> None:
    """Write a line to stderr at once if that can be done without waiting, else not at all.

    May be called by the handler of a signal, in the middle of anything.
    """
    writable = select.poll()
    writable.register(2, select.POLLOUT)
    with suppress(OSError):
        if writable.poll(0):
            os.write(2, f"{text}\n".encode())


def _open_closed() -> None:
    """Open the descriptors 0 to 2 where they are closed.

    Reading 0 and writing to 1 go on to fail. Who closes stderr wants to hear nothing.
    """
    for fd, flags in ((0, os.O_WRONLY), (1, os.O_RDONLY), (2, os.O_WRONLY)):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, flags)  # takes the lowest free number, this one


def _escaped(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(_escapes(error.object[error.start : error.end])), error.end


def _escapes(text: str) -> Iterator[str]:
    units = text.encode("utf-16-be", "surrogatepass")
    for at in range(0, len(units), 2):
        yield f"\\u{units[at]:02x}{units[at + 1]:02x}"


codecs.register_error(ESCAPED, _escaped)


class _In(io.FileIO):
    def readinto(self, buffer: WriteableBuffer, /) -> int:
        try:
            return super().readinto(buffer)
        except OSError as error:
            raise StreamError(f"cannot read stdin: {error.strerror}") from None


class _Out(io.FileIO):
    """The first failure is told; what comes after it goes nowhere."""

    _failed = False

    def write(self, data: ReadableBuffer, /) -> int:
        if self._failed:
            return memoryview(data).nbytes
        try:
            return write(1, memoryview(data))
        except BrokenPipeError:
            self._failed = True
            raise ReaderGone("nobody reads stdout") from None
        except OSError as error:
            self._failed = True
            raise StreamError(f"cannot write: {error.strerror}") from None


class _Err(io.FileIO):
    def write(self, data: ReadableBuffer, /) -> int:
        with suppress(OSError):
            return write(2, memoryview(data))
        return memoryview(data).nbytes
