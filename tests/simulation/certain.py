"""What must be counted at the end: committed, and at no time only where it was destroyed.

Whether it was acknowledged, too, makes no difference to that: the disk has it, and tells it. What
a commit has written that failed counts or not.

A register carries the total of its stream, so for each (stream, counter) one seq says it all:
everything up to it must be there. Nothing lowers it but the end of a disk, or of a process without
one, and then only to what the rest of the world still holds.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from gossipd.core import Node, Stream
from tests.simulation.faulty.world import Disk, PutAnswer, World

Place: TypeAlias = tuple[Stream, int]
"""(stream, seq) of an event."""

Held = dict[tuple[Stream, str], int]


class Certain:
    """Follows a world's increments, and what is left of them."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._read = 0
        self._needed: Held = {}
        self._disks: dict[Stream, Disk | None] = {}
        """The disk of the process that writes a stream."""
        self._lives: dict[Stream, tuple[str, int]] = {}
        """The host of that process, and which of its lives it is."""
        self.lost: dict[Stream, None] = {}
        """Streams whose end may have died with the last one that had it."""
        self._puts_read = 0
        self._sources: dict[tuple[Stream, str], tuple[int, int]] = {}
        """The largest put to each source, as (seq, total): two may have one seq."""
        self._records: dict[Place, None] = {}
        """Events of which somebody has the key record."""
        self.forgotten: dict[Place, None] = {}
        """Events whose key record may have died with the last one that had it."""

    def read(self) -> None:
        """Take in what was committed since the last time, on disks that are still in place."""
        for made in self._world.made[self._read :]:
            if not made.certain:
                continue
            self._needed[made.stream, made.counter] = made.seq
            host = self._world.hosts[made.host]
            self._disks[made.stream] = host.disk
            self._lives[made.stream] = (made.host, host.lives)
            if made.key is not None:
                self._records[made.stream, made.seq] = None
        self._read = len(self._world.made)
        for put in self._world.puts[self._puts_read :]:
            if put.committed:
                self._take_put(put)
        self._puts_read = len(self._world.puts)

    def _take_put(self, answer: PutAnswer) -> None:
        """Of a source the largest put counts, which is on the disk where it was put."""
        stream, counter, seq, total = answer.put
        held = self._sources.get((stream, counter), (0, 0))
        self._sources[stream, counter] = max(held, (seq, total))
        if seq > self._needed.get((stream, counter), 0):
            host = self._world.hosts[answer.host]
            self._needed[stream, counter] = seq
            self._disks[stream] = host.disk
            self._lives[stream] = (answer.host, host.lives)

    def lower(self, disks: Iterable[Disk]) -> None:
        """Something was destroyed: give up what neither a running node nor one of these disks
        holds, which are those of hosts that will come back. Q2: raise where the disk on which it
        was committed is among them, or that of a running node."""
        disks = list(disks)
        running = [self._world.hosts[name].disk for name in self._world.running]
        intact = dict.fromkeys(disk for disk in (*running, *disks) if disk is not None)
        survivors = self._survivors(disks)
        for place, seq in self._needed.items():
            kept = max(held.get(place, 0) for held in survivors)
            if self._disks[place[0]] in intact:
                assert kept >= seq, f"Q2: of {place} only {kept} of {seq} survived a crash"
            if kept < seq:
                self._needed[place] = kept
                self.lost[place[0]] = None
        self.forget_keys(disks)
        self._lower_sources([*intact])

    def _lower_sources(self, disks: list[Disk]) -> None:
        nodes = list(self._world.running.values())
        for place, put in self._sources.items():
            held = [node.log.register(*place) for node in nodes]
            kept = max(held + [disk.register(*place) for disk in disks], default=(0, 0))
            if kept < put:
                self._sources[place] = kept
                self.lost[place[0]] = None

    def demand_held(self, disks: Iterable[Disk], what: str) -> None:
        """Q3: raise unless somebody holds each increment, when nothing was destroyed."""
        survivors = self._survivors(disks)
        for place, seq in self._needed.items():
            held = max(held.get(place, 0) for held in survivors)
            assert held >= seq, f"Q3: {what}: of {place} only {held} of {seq} are left"

    def demand_keys(self, disks: Iterable[Disk], leaver: str) -> None:
        """Q3: raise unless somebody has each key record that was there before a process left, and
        has not expired."""
        born = self._world.now - self._key_life()
        for stream, seq in self.forget_keys(disks):
            young = [made for made in self._world.made if (made.stream, made.seq) == (stream, seq)]
            gone = [made for made in young if made.at > born]
            assert not gone, f"Q3: {leaver} left, and nobody has the key of {gone}"

    def _key_life(self) -> float:
        """Seconds for which all keep key records at least."""
        return self._world.settings.key_window - 0.5

    def forget_keys(self, disks: Iterable[Disk]) -> list[Place]:
        """Give up the key records that nobody has any more; which these are."""
        nodes = list(self._world.running.values())
        running = [self._world.hosts[name].disk for name in self._world.running]
        kept = [disk for disk in (*running, *disks) if disk is not None]
        gone = [record for record in self._records if not _has_key(record, nodes, kept)]
        for record in gone:
            del self._records[record]
            self.forgotten[record] = None
        return gone

    def demand_kept(self, disks: Iterable[Disk], leaver: str) -> None:
        """Q2: raise unless all that the process that has left was told is where no crash takes it
        away: on a disk, or with a node that has none."""
        hosts = self._world.hosts
        kept = [{}, *(_kept(disk) for disk in disks)]
        for name, node in self._world.running.items():
            disk = hosts[name].disk
            kept.append(_held(node) if disk is None else _kept(disk))
        last = (leaver, hosts[leaver].lives)
        for place, seq in self._needed.items():
            if self._lives[place[0]] == last:
                held = max(held.get(place, 0) for held in kept)
                assert held >= seq, f"Q2: {leaver} left: of {place} {held} of {seq} are stored"

    def demand_counted(self) -> None:
        """Q3: raise unless every running node holds everything."""
        for name, node in self._world.running.items():
            for (stream, counter), seq in self._needed.items():
                held = node.log.register(stream, counter)[0]
                assert held >= seq, f"Q3: {name} holds {counter} up to {held}, needed is {seq}"

    def _survivors(self, disks: Iterable[Disk]) -> list[Held]:
        """What running nodes and these disks hold; a process that stands still will hear of what
        its disk has done meanwhile."""
        nodes = (_held(node) for node in self._world.running.values())
        running = [self._world.hosts[name] for name in self._world.running]
        unheard = [host.disk for host in running if host.unheard and host.disk is not None]
        return [{}, *nodes, *(_kept(disk) for disk in (*disks, *unheard))]


def _has_key(record: Place, nodes: Iterable[Node], disks: Iterable[Disk]) -> bool:
    """Whether a node or a disk has the key of an event, as a record or as a double."""
    stream, seq = record
    return any(
        node.log.keys.newest_at_or_below(stream, seq) == seq or node.log.doubles.has(stream, seq)
        for node in nodes
    ) or any(disk.has_key(stream, seq) or disk.has_double(stream, seq) for disk in disks)


def _held(node: Node) -> Held:
    return {
        (stream, counter): seq
        for stream in node.log.streams
        for counter, seq, _ in node.log.by_name(stream, 0, "")
    }


def _kept(disk: Disk) -> Held:
    return {
        (kept.stream, counter): seq
        for kept in disk.snapshot().streams
        for counter, seq, _ in kept.registers
    }
