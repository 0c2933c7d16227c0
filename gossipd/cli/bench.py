"""`gossipd bench`: how fast nodes count, and whether they have counted just what they answered."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click
import uvloop

from gossipd.bench.dialects import DIALECTS
from gossipd.bench.load import Load, Plan
from gossipd.cli.bench_counts import Counts, Verdict
from gossipd.cli.client_options import (
    ANSWER_TIMEOUT_MAX,
    credentials,
    exits,
    json_option,
    nodes_option,
    parsed_by,
    seconds_within,
    timeout_option,
)
from gossipd.cli.failure import Failure, Silence, say
from gossipd.cli.increment import by_option
from gossipd.cli.interrupts import ENDS
from gossipd.cli.output import emit_fields, emit_json
from gossipd.config.endpoint import Https
from gossipd.config.unix import ApiAddress
from gossipd.process import descriptors

REQUESTS = 100_000
CLIENTS_MAX, PIPELINE_MAX, COUNTERS_MAX = 10_000, 1_000, 100_000

SHARES = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "p99.9": 0.999, "max": 1.0}

BUSY = 0.9
"""Share of one CPU from which on this program may be what limits the rate."""

REASONS_SHOWN = 5

FILES_BESIDE = 64
"""Descriptors that are needed beside those of the clients."""


@click.command(
    epilog="""\b
