"""What happens to a cluster, and how long it took: for the tests with short times, for
`tests.bench.figures` with the long ones.

Each function asserts what must be exact and returns what was measured; the bounds stand with the
callers.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from tests.e2e import load
from tests.e2e.cluster import (
    Cluster,
    agree,
    counted,
    live,
    see,
)
from tests.e2e.namespaces import Network
from tests.e2e.node import Node, at_once, until
from tests.effort import THOROUGH

CLUSTER = 5

SWIFT = () if THOROUGH else ("--probe-interval", "0.3", "--probe-timeout", "0.15")
"""Options of nodes that find sooner whom they do not reach, where it is not about how soon."""


def form(cluster: Cluster, count: int) -> float:
    """Seconds from the start of the processes until all see all alive."""
    began = time.monotonic()
    cluster.start(count)
    return time.monotonic() - began


def three_ways(nodes: Sequence[Node], total: int) -> float:
    """Seconds from the last answer until every count is exact."""
    before = nodes[0].count()
    load.in_three_ways(nodes, total)
    return counted(nodes, before + total, within=10)


def full_speed(nodes: Sequence[Node], seconds: float) -> tuple[float, float]:
    """(increments answered a second, seconds from the last answer until all is exact)."""
    before = nodes[0].count()
    began = time.monotonic()
    answered = load.at_full_speed(nodes, seconds)
    rate = answered / (time.monotonic() - began)
    return rate, counted(nodes, before + answered, within=15)


def late_joiner(cluster: Cluster, nodes: Sequence[Node]) -> float:
    """Seconds from the start of a process until it is ready: never without the full count."""
    full = nodes[0].count()
    late = cluster.add()
    began = time.monotonic()
    late.start(join=nodes[:1])

    def is_ready() -> bool:
        ready, count = late.ask("GET", "/ready"), late.ask("GET", "/count")
        if ready.status == 200:
            assert count.data == {"counter": "default", "count": full}
            return True
        assert ready.status == 503
        assert int(ready.headers["Retry-After"]) > 0
        assert count.status == 503 or count.data["count"] == full
        return False

    until(is_ready, 15, "the late joiner is ready")
    took = time.monotonic() - began
    agree([*nodes, late], within=5)
    return took


@dataclass(frozen=True)
class Kill:
    detected: float
    """Seconds from SIGKILL until all others say so."""

    returned: float
    """Seconds from the start of its process until it is alive everywhere with the full count."""


def kill(nodes: Sequence[Node]) -> Kill:
    """SIGKILL the last node under load, start it again."""
    *others, victim = nodes
    before = others[0].count()
    with load.Stream(others) as stream:
        victim.kill()
        detected = see(others, victim.name, "failed", within=20)
    assert stream.failures == []
    assert stream.answered
    counted(others, before + stream.answered, within=5)
    began = time.monotonic()
    victim.start(join=nodes[:1])
    agree(nodes, within=15)
    counted(nodes, before + stream.answered, within=5)
    return Kill(detected, time.monotonic() - began)


def stop_and_continue(nodes: Sequence[Node], seconds: float) -> float:
    """SIGSTOP the last node, SIGCONT; seconds until all agree with the full count."""
    *others, victim = nodes
    before = others[0].count()
    victim.send(signal.SIGSTOP)
    try:
        end = time.monotonic() + seconds
        answered = load.at_full_speed(others, min(1.0, seconds))
        see(others, victim.name, "failed", within=20)
        until(lambda: time.monotonic() >= end, seconds, "the time is over")
    finally:
        victim.send(signal.SIGCONT)
    began = time.monotonic()

    def is_back() -> bool:
        blamed = {name for name, state in live(victim).items() if state != "alive"}
        assert not blamed, f"{victim.name} blames {blamed}"
        return all(live(node).get(victim.name) == "alive" for node in others)

    until(is_back, 15, f"{victim.name} is alive again")
    counted(nodes, before + answered, within=5)
    took = time.monotonic() - began
    victim.says("refuted being ")
    assert not [line for line in victim.log.splitlines() if " is failed" in line]
    return took


def leave(nodes: Sequence[Node], leavers: Sequence[Node], how: str, count: int = 1000) -> float:
    """Load the leavers with `count` increments each and let them leave; `how` is the name of a
    signal or `command`. Seconds until the last of the others says `left`."""
    others = [node for node in nodes if node not in leavers]
    before = others[0].count()
    at_once(partial(load.by_text, node, count) for node in leavers)
    began = time.monotonic()
    for leaver in leavers:
        if how == "command":
            assert leaver.cli("leave").stdout == "leaving\n"
        else:
            leaver.send(signal.Signals[how])
    for leaver in leavers:
        see(others, leaver.name, "left", within=8)
    took = time.monotonic() - began
    assert [leaver.ended() for leaver in leavers] == [0] * len(leavers)
    counted(others, before + count * len(leavers), within=5)
    return took


def random_load(nodes: Sequence[Node], seconds: float) -> float:
    """Seconds after random load until all fingerprints are equal; the sums are exact."""
    sums = load.at_random(nodes, seconds, seed=1)
    took = until(
        lambda: len({node.status()["fingerprint"] for node in nodes}) == 1,
        10,
        "the fingerprints are equal",
    )
    for node in nodes:
        assert {name: node.get("/counters")[name] for name in sums} == sums
    return took


def rest(nodes: Sequence[Node], seconds: float) -> tuple[float, float]:
    """(packets sent, wake-ups) a second when nothing happens, of the node that has most."""

    def measured() -> list[tuple[int, int]]:
        return [(node.status()["udp"]["sent"], node.wakeups) for node in nodes]

    def wait(seconds: float) -> float:
        began = time.monotonic()
        until(lambda: time.monotonic() - began >= seconds, seconds + 1, "the time is over")
        return time.monotonic() - began

    measured()
    wait(1.0)  # the connections that asked are gone
    before, took = measured(), wait(seconds)
    changes = [
        ((sent - old) / took, (woken - earlier) / took)
        for (old, earlier), (sent, woken) in zip(before, measured(), strict=True)
    ]
    return max(packets for packets, _ in changes), max(woken for _, woken in changes)


def networked(cluster: Cluster, network: Network, *options: str) -> list[Node]:
    """One node on each host of a network, joined."""
    nodes = [
        cluster.add(host=network.address(number), namespace=host)
        for number, host in enumerate(network.hosts)
    ]
    for node in nodes:
        node.options = options
        node.start(join=nodes[:1] if node is not nodes[0] else [])
    agree(nodes, within=15)
    return nodes


def split(nodes: Sequence[Node], network: Network, seconds: float) -> float:
    """Cut two halves from each other, count on both sides; seconds from the heal until all are
    alive and all counts are the sum."""
    near, far = nodes[:2], nodes[2:]
    before = nodes[0].count()
    links = list(network.between(range(2), range(2, len(nodes))))
    for link in links:
        network.cut(*link)
    with load.Stream((near[0], far[0])) as stream:
        end = time.monotonic() + seconds
        for half, lost in ((near, far), (far, near)):
            for node in lost:
                see(half, node.name, "failed", within=30)
        until(lambda: time.monotonic() >= end, seconds, "the time is over")
    assert stream.failures == []
    for half in near, far:  # both have counted, and neither has heard of it
        assert before < half[0].count() < before + stream.answered
    for link in links:
        network.heal(*link)
    began = time.monotonic()
    agree(nodes, within=20)
    counted(nodes, before + stream.answered, within=10)
    return time.monotonic() - began


def deaf_or_mute(nodes: Sequence[Node], network: Network, seconds: float, deaf: bool) -> float:
    """One node hears nobody, or nobody hears it, while all count; seconds from the heal until
    all is well."""
    *others, _ = range(len(nodes))
    victim = len(nodes) - 1
    before = nodes[0].count()
    links = [(other, victim) if deaf else (victim, other) for other in others]
    for link in links:
        network.cut(*link)
    with load.Stream(nodes) as stream:
        began = time.monotonic()
        until(lambda: time.monotonic() - began >= seconds, seconds + 1, "the time is over")
    assert stream.failures == []
    for link in links:
        network.heal(*link)
    began = time.monotonic()
    agree(nodes, within=20)
    counted(nodes, before + stream.answered, within=10)
    return time.monotonic() - began
