"""Client commands that ask a running daemon one thing and print the answer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from gossipd.cli.client_options import asks, json_option, one
from gossipd.cli.daemons import Daemons
from gossipd.cli.output import age, emit, emit_fields, emit_json, emit_table, local_time, shown
from gossipd.cli.pages import emit_pages, emit_pages_json, page_options, pages
from gossipd.client import NUMBER, NUMBER_OR_NONE, Answer

_MEMBER_HEADER = ("NAME", "ADDRESS", "STATE", "FOR", "ROUND TRIP", "SEALED", "TAGS", "WHY")


@click.command(
    epilog="""\b
Examples:
  gossipd members
  gossipd members | cut -f1
  gossipd members --prefix web- --limit 20
  gossipd members --watch
  gossipd members --json"""
)
@click.option("--watch", is_flag=True, help="Go on: print what changes, until it is interrupted.")
@page_options
@json_option
@asks
def members(daemons: Daemons, as_json: bool, watch: bool, **wanted: Any) -> None:
    """List all members.

    Columns: name, address, state, time in this state, round trip, fingerprint of the secret that
    it seals with, tags, why it is suspected or has failed. With --watch the table of a terminal is
    kept up to date; elsewhere the row of each member that has changed is printed.
    """
    if watch:
        from gossipd.cli.watch import watch_members  # of no use to who asks once

        if any(value is not None for value in wanted.values()):
            raise click.UsageError(
                "--watch is of all members: leave out --prefix, --limit, --after"
            )
        watch_members(daemons, as_json, _MEMBER_HEADER, _member_row)
        return
    found = pages(daemons, "/members", member_names, **wanted)
    if as_json:
        emit_pages_json(found)
    else:
        emit_pages(found, _MEMBER_HEADER, lambda page: map(_member_row, member_rows(page)))


@click.command(
    epilog="""\b
Examples:
  gossipd explain web-3
  gossipd explain web-3 --api 127.0.0.1:7957 --json"""
)
@click.argument("name")
@json_option
@asks
def explain(daemons: Daemons, name: str, as_json: bool) -> None:
    """Tell why a member is in its state.

    The last probes of it and what came of them, who was asked to help, who accuses it and how long
    it has left to refute, when it last spoke and answered: all as the asked node has seen it.
    """
    answer = daemons.get(_explanation, "/explain", name=name)
    if as_json:
        emit_json(answer.text)
    else:
        emit_fields(_explanation_fields(_explanation(answer)))


@click.command(
    epilog="""\b
Examples:
  gossipd peers
  gossipd peers --json"""
)
@json_option
@asks
def peers(daemons: Daemons, as_json: bool) -> None:
    """List the addresses of the others.

    These are the gossip addresses of the other alive members.
    """
    answer = daemons.get(_peers, "/peers")
    if as_json:
        emit_json(answer.text)
    else:
        emit_table(("PEER",), ((peer,) for peer in _peers(answer)))


@click.command(
    epilog="""\b
Examples:
  gossipd status
  gossipd status --api 127.0.0.1:7957 --json"""
)
@json_option
@asks
def status(daemons: Daemons, as_json: bool) -> None:
    """Print the state of the node.

    Whether it is ready, what it knows, how many agree with it.
    """
    answer = daemons.get(_status, "/status")
    if as_json:
        emit_json(answer.text)
    else:
        emit_fields(_status(answer).items())


@click.command(
    epilog="""\b
Examples:
  gossipd log
  gossipd log --limit 5
  gossipd log --limit 5 --before 1200
  gossipd log --json"""
)
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    metavar="N",
    help="At most this many events; default: as many as the daemon gives.",
)
@click.option(
    "--prefix", metavar="TEXT", help="Only events of counters whose name begins with this."
)
@click.option(
    "--before",
    "after",
    metavar="NUMBER",
    help="Only events older than the one of this number; an id stands for its oldest event.",
)
@json_option
@asks
def log(daemons: Daemons, as_json: bool, **wanted: Any) -> None:
    """List recent increments, newest first.

    Columns: time, counter, what was added, the count after it, id, origin, number. Where two nodes
    counted one key, what one of them added is taken back under the same id.
    """
    given = {name: value for name, value in wanted.items() if value is not None}
    answer = daemons.get(_events, "/log", **given)
    if as_json:
        emit_json(answer.text)
    else:
        header = ("TIME", "COUNTER", "BY", "COUNT", "ID", "ORIGIN", "NUMBER")
        emit_table(header, map(_event_row, _events(answer)))


@click.command(
    epilog="""\b
