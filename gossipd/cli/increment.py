"""`gossipd increment`: one increment, sent under a key until it is answered.

Only a daemon's own answer tells what became of it. Whatever else comes, from a proxy as well as
from nobody, it may have been counted: it is sent again under the same key, and when the time is
over, or the user ends it, the key is named.
"""

from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from shlex import quote
from typing import TYPE_CHECKING, Any, BinaryIO

import click
from click.core import ParameterSource

from gossipd.cli.client_options import (
    api_option,
    counter_argument,
    credentials,
    exits,
    json_option,
    parsed_by,
    timeout_option,
)
from gossipd.cli.clock_offset import Mint
from gossipd.cli.daemons import TRY_TIMEOUT, Daemons, Patience, waiting_time
from gossipd.cli.failure import Failure, say
from gossipd.cli.interrupts import interrupts
from gossipd.cli.minting import key as parse_key
from gossipd.cli.output import emit, emit_json, told_where_lost
from gossipd.client import Answer, AskingError, Client, RefusedError
from gossipd.config.bounds import BY_MAX, COPIES_MAX
from gossipd.config.unix import ApiAddress

if TYPE_CHECKING:
    from gossipd.cli.increment_batch import Batch
    from gossipd.cli.line_reader import Lines

TRYING_MAX = 300.0
"""Seconds: a key is minted when the trying begins, and daemons take none older than the window
(10 minutes by default)."""

BATCH_TIMEOUT = 20.0
"""Seconds for one try at one daemon to count a request of many."""


def _by(_ctx: click.Context, _param: click.Parameter, value: int) -> int:
    if value == 0 or abs(value) > BY_MAX:
        raise click.BadParameter("must be a whole number other than 0, at most 2^53 either way")
    return value


by_option = click.option(
    "--by",
    type=int,
    default=1,
    callback=_by,
    metavar="N",
    show_default=True,
    help="What to add, may be negative.",
)


@click.command(
    epilog="""\b
Examples:
  gossipd increment
  gossipd increment visits --by 5
  gossipd increment visits --by -3
  gossipd increment visits --ack 2 --timeout 5s
  gossipd increment --batch events.jsonl
  tail -f events.jsonl | gossipd increment --batch - --no-keys
  gossipd increment --api 10.0.0.1:7947 --api 10.0.0.2:7947
  gossipd increment --json -- -a-name-with-a-dash"""
)
@counter_argument
@by_option
@click.option(
    "--key",
    callback=parsed_by(parse_key),
    metavar="KEY",
    help="Names this increment: sent again with the same key, it is counted once. Any string of up"
    " to 255 characters; default: a new UUIDv7.",
)
@click.option(
    "--ack",
    type=click.IntRange(1, COPIES_MAX),
    metavar="K",
    help="Wait until K nodes, the one asked included, hold it durably.",
)
@click.option("--ack-memory", is_flag=True, help="With --ack: count nodes without a disk too.")
@click.option(
    "--batch",
    type=click.File("rb"),
    metavar="FILE",
    help="Make one increment of each line of FILE (-: stdin), JSON objects with counter, by and"
    " key, and print how many were counted. --timeout is for every 10,000 lines; where a daemon"
    " asks to wait, that time is added.",
)
@click.option(
    "--no-keys",
    is_flag=True,
    help="With --batch: send lines without keys of their own. It costs daemons less, but where an"
    " answer is lost it stops, as nobody knows which lines were counted.",
)
@json_option
@api_option
@timeout_option("30s", TRYING_MAX, True, "How long to try, in all; 0: once at each address.")
def increment(
    addresses: tuple[ApiAddress, ...],
    timeout: float,
    as_json: bool,
    batch: BinaryIO | None,
    no_keys: bool,
    **wanted: Any,
) -> None:
    """Add to COUNTER and print the new count.

    It is tried again while no daemon answers, or none can count at the moment, and is counted
    once however often it was sent. With --ack it is counted, but the exit code is 1, if too few
    nodes hold it in time.
    """
    if batch is not None:
        _send_batch(addresses, timeout, batch, no_keys)
        return
    if wanted["ack_memory"] and not wanted["ack"]:
        raise click.UsageError("--ack-memory needs --ack")
    if no_keys:
        raise click.UsageError("--no-keys needs --batch")
    fields = {name: value for name, value in wanted.items() if value not in (None, False)}
    one = Increment(fields, say, several=len(addresses) > 1)
    daemons = Daemons(addresses, timeout if one.acked and timeout else TRY_TIMEOUT, credentials())
    with exits(), interrupts(one.doubt):
        try:
            answer = Patience(timeout, say).ask(daemons, one.send, one.doubt)
        except AskingError:
            if one.counted is None:
                raise
            answer = one.counted
        few = _too_few(answer, wanted["ack"], one.key)
        with told_where_lost(f"it is counted, its key is {quote(one.key)}", few):
            emit_json(answer.text) if as_json else emit(str(answer.data["count"]))
    if few:
        raise few


