"""What load on some nodes costs the others, and what it does to membership and to news.

    python -m tests.bench.busy [--parts cost,follow,speed,joining,converging] [--quick] [--json]

Real processes on loopback. It takes about five minutes and wants a machine that does nothing else:
on one that others use ratios tell something, times do not.

- `cost`: the CPU that a node needs for an increment, alone and with four peers, in turn.
- `follow`: the datagrams that reach a peer while one node counts, and ten times as much, on one
  counter: they follow what changes, not how often.
- `speed`: five nodes at full speed. Now and then an increment of another counter is waited for on
  all nodes; nobody may be failed by anybody; then some are killed, at rest and at full speed.
- `joining`: a node with a million registers takes in one that has none. Its own clients count on.
- `converging`: twenty nodes, ten increments a second, each waited for on all nodes.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random
from statistics import median

from gossipd.sealing.keyring import Secret
from tests.bench.durable import QUICK, data, fill
from tests.bench.program import Row, chosen, options, report, with_parts
from tests.bench.pump import increment, pump
from tests.e2e import load
from tests.e2e.cluster import Cluster, agree, counted, see
from tests.e2e.node import Node, until

ROUNDS = 5
AT_ONCE, CONNECTIONS = 20_000, 32
COST_MAX = 1.15

SLOW, TIMES = 200, 10
"""Increments a second, and how many times as many."""
COUNTS_FOR = 8.0
FOLLOW_MAX = 1.3

FULL_SPEED = 20.0
LAG_MAX = 250.0
KILLS = 3
FOUND_MAX = 2.0
"""Times as long as at rest."""

STREAMS, COUNTERS = 1_000, 1_000
READY_MAX = 30.0
SERVED_MAX = 20.0

NODES, RATE, SPREADS_FOR = 20, 10.0, 60.0
MEDIAN_MAX, P99_MAX = 30.0, 100.0

PATIENCE = 30.0


@contextmanager
def cluster_of(
    count: int, *options: str, secret: Secret | None = None
) -> Iterator[tuple[Cluster, list[Node]]]:
    """Some nodes; nothing may go wrong in their logs."""
    with tempfile.TemporaryDirectory() as directory, Cluster(Path(directory), secret) as cluster:
        try:
            yield cluster, cluster.start(count, *options)
            if mishaps := cluster.mishaps():
                raise AssertionError(f"mishaps in the logs: {mishaps}")
        except BaseException:
            cluster.show()
            raise


def part_of(values: Sequence[float], part: float) -> float:
    """The value that such a part of all is not above."""
    return sorted(values)[min(len(values) - 1, int(part * len(values)))]


# --- an increment that is waited for everywhere --------------------------------------------------


async def _ask(node: Node, request: str) -> dict[str, object]:
    reader, writer = await asyncio.open_connection(*node.api)
    writer.write(f"{request} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
    try:
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    finally:
        writer.close()
    assert head.split()[1] == b"200", (request, head, body)
    answer: dict[str, object] = json.loads(body)
    return answer


async def spread(nodes: Sequence[Node], at: Node) -> float | None:
    """Milliseconds from the answer to an increment until all others count it; None: never."""
    made = await _ask(at, "POST /increment?counter=waited-for")
    began = time.perf_counter()
    wanted = f"GET /count?counter=waited-for&after={made['id']}&timeout={PATIENCE:g}s"
    others = [_ask(node, wanted) for node in nodes if node is not at]
    try:
        await asyncio.gather(*others)
    except AssertionError:
        return None
    return 1000 * (time.perf_counter() - began)


async def spreads(nodes: Sequence[Node], rate: float, seconds: float) -> list[float | None]:
    """What becomes of increments that come at random moments at random nodes."""
    rng, end = Random(1), time.monotonic() + seconds
    begun: list[asyncio.Task[float | None]] = []
    while time.monotonic() < end:
        begun.append(asyncio.create_task(spread(nodes, rng.choice(nodes))))
        await asyncio.sleep(rng.expovariate(rate))
    return list(await asyncio.gather(*begun))


def told(what: str, found: list[float | None], bounds: tuple[float | None, float]) -> list[Row]:
    """Median and p99 of the times, and how many never came."""
    came = [each for each in found if each is not None]
    return [
        Row(f"{what}: on all, p50", median(came), bounds[0], "ms", note=f"{len(found)} of them"),
        Row("  p99", part_of(came, 0.99), bounds[1], "ms", note=f"at most {max(came):.0f}"),
        Row("  never", len(found) - len(came), 0, ""),
    ]


# --- the parts -----------------------------------------------------------------------------------


def cost(quick: bool) -> Iterator[Row]:
    for what, figures in (("in memory", ["--in-memory"]), ("with a disk", [])):
        with cluster_of(1, *figures) as (_, alone), cluster_of(5, *figures) as (_, five):
            found: list[list[float]] = [[], []]
            rates: list[float] = []
            for _ in range(1 if quick else ROUNDS):
                for node, costs in zip((alone[0], five[0]), found, strict=True):
                    before = node.cpu
                    done = pump(node, AT_ONCE // 10 if quick else AT_ONCE, CONNECTIONS)
                    costs.append(1e6 * (node.cpu - before) / done.answered)
                    rates.append(done.rate)
            one, many = map(median, found)
            yield Row(f"CPU per increment, {what}, alone", one, unit="us")
            a_second = (many - one) * median(rates) / 1000
            note = f"{many:.1f} us: {a_second:.0f} ms a second, at {median(rates):,.0f}/s"
            yield Row("  with four peers, of that", many / one, COST_MAX, "", note=note)
            told_of = AT_ONCE // 10 if quick else AT_ONCE * ROUNDS
            counted(five, told_of, PATIENCE)


def follow(quick: bool) -> Iterator[Row]:
    with cluster_of(3) as (_, nodes):
        found: list[tuple[float, float]] = []
        total = 0
        for rate in (SLOW, SLOW * TIMES):
            before, cpu = _received(nodes[1]), nodes[1].cpu
            took, made = _at_rate(nodes[0], rate, COUNTS_FOR / 4 if quick else COUNTS_FOR)
            total += made
            counted(nodes, total, PATIENCE)
            found.append(((_received(nodes[1]) - before) / took, (nodes[1].cpu - cpu) / took))
        (few, idle), (many, busy) = found
        note = f"CPU {1000 * idle:.0f} ms/s"
        yield Row(f"a peer of who counts {SLOW}/s: datagrams", few, unit="1/s", note=note)
        note = f"CPU {1000 * busy:.0f} ms/s"
        yield Row(f"  {TIMES} times as much, of that", many / few, FOLLOW_MAX, "", note=note)


def _received(node: Node) -> int:
    return int(node.status()["udp"]["received"])


def _at_rate(node: Node, rate: int, seconds: float) -> tuple[float, int]:
    """Increments, a tenth of a second's at once; how long that took, and how many they were."""
    began, made = time.monotonic(), 0
    with node.connect() as client:
        while (now := time.monotonic() - began) < seconds:
            due = int(10 * now) * rate // 10 + rate // 10 - made
            for _ in range(due):
                increment(client)
            made += due
            time.sleep(max(0.0, (int(10 * now) + 1) / 10 - (time.monotonic() - began)))
    return time.monotonic() - began, made