Examples:
  gossipd leave
  gossipd leave --api 127.0.0.1:7957"""
)
@asks
def leave(daemons: Daemons) -> None:
    """Leave the cluster and stop.

    The node first hands over what it holds.
    """
    one(daemons).post(_leaving, "/leave")
    emit("leaving")


@click.command(
    epilog="""\b
Examples:
  gossipd forget web-3"""
)
@click.argument("name")
@asks
def forget(daemons: Daemons, name: str) -> None:
    """Forget a failed or left member.

    NAME is shown nowhere any more, until it joins again.
    """
    daemons.post(_forgotten, "/forget", name=name)
    emit(f"forgetting {shown(name)}")


# What the answers look like; anything else raises.


def member_rows(page: Answer) -> list[dict[str, Any]]:
    return page.records(
        name=str,
        address=str,
        state=str,
        since=NUMBER_OR_NONE,
        rtt_ms=NUMBER_OR_NONE,
        sealed=(str, type(None)),
        tags=dict,
    )


def member_names(page: Answer) -> list[str]:
    return [member["name"] for member in member_rows(page)]


def _explanation(answer: Answer) -> dict[str, Any]:
    return answer.fields(name=str, state=str, text=str)


def _peers(answer: Answer) -> list[str]:
    return answer.entries(str)


def _status(answer: Answer) -> dict[str, Any]:
    return answer.fields(name=str, address=str, ready=bool)


def _events(answer: Answer) -> list[dict[str, Any]]:
    return answer.records(
        id=str, counter=str, by=int, count=int, origin=str, at=NUMBER, number=(int, type(None))
    )


def _leaving(answer: Answer) -> None:
    answer.fields(leaving=bool)


def _forgotten(answer: Answer) -> None:
    answer.fields(forgotten=str)


def _member_row(member: dict[str, Any]) -> tuple[object, ...]:
    return (
        *(member.get(name) for name in ("name", "address", "state")),
        age(member.get("since")),
        _round_trip(member),
        member.get("sealed"),
        [f"{key}={value}" for key, value in member.get("tags", {}).items()],
        member.get("why"),
    )


def _explanation_fields(found: dict[str, Any]) -> Iterator[tuple[str, object]]:
    """What is known of a member, as people read it; the sentence comes first."""
    yield "text", found["text"]
    for name, value in found.items():
        if name in ("since", "spoke", "answered") and value is not None:
            yield name, f"{age(value)} ago, {local_time(value)}"
        elif name == "probes":
            for row in value:
                yield "probe", _probe_text(row)
        elif name not in ("text", "name", "why"):
            yield name, value


def _probe_text(row: dict[str, Any]) -> str:
    relays = [f"{name} (silent for it, too)" if name in row["nacks"] else name
              for name in row["relays"]]  # fmt: skip
    asked = f", relays asked: {', '.join(relays)}" if relays else ""
    pings = "1 ping" if row["pings"] == 1 else f"{row['pings']} pings"
    return f"{row['outcome']} after {row['ms']:.1f} ms, {age(row['at'])} ago: {pings}{asked}"


def _round_trip(member: dict[str, Any]) -> str | None:
    if member.get("self"):
        return "self"
    milliseconds = member.get("rtt_ms")
    return None if milliseconds is None else f"{milliseconds:.2f} ms"


def _event_row(event: dict[str, Any]) -> tuple[object, ...]:
    return (
        local_time(event["at"]),
        *(event[name] for name in ("counter", "by", "count", "id", "origin")),
        event.get("number"),
    )
