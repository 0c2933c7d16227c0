"""What people and pipes get to see of an answer.

On a terminal: aligned columns under a header. Elsewhere: one record a line, fields separated by
tabs, no header, so that `gossipd members | cut -f1` works, and names as they are.
"""

from __future__ import annotations

import sys
import time
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from gossipd.cli.escaping import in_pipe, on_terminal
from gossipd.cli.failure import Failure, Unread, say
from gossipd.process.streams import ReaderGone, StreamError

_GAP = "  "


def emit(text: str) -> None:
    """Print to stdout."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def emit_json(text: str) -> None:
    """Print JSON as it came; what a terminal must not get is escaped as JSON has it, which changes
    nothing for a program."""
    emit(text if _is_plain(text) else "".join(map(_json_sign, text)))


@contextmanager
def told_where_lost(known: str, failure: Failure | None) -> Iterator[None]:
    """Of what is printed meanwhile nothing may be lost: where stdout does not take it, `known` is
    told on stderr. That ends the command, unless another `failure` does anyway."""
    try:
        yield
    except (ReaderGone, StreamError) as error:
        ends = Unread if isinstance(error, ReaderGone) else Failure
        lost = ends(f"{error}; {known}")
        if failure is None:
            raise lost from None
        say(lost.message)


class Table:
    """Records in the form that suits stdout; nothing for no records in a pipe."""

    def __init__(self, header: Sequence[str]) -> None:
        self._aligned = [list(header)] if sys.stdout.isatty() else None

    def add(self, rows: Iterable[Sequence[object]]) -> None:
        """More records; into a pipe they go at once."""
        cells = [[_cell(value) for value in row] for row in rows]
        if self._aligned is not None:
            self._aligned += cells
        elif cells:
            emit("\n".join("\t".join(row) for row in cells))

    def end(self) -> None:
        """No more are to come: print what was to be aligned."""
        if self._aligned is not None:
            emit(aligned(self._aligned))


def emit_row(row: Sequence[object]) -> None:
    """Print a record that comes alone, whatever comes later."""
    emit((_GAP if sys.stdout.isatty() else "\t").join(map(_cell, row)))


def aligned_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Records below their header."""
    return aligned([[*header], *([_cell(value) for value in row] for row in rows)])


def emit_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print records."""
    table = Table(header)
    table.add(rows)
    table.end()


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
        widths = [*map(width, column)]
        right = numbers_right and len(column) > 1 and all(map(_is_number, column[1:]))
        gaps = [" " * (max(widths) - shown) for shown in widths]
        columns.append(
            [f"{g}{c}" if right else f"{c}{g}" for c, g in zip(column, gaps, strict=True)]
        )
    return "\n".join(_GAP.join(row).rstrip() for row in zip(*columns, strict=True))


def width(text: str) -> int:
    """Columns that a terminal takes for printable text: two for wide characters (Unicode TR 11),
    none for what is put on the one before."""
    if text.isascii():
        return len(text)
    return sum(map(_sign_width, text))


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
        return "-" if at is None else str(at)


def shown(text: str) -> str:
    """Words of others, as stdout can take them."""
    if text.isascii() and text.isprintable() and "\\" not in text:
        return text
    return on_terminal(text) if sys.stdout.isatty() else in_pipe(text)


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
            return shown(str(value))


def _is_number(cell: str) -> bool:
    return cell == "-" or cell.removeprefix("-").replace(".", "", 1).isdigit()


def _sign_width(sign: str) -> int:
    if unicodedata.category(sign) in ("Mn", "Me") or "\u1160" <= sign <= "\u11ff":
        return 0  # combining; vowels and finals of Hangul join the initial before them
    return 2 if unicodedata.east_asian_width(sign) in "WF" else 1


def _is_plain(text: str) -> bool:
    return text.isascii() and "\x7f" not in text


def _json_sign(sign: str) -> str:
    if sign.isprintable() or sign in "\n\r\t":
        return sign
    units = sign.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))
