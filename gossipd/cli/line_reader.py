"""Lines of a file or a pipe as they come, so that who reads them need not wait for the next one.

A line of any length is read in little memory: of one that is too long only so much is kept as
shows that. Input that is no UTF-8 at all is told apart from a mistake in one line.
"""

from __future__ import annotations

import io
import os
import select
from collections import deque
from typing import BinaryIO

KEPT_SIZE = 16 * 1024
"""Bytes of a line that are kept at most."""

_READ_SIZE = 64 * 1024
_MARK_SIZE = 4
"""Bytes at the beginning that tell the encoding."""

_BOM = b"\xef\xbb\xbf"
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")


class WrongEncodingError(ValueError):
    """The input is no UTF-8."""


class Lines:
    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._ready: deque[bytes] = deque()
        self._partial = b""
        self._begun = False
        self._ended = False

    def next(self, within: float | None = None) -> bytes | None:
        """The next line without its end; None at the end.

        Raises `TimeoutError` when none has come within so many seconds (None: it is waited for),
        OSError and `WrongEncodingError`.
        """
        while not self._ready:
            if self._ended:
                return None
            self._take(self._read(within))
        return self._ready.popleft()

    def _read(self, within: float | None) -> bytes:
        try:
            file = self._file.fileno()
        except io.UnsupportedOperation:
            return self._file.read(_READ_SIZE)
        if within is not None:
            waiting = select.poll()
            waiting.register(file, select.POLLIN)
            if not waiting.poll(1000 * within):
                raise TimeoutError
        return os.read(file, _READ_SIZE)

    def _take(self, data: bytes) -> None:
        self._ended = not data
        self._partial += data
        if not self._begun:
            if data and len(self._partial) < _MARK_SIZE and b"\n" not in data:
                return
            self._begin()
        *lines, rest = self._partial.split(b"\n")
        if self._ended and rest:
            lines.append(rest)
        self._ready.extend(line[:KEPT_SIZE] for line in lines)
        self._partial = rest[:KEPT_SIZE]

    def _begin(self) -> None:
        self._begun = True
        if self._partial.startswith(_UTF_16) or 0 in self._partial[:_MARK_SIZE]:
            raise WrongEncodingError("expected UTF-8, not UTF-16; iconv -f UTF-16 converts it")
        self._partial = self._partial.removeprefix(_BOM)
