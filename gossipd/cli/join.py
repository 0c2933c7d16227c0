"""The command that joins: it ends when the node has joined, or says what stands in its way."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import click

from gossipd.cli.client_options import asks, one, parsed_by, peer
from gossipd.cli.daemons import Daemons
from gossipd.cli.durations import duration_or_seconds
from gossipd.cli.escaping import printable
from gossipd.cli.failure import Failure
from gossipd.cli.output import emit
from gossipd.client import Answer, NoAnswerError
from gossipd.config.endpoint import GOSSIP_PORT

POLL_INTERVAL = 0.1
"""Seconds between two questions how far the node is."""

TOLD_MAX = 3
"""Addresses that one sentence names."""

Row = Mapping[str, Any]
"""What the daemon says of a seed."""


def _seeds(_ctx: click.Context, _param: click.Parameter, values: tuple[str, ...]) -> list[str]:
    return list(dict.fromkeys(str(peer(value, GOSSIP_PORT)) for value in values))


@click.command(
    epilog="""\b
Examples:
  gossipd join 10.0.0.5:7946
  gossipd join node-b node-c:7956
  gossipd join --wait 0 node-that-comes-later"""
)
@click.argument("seeds", nargs=-1, required=True, callback=_seeds, metavar="HOST:PORT...")
@click.option(
    "--wait",
    callback=parsed_by(duration_or_seconds),
    default="5s",
    metavar="DURATION",
    show_default=True,
    help="How long to wait until the node has joined through each of them; 0: not at all.",
)
@asks
def join(daemons: Daemons, seeds: list[str], wait: float) -> None:
    """Join the cluster through other nodes.

    The default port is 7946. The node goes on trying for 10 minutes, whatever the wait.
    """
    daemon = one(daemons)
    daemon.post(_joining, "/join", peers=seeds)
    if not wait:
        emit(f"joining {', '.join(seeds)}")
        return
    rows = _outcome(daemon, seeds, time.monotonic() + wait)
    joined = [seed for seed in seeds if rows[seed].get("joined")]
    if joined:
        emit(f"joined {', '.join(joined)}")
    missing = [f"{seed}: {_reason(rows[seed])}" for seed in seeds if seed not in joined]
    if missing:
        raise Failure(f"not joined within {wait:g} s: {'; '.join(missing)}")


def _outcome(daemon: Daemons, seeds: list[str], deadline: float) -> dict[str, Row]:
    """What the daemon says of each seed once that is settled, or at the deadline."""
    while True:
        try:
            said = {row.get("seed"): row for row in daemon.get(_rows, "/join").records()}
        except NoAnswerError as error:
            raise Failure(f"{error}; its log says whether it has ended over the join") from None
        rows: dict[str, Row] = {seed: said.get(seed, {}) for seed in seeds}
        left = deadline - time.monotonic()
        if left <= 0 or all(map(_is_settled, rows.values())):
            return rows
        time.sleep(min(POLL_INTERVAL, left))


def _joining(answer: Answer) -> None:
    answer.fields(joining=list)


def _rows(answer: Answer) -> None:
    answer.records()


def _is_settled(row: Row) -> bool:
    """Whether waiting would change nothing: each of its addresses has had its chance."""
    states = {address.get("state") for address in _addresses(row)}
    return states == {"self"} or (bool(row.get("joined")) and "asked" not in states)


def _reason(row: Row) -> str:
    """Why a seed is not joined."""
    others = [address for address in _addresses(row) if address.get("state") != "self"]
    if others:
        named = ", ".join(str(address.get("address")) for address in others[:TOLD_MAX])
        more = f" and {len(others) - TOLD_MAX} more" if len(others) > TOLD_MAX else ""
        why = f": {printable(str(row['error']))}" if row.get("error") else ""
        return f"no node of this cluster answers at {printable(named)}{more}{why}"
    if _addresses(row):
        return "this is the node itself"
    return printable(str(row.get("error") or "its name has not been resolved yet"))


def _addresses(row: Row) -> list[Row]:
    listed = row.get("addresses")
    entries = listed if isinstance(listed, list) else []
    return [address for address in entries if isinstance(address, dict)]
