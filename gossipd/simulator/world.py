"""Hosts, nodes and faults: one seed, the same run every time.

Nodes exchange bytes. A node that crashes loses its memory, and what its disk does not hold; one
that stalls gets no events until it goes on, then all at once, timers last, as a stopped process
would; a slow one takes its time over each event, so that they queue.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from gossipd.core import (
    Accepted,
    Address,
    Advance,
    Answered,
    Changes,
    Commit,
    Copies,
    Fate,
    Included,
    Node,
    Put,
    PutTaken,
    Settings,
    ShareFull,
    Snapshot,
    Stream,
    Uncounted,
    source_stream,
)
from gossipd.core import PutAnswer as PutReply
from gossipd.core.log.sources import PutResult
from gossipd.core.log.writer import Result
from gossipd.simulator.disk import Disk
from gossipd.simulator.engine import (
    EPOCH,
    HEADERS,
    Captured,
    Engine,
    Received,
)
from gossipd.simulator.host import Host
from gossipd.simulator.link import Link
from gossipd.simulator.network import Path

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

Increment: TypeAlias = tuple[str, int, bytes | None]
"""(counter, by, idempotency key): what a client asks for."""

Outcome: TypeAlias = Result | Uncounted | None
"""What became of it; None: nobody knows yet."""


@dataclass(frozen=True, slots=True)
class Made:
    """An increment that was committed: the ghost record that checkers compare with."""

    host: str
    stream: Stream
    seq: int
    counter: str
    by: int
    acknowledged: bool = True
    """Whether its client was told. If not, it counts from the next start on."""
    key: bytes | None = None
    at: float = 0.0
    """When."""
    certain: bool = True
    """Whether its process knows that it is on its disk. If not, its stream ends with it, and it
    counts from the next start on if it has not been taken back by then."""


class Judged:
    """What a client was told of an increment with a key, and by which process."""

    __slots__ = (
        "at",
        "by",
        "counter",
        "disk",
        "from_disk",
        "host",
        "key",
        "lacking",
        "life",
        "ready",
        "result",
        "wall",
    )

    def __init__(
        self,
        at: float,
        host: Host,
        increment: tuple[str, int, bytes],
        result: Result,
        from_disk: bool,
    ) -> None:
        self.at = at
        self.wall = EPOCH + at + host.clock
        """The time on the host's own clock."""
        self.host, self.life, self.disk = host.name, host.lives, host.disk
        """The process: which one on that host it was, and the disk that it had."""
        self.ready = host.node is not None and host.node.ready
        self.counter, self.by, self.key = increment
        node = host.node
        self.lacking = node is not None and not all(
            map(node.log.is_present, node.events(self.key))
        )
        """Whether its record was held there without its event."""
        self.result = result
        self.from_disk = from_disk
        """Whether the disk had been asked, and had something."""


@dataclass(frozen=True, slots=True)
class PutAnswer:
    """What a client was told of a put."""

    host: str
    put: Put
    result: PutResult
    committed: bool
    """Whether this very put was."""
    doubtful: bool = False
    """Whether it may have been, as the commit failed."""


@dataclass(frozen=True, slots=True)
class CopiesTold:
    """What a client that waited for copies of an increment was told, and what was true then."""

    made: Made
    wanted: int
    memory: bool
    """Whether copies in memory were to count."""
    told: int
    """How many hold it."""
    enough: bool
    disks: int
    """On how many disks it was, of those that hosts have had."""


@dataclass(frozen=True, slots=True)
class Read:
    """What a client that waited for an increment was told, and what was true then."""

    host: str
    made: Made
    included: bool
    true: bool
    waited: bool
    """Whether that was not so at once."""
    exact: bool
    """Whether the counter was known; if not, a node may include it without knowing."""


