"""Long answers a few rows at a time, as they are when their turn comes.

Nothing is held still for them: each row tells what is known when it is made. Who adds up a list
that was made while others counted may add up what was never there at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Generic, TypeVar

ROWS_AT_ONCE = 64
"""Rows of one piece, which is made in one go: a millisecond at most."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Listing(Generic[T]):
    """An answer of many rows. `open` and `close` stand around them, `separator` between them."""

    rows: Iterator[T]
    render: Callable[[T, bool], str]
    """A row as text; whether its counts are strings."""

    open: str = "["
    close: str = "]\n"
    separator: str = ", "

    def pieces(self, text: bool) -> Iterator[bytes]:
        """All of it; short ones in one piece. `text`: counts are strings."""
        ahead = self.open
        while some := list(islice(self.rows, ROWS_AT_ONCE)):
            rows = self.separator.join([self.render(row, text) for row in some])
            last = len(some) < ROWS_AT_ONCE
            yield f"{ahead}{rows}{self.close if last else ''}".encode(errors="replace")
            if last:
                return
            ahead = self.separator
        yield f"{self.open if ahead is self.open else ''}{self.close}".encode()


def in_blocks(rows: Iterable[T], render: Callable[[list[T]], str]) -> Iterator[bytes]:
    """Rows that are rendered together, as lines of text, with an empty line behind them."""
    rows = iter(rows)
    while some := list(islice(rows, ROWS_AT_ONCE)):
        yield render(some).encode(errors="replace")
    yield b"\n"
