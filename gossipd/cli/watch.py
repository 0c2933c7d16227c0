"""`gossipd watch`, and `gossipd members --watch`: what changes, as it happens."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import click

from gossipd.cli.client_options import asks
from gossipd.cli.daemons import Daemons
from gossipd.cli.failure import say
from gossipd.cli.following import BEGINS, FORGOTTEN, LISTED, QUIET, Follower, Members, member
from gossipd.cli.output import aligned_table, emit, emit_json, emit_row, local_time
from gossipd.client import NUMBER, Answer
from gossipd.client.stream import Event

REDRAWN = 1.0
"""Seconds after which a table of members is drawn again, for times pass."""

_CLEAR = "\x1b[H\x1b[J"


@click.command(
    epilog="""\b
Examples:
  gossipd watch
  gossipd watch --members
  gossipd watch --counter visits --counter orders
  gossipd watch --json | jq ."""
)
@click.option(
    "--counter",
    "counters",
    multiple=True,
    metavar="NAME",
    help="Only increments of this counter. Given several times: of these.",
)
@click.option("--members", is_flag=True, help="Only members; with --counter, members too.")
@click.option("--json", "as_json", is_flag=True, help="Print each event as a line of JSON.")
@asks
def watch(daemons: Daemons, counters: tuple[str, ...], members: bool, as_json: bool) -> None:
    """Print what changes, as it happens.

    First all members and counts, then each change of a member and each increment. A count that was
    printed and what is added since is the count of the node. It comes back by itself when the
    connection ends, and goes on where it was, or begins with the counts again.

    Columns: time, and then "member", name, state, address, why; "count", counter, count; or
    "increment", counter, what was added, the count after it, id.
    """
    query = [("counter", name) for name in counters] + [("members", "true")] * members
    known = Members()
    for event in Follower(daemons, query).events():
        if event is None:
            continue
        changes = known.take(event)
        for change in changes if event.kind in LISTED else ():  # gone while nobody listened
            gone = {"name": change.row["name"], "state": FORGOTTEN}
            _print(Event("member", gone), as_json)
        if event is not BEGINS:
            _print(event, as_json)


def _print(event: Event, as_json: bool) -> None:
    if event.kind == "end":
        say(f"the node says: {_reason(event)}")
    if as_json:
        emit_json(json.dumps({"event": event.kind, "data": event.data}, ensure_ascii=False))
    else:
        for row in _rows(event):
            emit_row(row)


def watch_members(
    daemons: Daemons,
    as_json: bool,
    header: Sequence[str],
    row_of: Callable[[dict[str, Any]], Sequence[object]],
) -> None:
    """On a terminal a table that is kept up to date, elsewhere the row of each member that has
    changed."""
    known, draws = Members(), sys.stdout.isatty() and not as_json
    is_whole = False
    for event in Follower(daemons, [("members", "true")]).events(REDRAWN if draws else QUIET):
        changes = [] if event is None else known.take(event)
        is_whole = is_whole or (event is not None and event.kind == "present")
        if draws and is_whole and (event is None or changes or event.kind == "present"):
            rows = [row_of(known.rows[name]) for name in sorted(known.rows)]
            emit(_CLEAR + aligned_table(header, rows))
        for change in () if draws else changes:
            if as_json:
                emit_json(json.dumps(change.row, ensure_ascii=False))
            else:
                emit_row(row_of(change.row))


def _rows(event: Event) -> Iterator[tuple[object, ...]]:
    """An event as people read it."""
    found = Answer("", event.data)
    match event.kind:
        case "member":
            row = member(event)
            gone = row["state"] == FORGOTTEN
            at = None if gone else row["since"]
            yield (
                _time(at),
                "member",
                row["name"],
                row["state"],
                row.get("address"),
                row.get("why"),
            )
        case "counts":
            for counter, count in found.items(int).items():
                yield _time(None), "count", counter, count
        case "increment":
            row = found.fields(counter=str, by=int, count=int, id=str, at=NUMBER)
            yield (
                _time(row["at"]),
                "increment",
                *(row[name] for name in ("counter", "by", "count", "id")),
            )


def _reason(event: Event) -> str:
    return str(Answer("", event.data).fields(reason=str)["reason"])


def _time(at: float | None) -> str:
    return local_time(time.time() if at is None else at)
