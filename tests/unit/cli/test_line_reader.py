"""Lines as they come, in little memory."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from typing import BinaryIO

import pytest

from gossipd.cli.line_reader import KEPT_SIZE, Lines, WrongEncodingError


def all_of(lines: Lines) -> Iterator[bytes]:
    while (line := lines.next()) is not None:
        yield line


@pytest.fixture
def pipe() -> Iterator[tuple[BinaryIO, BinaryIO]]:
    ours, theirs = os.pipe()
    with os.fdopen(ours, "rb") as reading, os.fdopen(theirs, "wb", 0) as writing:
        yield reading, writing


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (b"", []),
        (b"a", [b"a"]),
        (b"a\nbc\r\n\nd", [b"a", b"bc\r", b"", b"d"]),
        (b"\xef\xbb\xbfab\n", [b"ab"]),
        (b"\xef\xbb\xbf", []),
        (b"\n", [b""]),
    ],
)
def test_lines_end_with_newlines_or_the_input(data: bytes, lines: list[bytes]) -> None:
    assert list(all_of(Lines(io.BytesIO(data)))) == lines


def test_a_line_that_has_not_come_is_told_without_waiting_for_it(
    pipe: tuple[BinaryIO, BinaryIO],
) -> None:
    reading, writing = pipe
    lines = Lines(reading)
    for part in b"\xef", b"\xbb\xbfa", b"bc":
        writing.write(part)
        with pytest.raises(TimeoutError):
            lines.next(0.01)
    writing.write(b"d\nef\ng")
    assert [lines.next(5), lines.next(5)] == [b"abcd", b"ef"]
    with pytest.raises(TimeoutError):
        lines.next(0)
    writing.close()
    assert [lines.next(5), lines.next(5), lines.next()] == [b"g", None, None]


def test_of_a_line_without_end_little_is_kept() -> None:
    class Endless(io.RawIOBase):
        """64 MiB without a newline, then one more line."""

        left = 1024

        def fileno(self) -> int:
            raise io.UnsupportedOperation

        def read(self, size: int = -1) -> bytes:
            self.left -= 1
            return b"x" * size if self.left > 0 else b"\nnext" if self.left == 0 else b""

    lines = Lines(Endless())  # type: ignore[arg-type]  # what is read of it is there
    assert list(all_of(lines)) == [b"x" * KEPT_SIZE, b"next"]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le"])
def test_input_that_is_not_utf8_is_told_at_once(encoding: str) -> None:
    with pytest.raises(WrongEncodingError, match="expected UTF-8"):
        Lines(io.BytesIO('{"a": 1}\n'.encode(encoding))).next()
