"""gossipd beside Redis and beside the least that Python can do, on this machine, in one run.

    python -m tests.bench.speed [--parts memory http …] [--quick] [--json] [--results]

Needs Debian's packages `redis-server`, `redis-tools` and `wrk`. Every contest starts its servers
anew on loopback: gossipd (in memory, or durable as by default), `redis-server` (nothing kept, or
`appendfsync always`) and for HTTP `tests.bench.bare`. They are loaded in turn, in rounds, for
`--seconds` each: HTTP by `wrk`, RESP and Redis by `redis-benchmark`, lines by a loader in this
process. What stands in the table are medians of the rounds; a ratio is the median of the ratios
of each round. CPU is that of the server, for each operation, with gossipd's storage process. After
a contest gossipd must have counted all that was answered, and no more than was sent.

--parts: only contests that have these words, one or more of a kind:
    memory durable | http resp text | increment keyed batch count peers latency
    1 32 256 (clients) | p1 p16 (requests that each sends at once) | one many (10,000 counters)
`peers` is an increment on a node with four others; `latency` is one client, and its servers and a
bare `fdatasync` have their turns request by request.

--beside: the gossipd of another checkout has its turns, too, to see what a change does.

Beside other work a server finds more requests whenever it gets the CPU, so each costs less, most
of all Redis: only shares that were measured on an idle machine say something of the bounds.

All of it takes about 25 minutes, and wants a machine that does nothing else.
"""

from __future__ import annotations

import json
import math
import os
import socket
import sys
import tempfile
import time
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from statistics import median
from typing import NamedTuple

from tests.bench.contests import KINDS, SYNC, Bounds, Contender, Contest, chosen, contests
from tests.bench.durable import sync
from tests.bench.loaders import Loaded, Loader, speaks_resp
from tests.bench.machine import why_not, written
from tests.bench.pump import increment
from tests.bench.servers import Server, start
from tests.e2e.node import ROOT

ROUNDS, QUICK_ROUNDS = 5, 3
LATENCY_BLOCKS, QUICK_LATENCY_BLOCKS = 20, 5
LATENCY_BLOCK = 100
"""Requests to each server in turn, in one block."""


class Line(NamedTuple):
    """One contender of a contest, as it is told."""

    contest: str
    name: str
    rate: float | None
    """Operations a second; None: it does not speak that."""
    cpu: float | None = None
    """Microseconds for each."""
    p50: float | None = None
    """Milliseconds until what was sent at once is answered."""
    p99: float | None = None
    ratios: tuple[float | None, ...] = ()
    """The first contender's rate, CPU and p50 by this one's."""
    bounds: Bounds = Bounds()
    note: str = ""

    @property
    def verdicts(self) -> list[Verdict]:
        """Of rate, CPU and p50; none of the first contender."""
        least = (True, False, False)
        return list(map(Verdict, self.ratios, self.bounds, least))


class Verdict(NamedTuple):
    ratio: float | None
    bound: float | None
    least: bool
    """Whether the bound is what must be reached, else what may not be passed."""

    @property
    def kept(self) -> bool:
        if self.ratio is None or self.bound is None:
            return self.ratio is not None or self.bound is None
        return self.ratio >= self.bound if self.least else self.ratio <= self.bound


# --- measuring -----------------------------------------------------------------------------------


class Round(NamedTuple):
    """0 stands for what is not known."""

    rate: float
    cpu: float
    p50: float
    p99: float


def held(contest: Contest, directory: Path, rounds: int, wanted: Namespace) -> Iterator[Line]:
    """The lines of a contest."""
    name = " ".join(contest.words)
    with ExitStack() as stack:
        servers: dict[str, Server] = {}
        for server in dict.fromkeys(each.server for each in contest.contenders if each.server):
            durable, other = contest.mode == "durable", wanted.beside or ROOT
            started = start(server, directory / server, durable, other)
            servers[server] = stack.enter_context(started)
        unable = [
            each
            for each in contest.contenders
            if each.load.dialect == "resp"
            and each.server in ("gossipd", "beside")
            and not speaks_resp(servers[each.server].address)
        ]
        if unable:
            yield Line(name, unable[0].name, None, note="not spoken")
            return
        if contest.what == "latency":
            found = _in_turn(contest, servers, directory, rounds)
        else:
            found = _in_rounds(contest, servers, directory, rounds, wanted.seconds)
    yield from _lines(name, contest.contenders, found)