Examples:
  gossipd bench
  gossipd bench --clients 256 --duration 10s
  gossipd bench --dialect text --pipeline 16 --requests 1000000
  gossipd bench --counters 10000 --api 10.0.0.1:7947 --api 10.0.0.2:7947
  gossipd bench --json | jq .rate"""
)
@click.option(
    "--clients",
    type=click.IntRange(1, CLIENTS_MAX),
    default=50,
    metavar="N",
    show_default=True,
    help="Connections, spread over the nodes.",
)
@click.option(
    "--requests",
    type=click.IntRange(min=1),
    metavar="N",
    help=f"Increments in all.  [default: {REQUESTS}]",
)
@click.option(
    "--duration",
    callback=parsed_by(seconds_within(ANSWER_TIMEOUT_MAX)),
    metavar="DURATION",
    help="Instead: for how long.",
)
@click.option(
    "--pipeline",
    type=click.IntRange(1, PIPELINE_MAX),
    default=1,
    metavar="N",
    show_default=True,
    help="Increments that each client sends at once, before it waits for all their answers.",
)
@click.option(
    "--counter",
    default="bench",
    metavar="NAME",
    show_default=True,
    help="What is counted; it stays, as counters do.",
)
@click.option(
    "--counters",
    type=click.IntRange(1, COUNTERS_MAX),
    default=1,
    metavar="N",
    show_default=True,
    help="Count N counters in turn: NAME:0, NAME:1, … They stay, too.",
)
@by_option
@click.option(
    "--dialect",
    type=click.Choice(list(DIALECTS)),
    default="http",
    show_default=True,
    help="The language that is spoken.",
)
@json_option
@nodes_option
@timeout_option("10s", ANSWER_TIMEOUT_MAX, False, "How long to wait for any answer.")
def bench(
    addresses: tuple[ApiAddress, ...],
    timeout: float,
    requests: int | None,
    duration: float | None,
    as_json: bool,
    **wanted: Any,
) -> None:
    """Measure how fast nodes count.

    Many clients count at once, spread over the nodes that --api names. A time is that from sending
    (with --pipeline: so many requests) to the last of the answers. Each client waits for these
    before it sends the next: while a node stands still nothing more is sent to it, so few times
    tell of that, and what is never answered has none.

    Counts before and after tell whether each node has counted just what was answered: the exit
    code is 1 if not, also if others have changed these counters meanwhile. Ctrl-C shows what was
    measured so far.
    """
    if requests is not None and duration is not None:
        raise click.UsageError("--requests and --duration exclude each other")
    counter, counters = wanted["counter"], wanted["counters"]
    names = [counter] if counters == 1 else [f"{counter}:{number}" for number in range(counters)]
    shown = credentials()
    load = Load(
        Plan(
            dialect=DIALECTS[wanted["dialect"]],
            token=shown.token,
            addresses=addresses,
            clients=wanted["clients"],
            pipeline=wanted["pipeline"],
            counters=names,
            by=wanted["by"],
            requests=None if duration else requests or REQUESTS,
            seconds=duration,
            patience=timeout,
        )
    )
    with exits():
        counts = Counts(addresses, timeout, counter, names, shown)
        if fresh := counts.begin():
            say(f"new counters, which stay in the cluster as all do: {fresh:,}")
        if any(isinstance(address, Https) for address in addresses):
            from gossipd.client.secure import context

            load.plan = load.plan._replace(tls=context(shown))
        interrupt = _measure(load)
        try:
            verdict = counts.end(load.counted(), wanted["by"])
        except KeyboardInterrupt:
            verdict, interrupt = Verdict(None, "unknown: interrupted"), signal.SIGINT
    found = {**wanted, "nodes": [str(address) for address in addresses], **_found(load)}
    _print(load, found, verdict, as_json)
    if interrupt is not None:
        raise ENDS[interrupt](f"interrupted after {load.seconds:.3g} s")
    if load.deserted:
        raise Failure("all connections have ended early")
    if not load.answered:
        raise Failure(f"nothing was counted: {'; '.join(load.reasons) or 'no answer'}")
    if verdict.exact is False:
        raise Failure(f"not exact: {verdict.text}")


def _measure(load: Load) -> signal.Signals | None:
    """Do it; the signal that ended it early."""
    descriptors.allow(load.plan.clients + FILES_BESIDE)
    ended: list[signal.Signals] = []
    progress = _Progress()

    async def run() -> None:
        with _stopped_by_signals(load, ended):
            await load.run(progress.show)

    try:
        uvloop.run(run())
    except OSError as error:
        reason = error.strerror or str(error) or "timed out"
        raise Silence(f"cannot connect: {reason}") from None
    finally:
        progress.end()
    return ended[0] if ended else None


@contextmanager
def _stopped_by_signals(load: Load, ended: list[signal.Signals]) -> Iterator[None]:
    """The first one stops it, the second one waits for nothing; one that is ignored remains so."""
    loop = asyncio.get_running_loop()
    before = {number: signal.getsignal(number) for number in ENDS}

    def stop(number: signal.Signals) -> None:
        ended.append(number)
        load.stop()

    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            loop.add_signal_handler(number, stop, number)
    try:
        yield
    finally:
        for number, handler in before.items():
            if handler is not signal.SIG_IGN:
                loop.remove_signal_handler(number)
                signal.signal(number, handler)


class _Progress:
    """A line on a terminal that is written anew."""

    def __init__(self) -> None:
        self._shown = sys.stderr.isatty()
        self._before = (0.0, 0)

    def show(self, load: Load) -> None:
        if not self._shown:
            return
        now, answered = load.elapsed, load.answered
        seconds, more = now - self._before[0], answered - self._before[1]
        self._before = now, answered
        rate = more / seconds if seconds else 0.0
        sys.stderr.write(f"\r{now:5.1f} s {answered:>12,} counted {rate:>10,.0f}/s ")
        sys.stderr.flush()

    def end(self) -> None:
        if self._shown and self._before[0]:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


def _found(load: Load) -> dict[str, Any]:
    """What was measured."""
    times = load.latencies.at(list(SHARES.values()))
    return {
        "answered": load.answered,
        "refused": load.refused,
        "in_doubt": load.in_doubt,
        "seconds": round(load.seconds, 3),
        "rate": round(load.answered / load.seconds) if load.seconds else 0,
        "milliseconds": dict(zip(SHARES, times, strict=False)),
        "own_cpu": round(load.busy, 2),
        "reasons": dict(load.reasons.most_common(REASONS_SHOWN)),
    }


def _print(load: Load, found: dict[str, Any], verdict: Verdict, as_json: bool) -> None:
    if as_json:
        emit_json(json.dumps({**found, "exact": verdict.exact, "exactness": verdict.text}))
    else:
        times = found["milliseconds"].items()
        limit = "; it may be the limit" if found["own_cpu"] > BUSY else ""
        emit_fields(
            [
                ("counted", f"{load.answered:,} in {load.seconds:.3g} s"),
                ("per second", f"{found['rate']:,}"),
                *((name, f"{milliseconds:.3f} ms") for name, milliseconds in times),
                ("refused", f"{load.refused:,}"),
                ("in doubt", f"{load.in_doubt:,}"),
                ("own CPU", f"{found['own_cpu']:.0%}{limit}"),
                ("exact", verdict.text),
            ]
        )
    for reason, often in found["reasons"].items():
        say(f"{often:,} times: {reason}")
