"""Long answers a few rows at a time, as they are when their turn comes.

Nothing is held still for them: each row tells what is known when it is made. Who adds up a list
that was made while others counted may add up what was never there at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import NamedTuple, TypeVar

ROWS_AT_ONCE = 64
"""Rows of one piece, which is made in one go: a millisecond at most."""

T = TypeVar("T")


class Pieces(NamedTuple):
    """An answer in a format of its own, which follows from what the client accepts."""

    content_type: bytes
    pieces: Iterator[bytes]
    """Each made in one go, which should take a few milliseconds at most."""


def in_json(
    rows: Iterator[T], render: Callable[[T], str], opening: str, closing: str
) -> Iterator[bytes]:
    """Rows with what stands around them, as JSON; short ones in one piece."""
    ahead = opening
    while some := list(islice(rows, ROWS_AT_ONCE)):
        text = ", ".join([render(row) for row in some])
        last = len(some) < ROWS_AT_ONCE
        yield f"{ahead}{text}{closing if last else ''}".encode(errors="replace")
        if last:
            return
        ahead = ", "
    yield f"{opening if ahead is opening else ''}{closing}".encode()


def in_blocks(rows: Iterable[T], render: Callable[[list[T]], str]) -> Iterator[bytes]:
    """Rows that are rendered together, as lines of text, with an empty line behind them."""
    rows = iter(rows)
    while some := list(islice(rows, ROWS_AT_ONCE)):
        yield render(some).encode(errors="replace")
    yield b"\n"