class Increment:
    """One increment, under one key from when it may have been counted."""

    def __init__(
        self, fields: dict[str, Any], say: Callable[[str], None], several: bool = False
    ) -> None:
        """`fields`: as a daemon takes them; without a `key` one is minted. `several`: whether
        another daemon may find holders where one has found too few."""
        self._mint = Mint(say)
        self._minted = "key" not in fields
        self.key: str = self._mint.new() if self._minted else fields["key"]
        self.acked = "ack" in fields
        self.counted: Answer | None = None
        """The answer that it is counted, though too few hold it."""

        self._fields = fields
        self._several = several
        self._doubtful = False

    def doubt(self) -> str:
        return f"in case it was counted all the same, repeat it with --key {quote(self.key)}"

    def send(self, client: Client) -> Answer:
        """Raises `AskingError`."""
        renamed = False
        while True:
            try:
                return self._post(client)
            except RefusedError as error:
                if not (self._minted and error.status == HTTPStatus.UNPROCESSABLE_ENTITY):
                    self._doubtful |= error.doubtful
                    raise
                # It was never counted under this key, unless an earlier try was in doubt.
                if not self._mint.see(error.date, client.api, not (self._doubtful or renamed)):
                    raise error.saying(f"not counted: {self._mint.wrong}") from None
                self.key, renamed = self._mint.new(), True
            except AskingError as error:
                self._doubtful |= error.doubtful
                raise

    def _post(self, client: Client) -> Answer:
        more = {"timeout": waiting_time(client)} if self.acked else {}
        answer = client.post("/increment", **{**self._fields, "key": self.key, **more})
        found = answer.fields(id=str, counter=str, by=int, count=int)
        if any(found[name] != self._fields[name] for name in ("counter", "by")):
            answer.strange("is that to another increment")
        if answer.status == HTTPStatus.ACCEPTED:
            answer.fields(acks=int)
            self.counted = answer
            if self._several:
                raise RefusedError("counted, but too few nodes hold it so far", passing=True)
        return answer


def _too_few(answer: Answer, wanted: int, key: str) -> Failure | None:
    """What an increment ends with that fewer nodes hold than are `wanted`."""
    if answer.status != HTTPStatus.ACCEPTED:
        return None
    nodes = f"{answer.data['acks']} of {wanted} nodes"
    return Failure(f"it is counted, but {nodes} hold it so far; its key is {quote(key)}")


def _send_batch(
    addresses: tuple[ApiAddress, ...], timeout: float, lines: BinaryIO, no_keys: bool
) -> None:
    from gossipd.cli.increment_batch import HELD_BACK_MAX, Batch
    from gossipd.cli.line_reader import Lines

    ctx = click.get_current_context()
    for name in ("counter", "by", "key", "ack", "ack_memory", "as_json"):
        if ctx.get_parameter_source(name) is not ParameterSource.DEFAULT:
            raise click.UsageError(
                "with --batch, only --api, --timeout and --no-keys may be given"
            )
    patience = Patience(timeout, say, held_back=HELD_BACK_MAX if timeout else 0)
    batch = Batch(
        Daemons(addresses, BATCH_TIMEOUT, credentials()), patience, say, keyed=not no_keys
    )
    with interrupts(batch.certain):
        failure = _failure(batch, Lines(lines))
        counted = f"counted lines: {batch.counted}"
        with told_where_lost(counted if failure else f"{counted}; {batch.certain()}", failure):
            emit(str(batch.counted))
    if failure:
        raise failure


def _failure(batch: Batch, lines: Lines) -> Failure | None:
    """Send all lines; why the command fails, if it does."""
    from gossipd.cli.line_reader import WrongEncodingError

    try:
        with exits(), interrupts(batch.certain):
            batch.send(lines)
    except (WrongEncodingError, OSError) as error:
        reason = (error.strerror if isinstance(error, OSError) else "") or str(error)
        return Failure(f"--batch: {reason}; {batch.certain()}")
    except Failure as failure:
        return failure
    return Failure(f"failed lines: {batch.failed}") if batch.failed else None
