"""Who keeps key records: nodes and disks, all that their versions cover, no longer than they may.

I3: a version covers every record that has not expired, in memory or on the node's own disk; I4:
so does a version on a disk. I7: of two records of one operation a node knows that they are
doubles. I10: what is in memory beyond the window waits for the disk, for its version, or where
there is no disk for the time in its key.
"""

from __future__ import annotations

from collections.abc import Collection

from gossipd.core import KeyedEvent, Node, Stream
from gossipd.core.durability.disk_health import RETRY_MAX
from gossipd.core.durability.retention import INTERVAL_MAX
from gossipd.core.durability.storing import SAVE_INTERVAL
from gossipd.core.log.dedup import held_longer
from tests.simulation.faulty.world import Disk, Host, World

from .doubles import Group, has_lost
from .keyed import ROUNDING, Keyed


class KeyKeeperChecker:
    """I3, I4, I7 and I10 of key records."""

    def __init__(self, world: World, keyed: Keyed) -> None:
        self._world = world
        self._keyed = keyed
        self._covered: dict[Node | Disk, dict[Stream, int]] = {}
        """The versions of nodes and disks that were checked."""
        self._in_time_since: dict[str, float] = {}
        """Since when each host does its work in time."""
        self._oldest: dict[Node, dict[tuple[Stream, int], tuple[float, int]]] = {}
        """Of each stream the oldest record in memory, since when it was seen as that, and its age:
        if that falls, the record went, and a late datagram has brought it again."""

    def check(self, nodes: dict[str, Node], full: bool) -> None:
        """Look at all running nodes and all disks; at what changed, unless `full`."""
        if not self._keyed.count:
            return
        hosts = self._world.hosts
        disks = [host.disk for host in hosts.values() if host.disk is not None]
        places: list[Node | Disk] = [*nodes.values(), *disks]
        self._covered = {place: self._covered.get(place, {}) for place in places}
        self._oldest = {node: self._oldest.get(node, {}) for node in nodes.values()}
        doubled = [group for group, events in self._keyed.groups.items() if len(events) > 1]
        for name, node in nodes.items():
            self._check_held(name, node, hosts[name].disk, full)
            self._check_bound(name, node, hosts[name])
            for group in doubled:
                _check_compared(name, node, hosts[name], group)
            if full:
                self._check_records(name, node)
        for name, host in hosts.items():
            if host.disk is not None:
                self._check_stored(f"the disk of {name} has", host.disk, full)

    def _check_held(self, name: str, node: Node, disk: Disk | None, full: bool) -> None:
        seen = self._covered[node]
        for stream in self._keyed.streams:
            version = node.log.version(stream)
            before = 0 if full else seen.get(stream, 0)
            if version > before:
                archived = node.log.archived(stream, self._world.now)
                for made in self._keyed.due(stream, before, version):
                    stored = disk is not None and disk.has_key(stream, made.seq)
                    held = (stored and made.seq <= archived) or node.log.keys.at(
                        stream, made.seq, self._world.now
                    )
                    assert held, f"I3: {name} holds version {version} without the key of {made}"
                seen[stream] = version

    def _check_stored(self, where: str, disk: Disk, full: bool) -> None:
        seen = self._covered[disk]
        for stream in self._keyed.streams:
            version = disk.version(stream)
            before = 0 if full else seen.get(stream, 0)
            if version > before:
                for made in self._keyed.due(stream, before, version):
                    held = disk.has_key(stream, made.seq)
                    assert held, f"I4: {where} version {version} without the key of {made}"
                seen[stream] = version

    def _check_records(self, name: str, node: Node) -> None:
        for stream in node.log.streams:
            for record in node.log.keys.oldest_first(stream, 0, self._world.now):
                self._keyed.check_record(stream, record, f"{name} holds")
            for double in node.log.doubles.of(stream, 0, 0.0):
                self._keyed.check_double(stream, double, f"{name} holds")

    def _check_bound(self, name: str, node: Node, host: Host) -> None:
        settings, now = self._world.settings, self._world.now
        if host.stalled or host.work:
            self._in_time_since[name] = now
        if host.disk is not None and host.disk.refuses:
            self._in_time_since[name] = now + RETRY_MAX
        pause = min(INTERVAL_MAX, settings.key_window / 20) + ROUNDING
        pause += 3 * SAVE_INTERVAL if host.disk is not None else held_longer(settings.key_window)
        before, oldest = self._oldest[node], dict[tuple[Stream, int], tuple[float, int]]()
        for stream in self._keyed.streams:
            record = next(node.log.keys.oldest_first(stream, 0, now), None)
            if record is not None and record.seq <= node.log.version(stream):
                place = (stream, record.seq)
                since, age = before.get(place, (now, 0))
                oldest[place] = (since if record.age >= age else now, record.age)
        self._oldest[node] = oldest
        if oldest and now - self._in_time_since.get(name, 0.0) > pause:
            held_for = now - min(oldest.values())[0]
            assert held_for <= settings.key_window + pause, (
                f"I10: {name} keeps a key in memory for {held_for} s"
            )


def _check_compared(name: str, node: Node, host: Host, group: Group) -> None:
    """A process that stands still does not know yet what its disk has told."""
    key, *said = group
    stored: Collection[KeyedEvent] = ()
    if host.disk is not None and not host.unheard:
        stored = host.disk.find((key,)).get(key, ())
    for held in (node.log.keys.events(key), stored):
        same = [event for event in held if [event.counter, event.by] == said]
        lost = [has_lost(node.log, each.stream, each.seq, each.counter) for each in same]
        assert lost.count(False) < 2, f"I7: {name} knows {same} and leaves none out"
