"""Redis requests from bytes: arrays of strings of bytes, one array a command.

Nothing is held or made for what a client says is still to come: a number of words, or the length
of one, is refused as soon as it stands there, so a connection holds one command of limited size
and no more, however its bytes are split.

This is no parser of all that RESP has, since a request has none of it. hiredis (3.5) has one: it
makes room for as many words as an array claims to have (2 GB for 13 bytes), takes strings of
512 MB and arrays within arrays, and offers no limits on them, so every header would have to be
read before it, which is most of the work. It takes 0.3 microseconds for a command of two words in
a batch of 16 and 0.8 for one alone; this takes 0.7 and 0.6.
"""

from __future__ import annotations

import sys
from typing import TypeAlias

from gossipd.core import Refused
from gossipd.sideport.validation import wrong

Words: TypeAlias = tuple[bytes, ...]
"""A command's name and what it is given."""

_HEADERS = [b"$%d" % size for size in range(1024)]
"""The line in front of a word, by its size; a longer one is read digit by digit."""

_COUNTS = {b"*%d" % count: count for count in range(1, 16)}
"""How many words follow a line, for those that are met most."""

_HEADER_SIZE_MAX = 12
"""Bytes of a sensible line that tells a number."""


class Reader:
    """The requests of one connection."""

    __slots__ = ("_missing", "_need", "_rest", "_size", "_size_max", "_words", "_words_max",
                 "fault", "is_within")  # fmt: skip

    def __init__(self, size_max: int, words_max: int) -> None:
        """Of one command."""
        self._size_max = size_max
        self._words_max = words_max
        self._words: list[bytes] = []
        """Those that have come of a command that is not complete."""
        self._missing = 0
        """How many are still to come."""
        self._size = 0
        """Bytes that the command has up to there."""
        self._rest = b""
        """What is not complete behind that: a line, or a word."""
        self._need = 0
        """Bytes that it has at least, if it is a word."""
        self.is_within = False
        """Something is held."""
        self.fault: Refused | None = None
        """What breaks the protocol, and ends it: where the next command begins is unknown."""

    def take(self, data: bytes) -> list[Words]:
        """The commands that are complete now; there may be a `fault` behind them."""
        data = self._rest + data if self._rest else data
        found: list[Words] = []
        if len(data) < self._need:
            self._rest = data
            return found
        self._rest, self._need = b"", 0
        try:
            self._read(data.split(b"\r\n"), found, len(data) <= self._size_max)
        except Refused as fault:
            self.fault = fault.bare()
        self.is_within = bool(self._rest or self._missing)
        return found

    def finish(self) -> None:
        """No more comes: there may be a `fault` in what was held."""
        self._need = 0
        self.take(b"")

    def _read(self, lines: list[bytes], found: list[Words], is_small: bool) -> None:
        """Raises `Refused` for what breaks the protocol. The last of `lines` is not complete.
        `is_small`: no command in it can be too large."""
        at, end = self._go_on(lines, 0, found) if self._missing else 0, len(lines) - 1
        while at < end:
            count = _COUNTS.get(lines[at]) or self._count(lines[at])
            behind = at + 1 + 2 * count
            if behind <= end and is_small:
                words = tuple(lines[at + 2 : behind : 2])
                if _fit(lines[at + 1 : behind : 2], words):
                    if words:
                        found.append(words)
                    at = behind
                    continue
            self._missing, self._size = count, len(lines[at]) + 2
            at = self._go_on(lines, at + 1, found)
        if at == end and lines[end]:
            _check_beginning(lines[end], b"*")
            self._rest = lines[end]

    def _go_on(self, lines: list[bytes], at: int, found: list[Words]) -> int:
        """The words that are missing, which may be long, have line ends in them, or not be there
        yet; where the next command begins, behind all lines for nowhere. Raises `Refused`."""
        end = len(lines) - 1
        while self._missing:
            if at == end:
                _check_beginning(lines[end], b"$")
                return self._keep(lines[at:])
            length = _number(lines[at], b"$")
            size = len(lines[at]) + 2 + length + 2
            self._size += size
            if length < 0 or self._size > self._size_max:
                detail = f"invalid bulk length: a command has at most {self._size_max} bytes"
                raise malformed(detail)
            first, at = at + 1, at + 1
            have = len(lines[at])
            while have < length and at < end:
                at += 1
                have += 2 + len(lines[at])
            over = have - length
            if at == end and (over <= 0 or (over == 1 and lines[end].endswith(b"\r"))):
                self._size -= size
                return self._keep(lines[first - 1 :], size)
            if over or at == end:
                raise malformed("a string does not end where it should")
            self._words.append(b"\r\n".join(lines[first : at + 1]))
            self._missing -= 1
            at += 1
        if self._words:
            found.append(tuple(self._words))
            self._words = []
        return at

    def _keep(self, lines: list[bytes], need: int = 0) -> int:
        """Hold what is not complete."""
        self._rest, self._need = b"\r\n".join(lines), need
        return sys.maxsize

    def _count(self, line: bytes) -> int:
        """How many words follow; 0 for an empty line, as for an empty array, which say nothing."""
        if not line:
            return 0
        count = _number(line, b"*")
        if count > self._words_max:
            detail = f"invalid multibulk length: a command has at most {self._words_max} words"
            raise malformed(detail)
        return max(0, count)


def _fit(headers: list[bytes], words: Words) -> bool:
    """Whether these lines stand in front of these words."""
    try:
        return headers == [_HEADERS[len(word)] for word in words]
    except IndexError:
        return False


def _check_beginning(line: bytes, sign: bytes) -> None:
    """Raises `Refused` where a line that is not complete cannot become one with a number."""
    line = line.removesuffix(b"\r")
    if line and (line[:1] != sign or len(line) > _HEADER_SIZE_MAX):
        _number(line, sign)


def _number(line: bytes, sign: bytes) -> int:
    """What stands behind the sign of a line: a whole number as programs write it."""
    if line[:1] != sign:
        got = ascii(line[:1].decode("latin-1"))
        raise malformed(f"expected '{sign.decode()}', got {got}")
    digits = line[2:] if line[1:2] == b"-" else line[1:]
    is_padded = digits.startswith(b"0") and digits != b"0"
    if not digits.isdigit() or is_padded or len(line) > _HEADER_SIZE_MAX:
        raise malformed(f"invalid {'multibulk' if sign == b'*' else 'bulk'} length")
    return int(line[1:])


def malformed(detail: str) -> Refused:
    """In the words of Redis."""
    return wrong(f"Protocol error: {detail}")
