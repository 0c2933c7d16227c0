"""Everything bad that a swarm does to a world: to processes, disks, names, clocks and the network.

Each fault picks its victims by the swarm's dice and says what it did, or nothing where there is
nobody to do it to.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import TypeAlias

from gossipd.core import Failure, Status, TagFrame
from gossipd.core.wire.encoding import pack_body, pack_head
from gossipd.core.wire.messages import Gossip
from tests.simulation.faulty.disk import When
from tests.simulation.faulty.link import (
    Bursts,
    Constant,
    Latency,
    Link,
    LogNormal,
    Uniform,
)
from tests.simulation.faulty.processes import DISK_TIMEOUT
from tests.simulation.faulty.world import (
    Disk,
    Host,
    Increment,
    World,
)

LATENCIES: tuple[Latency, ...] = (
    Uniform(0.0002, 0.002),
    Uniform(0.001, 0.1),
    Constant(0.02),
    LogNormal(0.001, 0.005, 1.0),
)

CLOCKS_WRONG = (2.0, 10.0, 100.0, 100.0, 1_000.0, 86_400.0, 3e8)
"""Seconds by which a clock may be wrong: in a world with a window of seconds and one of minutes,
less than that, about that, and as much more as ten years."""


class Faults:
    """The faults, and what they must remember of each other."""

    def __init__(self, world: World, rng: Random, seeds: list[str], hosts_max: int) -> None:
        self._world = world
        self._rng = rng
        self._seeds = seeds
        """Hosts that newcomers ask; the first one never has to share its name."""
        self._hosts_max = hosts_max
        self._backups: list[tuple[str, Disk]] = []
        self._leaving: dict[str, int] = {}
        """What `destroyed` was when each host began to leave."""
        self.unanswered: Callable[[], Increment] = lambda: ("at the crash", 1, None)
        """What a client asks for whose node crashes before it answers."""
        self.destroyed = 0
        """How often a memory or a disk was destroyed."""
        self.names: dict[str, str] = {name: name for name in world.hosts}
        """Under which name each host's process runs."""
        self.contested: dict[str, None] = {}
        """Names under which several hosts have run: a process may be told to end for them."""

    def returning(self) -> list[Disk]:
        """The disks of hosts that will surely come back: that crashed, and own their name."""
        return [host.disk for host in self.crashed() if host.disk is not None]

    def crashed(self) -> list[Host]:
        """Hosts that are down but did not end by themselves, and that own their name."""
        return [
            host
            for host in self._world.hosts.values()
            if host.node is None
            and not host.ended
            and host.lives
            and self.names[host.name] not in self.contested
        ]

    def leaves(self, name: str) -> None:
        """A host begins to leave."""
        self._leaving[name] = self.destroyed

    def was_disturbed(self, leaver: str) -> bool:
        """Whether a memory was destroyed while this host was leaving: it may have been that of
        the one that held everything for it."""
        return self.destroyed > self._leaving[leaver]

    # --- processes ---------------------------------------------------------------------------

    def crash(self) -> str | None:
        """End a process; its disk, if it has one, stays."""
        if name := self._victim():
            self._world.crash(name)
            self.destroyed += 1
        return name

    def crash_in_commit(self) -> str | None:
        """End a process between the commit of an increment and its acknowledgement."""
        hosts = self._world.hosts
        name = self._pick(
            [n for n in self._spare() if hosts[n].disk is not None and not hosts[n].stalled]
        )
        if name:
            self._world.crash_in_commit(name, *self.unanswered())
            self.destroyed += 1
        return name

    def crash_with_disk(self) -> str | None:
        """End a process and destroy its disk."""
        name = self._pick([n for n in self._spare() if self._world.hosts[n].disk is not None])
        if name:
            self._world.crash(name, disk_lost=True)
            self.destroyed += 1
        return name

    def start(self) -> str | None:
        """Start a process where none runs, under the name that it had."""
        name = self._pick([host.name for host in self._world.hosts.values() if not host.node])
        if name:
            self._world.start(name, self.names[name])
        return name

    def crash_and_start(self) -> str | None:
        """A restart that is over before anybody notices."""
        if name := self.crash():
            self._world.start(name, self.names[name])
        return name

    def cut_power(self) -> str | None:
        """All that are at work restart, each right after an increment or, with a disk, when one is
        committed but nobody was told; disks stay. Not those of which several have one name, as
        they would begin in one generation."""
        names = [
            name
            for name in self._spare()
            if not self._world.hosts[name].stalled and self.names[name] not in self.contested
        ]
        for name in names:
            if self._world.hosts[name].disk is not None and self._rng.random() < 0.5:
                self._world.crash_in_commit(name, "at the power cut")
            else:
                self._world.increment(name, "at the power cut")
            self._world.crash(name, power_lost=True)
        for name in names:
            self._world.start(name, self.names[name])
        self.destroyed += bool(names)
        return ", ".join(names)

    # --- disks -------------------------------------------------------------------------------

    def fail_commit(self) -> str | None:
        """Let a commit fail, be it that nothing is written or everything; rarely for good."""
        name = self._pick(self._with_disk())
        disk = self._world.hosts[name].disk if name else None
        if not name or disk is None:
            return None
        when = self._rng.choice((*When,))
        failure = Failure.BROKEN if self._rng.random() < 0.1 else Failure.FULL
        disk.fails_next = (when, failure)
        self._world.increment(name, *self.unanswered())
        return f"{name}, {failure.name} {when.name}"

    def fill_disk(self) -> str | None:
        """Let a disk take nothing."""
        name = self._pick(self._with_disk())
        disk = self._world.hosts[name].disk if name else None
        if disk is not None:
            disk.refuses = Failure.FULL
        return name

    def slow_disk(self) -> str | None:
        """Let a disk take its time for each commit, more than it may now and then."""
        name = self._pick(self._with_disk())
        disk = self._world.hosts[name].disk if name else None
        if disk is not None:
            disk.commit_takes = self._rng.choice((0.002, 0.05, 0.5, DISK_TIMEOUT + 1))
        return name

    def heal_disks(self) -> str | None:
        """Let all disks do what they are asked for again."""
        disks = {h.name: h.disk for h in self._world.hosts.values() if h.disk is not None}
        for disk in disks.values():
            disk.heal()
        return ", ".join(disks)

    def back_up(self) -> str | None:
        """Copy a disk."""
        name = self._pick([h.name for h in self._world.hosts.values() if h.disk is not None])
        disk = self._world.hosts[name].disk if name else None
        if name and disk is not None:
            self._backups.append((name, disk.copy()))
        return name

    def restore(self) -> str | None:
        """Start a host from an old backup of its disk; what was on the disk is gone."""
        spare = self._spare()
        backups = [
            (name, disk)
            for name, disk in self._backups
            if self._world.hosts[name].node is None or name in spare
        ]
        if not backups:
            return None
        name, disk = self._rng.choice(backups)
        self._world.crash(name)
        self._world.start(name, self.names[name], disk)
        self.destroyed += 1
        return name

    def clone(self) -> str | None:
        """Start a copy of a host's disk under a name of its own, while the original goes on."""
        name = self._pick([h.name for h in self._world.hosts.values() if h.disk is not None])
        if not name or not self._has_room():
            return None
        new = self._new_name()
        self.names[new] = new
        self._world.clone(name, new)
        return f"{name} as {new}"

    def clone_with_name(self) -> str | None:
        """Start a copy of a host's disk at another address under the very name."""
        names = [n for n in self._own_names() if self._world.hosts[n].disk is not None]
        name = self._pick(names)
        if not name or not self._has_room():
            return None
        new = self._new_name()
        self._contest(name, new)
        self._world.clone(name, new, as_name=self.names[name])
        return f"{name} at {new}"

    def take_over(self) -> str | None:
        """Start a host under the name of another one, whether that runs or not."""
        name = self._pick(self._own_names())
        if not name or not self._has_room():
            return None
        new = self._new_name()
        self._contest(name, new)
        self._world.place(new).seeds = self._seed_addresses()
        self._world.start(new, self.names[name])
        return f"{name} at {new}"

    def add(self) -> str | None:
        """A new host joins."""
        if not self._has_room():
            return None
        name = self._new_name()
        self.names[name] = name
        self._world.add(name, seeds=self._seeds)
        return name

    def leave(self) -> str | None:
        """A node leaves in order."""
        name = self._pick([n for n in self._spare() if not self._world.hosts[n].stalled])
        if name:
            self.leaves(name)
            self._world.leave(name)
        return name

    def forget(self) -> str | None:
        """An operator has a node forget a member that it holds as failed or left."""
        name = self._pick(self._awake())
        gone = (Status.FAILED, Status.LEFT)
        views = self._world.node(name).members if name else []
        member = self._pick([view.name for view in views if view.status in gone])
        if not name or not member:
            return None
        self._world.forget(name, member)
        return f"{member} at {name}"

    def stall(self) -> str | None:
        """Stop a process."""
        name = self._pick(list(self._world.running))
        if name:
            self._world.stall(name)
        return name

    def resume(self) -> str | None:
        """Let all stopped processes go on."""
        stalled = [host.name for host in self._world.hosts.values() if host.stalled]
        for name in stalled:
            self._world.resume(name)
        return ", ".join(stalled)

    def slow_down(self) -> str | None:
        """Let a host's CPU take its time."""
        name = self._pick(list(self._world.running))
        if name:
            self._world.slow(name, self._rng.choice((0.0005, 0.002, 0.01)))
        return name

    def speed_up(self) -> str | None:
        """Let all CPUs be fast again."""
        slow = [host.name for host in self._world.hosts.values() if host.work]
        for name in slow:
            self._world.slow(name, 0.0)
        return ", ".join(slow)

    def step_clock(self) -> str | None:
        """Set a host's wall clock, wrong by a moment or by years."""
        name = self._pick(list(self._world.hosts))
        if not name:
            return None
        wrong = self._rng.choice(CLOCKS_WRONG) * self._rng.uniform(-1, 1)
        self._world.hosts[name].clock = wrong
        return f"{name} by {wrong:.1f} s"

    def put_clocks_right(self) -> str | None:
        """Set all wall clocks right that were wrong."""
        wrong = [host for host in self._world.hosts.values() if host.clock]
        for host in wrong:
            host.clock = 0.0
        return ", ".join(host.name for host in wrong)

    # --- the network -------------------------------------------------------------------------

    def partition(self) -> str | None:
        """Cut the hosts into two parts."""
        names = list(self._world.hosts)
        self._rng.shuffle(names)
        half = self._rng.randint(1, len(names) - 1)
        self._world.partition(names[:half], names[half:])
        return ", ".join(names[:half])

    def cut(self) -> str | None:
        """Cut one direction between two hosts."""
        source, to = self._rng.sample(list(self._world.hosts), 2)
        self._world.cut([source], [to])
        return f"{source} to {to}"

    def isolate(self) -> str | None:
        """Cut one host off."""
        name = self._rng.choice(list(self._world.hosts))
        self._world.isolate(name)
        return name

    def clog(self) -> str | None:
        """Hold back what one host sends to another."""
        source, to = self._rng.sample(list(self._world.hosts), 2)
        self._world.clog([source], [to])
        return f"{source} to {to}"

    def unclog(self) -> str | None:
        """Let go what all others were to get from one host."""
        name = self._rng.choice(list(self._world.hosts))
        self._world.unclog([name], list(self._world.hosts))
        return name

    def heal(self) -> str | None:
        """Undo cuts and clogs."""
        self._world.network.heal()
        return "all"

    def damage(self) -> str | None:
        """Draw new figures for all links."""
        self._damage(self._world.network)
        return "all"

    def damage_link(self) -> str | None:
        """Draw figures for one direction between two hosts."""
        source, to = self._rng.sample(list(self._world.hosts), 2)
        self._damage(self._world.link(source, to))
        return f"{source} to {to}"

    def burst(self) -> str | None:
        """Let links lose in bursts."""
        every, lasting = self._rng.choice(((3.0, 0.5), (1.0, 0.2), (10.0, 3.0)))
        self._world.network.bursts = Bursts(every, lasting, self._rng.choice((0.5, 0.9, 1.0)))
        return f"{lasting} s every {every} s"

    def swallow(self) -> str | None:
        """Let large datagrams vanish, on one link or on all; the smallest size gets through."""
        source, to = self._rng.sample(list(self._world.hosts), 2)
        everywhere = self._rng.random() < 0.3
        link = self._world.network if everywhere else self._world.link(source, to)
        link.size_max = self._rng.choice((150, 640, 1000))
        return f"above {link.size_max}, " + ("all" if everywhere else f"{source} to {to}")

    def strange(self) -> str | None:
        """Let a stranger speak to a node: garbage, plain words, or as a member would."""
        name = self._pick(self._awake())
        if not name:
            return None
        said = pack_body(pack_head("s", 1, 0, Gossip()), (), ())
        data = self._rng.choice((self._rng.randbytes(40), b"ping", TagFrame("sim").close(said)))
        self._world.deliver(name, data, ("192.0.2.1", self._rng.randint(1, 3)))
        return name

    # --- dice --------------------------------------------------------------------------------

    def _damage(self, link: Link) -> None:
        rng = self._rng
        link.latency = rng.choice(LATENCIES)
        link.loss = rng.choice((0.0, 0.1, 0.3))
        link.duplication = rng.choice((0.0, 0.1))
        link.late = rng.choice((0.0, 0.05))
        link.truncation = rng.choice((0.0, 0.02))
        link.bit_flips = rng.choice((0.0, 0.02))

    def _pick(self, names: list[str]) -> str | None:
        return self._rng.choice(names) if names else None

    def _awake(self) -> list[str]:
        """Hosts whose process runs and does not stand still."""
        return [name for name in self._world.running if not self._world.hosts[name].stalled]

    def _spare(self) -> list[str]:
        """Hosts whose process may go: it is not leaving, and not the last one."""
        running = self._world.running
        staying = [name for name, node in running.items() if not node.leaving]
        return staying if len(staying) > 1 else []

    def _with_disk(self) -> list[str]:
        """Hosts at work that have a disk, and may go should it break."""
        return [name for name in self._spare() if self._world.hosts[name].disk is not None]

    def _victim(self) -> str | None:
        return self._pick(self._spare())

    def _own_names(self) -> list[str]:
        """Hosts whose name may be taken: not that of the first seed, and nobody else's."""
        others = [name for name, host in self._world.hosts.items() if host.lives]
        return [
            name
            for name in others
            if name != self._seeds[0] and self.names[name] not in self.contested
        ]

    def _contest(self, name: str, new: str) -> None:
        self.names[new] = self.names[name]
        self.contested[self.names[name]] = None
        self.destroyed += 1  # whoever loses the name ends with what it alone has

    def _has_room(self) -> bool:
        return len(self._world.hosts) < self._hosts_max

    def _new_name(self) -> str:
        return f"n{len(self._world.hosts)}"

    def _seed_addresses(self) -> list[tuple[str, int]]:
        return [self._world.hosts[seed].address for seed in self._seeds]


