"""Virtual time and the processes in it: what happens by itself, in one heap by time.

Nothing looks at all hosts for each event, so that thousands of nodes cost little more than what
the nodes themselves do. What a process wants done is performed by who builds on this.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from heapq import heappop, heappush
from random import Random
from typing import Any, Generic, TypeAlias, TypeVar

from gossipd.core import Address, Effect, Frame, MemberView, Node, Settings, Status, TagFrame
from gossipd.simulator.network import Network

EPOCH = 1_700_000_000.0
"""The wall clock at the beginning, seconds since 1970."""

HEADERS = 28
"""Bytes of the IPv4 and UDP headers of each packet."""


@dataclass(slots=True, eq=False)
class Host:
    """A name, an address, and at most one process."""

    name: str
    address: Address
    node: Node | None = None
    lives: int = 0
    """Processes that were started here."""
    wake_at: float | None = None
    """When the process is woken for a timer."""


H = TypeVar("H", bound=Host)


class Engine(Generic[H]):
    """A clock, a network, and processes on hosts that exchange bytes."""

    def __init__(self, seed: int, settings: Settings | None = None, cluster: str = "sim") -> None:
        self.rng = Random(seed)
        self.settings = settings or Settings()
        self.network = Network()
        self.hosts: dict[str, H] = {}
        self.effects: list[tuple[float, str, Effect]] = []
        """What happened in nodes, with the time and the host."""
        self.sent: dict[str, int] = {}
        """Packets sent by each host."""
        self.sent_bytes: dict[str, int] = {}
        """Bytes sent by each host, headers included."""
        self.now = 0.0
        plain = TagFrame(cluster)
        self.frames: Callable[[], Frame] = lambda: plain
        """What each process that begins is given."""
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = 0
        self._running: dict[str, Node] = {}
        self._by_address: dict[Address, H] = {}

    @property
    def running(self) -> dict[str, Node]:
        """Nodes that run, by name of their host, in the order in which they were started."""
        return dict(self._running)

    def run(self, seconds: float) -> None:
        """Let time pass."""
        until = self.now + seconds
        events = self._events
        while events and events[0][0] <= until:
            at, _, act = heappop(events)
            if at > self.now:
                self.now = at
            act()
        self.now = until

    def crash(self, name: str) -> None:
        """End a process without a word."""
        self._end(self.hosts[name])

    def partition(self, *groups: Iterable[str]) -> None:
        """Let nothing pass between groups of hosts, in either direction."""
        sides = [list(group) for group in groups]
        for side in sides:
            self.cut(side, [name for other in sides if other is not side for name in other])

    def cut(self, sources: Iterable[str], targets: Iterable[str]) -> None:
        """Let nothing pass from some hosts to others; the other direction stays."""
        to = [self.hosts[name].address for name in targets]
        self.network.cuts.update((self.hosts[name].address, at) for name in sources for at in to)

    def settled(self) -> bool:
        """Whether logs and tables are equal and every running node is alive everywhere."""
        nodes = self._running.values()
        one = next(iter(nodes), None)
        if one is None:
            return False
        log, members, live = one.log.fingerprint, one.members_fingerprint, len(nodes)
        return all(
            node.live_count == live
            and node.log.fingerprint == log
            and node.members_fingerprint == members
            for node in nodes
        )

    def _push(self, at: float, act: Callable[[], None]) -> None:
        self._order += 1
        heappush(self._events, (at, self._order, act))

    def _wall(self, _host: H) -> float:
        """A host's wall clock, seconds since the epoch."""
        return EPOCH + self.now

    # --- processes ---------------------------------------------------------------------------

    def _add(self, host: H) -> H:
        """A new host, on which nothing runs yet."""
        self.hosts[host.name] = host
        self.sent[host.name] = self.sent_bytes[host.name] = 0
        return host

    def _free_address(self) -> Address:
        number = len(self.hosts) + 1
        return f"10.0.{number // 250}.{number % 250 + 1}", 7946

    def _begin(self, host: H, node: Node) -> Node:
        """A new process on a host, whatever ran there before, that has done nothing yet."""
        host.node, host.wake_at = node, None
        self._by_address[host.address] = host
        self._running[host.name] = node
        return node

    def _own_view(self, host: H, name: str, generation: int = 0) -> MemberView:
        """The next process on a host as it begins; `generation`: its own is not below this."""
        host.lives += 1
        generation = max(generation, int(self._wall(host) * 1000) + host.lives)
        return MemberView(name, host.address, generation, 0, Status.ALIVE)

    def _end(self, host: H) -> None:
        host.node = None
        self._running.pop(host.name, None)

    def _arrive(self, host: H, data: bytes, source: Address) -> None:
        if host.node is not None:
            self._receive(host, host.node, data, source)

    def _receive(self, host: H, node: Node, data: bytes, source: Address) -> None:
        self._perform(host, node.receive_datagram(data, source, self.now))

    def _arm(self, host: H) -> None:
        """Wake the process for its next timer; a timer that has moved back is met by waking too
        early, which costs less than to note every move."""
        at = host.node.next_timeout if host.node is not None else None
        if at is not None and (host.wake_at is None or at < host.wake_at):
            host.wake_at = at
            self._push(at, partial(self._wake, host, at, host.lives))

    def _wake(self, host: H, at: float, life: int) -> None:
        if host.wake_at == at and host.lives == life:
            host.wake_at = None
            if host.node is not None:
                self._awake(host, host.node)

    def _awake(self, host: H, node: Node) -> None:
        if is_due(node, self.now):
            self._fire(host, node)
        else:
            self._arm(host)

    def _fire(self, host: H, node: Node) -> None:
        node.see_clocks(self.now, self._wall(host))
        self._perform(host, node.handle_timeout(self.now))
        after = node.next_timeout
        assert after is None or after > self.now, "a timer does not advance"

    def _commit(self, host: H, life: int) -> None:
        """All that was ready has been taken in."""
        if host.lives == life and host.node is not None:
            self._perform(host, host.node.commit(self.now, self._wall(host)))

    def _perform(self, host: H, effects: Sequence[Effect]) -> None:
        raise NotImplementedError

    def _transmit(self, host: H, data: bytes, to: Address) -> None:
        self.sent[host.name] += 1
        self.sent_bytes[host.name] += len(data) + HEADERS
        target = self._by_address.get(to)
        if target is None:
            return
        source = host.address
        for delay, copy in self.network.arrivals(data, source, to, self.rng):
            self._push(self.now + delay, partial(self._arrive, target, copy, source))


AnyWorld: TypeAlias = Engine[Any]
"""One with whatever hosts: what is watched."""


def is_due(node: Node, now: float) -> bool:
    """Whether a timer of a node has run out."""
    at = node.next_timeout
    return at is not None and at <= now