class World(Engine):
    """What an operator, a client, or bad luck does to hosts."""

    def __init__(
        self,
        seed: int,
        settings: Settings | None = None,
        cluster: str = "sim",
        *,
        traced: bool = True,
        disks: bool = False,
    ) -> None:
        """`traced`: keep the hash `trace`; `disks`: hosts have one, unless it is taken away."""
        super().__init__(seed, settings, cluster, traced=traced)
        self.made: list[Made] = []
        """Every increment that was committed."""
        self.judged: list[Judged] = []
        """What became of every increment with a key."""
        self.puts: list[PutAnswer] = []
        """What became of every put."""
        self.answered: list[CopiesTold] = []
        """What was told to those who waited for copies."""
        self.reads: list[Read] = []
        """What was told to those who waited for an increment."""
        self._reading: dict[int, tuple[str, Made, float, bool]] = {}
        self.denied: list[Made] = []
        """What was written by a commit that failed, and whose client was told that it was not."""
        self._asked: dict[int, Increment] = {}
        self._judging: dict[int, Judged] = {}
        """What they will be told if it is committed."""
        self._outcomes: dict[int, Outcome] = {}
        self._put_outcomes: dict[int, PutResult | Uncounted] = {}
        self._doubted: dict[int, Made] = {}
        """What was written by a commit that failed, by the token of its client."""
        self._disks = disks
        self._waiting: dict[int, tuple[Made, int, bool]] = {}
        """By token: of what, how many, and whether in memory, too."""
        self._tokens = 0

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
        host = self.hosts[name] = Host(name, where, [], disk=Disk() if self._disks else None)
        self.sent[name] = self.sent_bytes[name] = 0
        return host

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

    def node(self, name: str) -> Node:
        """The node that runs on a host."""
        node = self.hosts[name].node
        assert node is not None, f"{name} is down"
        return node

    # --- faults ------------------------------------------------------------------------------

    def partition(self, *groups: Iterable[str]) -> None:
        """Let nothing pass between groups of hosts, in either direction."""
        sides = [list(group) for group in groups]
        for side in sides:
            self.cut(side, [name for other in sides if other is not side for name in other])

    def cut(self, sources: Iterable[str], targets: Iterable[str]) -> None:
        """Let nothing pass from some hosts to others; the other direction stays."""
        for source, to in self._paths(sources, targets):
            self.network.cut(source, to)

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

    # --- clients -----------------------------------------------------------------------------

    def increment(
        self, name: str, counter: str = "default", by: int = 1, key: bytes | None = None
    ) -> Outcome:
        """One increment at a node, committed before anybody hears of it; what became of it, None
        if that is not known yet as the disk takes its time."""
        return self.batch(name, [(counter, by, key)])[0]

    def batch(self, name: str, increments: Sequence[Increment]) -> tuple[Outcome, ...]:
        """Several increments in one commit; what became of each."""
        host, node = self.hosts[name], self.node(name)
        tokens: list[int] = []
        for increment in increments:
            self._tokens += 1
            tokens.append(self._tokens)
            self._asked[self._tokens] = increment
            self._perform(host, node.increment(self._tokens, *increment))
        self._commit(host, host.lives)
        return tuple(self._outcomes.pop(token, None) for token in tokens)

    def crash_in_commit(
        self, name: str, counter: str = "default", by: int = 1, key: bytes | None = None
    ) -> None:
        """End a process when an increment is on its disk and nobody has heard of it yet."""
        host = self.hosts[name]
        assert host.disk is not None, f"{name} has no disk"
        host.crashes_in_commit = True
        self.increment(name, counter, by, key)
        self.crash(name)

    def put(
        self, name: str, client: str, counter: str, seq: int, total: int
    ) -> PutResult | Uncounted | None:
        """A client puts the total of a source that it owns; what became of it, None if that is
        not known yet."""
        host, node = self.hosts[name], self.node(name)
        put = Put(source_stream(client, counter), counter, seq, total)
        self._tokens += 1
        self._perform(host, node.put(self._tokens, put))
        self._commit(host, host.lives)
        return self._put_outcomes.pop(self._tokens, None)

    def _note_judged(self, host: Host, commit: Commit) -> None:
        for token, result in zip(commit.tokens, commit.batch.results, strict=True):
            counter, by, key = self._asked[token]
            if key is not None:
                told = (counter, by, key)
                self._judging[token] = Judged(self.now, host, told, result, key in host.stored)

    def _note_commit(self, host: Host, commit: Commit, *, failed: bool) -> None:
        """Ghost records: what was committed, and what may have been."""
        batch, disk = commit.batch, host.disk
        if failed and (disk is None or not disk.has_doubts(batch)):
            return  # nothing was written
        acknowledged = not (failed or host.crashes_in_commit or host.stalled)
        keys = {record.seq: record.key for record in batch.keys}
        for token, done in zip(commit.tokens, batch.results, strict=True):
            if isinstance(done, Accepted):
                seq, counter, by = done
                key, at = keys.get(seq), self.now
                made = Made(
                    host.name, batch.stream, seq, counter, by, acknowledged, key, at, not failed
                )
                self.made.append(made)
                if failed:
                    self._doubted[token] = made
        for stream, (counter, seq, total) in batch.sources:
            put = Put(stream, counter, seq, total)
            self.puts.append(PutAnswer(host.name, put, PutTaken(seq, total), not failed, failed))

    def _note_answers(self, host: Host, answered: Answered) -> None:
        for token, reply in zip(answered.tokens, answered.replies, strict=True):
            doubted = self._doubted.pop(token, None)
            if isinstance(reply, PutReply):
                self._put_outcomes[token] = reply.result
                if not isinstance(reply.result, PutTaken):
                    self.puts.append(PutAnswer(host.name, reply.put, reply.result, False))
                continue
            if token not in self._asked:  # a put
                assert isinstance(reply, Uncounted)
                self._put_outcomes[token] = reply
                continue
            assert not isinstance(reply, ShareFull), "the world asks for no batches"
            del self._asked[token]
            judged = self._judging.pop(token, None)
            if isinstance(reply, Uncounted):
                self._outcomes[token] = reply
                if doubted is not None and reply.fate not in (Fate.UNKNOWN, Fate.MISTAKE):
                    self.denied.append(doubted)
                continue
            self._outcomes[token] = (
                Accepted(reply.seq, reply.counter, reply.by)
                if isinstance(reply, Advance)
                else reply
            )
            if judged is not None:
                self.judged.append(judged)

    def await_copies(
        self, made: Made, copies: int, seconds: float = 2.0, *, memory: bool = False
    ) -> None:
        """Let a client wait at the node that acknowledged an increment until so many hold it."""
        host = self.hosts[made.host]
        self._tokens += 1
        self._waiting[self._tokens] = (made, copies, memory)
        effects = self.node(made.host).await_copies(
            self._tokens,
            made.stream,
            made.seq,
            copies,
            self.now + seconds,
            self.now,
            memory=memory,
        )
        self._perform(host, effects)

    def read_after(
        self, name: str, made: Made, seconds: float = 2.0, *, knows_counter: bool = True
    ) -> None:
        """Let a client read at some node, once that includes an increment that it knows of."""
        self._tokens += 1
        self._reading[self._tokens] = (name, made, self.now, knows_counter)
        counter = made.counter if knows_counter else None
        effects = self.node(name).await_included(
            self._tokens, made.stream, made.seq, counter, self.now + seconds, self.now
        )
        self._perform(self.hosts[name], effects)

    def _note_included(self, included: Included) -> None:
        name, made, began, exact = self._reading.pop(included.token)
        true = self.node(name).log.register(made.stream, made.counter)[0] >= made.seq
        waited = self.now > began
        self.reads.append(Read(name, made, included.included, true, waited, exact))

    def _note_copies(self, copies: Copies) -> None:
        made, wanted, memory = self._waiting.pop(copies.token)
        disks = sum(
            disk.register(made.stream, made.counter)[0] >= made.seq for disk in self.all_disks
        )
        self.answered.append(CopiesTold(made, wanted, memory, copies.count, copies.enough, disks))

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
