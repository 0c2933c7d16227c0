"""How a command ends when it is not done: one line on stderr and an exit code."""

from __future__ import annotations

import sys
from typing import IO, Any

import click

from gossipd.cli.escaping import printable
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
