"""Virtual time and the nodes in it: one seed, the same run every time.

Nodes exchange bytes. A node that crashes loses its memory; a node that stalls gets no events until
it goes on, then all at once, timers last, as a stopped process would.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import blake2b
from heapq import heappop, heappush
from random import Random
from typing import NamedTuple

from gossipd.core import (
    Accepted,
    Address,
    Effect,
    Left,
    MemberView,
    NameLost,
    Node,
    Send,
    Settings,
    Status,
    Stream,
    TagFrame,
)
from gossipd.simulator.network import Network

EPOCH = 1_700_000_000.0
"""The wall clock at the beginning, seconds since 1970."""


@dataclass(slots=True)
class Host:
    """One place in the world where a process may run."""

    name: str
    address: Address
    seeds: list[Address]
    node: Node | None = None
    stalled: bool = False
    missed: list[tuple[bytes, Address]] = field(default_factory=list)
    lives: int = 0
    clock: float = 0.0
    """Seconds by which its wall clock is ahead."""
    ended: str = ""
    """Why the process ended by itself."""


@dataclass(frozen=True, slots=True)
class Made:
    """An increment that was acknowledged: the ghost record that checkers compare with."""

    host: str
    stream: Stream
    seq: int
    counter: str
    by: int


class Captured(NamedTuple):
    """A datagram that was sent to a host, to be delivered again."""

    to: str
    data: bytes
    source: Address


class World:
    """Hosts, a network and a clock."""

    def __init__(self, seed: int, settings: Settings | None = None, cluster: str = "sim") -> None:
        self.rng = Random(seed)
        self.settings = settings or Settings()
        self.network = Network()
        self.hosts: dict[str, Host] = {}
        self.made: list[Made] = []
        self.effects: list[tuple[float, str, Effect]] = []
        """Everything but sends, with the time and the host."""
        self.sent: dict[str, int] = {}
        self.captured: list[Captured] | None = None
        """Set it to a list to have every datagram noted there."""
        self.now = 0.0
        self._frame = TagFrame(cluster)
        self._events: list[tuple[float, int, str, bytes, Address]] = []
        self._order = 0
        self._by_address: dict[Address, str] = {}
        self._trace = blake2b(digest_size=16)

    # --- hosts -------------------------------------------------------------------------------

    def add(
        self, name: str, address: Address | None = None, seeds: list[str] | None = None
    ) -> Host:
        """Start a node on a new host; `seeds` are names of hosts."""
        host = self.place(name, address)
        host.seeds = [self.hosts[seed].address for seed in seeds or ()]
        self.start(name)
        return host

    def place(self, name: str, address: Address | None = None) -> Host:
        """A new host, on which nothing runs yet."""
        number = len(self.hosts) + 1
        where = address or (f"10.0.{number // 250}.{number % 250 + 1}", 7946)
        host = self.hosts[name] = Host(name, where, [])
        self.sent[name] = 0
        return host

    def add_with_mutual_seeds(self, names: Iterable[str]) -> None:
        """Start nodes in this order, each of which has all of them as seeds."""
        hosts = [self.place(name) for name in names]
        for host in hosts:
            host.seeds = [other.address for other in hosts]
        for host in hosts:
            self.start(host.name)

    def start(self, name: str, as_name: str | None = None) -> None:
        """Start a new process on a host, with an empty memory; `as_name`: its node's name."""
        host = self.hosts[name]
        host.lives += 1
        host.stalled, host.missed, host.ended = False, [], ""
        self._by_address[host.address] = name
        generation = int((EPOCH + self.now + host.clock) * 1000) + host.lives
        own = MemberView(as_name or name, host.address, generation, 0, Status.ALIVE)
        rng = Random(self.rng.getrandbits(64))
        host.node = Node(own, self.settings, self._frame, rng, self.now)
        self._perform(host, host.node.start(not host.seeds, self.now))
        self._join(host)

    def cluster(self, count: int, prefix: str = "n") -> list[Host]:
        """Start `count` nodes, the first one alone and the others joining it."""
        names = [f"{prefix}{number}" for number in range(len(self.hosts), len(self.hosts) + count)]
        first = next(iter(self.hosts), names[0])
        return [self.add(name, seeds=[] if name == first else [first]) for name in names]

    def crash(self, name: str) -> None:
        """End a process without a word."""
        self.hosts[name].node = None

    def leave(self, name: str) -> None:
        """Ask a node to leave."""
        host = self.hosts[name]
        self._perform(host, self.node(name).leave(self.now))

    def stall(self, name: str) -> None:
        """Stop a process as SIGSTOP does."""
        self.hosts[name].stalled = True

    def resume(self, name: str) -> None:
        """Let a stopped process go on: first it reads its socket, then it looks at its clock."""
        host = self.hosts[name]
        host.stalled = False
        missed, host.missed = host.missed, []
        for data, source in missed:
            if host.node is not None:
                self._perform(host, host.node.receive_datagram(data, source, self.now))

    def node(self, name: str) -> Node:
        """The node that runs on a host."""
        node = self.hosts[name].node
        assert node is not None, f"{name} is down"
        return node

    @property
    def trace(self) -> str:
        """A hash over every effect so far, sends included: equal runs have equal ones."""
        return self._trace.hexdigest()

    @property
    def running(self) -> dict[str, Node]:
        """Nodes that run, by name."""
        return {host.name: host.node for host in self.hosts.values() if host.node is not None}

    # --- faults ------------------------------------------------------------------------------

    def partition(self, *groups: Iterable[str]) -> None:
        """Let nothing pass between groups of hosts, in either direction."""
        sides = [list(group) for group in groups]
        for side in sides:
            self.cut(side, [name for other in sides if other is not side for name in other])

    def cut(self, sources: Iterable[str], targets: Iterable[str]) -> None:
        """Let nothing pass from some hosts to others; the other direction stays."""
        to = [self.hosts[name].address for name in targets]
        for source in sources:
            for address in to:
                self.network.cut(self.hosts[source].address, address)

    def isolate(self, name: str) -> None:
        """Cut one host off from all others."""
        self.partition([name], [other for other in self.hosts if other != name])

    # --- clients -----------------------------------------------------------------------------

    def increment(self, name: str, counter: str = "default", by: int = 1) -> None:
        """One acknowledged increment at a node."""
        host = self.hosts[name]
        node = self.node(name)
        batch = node.prepare([(counter, by)], self.now, EPOCH + self.now + host.clock)
        self._perform(host, node.expose(batch, self.now))
        self.made += [
            Made(name, batch.stream, done.seq, done.counter, done.by)
            for done in batch.results
            if isinstance(done, Accepted)
        ]

    # --- time --------------------------------------------------------------------------------

    def run(self, seconds: float) -> None:
        """Let time pass."""
        until = self.now + seconds
        while True:
            due = self._next_due()
            if due is None or due[0] > until:
                break
            self.now = max(self.now, due[0])
            self._step(due[1])
        self.now = until

    def run_until_settled(self, seconds_max: float) -> bool:
        """Let time pass until all running nodes agree; False if they do not in that time."""
        until = self.now + seconds_max
        while not self.settled():
            if self.now >= until:
                return False
            self.run(0.05)
        return True

    def settled(self) -> bool:
        """Whether logs and tables are equal and every running node is alive everywhere."""
        nodes = list(self.running.values())
        logs = {node.log.fingerprint for node in nodes}
        tables = {node.members_fingerprint for node in nodes}
        return len(logs) == len(tables) == 1 and {n.live_count for n in nodes} == {len(nodes)}

    def deliver(self, name: str, data: bytes, source: Address) -> None:
        """Hand a datagram to a node as if it came from `source`."""
        host = self.hosts[name]
        self._perform(host, self.node(name).receive_datagram(data, source, self.now))

    def _next_due(self) -> tuple[float, str] | None:
        best: tuple[float, str] | None = None
        if self._events:
            best = (self._events[0][0], "")
        for host in self.hosts.values():
            at = host.node.next_timeout if host.node is not None and not host.stalled else None
            if at is not None and (best is None or at < best[0]):
                best = (at, host.name)
        return best

    def _step(self, name: str) -> None:
        if name:
            host = self.hosts[name]
            self._perform(host, self.node(name).handle_timeout(self.now))
            after = host.node.next_timeout if host.node is not None else None
            assert after is None or after > self.now, "a timer does not advance"
            return
        _, _, to, data, source = heappop(self._events)
        if not to:
            self._join(self.hosts[data.decode()])
            return
        host = self.hosts[to]
        if host.stalled:
            host.missed.append((data, source))
        elif host.node is not None:
            self._perform(host, host.node.receive_datagram(data, source, self.now))

    def _join(self, host: Host) -> None:
        """Try the seeds until one takes the host in, as the shell does."""
        if host.node is None or not host.seeds:
            return
        members = {view.address for view in host.node.members if view.status <= Status.SUSPECT}
        missing = [seed for seed in host.seeds if seed not in members]
        if missing and not host.stalled and not host.node.leaving:
            self._perform(host, host.node.join(missing, self.now))
        self._push(self.now + 0.5 + self.rng.random(), "", host.name.encode(), host.address)

    def _push(self, at: float, to: str, data: bytes, source: Address) -> None:
        self._order += 1
        heappush(self._events, (at, self._order, to, data, source))

    def _perform(self, host: Host, effects: list[Effect]) -> None:
        for effect in effects:
            self._trace.update(repr((self.now, host.name, effect)).encode())
            match effect:
                case Send(data, to):
                    assert len(data) <= self.settings.datagram_size, "I10: a datagram too large"
                    self.sent[host.name] += 1
                    self._transmit(data, host.address, to)
                case Left() | NameLost():
                    self.effects.append((self.now, host.name, effect))
                    host.ended = host.ended or repr(effect)
                    host.node = None
                case _:
                    self.effects.append((self.now, host.name, effect))

    def _transmit(self, data: bytes, source: Address, to: Address) -> None:
        name = self._by_address.get(to)
        if name is None:
            return
        if self.captured is not None:
            self.captured.append(Captured(name, data, source))
        for delay, copy in self.network.arrivals(data, source, to, self.rng):
            self._push(self.now + delay, name, copy, source)
