"""The client commands: each asks a running daemon one thing and prints the answer.

They import neither the daemon nor the core, so they start in a blink.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import click

from gossipd.cli.failure import Failure, Silence, printable
from gossipd.cli.tables import age, emit, emit_fields, emit_table, local_time
from gossipd.client import LOOPBACK, Client, NoAnswerError, RefusedError
from gossipd.endpoint import API_PORT, GOSSIP_PORT, Endpoint

BY_MAX = 2**53
TIMEOUT_MAX = 86_400.0

_json_option = click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
_counter_argument = click.argument("counter", default="default")


def _api(_ctx: click.Context, _param: click.Parameter, value: str) -> Endpoint:
    return _peer(LOOPBACK + value if value.startswith(":") else value, API_PORT)


def _seeds(_ctx: click.Context, _param: click.Parameter, values: tuple[str, ...]) -> list[str]:
    return [str(_peer(value, GOSSIP_PORT)) for value in values]


def _peer(text: str, default_port: int) -> Endpoint:
    try:
        return Endpoint.parse_peer(text, default_port)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def _timeout(_ctx: click.Context, _param: click.Parameter, value: float) -> float:
    if not 0 < value <= TIMEOUT_MAX:
        raise click.BadParameter(f"must be above 0 and at most {TIMEOUT_MAX:g} seconds")
    return value


def _by(_ctx: click.Context, _param: click.Parameter, value: int) -> int:
    if value == 0 or abs(value) > BY_MAX:
        raise click.BadParameter("must be a whole number other than 0, at most 2^53 either way")
    return value


def _asks(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of all clients and a `Client`, and turn its errors to exits."""

    @click.option(
        "--api",
        callback=_api,
        default=f"{LOOPBACK}:{API_PORT}",
        metavar="HOST:PORT",
        envvar="GOSSIPD_API",
        show_default=True,
        show_envvar=True,
        help="The side port of the daemon to ask.",
    )
    @click.option(
        "--timeout",
        type=float,
        callback=_timeout,
        default=10.0,
        metavar="SECONDS",
        show_default=True,
        help="How long to wait for an answer.",
    )
    @functools.wraps(command)
    def asking(api: Endpoint, timeout: float, **arguments: Any) -> None:
        try:
            command(Client(api, timeout), **arguments)
        except RefusedError as error:
            raise Failure(str(error)) from None
        except NoAnswerError as error:
            raise Silence(str(error)) from None

    return asking


@click.command(
    epilog="""\b
Examples:
  gossipd increment
  gossipd increment visits --by 5
  gossipd increment visits --by -3
  gossipd increment --json -- -a-name-with-a-dash"""
)
@_counter_argument
@click.option(
    "--by",
    type=int,
    default=1,
    callback=_by,
    metavar="N",
    show_default=True,
    help="What to add, may be negative.",
)
@_json_option
@_asks
def increment(client: Client, counter: str, by: int, as_json: bool) -> None:
    """Add to COUNTER and print the new count."""
    answer = client.post("/increment", counter=counter, by=by)
    emit(answer.text if as_json else str(answer.field("count")))


@click.command(
    epilog="""\b
Examples:
  gossipd count
  gossipd count visits
  gossipd count --api 127.0.0.1:7957"""
)
@_counter_argument
@_json_option
@_asks
def count(client: Client, counter: str, as_json: bool) -> None:
    """Print the count of COUNTER.

    Fails while the node is still catching up with the others.
    """
    answer = client.get("/count", counter=counter)
    emit(answer.text if as_json else str(answer.field("count")))


@click.command(
    epilog="""\b
Examples:
  gossipd counters
  gossipd counters | sort -k2 -n
  gossipd counters --json"""
)
@_json_option
@_asks
def counters(client: Client, as_json: bool) -> None:
    """List all counters.

    Columns: name, count.
    """
    answer = client.get("/counters")
    if as_json:
        emit(answer.text)
    else:
        emit_table(("COUNTER", "COUNT"), answer.items())


@click.command(
    epilog="""\b
Examples:
  gossipd members
  gossipd members | cut -f1
  gossipd members --json"""
)
@_json_option
@_asks
def members(client: Client, as_json: bool) -> None:
    """List all members.

    Columns: name, address, state, time in this state, round trip, tags.
    """
    answer = client.get("/members")
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
@_json_option
@_asks
def peers(client: Client, as_json: bool) -> None:
    """List the addresses of the others.

    These are the gossip addresses of the other alive members.
    """
    answer = client.get("/peers")
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
@_json_option
@_asks
def status(client: Client, as_json: bool) -> None:
    """Print the state of the node.

    Whether it is ready, what it knows, how many agree with it.
    """
    answer = client.get("/status")
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
@_json_option
@_asks
def log(client: Client, limit: int | None, as_json: bool) -> None:
    """List recent increments, newest first.

    Columns: time, counter, what was added, the count after it, id, origin.
    """
    answer = client.get("/log", **({} if limit is None else {"limit": limit}))
    if as_json:
        emit(answer.text)
    else:
        header = ("TIME", "COUNTER", "BY", "COUNT", "ID", "ORIGIN")
        emit_table(header, map(_event_row, answer.records()))


@click.command(
    epilog="""\b
Examples:
  gossipd join 10.0.0.5:7946
  gossipd join node-b node-c:7956"""
)
@click.argument("seeds", nargs=-1, required=True, callback=_seeds, metavar="HOST:PORT...")
@_asks
def join(client: Client, seeds: list[str]) -> None:
    """Join the cluster through other nodes.

    The default port is 7946. It is done when `gossipd members` shows them.
    """
    client.post("/join", peers=seeds)
    emit(f"joining {', '.join(seeds)}")


@click.command(
    epilog="""\b
Examples:
  gossipd leave
  gossipd leave --api 127.0.0.1:7957"""
)
@_asks
def leave(client: Client) -> None:
    """Leave the cluster and stop.

    The node first hands over what it holds.
    """
    client.post("/leave")
    emit("leaving")


@click.command(
    epilog="""\b
Examples:
  gossipd forget web-3"""
)
@click.argument("name")
@_asks
def forget(client: Client, name: str) -> None:
    """Forget a failed or left member.

    NAME is shown nowhere any more, until it joins again.
    """
    client.post("/forget", name=name)
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