def speed(quick: bool) -> Iterator[Row]:
    seconds = FULL_SPEED / 5 if quick else FULL_SPEED
    with cluster_of(5, "--in-memory") as (_, nodes), multiprocessing.Pool(1) as pool:
        began = time.monotonic()
        pumped = pool.apply_async(load.at_full_speed, (_bare(nodes), seconds))
        found = asyncio.run(spreads(nodes, 5.0, seconds))
        made = pumped.get(PATIENCE + seconds)
        rate = made / (time.monotonic() - began)
        yield Row("five nodes at full speed", rate, unit="1/s")
        yield from told("  an increment", found, (None, LAG_MAX))
        exact = counted(nodes, made, PATIENCE)
        yield Row("  all exact after", exact, unit="s")
        failed = sum(node.log.count(" failed") for node in nodes)
        yield Row("  members that were held failed", failed, 0, "")
        idle = [_kill(nodes, number) for number in range(1 if quick else KILLS)]
        yield Row("kill -9 at rest: known to all, p50", median(idle), note=_list(idle))
        busy: list[float] = []
        for number in range(1 if quick else KILLS):
            others = [node for node in nodes if node is not nodes[-1 - number]]
            pumped = pool.apply_async(load.at_full_speed, (_bare(others), 10.0))
            busy.append(_kill(nodes, number, wait=pumped.get))
        ratio = median(busy) / median(idle)
        yield Row("  at full speed, of that", ratio, FOUND_MAX, "", note=_list(busy))


