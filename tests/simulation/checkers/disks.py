"""What is on the disks: all that was exposed, all that was promised, no claim without its records.

A `Disk` only grows, and a host whose disk is lost or replaced has another object. So whatever a
process exposed or told is compared with the very disk that this process had. Processes that came
and went between two checks are not known here, and go unchecked.
"""

from __future__ import annotations

from gossipd.core import Address, Node, Stream
from gossipd.core.wire.messages import Envelope, Held, Hold
from gossipd.core.wire.records import Group
from tests.simulation.faulty.world import Disk, World

from .ghosts import Ghosts
from .keyed import Keyed


class DiskChecker:
    """I4, on the wire, in memory and on the disks."""

    def __init__(self, world: World, ghosts: Ghosts, keyed: Keyed) -> None:
        self._world = world
        self._ghosts = ghosts
        self._keyed = keyed
        self._of_stream: dict[Stream, Disk] = {}
        """The disk of the process that writes a stream."""
        self._of_life: dict[tuple[Address, int], Disk] = {}
        """The disk of the process at an address in a generation."""
        self._holds: dict[int, tuple[Group, ...]] = {}
        """What was asked to be held, by nonce."""
        self._covered: dict[Disk, dict[Stream, int]] = {}
        """The versions on each disk that were checked."""

    def read(self) -> None:
        """Note which disk belongs to which process; first in each check."""
        for name, node in self._world.running.items():
            disk = self._world.hosts[name].disk
            if disk is not None:
                self._of_life[node.own.address, node.own.generation] = disk
                if node.stream is not None:
                    self._of_stream.setdefault(node.stream, disk)

    def check(self, nodes: dict[str, Node], full: bool) -> None:
        """Look at what all running nodes hold, and at all disks."""
        for stream in self._of_stream:
            for name, node in nodes.items():
                self.check_exposed(stream, node.log.newest(stream), f"{name} holds")
        for name, node in nodes.items():
            host = self._world.hosts[name]
            if host.disk is not None:
                _check_durable(name, node, host.disk, told=not host.unheard)
        hosts = self._world.hosts.values()
        disks = {host.disk: host.name for host in hosts if host.disk is not None}
        self._covered = {disk: self._covered.get(disk, {}) for disk in disks}
        for disk, name in disks.items():
            self._check_claims(f"the disk of {name} has", disk, full)
            if full:
                self._check_records(f"the disk of {name} has", disk)

    def check_exposed(self, stream: Stream, seq: int, where: str) -> None:
        """Nobody knows of an event that is not on its writer's disk. One whose commit failed may
        be known without that: its writer takes it back, or does not live to do so, and a copy that
        was made before reveals it."""
        disk = self._of_stream.get(stream)
        if disk is not None and not self._ghosts.is_shared(stream):
            kept = max(disk.version(stream), self._world.revealed.get(stream, 0))
            assert seq <= kept, f"I4: {where} event {seq}, its writer's disk ends at {kept}"

    def check_told(self, envelope: Envelope, source: Address) -> None:
        """What a process told to hold for others is on its disk: the versions, and everything in
        the Hold that it answers."""
        message = envelope.message
        if isinstance(message, Hold):
            self._holds[message.nonce] = message.groups
        disk = self._of_life.get((source, envelope.generation))
        if not isinstance(message, Held) or disk is None:
            return
        where = f"{envelope.sender} says that it holds"
        for stream, version in message.versions:
            kept = disk.version(stream)
            assert version <= kept, f"I4: {where} version {version}, its disk {kept}"
        for group in self._holds.get(message.nonce, ()):
            for counter, seq, _ in group.registers:
                kept, _ = disk.register(group.stream, counter)
                assert seq <= kept, f"I4: {where} {counter} {seq}, its disk {kept}"
            for record in group.keys:
                young = any(self._keyed.due(group.stream, record.seq - 1, record.seq))
                kept_key = disk.has_key(group.stream, record.seq)
                assert kept_key or not young, f"I4: {where} {record}, its disk does not"

    def _check_claims(self, where: str, disk: Disk, full: bool) -> None:
        """A version is not on a disk before every record that it covers."""
        seen = self._covered[disk]
        for stream in disk.streams:
            version = disk.version(stream)
            before = 0 if full else seen.get(stream, 0)
            if version <= before or self._ghosts.is_shared(stream):
                continue
            newest = self._ghosts.newest(stream)
            assert version <= newest, f"I4: {where} version {version}, made were {newest}"
            for counter, needed in self._ghosts.needed(stream, before, version):
                kept, _ = disk.register(stream, counter)
                assert kept >= needed, f"I4: {where} version {version} without {counter} {needed}"
            seen[stream] = version

    def _check_records(self, where: str, disk: Disk) -> None:
        """I1, I2: a record on a disk is that of an event that was made."""
        for kept in disk.snapshot().streams:
            for register in kept.registers:
                self._ghosts.check_register(kept.stream, register, where)


def _check_durable(name: str, node: Node, disk: Disk, *, told: bool) -> None:
    """A node holds what its disk holds, also after a restart, and takes no more for durable.
    `told`: whether it has heard all that its disk did; a process that stands still has not."""
    for stream in node.log.streams:
        durable, kept = node.log.durable(stream), disk.version(stream)
        assert durable <= kept, (
            f"I4: {name} takes version {durable} for durable, on disk is {kept}"
        )
    for stream in disk.streams if told else ():
        held, kept = node.log.version(stream), disk.version(stream)
        assert held >= kept, f"I4: {name} holds version {held}, its disk has {kept}"