Fault: TypeAlias = Callable[[Faults], str | None]

KINDS: dict[Fault, int] = {
    Faults.crash: 2,
    Faults.crash_in_commit: 2,
    Faults.crash_with_disk: 2,
    Faults.start: 5,
    Faults.crash_and_start: 2,
    Faults.cut_power: 1,
    Faults.fail_commit: 3,
    Faults.fill_disk: 1,
    Faults.slow_disk: 1,
    Faults.heal_disks: 2,
    Faults.back_up: 2,
    Faults.restore: 3,
    Faults.clone: 1,
    Faults.clone_with_name: 1,
    Faults.take_over: 1,
    Faults.add: 1,
    Faults.leave: 2,
    Faults.forget: 2,
    Faults.stall: 2,
    Faults.resume: 4,
    Faults.slow_down: 2,
    Faults.speed_up: 2,
    Faults.step_clock: 2,
    Faults.put_clocks_right: 1,
    Faults.partition: 1,
    Faults.cut: 1,
    Faults.isolate: 1,
    Faults.clog: 3,
    Faults.unclog: 2,
    Faults.heal: 4,
    Faults.damage: 2,
    Faults.damage_link: 1,
    Faults.burst: 1,
    Faults.swallow: 2,
    Faults.strange: 1,
}
"""Each fault with its weight."""