def _bare(nodes: Sequence[Node]) -> list[Node]:
    """Nodes of which another process knows where they are, and no more."""
    return [Node(node.name, node.host, Path(), node.port) for node in nodes]


def _kill(nodes: list[Node], number: int, wait: Callable[[float], object] | None = None) -> float:
    """Seconds until all others hold one as failed; it comes back when there is no load."""
    victim = nodes[-1 - number]
    others = [node for node in nodes if node is not victim]
    time.sleep(1 + number / KILLS)  # at another moment of the probes each time
    victim.kill()
    found = see(others, victim.name, "failed", within=PATIENCE)
    if wait:
        wait(PATIENCE)
    victim.start("--in-memory", join=others[:1])
    agree(nodes, PATIENCE)
    return found


def _list(values: Sequence[float]) -> str:
    return " ".join(f"{value:.1f}" for value in values)


def joining(quick: bool) -> Iterator[Row]:
    streams = STREAMS // QUICK if quick else STREAMS
    with tempfile.TemporaryDirectory() as directory, Cluster(Path(directory)) as cluster:
        serving, late = cluster.add(), cluster.add()
        asyncio.run(fill(data(serving), serving.name, streams, COUNTERS))
        serving.start()
        until(lambda: serving.ready, 120, "the node with many registers is ready")
        quiet = _served(serving, 3.0, lambda: False)
        note = f"p99 {part_of(quiet, 0.99):.1f}"
        yield Row("one client of it, p50", median(quiet), unit="ms", note=note)
        began = time.monotonic()
        late.start(join=[serving])
        while_joining = _served(serving, 120.0, _looks(late))
        note = f"{streams * COUNTERS:,} registers; {late.cpu:.1f} s of its CPU"
        yield Row("a node joins: ready after", time.monotonic() - began, READY_MAX, note=note)
        assert late.status()["registers"] >= streams * COUNTERS
        worst = max(while_joining)
        p99 = part_of(while_joining, 0.99)
        note = f"p50 {median(while_joining):.1f}, at most {worst:.0f}"
        yield Row("  meanwhile one client, p99", p99, SERVED_MAX, "ms", note=note)


def _looks(node: Node) -> Callable[[], bool]:
    """Whether it is ready, looked at now and then."""
    looked_at = time.monotonic()

    def is_ready() -> bool:
        nonlocal looked_at
        if time.monotonic() - looked_at < 0.25:
            return False
        looked_at = time.monotonic()
        try:
            return node.ready
        except OSError:
            return False

    return is_ready


def _served(node: Node, seconds: float, over: Callable[[], bool]) -> list[float]:
    """Milliseconds of increments, one after another, until it is `over`."""
    found: list[float] = []
    end = time.monotonic() + seconds
    with node.connect() as client:
        while time.monotonic() < end and not over():
            found.append(1000 * increment(client))
            time.sleep(0.002)
    return found


def converging(quick: bool) -> Iterator[Row]:
    with cluster_of(4 if quick else NODES) as (_, nodes):
        seconds = SPREADS_FOR / 20 if quick else SPREADS_FOR
        began, before = time.monotonic(), sum(node.cpu for node in nodes)
        found = asyncio.run(spreads(nodes, RATE, seconds))
        busy = (sum(node.cpu for node in nodes) - before) / (time.monotonic() - began)
        what = f"{len(nodes)} nodes, {RATE:g} increments/s"
        yield from told(what, found, (MEDIAN_MAX, P99_MAX))
        counted(nodes, len(found), PATIENCE, "waited-for")
        yield Row("  CPU of all", 100 * busy, unit="%")


PARTS: dict[str, Callable[[bool], Iterator[Row]]] = {
    "cost": cost,
    "follow": follow,
    "speed": speed,
    "joining": joining,
    "converging": converging,
}


def main(arguments: list[str]) -> int:
    """Measure and print; 1 when a bound was missed."""
    wanted = with_parts(options(__doc__), PARTS).parse_args(arguments)
    return report(chosen(PARTS, wanted.parts, wanted.quick), wanted.json)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