def _in_rounds(
    contest: Contest, servers: dict[str, Server], directory: Path, rounds: int, seconds: float
) -> list[list[Round]]:
    """For each contender all its rounds; one before them warms up."""
    watched = {
        name: (server, total, [each.load for each in contest.contenders if each.server == name])
        for name, server in servers.items()
        if (total := server.total()) is not None
    }
    loaders = [
        (servers[each.server], Loader(each.load, servers[each.server].address, directory))
        for each in contest.contenders
    ]
    answered = dict.fromkeys(servers, 0)
    found: list[list[Round]] = [[] for _ in loaders]
    for number in range(rounds + 1):
        for contender, (server, loader), kept in zip(
            contest.contenders, loaders, found, strict=True
        ):
            before = server.cpu
            loaded = loader.run(seconds)
            cpu = server.cpu - before
            answered[contender.server] += loaded.answered if contender.load.adds else 0
            if number:
                kept.append(_round(loaded, cpu))
    for name, (server, before_all, loads) in watched.items():
        counted = (server.total() or 0) - before_all
        open_ends = (rounds + 1) * sum(load.under_way for load in loads if load.adds)
        assert 0 <= counted - answered[name] <= open_ends, (
            f"{name} counted {counted}, {answered[name]} were answered"
        )
    return found


def _round(loaded: Loaded, cpu: float) -> Round:
    each = 1e6 * cpu / loaded.answered if loaded.answered else math.inf
    return Round(loaded.rate, each, loaded.p50, loaded.p99)


def _in_turn(
    contest: Contest, servers: dict[str, Server], directory: Path, rounds: int
) -> list[list[Round]]:
    """One request to each after the other; a block of them counts as a round."""
    blocks = QUICK_LATENCY_BLOCKS if rounds < ROUNDS else LATENCY_BLOCKS
    with ExitStack() as stack:
        file = stack.enter_context((directory / "syncs").open("wb", buffering=0))
        asked = []
        for each in contest.contenders:
            if each.name == SYNC:
                asked.append(partial(sync, file))
                continue
            client = stack.enter_context(socket.create_connection(servers[each.server].address))
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            asked.append(partial(_incr if each.load.dialect == "resp" else increment, client))
        found: list[list[Round]] = [[] for _ in asked]
        for block in range(blocks + 1):
            took: list[list[float]] = [[] for _ in asked]
            for _ in range(LATENCY_BLOCK):
                for ask, kept in zip(asked, took, strict=True):
                    kept.append(ask())
            for samples, rows in zip(took, found, strict=True):
                if block:
                    rows.append(_of_samples(samples))
        return found


