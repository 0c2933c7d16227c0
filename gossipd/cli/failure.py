"""How a command ends when it is not done: one line on stderr and an exit code."""

from __future__ import annotations

import sys
import unicodedata
from typing import IO, Any

import click

from gossipd.process.streams import READER_GONE


class Failure(click.ClickException):
    """It was refused or failed."""

    exit_code = 1

    def show(self, file: IO[Any] | None = None) -> None:
        (file or sys.stderr).write(f"gossipd: {printable(self.message)}\n")


class Misuse(Failure):
    """What was given cannot be parsed or is impossible."""

    exit_code = 2


class Silence(Failure):
    """No daemon answers."""

    exit_code = 3


class Unread(Failure):
    """Nobody reads what it prints."""

    exit_code = READER_GONE


def say(text: str) -> None:
    """Tell what is going on, on stderr."""
    sys.stderr.write(f"gossipd: {printable(text)}\n")


def printable(text: str) -> str:
    """The text, with what would move a terminal's cursor, turn its direction, break a line or a
    field, or not be seen, as escapes: `\\x1b`, `\\u202e`."""
    if text.isascii() and text.isprintable():
        return text
    safe = "".join(sign if sign.isprintable() else _escaped(sign) for sign in text)
    if unicodedata.category(safe[0]).startswith("M"):
        safe = _escaped(safe[0]) + safe[1:]  # it would be put on what stands before the text
    return safe


def _escaped(sign: str) -> str:
    return sign.encode("unicode_escape").decode()
