"""Hosts, nodes and faults: one seed, the same run every time.

Nodes exchange bytes. A node that crashes loses its memory, and what its disk does not hold; one
that stalls gets no events until it goes on, then all at once, timers last, as a stopped process
would; a slow one takes its time over each event, so that they queue.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from gossipd.core import Address, Changes, Settings, Snapshot, Stream
from gossipd.core.identity import Tags
from gossipd.simulator.engine import EPOCH, HEADERS
from gossipd.simulator.network import Path

from .clients import Clients
from .disk import Disk
from .host import Host
from .link import Link
from .processes import Captured, Received
from .told import CopiesTold, Increment, Judged, Made, Outcome, PutAnswer, Read

__all__ = [
    "EPOCH",
    "HEADERS",
    "Captured",
    "CopiesTold",
    "Disk",
    "Host",
    "Increment",
    "Judged",
    "Made",
    "Outcome",
    "PutAnswer",
    "Read",
    "Received",
    "World",
]


class World(Clients):
    """What an operator, a client, or bad luck does to hosts."""

    def __init__(
        self,
        seed: int,
        settings: Settings | None = None,
        cluster: str = "sim",
        *,
        traced: bool = False,
        disks: bool = False,
    ) -> None:
        """`traced`: keep the hash `trace`; `disks`: hosts have one, unless it is taken away."""
        super().__init__(seed, settings, cluster, traced=traced)
        self._disks = disks
        self.revealed: dict[Stream, int] = {}
        """By stream: up to where a life found on its disk, which may be a copy, what had been
        written although its commit failed."""

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
        disk = Disk() if self._disks else None
        return self._add(Host(name, address or self._free_address(), disk=disk))

    def add_with_mutual_seeds(self, names: Iterable[str]) -> None:
        """Start nodes in this order, each of which has all of them as seeds."""
        hosts = [self.place(name) for name in names]
        for host in hosts:
            host.seeds = [other.address for other in hosts]
        for host in hosts:
            self.start(host.name)

    def cluster(self, count: int, prefix: str = "n") -> list[Host]:
        """Start `count` nodes, the first one alone and the others joining it."""
        names = [f"{prefix}{number}" for number in range(len(self.hosts), len(self.hosts) + count)]
        first = next(iter(self.hosts), names[0])
        return [self.add(name, seeds=[] if name == first else [first]) for name in names]

    def formed(self, count: int, prefix: str = "n") -> list[Host]:
        """`count` nodes that know each other and are ready, as if they had joined long ago; the
        first one is the seed of the others. They probe at random phases."""
        hosts = [self.place(f"{prefix}{number}") for number in range(count)]
        for host in hosts[1:]:
            host.seeds = [hosts[0].address]
        nodes = [self._process(host, host.name) for host in hosts]
        views = Snapshot((), tuple(sorted(node.own for node in nodes)))
        for host, node in zip(hosts, nodes, strict=True):
            node.load(views, self.now, met=True)
            if host.disk is not None:
                others = tuple(view for view in views.members if view.name != node.own.name)
                changes = Changes((), (), others, (), last=True)
                host.disk.store(changes, self._moment(host))
            self._perform(host, node.start(True, self.now))
            self._join(host, host.lives)
        return hosts

    def start(self, name: str, as_name: str | None = None, disk: Disk | None = None) -> None:
        """Start a new process on a host, with an empty memory but for what its disk holds.

        `as_name`: its node's name; `disk`: a copy of this one, such as a backup, takes the place
        of the host's.
        """
        host = self.hosts[name]
        if disk is not None:
            host.disk = disk.copy()
        node = self._process(host, as_name or name)
        snapshot = Snapshot((), ())
        if host.disk is not None:
            self.revealed |= host.disk.doubts
            snapshot = host.disk.load(self._moment(host), self.settings)
        self._perform(host, node.load(snapshot, self.now))
        self._perform(host, node.start(not host.seeds and not snapshot.members, self.now))
        self._join(host, host.lives)

    def clone(
        self, original: str, name: str, address: Address | None = None, as_name: str | None = None
    ) -> Host:
        """Start a process on a new host with a copy of another host's disk, which may live on;
        `as_name`: its node's name, such as the original's."""
        source = self.hosts[original]
        assert source.disk is not None, f"{original} has no disk"
        host = self.place(name, address)
        host.seeds = [*source.seeds, source.address]
        self.start(name, as_name, source.disk)
        return host

    def crash(self, name: str, disk_lost: bool = False, power_lost: bool = False) -> None:
        """End a process without a word; `disk_lost`: the host gets a new, empty disk;
        `power_lost`: what its disk has not synced is gone."""
        host = self.hosts[name]
        self._end(host)
        if power_lost and host.disk is not None:
            host.disk.lose_power()
        if disk_lost and host.disk is not None:
            host.disk = Disk()

    def leave(self, name: str) -> None:
        """Ask a node to leave."""
        self._perform(self.hosts[name], self.node(name).leave(self.now))

    def join(self, name: str, seeds: Iterable[str]) -> None:
        """Give a node more seeds, as `gossipd join` does."""
        host = self.hosts[name]
        begins = not host.seeds
        host.seeds = [*host.seeds, *(self.hosts[seed].address for seed in seeds)]
        host.seeds_seen = None
        if begins:
            self._join(host, host.lives)

    def forget(self, name: str, member: str) -> None:
        """Let a node forget a member that is not live."""
        self._perform(self.hosts[name], self.node(name).forget(member, self.now))

    def move(self, name: str, address: Address) -> None:
        """Give a host another address, which its process notices at once. What others have as
        seeds are names, so they find it there; the old address is nobody's."""
        host = self.hosts[name]
        before, host.address = host.address, address
        for other in self.hosts.values():
            other.seeds = [address if seed == before else seed for seed in other.seeds]
            other.seeds_seen = None
        if host.node is not None:
            self._by_address.pop(before, None)
            self._by_address[address] = host
            self._perform(host, host.node.readdress(address, self.now))

    def retag(self, name: str, tags: Tags) -> None:
        """Give a node other tags, as an operator does."""
        host = self.hosts[name]
        assert host.node is not None
        self._perform(host, host.node.retag(tags, self.now))

    def cut_off(self, name: str) -> None:
        """Take a host's way to all others, which its process notices."""
        self.isolate(name)
        self._perform(self.hosts[name], self.node(name).cut_off(True, self.now))

    def reconnect(self, name: str) -> None:
        """Give a host its way back, and heal all else."""
        self.network.heal()
        self._perform(self.hosts[name], self.node(name).cut_off(False, self.now))

    def stall(self, name: str) -> None:
        """Stop a process as SIGSTOP does."""
        self.hosts[name].stalled = True

    def resume(self, name: str) -> None:
        """Let a stalled process go on: first what came meanwhile, then its timers."""
        host = self.hosts[name]
        host.stalled = False
        unheard, host.unheard = host.unheard, []
        for hear in unheard:
            hear()
        while host.inbox and not host.work and host.node is not None:
            self._receive(host, host.node, *host.inbox.popleft())
        self._arm(host)
        self._work(host)

    def slow(self, name: str, work: float) -> None:
        """Let every datagram and timer take `work` seconds of a host's CPU; 0: none, as before."""
        host = self.hosts[name]
        host.work = work
        if not host.stalled:
            self.resume(name)

    # --- faults ------------------------------------------------------------------------------

    def clog(self, sources: Iterable[str], targets: Iterable[str]) -> None:
        """Hold back what some hosts send to others, until `unclog` or `network.heal`."""
        for source, to in self._paths(sources, targets):
            self.network.clog(source, to)

    def unclog(self, sources: Iterable[str], targets: Iterable[str]) -> None:
        """Let go what was held back between hosts."""
        for source, to in self._paths(sources, targets):
            self.network.unclog(source, to)

    def link(self, source: str, to: str) -> Link:
        """The link from one host to another as its own, to be given figures of its own."""
        return self.network.link(self.hosts[source].address, self.hosts[to].address)

    def isolate(self, name: str) -> None:
        """Cut one host off from all others."""
        self.partition([name], [other for other in self.hosts if other != name])

    def _paths(self, sources: Iterable[str], targets: Iterable[str]) -> Iterator[Path]:
        to = [self.hosts[name].address for name in targets]
        for source in sources:
            for address in to:
                yield self.hosts[source].address, address

    def deliver(self, name: str, data: bytes, source: Address) -> None:
        """Hand a datagram to a node as if it came from `source`."""
        self._receive(self.hosts[name], self.node(name), data, source)

    # --- agreement ---------------------------------------------------------------------------

    def run_until_settled(self, seconds_max: float) -> bool:
        """Let time pass until all running nodes agree; False if they do not in that time."""
        until = self.now + seconds_max
        while not self.settled():
            if self.now >= until:
                return False
            self.run(0.05)
        return True
