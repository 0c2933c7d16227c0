"""The client commands: each asks a running daemon one thing and prints the answer.

They import neither the daemon nor the core, so they start in a blink.
"""

from __future__ import annotations

from typing import Any

import click

from gossipd.cli.asking import Daemons
from gossipd.cli.counting import count, counters, increment
from gossipd.cli.failure import printable
from gossipd.cli.joining import join
from gossipd.cli.options import asks, json_option, one
from gossipd.cli.tables import age, emit, emit_fields, emit_table, local_time


@click.command(
    epilog="""\b
Examples:
  gossipd members
  gossipd members | cut -f1
  gossipd members --json"""
)
@json_option
@asks
def members(daemons: Daemons, as_json: bool) -> None:
    """List all members.

    Columns: name, address, state, time in this state, round trip, tags.
    """
    answer = daemons.get("/members")
    if as_json:
        emit(answer.text)
    else:
        header = ("NAME", "ADDRESS", "STATE", "FOR", "ROUND TRIP", "TAGS")
        emit_table(header, map(_member_row, answer.records()))


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
    answer = daemons.get("/peers")
    if as_json:
        emit(answer.text)
    else:
        emit_table(("PEER",), ((peer,) for peer in answer.entries()))


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
    answer = daemons.get("/status")
    if as_json:
        emit(answer.text)
    else:
        emit_fields(answer.items())


@click.command(
    epilog="""\b
Examples:
  gossipd log
  gossipd log --limit 5
  gossipd log --json"""
)
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    metavar="N",
    help="At most so many events; by default as many as the daemon gives.",
)
@json_option
@asks
def log(daemons: Daemons, limit: int | None, as_json: bool) -> None:
    """List recent increments, newest first.

    Columns: time, counter, what was added, the count after it, id, origin.
    """
    answer = daemons.get("/log", **({} if limit is None else {"limit": limit}))
    if as_json:
        emit(answer.text)
    else:
        header = ("TIME", "COUNTER", "BY", "COUNT", "ID", "ORIGIN")
        emit_table(header, map(_event_row, answer.records()))


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
    one(daemons).post("/leave")
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
    daemons.post("/forget", name=name)
    emit(f"forgetting {printable(name)}")


COMMANDS = (increment, count, counters, members, peers, status, log, join, leave, forget)


def _member_row(member: dict[str, Any]) -> tuple[object, ...]:
    tags = member.get("tags")
    return (
        member.get("name"),
        member.get("address"),
        member.get("state"),
        age(member.get("since")),
        _round_trip(member),
        [f"{key}={value}" for key, value in tags.items()] if isinstance(tags, dict) else tags,
    )


def _round_trip(member: dict[str, Any]) -> str | None:
    if member.get("self"):
        return "self"
    milliseconds = member.get("rtt_ms")
    return f"{milliseconds:.2f} ms" if isinstance(milliseconds, int | float) else None


def _event_row(event: dict[str, Any]) -> tuple[object, ...]:
    return (
        local_time(event.get("at")),
        *(event.get(name) for name in ("counter", "by", "count", "id", "origin")),
    )
