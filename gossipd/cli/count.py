"""`gossipd count` and `gossipd counters`."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import click

from gossipd.cli.client_options import asks, counter_argument, json_option, parsed_by
from gossipd.cli.daemons import Daemons, waiting_time
from gossipd.cli.failure import Failure
from gossipd.cli.minting import uuid as parse_uuid
from gossipd.cli.output import emit, emit_json
from gossipd.cli.pages import counter_names, emit_pages, emit_pages_json, page_options, pages
from gossipd.client import Answer, Client, RefusedError
from gossipd.config.bounds import TIMEOUT_MAX


@click.command(
    epilog="""\b
Examples:
  gossipd count
  gossipd count visits
  gossipd count --api 127.0.0.1:7957
  gossipd count visits --after 0190d3a2-… --timeout 2s"""
)
@counter_argument
@click.option(
    "--after",
    callback=parsed_by(parse_uuid),
    metavar="ID",
    help="Only a count that contains the increment with this id: wait for it, --timeout long.",
)
@json_option
@asks
def count(daemons: Daemons, counter: str, after: str | None, as_json: bool) -> None:
    """Print the count of COUNTER.

    Fails while the node is still catching up with the others.
    """
    asked = _Count(counter, after)
    if after is not None and daemons.timeout > TIMEOUT_MAX:
        raise click.UsageError(f"with --after, --timeout is at most {TIMEOUT_MAX:g} seconds")
    try:
        answer = daemons.question(asked.ask)
    except RefusedError:
        if asked.without is None:
            raise
        missing = f"increment {after} has not come to this node within {daemons.timeout:g} s"
        raise Failure(f"{missing}; without it {counter!r} is at {asked.without}") from None
    emit_json(answer.text) if as_json else emit(str(answer.data["count"]))


class _Count:
    def __init__(self, counter: str, after: str | None) -> None:
        self.without: int | None = None
        """The count of a node to which what was to be included has not come."""

        self._counter = counter
        self._after = after

    def ask(self, client: Client) -> Answer:
        query: dict[str, Any] = {"counter": self._counter}
        if self._after is not None:
            query |= {"after": self._after, "timeout": waiting_time(client)}
        try:
            answer = client.get("/count", **query)
        except RefusedError as error:
            count = error.problem.get("count")
            if error.status == HTTPStatus.GATEWAY_TIMEOUT and isinstance(count, int):
                self.without = count
                error.passing = True  # it may have come to another node
            raise
        if answer.fields(counter=str, count=int)["counter"] != self._counter:
            answer.strange("is that of another counter")
        return answer


@click.command(
    epilog="""\b
Examples:
  gossipd counters
  gossipd counters --prefix page. --limit 100
  gossipd counters | sort -k2 -n
  gossipd counters --json"""
)
@page_options
@json_option
@asks
def counters(daemons: Daemons, as_json: bool, **wanted: Any) -> None:
    """List all counters.

    Columns: name, count.
    """
    found = pages(daemons, "/counters", counter_names, **wanted)
    if as_json:
        emit_pages_json(found)
    else:
        emit_pages(found, ("COUNTER", "COUNT"), lambda page: page.items(int).items())
