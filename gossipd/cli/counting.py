"""`gossipd increment`, `gossipd count` and `gossipd counters`.

An increment is sent under a key, so that it can be sent again until it is answered and is still
counted once.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, BinaryIO

import click
from click.core import ParameterSource

from gossipd.cli.asking import TRY_TIMEOUT, Daemons, Patience
from gossipd.cli.failure import Failure, printable
from gossipd.cli.keys import key as parse_key
from gossipd.cli.keys import mint
from gossipd.cli.keys import uuid as parse_uuid
from gossipd.cli.options import (
    api_option,
    asks,
    counter_argument,
    exits,
    json_option,
    parsed_by,
    timeout_option,
)
from gossipd.cli.tables import emit, emit_table
from gossipd.client import Answer, Client, RefusedError
from gossipd.endpoint import Endpoint

BY_MAX = 2**53

TRYING_MAX = 300.0
"""Seconds: a key is minted when the trying begins, and daemons take none older than the window
(10 minutes by default)."""

WAITING_SHARE = 0.8
"""Part of the time of a try for which the daemon waits for others; the rest is for the answer."""

WAITING_MAX = 60.0
"""Seconds for which a daemon waits for others at most."""

ACK_MAX = 64

BATCH_TIMEOUT = 20.0
"""Seconds for one try at one daemon to count a request of many."""

GRACE = 5.0
"""Seconds beyond the time for which the daemon itself waits until it counts as not answering."""


def _by(_ctx: click.Context, _param: click.Parameter, value: int) -> int:
    if value == 0 or abs(value) > BY_MAX:
        raise click.BadParameter("must be a whole number other than 0, at most 2^53 either way")
    return value


@click.command(
    epilog="""\b
Examples:
  gossipd increment
  gossipd increment visits --by 5
  gossipd increment visits --by -3
  gossipd increment visits --ack 2 --timeout 5s
  gossipd increment --batch events.jsonl
  gossipd increment --api 10.0.0.1:7947 --api 10.0.0.2:7947
  gossipd increment --json -- -a-name-with-a-dash"""
)
@counter_argument
@click.option(
    "--by",
    type=int,
    default=1,
    callback=_by,
    metavar="N",
    show_default=True,
    help="What to add, may be negative.",
)
@click.option(
    "--key",
    callback=parsed_by(parse_key),
    metavar="UUID",
    help="Names this increment: sent again with the same key, it is counted once. Default: a new"
    " UUIDv7.",
)
@click.option(
    "--ack",
    type=click.IntRange(1, ACK_MAX),
    metavar="K",
    help="Be done when K nodes, the one asked included, hold it durably.",
)
@click.option("--ack-memory", is_flag=True, help="With --ack: count nodes without a disk too.")
@click.option(
    "--batch",
    type=click.File("rb"),
    metavar="FILE",
    help="Add what the lines of FILE (-: stdin) say, JSON objects with counter, by and key, and"
    " print how many were counted. --timeout is for every 10,000 of them.",
)
@json_option
@api_option
@timeout_option("30s", TRYING_MAX, True, "How long to try, in all; 0: once at each address.")
def increment(
    addresses: tuple[Endpoint, ...],
    timeout: float,
    as_json: bool,
    batch: BinaryIO | None,
    **wanted: Any,
) -> None:
    """Add to COUNTER and print the new count.

    It is tried again while no daemon answers, or those that do cannot count at the moment, and
    counted once however often it was sent. With --ack it is counted, but exits with 1, if fewer
    nodes held it in time.
    """
    if batch is not None:
        _send_batch(addresses, timeout, batch)
        return
    if wanted["ack_memory"] and not wanted["ack"]:
        raise click.UsageError("--ack-memory needs --ack")
    fields = {name: value for name, value in wanted.items() if value not in (None, False)}
    key = fields.setdefault("key", mint())
    acked = "ack" in fields

    def send(client: Client) -> Answer:
        waiting = _milliseconds(min(WAITING_SHARE * client.timeout, WAITING_MAX))
        return client.post("/increment", **fields, **({"timeout": waiting} if acked else {}))

    daemons = Daemons(addresses, timeout if acked and timeout else TRY_TIMEOUT)
    doubt = f"in case it was counted all the same, repeat it with --key {key}"
    with exits():
        answer = Patience(timeout, _say).ask(daemons, send, doubt)
        emit(answer.text if as_json else str(answer.field("count")))
        if answer.status == HTTPStatus.ACCEPTED:
            nodes = f"{answer.field('acks')} of {wanted['ack']} nodes"
            raise Failure(f"it is counted, but {nodes} hold it so far; its key is {key}")


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
    if after is None:
        answer = daemons.get("/count", counter=counter)
    else:
        answer = _count_after(daemons, counter, after)
    emit(answer.text if as_json else str(answer.field("count")))


@click.command(
    epilog="""\b
Examples:
  gossipd counters
  gossipd counters | sort -k2 -n
  gossipd counters --json"""
)
@json_option
@asks
def counters(daemons: Daemons, as_json: bool) -> None:
    """List all counters.

    Columns: name, count.
    """
    answer = daemons.get("/counters")
    if as_json:
        emit(answer.text)
    else:
        emit_table(("COUNTER", "COUNT"), answer.items())


def _count_after(daemons: Daemons, counter: str, after: str) -> Answer:
    waited = daemons.timeout
    if waited > WAITING_MAX:
        raise click.UsageError(f"with --after, --timeout is at most {WAITING_MAX:g} seconds")
    patient = Daemons(daemons.addresses, waited + GRACE)
    try:
        return patient.get("/count", counter=counter, after=after, timeout=_milliseconds(waited))
    except RefusedError as error:
        if error.status != HTTPStatus.GATEWAY_TIMEOUT or "count" not in error.problem:
            raise
        missing = f"increment {after} has not come to this node within {waited:g} s"
        without = f"without it {counter!r} is at {error.problem['count']}"
        raise Failure(f"{missing}; {without}") from None


def _send_batch(addresses: tuple[Endpoint, ...], timeout: float, lines: BinaryIO) -> None:
    from gossipd.cli.batch import Batch

    ctx = click.get_current_context()
    for name in ("counter", "by", "key", "ack", "ack_memory", "as_json"):
        if ctx.get_parameter_source(name) is not ParameterSource.DEFAULT:
            raise click.UsageError("with --batch, only --api and --timeout may be given")
    batch = Batch(Daemons(addresses, BATCH_TIMEOUT), Patience(timeout, _say), _say)
    with exits():
        try:
            batch.send(lines)
        finally:
            emit(str(batch.counted))
    if batch.failed:
        raise Failure(f"failed lines: {batch.failed}")


def _say(text: str) -> None:
    click.echo(f"gossipd: {printable(text)}", err=True)


def _milliseconds(seconds: float) -> str:
    return f"{max(1, int(1000 * seconds))}ms"
