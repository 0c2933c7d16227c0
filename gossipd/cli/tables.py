"""What people and pipes get to see of an answer.

On a terminal: aligned columns under a header. Elsewhere: one record a line, fields separated by
tabs, no header, so that `gossipd members | cut -f1` works.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Sequence
from typing import Any

import click

from gossipd.cli.failure import printable

_GAP = "  "


def emit(text: str) -> None:
    """Print to stdout."""
    click.echo(text)


def emit_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print records in the form that suits stdout; nothing for no records in a pipe."""
    cells = [[_cell(value) for value in row] for row in rows]
    if sys.stdout.isatty():
        emit(aligned([list(header), *cells]))
    elif cells:
        emit("\n".join("\t".join(row) for row in cells))


def emit_fields(fields: Iterable[tuple[str, object]]) -> None:
    """Print names and values: aligned with a colon, or separated by a tab."""
    pairs = [(_cell(name), _cell(value)) for name, value in fields]
    if sys.stdout.isatty():
        emit(aligned([[f"{name}:", value] for name, value in pairs], numbers_right=False))
    elif pairs:
        emit("\n".join(f"{name}\t{value}" for name, value in pairs))


def aligned(rows: list[list[str]], numbers_right: bool = True) -> str:
    """Rows as columns, those of numbers (below the header) flush right."""
    columns = []
    for column in zip(*rows, strict=True):
        width = max(map(len, column))
        right = numbers_right and len(column) > 1 and all(map(_is_number, column[1:]))
        columns.append([cell.rjust(width) if right else cell.ljust(width) for cell in column])
    return "\n".join(_GAP.join(row).rstrip() for row in zip(*columns, strict=True))


def age(since: Any) -> str:
    """Seconds since the epoch as the time that has passed: 5s, 2m, 3h, 4d."""
    if not isinstance(since, int | float):
        return "-"
    seconds = max(0, int(time.time() - since))
    for length, unit in (86_400, "d"), (3_600, "h"), (60, "m"):
        if seconds >= length:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"


def local_time(at: Any) -> str:
    """Seconds since the epoch as local time in ISO 8601, with milliseconds and offset."""
    from datetime import datetime

    try:
        return datetime.fromtimestamp(at).astimezone().isoformat(timespec="milliseconds")
    except (TypeError, ValueError, OverflowError, OSError):
        return _cell(at)


def _cell(value: Any) -> str:
    if value in (None, "", [], {}):
        return "-"
    match value:
        case bool():
            return "yes" if value else "no"
        case dict():
            return ", ".join(f"{_cell(key)} {_cell(item)}" for key, item in value.items())
        case list():
            return ", ".join(map(_cell, value))
        case _:
            return printable(str(value))


def _is_number(cell: str) -> bool:
    return cell == "-" or cell.removeprefix("-").replace(".", "", 1).isdigit()
