"""How a command ends when it is not done: one line on stderr and an exit code."""

from __future__ import annotations

from typing import IO, Any

import click

from gossipd.signals import INTERRUPTED


class Failure(click.ClickException):
    """It was refused or failed."""

    exit_code = 1

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(f"gossipd: {printable(self.message)}", file=file, err=file is None)


class Misuse(Failure):
    """What was given cannot be parsed or is impossible."""

    exit_code = 2


class Silence(Failure):
    """No daemon answers."""

    exit_code = 3


class Interrupted(Failure):
    """The user has seen enough."""

    exit_code = INTERRUPTED


def printable(text: str) -> str:
    """The text without what would move a terminal's cursor or break a line or field."""
    return "".join("?" if sign < " " or "\x7f" <= sign <= "\x9f" else sign for sign in text)
