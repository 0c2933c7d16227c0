"""Long lists, asked for by pages, so that no answer is large and none holds a daemon up.

Names come in sorted order; the next page begins behind the last name of the one before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

import click

from gossipd.cli.daemons import Daemons
from gossipd.cli.output import Table, emit_json
from gossipd.client import Answer

PAGE = 1000
"""Entries that are asked for at a time."""

Names = Callable[[Answer], Sequence[str]]
"""The names that a page lists; raises where the answer is no such page."""

Command = TypeVar("Command", bound=Callable[..., None])


def page_options(command: Command) -> Command:
    """The options of a list that comes by pages."""
    for option in (
        click.option("--after", metavar="NAME", help="Only names after this one."),
        click.option(
            "--limit",
            type=click.IntRange(min=1),
            metavar="N",
            help="At most this many, in order of name.",
        ),
        click.option("--prefix", metavar="TEXT", help="Only names that begin with this."),
    ):
        command = option(command)
    return command


def pages(
    daemons: Daemons,
    path: str,
    names: Names,
    prefix: str | None,
    limit: int | None,
    after: str | None,
) -> Iterator[Answer]:
    """All pages; `--timeout` is for each of them."""
    given = {} if prefix is None else {"prefix": prefix}
    while True:
        size = PAGE if limit is None else min(PAGE, limit)
        behind = {} if after is None else {"after": after}
        answer = daemons.get(names, path, limit=size, **given, **behind)
        found = names(answer)
        yield answer
        if limit is not None:
            limit -= len(found)
        if len(found) < size or limit == 0:
            return
        if len(found) > size or (after is not None and found[-1] <= after):
            answer.strange("is not the page that was asked for")
        after = found[-1]


def counter_names(page: Answer) -> list[str]:
    """The names of a page of counts."""
    return list(page.items(int))


def emit_pages(
    found: Iterable[Answer],
    header: Sequence[str],
    rows: Callable[[Answer], Iterable[Sequence[object]]],
) -> None:
    """Print pages as one table."""
    table = Table(header)
    for answer in found:
        table.add(rows(answer))
    table.end()


def emit_pages_json(found: Iterable[Answer]) -> None:
    """Print pages, all of them objects or all of them lists, as one."""
    held = ""
    for answer in found:
        text = answer.text
        if not held:
            held = text
        elif text[1:-1].strip():
            emit_json(f"{held[:-1].rstrip()},")
            held = text[1:]
    emit_json(held)