def _of_samples(samples: list[float]) -> Round:
    samples.sort()
    p50, p99 = (1000 * samples[len(samples) * share // 100] for share in (50, 99))
    return Round(len(samples) / sum(samples), 0.0, p50, p99)


def _incr(client: socket.socket) -> float:
    """Seconds that Redis took for one increment."""
    began = time.perf_counter()
    client.sendall(b"*2\r\n$4\r\nINCR\r\n$7\r\ndefault\r\n")
    answer = client.recv(64)
    took = time.perf_counter() - began
    assert answer[:1] + answer[-2:] == b":\r\n", answer
    return took


def _lines(name: str, contenders: Sequence[Contender], found: list[list[Round]]) -> Iterator[Line]:
    ours = found[0]
    for contender, rounds in zip(contenders, found, strict=True):
        ratios: tuple[float | None, ...] = ()
        if rounds is not ours:
            ratios = tuple(
                _ratio([each[field] for each in ours], [each[field] for each in rounds])
                for field in (0, 1, 2)
            )
        rate, cpu, p50, p99 = (median(field) for field in zip(*rounds, strict=True))
        yield Line(
            name,
            contender.name,
            rate,
            cpu or None,
            p50 or None,
            p99 or None,
            ratios,
            contender.bounds,
        )


def _ratio(ours: list[float], theirs: list[float]) -> float | None:
    pairs = [mine / other for mine, other in zip(ours, theirs, strict=True) if mine and other]
    return median(pairs) if pairs else None


def measure(wanted: Namespace) -> Iterator[Line]:
    rounds = wanted.rounds or (QUICK_ROUNDS if wanted.quick else ROUNDS)
    for contest in contests():
        if chosen(contest, wanted.parts):
            first, *others = contest.contenders
            kept = [each for each in others if not wanted.against or each.name in wanted.against]
            if wanted.beside and first.server == "gossipd":
                kept.insert(0, Contender("beside", "beside", first.load))
            some = contest._replace(contenders=(first, *kept))
            with tempfile.TemporaryDirectory() as directory:
                yield from held(some, Path(directory), rounds, wanted)


# --- telling -------------------------------------------------------------------------------------

_HEAD = ("", "PER SECOND", "CPU us", "p50 ms", "p99 ms", "RATE", "CPU", "p50")


def table(lines: Iterable[Line]) -> Iterator[str]:
    """The lines as they come; the first of each contest has its name above it."""
    yield _columns(*_HEAD)
    contest = ""
    for line in lines:
        if line.contest != contest:
            contest = line.contest
            yield contest
        if line.rate is None:
            yield f"  {line.name}: {line.note}"
            continue
        numbers = (f"{line.rate:,.0f}", _number(line.cpu, 1), _number(line.p50, 3))
        said = map(_said, line.verdicts)
        yield _columns(f"  {line.name}", *numbers, _number(line.p99, 3), *said)


def _said(verdict: Verdict) -> str:
    ratio = "" if verdict.ratio is None else f"{verdict.ratio:.2f} x"
    if verdict.bound is None:
        return ratio
    sign = ">=" if verdict.least else "<="
    return f"{ratio} {sign} {verdict.bound:g}{'' if verdict.kept else ' MISSED'}"


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:,.{digits}f}"


def _columns(name: str, *cells: str) -> str:
    widths = (12, 9, 10, 10, 22, 22, 22)
    padded = (f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=False))
    return f"{name:<12}{''.join(padded)}".rstrip()


def options() -> ArgumentParser:
    parser = ArgumentParser(description=__doc__, formatter_class=RawDescriptionHelpFormatter)
    words = sorted(set[str]().union(*KINDS))
    parser.add_argument("--parts", nargs="+", default=[], choices=words, metavar="WORD")
    parser.add_argument("--against", nargs="+", default=[], help="only these opponents: redis, …")
    parser.add_argument("--beside", type=Path, help="another checkout, measured in turn")
    parser.add_argument("--rounds", type=int, help=f"rounds that count ({ROUNDS})")
    parser.add_argument("--seconds", type=float, default=1.0, help="each turn in a round (1)")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_ROUNDS} rounds")
    parser.add_argument("--json", action="store_true", help="print the lines as JSON")
    parser.add_argument("--results", action="store_true", help="write tests/bench/RESULTS.md anew")
    return parser


def main(arguments: list[str]) -> int:
    """Measure and print; 1 when a bound was missed."""
    parser = options()
    wanted = parser.parse_args(arguments)
    if why := why_not():
        parser.error(why)
    load, lines = os.getloadavg()[0], []

    def remembered() -> Iterator[Line]:
        for line in measure(wanted):
            lines.append(line)
            yield line

    for row in table(remembered()):
        if not wanted.json:
            print(row, flush=True)
    if wanted.json:
        print(json.dumps([_object(line) for line in lines], indent=1))
    if wanted.results:
        written(list(table(lines)), load, arguments)
    return any(not each.kept for line in lines for each in line.verdicts)


def _object(line: Line) -> dict[str, object]:
    names = ("rate", "cpu", "p50")
    ratios = dict(zip(names, line.ratios, strict=False))
    return {**line._asdict(), "ratios": ratios, "bounds": line.bounds._asdict()}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
