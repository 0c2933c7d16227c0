"""What `tests.bench.speed` measures: which servers meet which load, and what gossipd must reach.

The bounds are those of the project; a contest without one is only told.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from tests.bench.loaders import Load

MANY = 10_000
"""Counters, where there is not one."""

SYNC = "fdatasync"

KINDS = (
    {"memory", "durable"},
    {"http", "resp", "text"},
    {"increment", "keyed", "batch", "count", "peers", "latency"},
    {"1", "32", "256"},
    {"p1", "p16"},
    {"one", "many"},
)


class Bounds(NamedTuple):
    """What the first of a contest must reach, as its share of an opponent's."""

    rate: float | None = None
    """At least."""
    cpu: float | None = None
    """At most, for each operation."""
    p50: float | None = None
    """At most."""


class Contender(NamedTuple):
    name: str
    server: str
    """As `servers.start` knows it."""
    load: Load
    bounds: Bounds = Bounds()


class Contest(NamedTuple):
    mode: str
    what: str
    """The word of its operation."""
    contenders: tuple[Contender, ...]
    """That which is measured, and its opponents."""

    @property
    def words(self) -> tuple[str, ...]:
        load = self.contenders[0].load
        counters = "one" if load.counters == 1 else "many"
        clients = str(load.connections)
        return self.mode, load.dialect, self.what, clients, f"p{load.depth}", counters


def chosen(contest: Contest, parts: Iterable[str]) -> bool:
    """Whether it has a word of each kind of which there are any in `parts`."""
    words = set(contest.words)
    return all(words & kind & set(parts) for kind in KINDS if kind & set(parts))


def contests() -> Iterator[Contest]:
    for mode in ("memory", "durable"):
        for dialect in ("http", "resp", "text"):
            for load in _increments(mode, dialect):
                yield _against_others(mode, load)
            for depth in (1, 16):
                yield _keyed(mode, Load(dialect, "keyed", 32, depth))
            if mode == "memory":
                for connections, depth in ((1, 1), (32, 1), (32, 16), (256, 1)):
                    yield _counts(Load(dialect, "count", connections, depth))
        for connections in (1, 32):
            yield _against_others(mode, Load("http", "batch", connections))
    yield _peers(Load("http", "increment", 32))
    yield _latency(Load("http", "increment", 1))


def _increments(mode: str, dialect: str) -> Iterator[Load]:
    for connections in (1, 32, 256):
        for depth in (1, 16):
            if mode == "memory" or dialect == "http" or depth == 1 or connections == 32:
                yield Load(dialect, "increment", connections, depth)
    for depth in (1, 16):
        yield Load(dialect, "increment", 32, depth, MANY)


def _against_others(mode: str, load: Load, *further: Contender) -> Contest:
    others = [Contender("redis", "redis", load._replace(dialect="resp"), _redis(mode, load))]
    if load.dialect == "http" and load.operation != "batch":
        others.append(Contender("bare", "bare", load))
    ours = Contender("gossipd", "gossipd", load)
    return Contest(mode, load.operation, (ours, *others, *further))


def _redis(mode: str, load: Load) -> Bounds:
    """What is to be reached of Redis."""
    if load.operation != "increment" or load.counters > 1:
        return Bounds()
    at = load.dialect, load.connections, load.depth
    if mode == "durable":
        return Bounds(rate=0.8) if at in {("http", 32, 1), ("http", 256, 1)} else Bounds()
    return {
        ("http", 32, 1): Bounds(rate=0.8, cpu=1.6),
        ("resp", 32, 1): Bounds(rate=0.9),
        ("resp", 32, 16): Bounds(rate=0.4),
        ("text", 32, 16): Bounds(rate=0.4),
    }.get(at, Bounds())


def _counts(load: Load) -> Contest:
    adding = load._replace(operation="increment")
    least = Bounds(rate=1.0) if load.dialect != "text" and load.connections == 32 else Bounds()
    return _against_others("memory", load, Contender("increment", "gossipd", adding, least))


def _keyed(mode: str, load: Load) -> Contest:
    plain = load._replace(operation="increment")
    unkeyed = Contender("unkeyed", "gossipd", plain, Bounds(cpu=1.5))
    return Contest(mode, "keyed", (Contender("gossipd", "gossipd", load), unkeyed))


def _peers(load: Load) -> Contest:
    alone = Contender("alone", "gossipd", load, Bounds(cpu=1.15))
    return Contest("memory", "peers", (Contender("4 peers", "crowd", load), alone))


def _latency(load: Load) -> Contest:
    return Contest(
        "durable",
        "latency",
        (
            Contender("gossipd", "gossipd", load),
            Contender("redis", "redis", load._replace(dialect="resp")),
            Contender("bare", "bare", load, Bounds(p50=1.3)),
            Contender(SYNC, "", load, Bounds(p50=3.0)),
        ),
    )
