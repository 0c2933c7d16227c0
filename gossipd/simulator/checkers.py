"""Checks of the design's invariants against ghost records: what was made, and what was held.

A checker looks at every running node from outside, through its queries. It remembers what it saw,
so that shrinking shows. Failures name the invariant (design section 9).
"""

from __future__ import annotations

from bisect import bisect_right
from typing import NamedTuple

from gossipd.core import Node, Stream
from gossipd.core.log import Log
from gossipd.core.members import Rank, rank
from gossipd.simulator.world import World


class _Event(NamedTuple):
    seq: int
    total: int
    """The sum of `by` up to this event."""


class Checker:
    """Compares the nodes of a world with what was made in it."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._read = 0
        self._events: dict[tuple[Stream, str], list[_Event]] = {}
        self._made: dict[tuple[Stream, int], tuple[str, int]] = {}
        self._positive: dict[str, int] = {}
        self._registers: dict[Node, dict[tuple[Stream, str], tuple[int, int]]] = {}
        self._versions: dict[Node, dict[Stream, int]] = {}
        self._ranks: dict[Node, dict[str, Rank]] = {}

    def check(self) -> None:
        """Raise `AssertionError` if an invariant does not hold now."""
        self._read_made()
        by_fingerprint: dict[int, dict[str, int]] = {}
        for node in self._world.running.values():
            self._check_registers(node)
            self._check_versions(node)
            self._check_sums(node)
            self._check_members(node)
            held = by_fingerprint.setdefault(node.log.fingerprint, node.log.values)
            assert held == node.log.values, "I9: equal fingerprints, unequal values"

    def expected(self, counter: str) -> int:
        """The sum over everything that was acknowledged anywhere."""
        return sum(made.by for made in self._world.made if made.counter == counter)

    def _read_made(self) -> None:
        for made in self._world.made[self._read :]:
            place = (made.stream, made.seq)
            assert place not in self._made, "I1: two increments with one id"
            self._made[place] = (made.counter, made.by)
            events = self._events.setdefault((made.stream, made.counter), [_Event(0, 0)])
            events.append(_Event(made.seq, events[-1].total + made.by))
            self._positive[made.counter] = self._positive.get(made.counter, 0) + max(0, made.by)
        self._read = len(self._world.made)

    def _check_registers(self, node: Node) -> None:
        before = self._registers.get(node, {})
        now = {
            (stream, counter): (seq, total)
            for stream in node.log.streams
            for counter, seq, total in node.log.by_name(stream, 0, "")
        }
        for place, held in now.items():
            if before.get(place) != held:
                event = self._last_event(place, held[0])
                assert event == held, f"I2: register {held} of {place}, made was {event}"
        for place, held in before.items():
            assert now[place] >= held, "I6: a register shrank"
        self._registers[node] = now

    def _check_versions(self, node: Node) -> None:
        versions = {stream: node.log.version(stream) for stream in node.log.streams}
        for stream, version in self._versions.get(node, {}).items():
            assert versions[stream] >= version, "I6: a version shrank"
        for stream, counter in self._events:
            version = versions.get(stream, 0)
            needed = self._last_event((stream, counter), version).seq
            held = node.log.register(stream, counter)[0]
            assert held >= needed, f"I3: version {version} without event {needed} of {counter}"
        self._versions[node] = versions

    def _check_sums(self, node: Node) -> None:
        again = Log()
        for stream in node.log.streams:
            again.merge(stream, node.log.by_name(stream, 0, ""))
            again.claim(stream, node.log.version(stream))
        assert again.values == node.log.values, "I7: a value is not that of the registers"
        assert again.fingerprint == node.log.fingerprint, "I9: fingerprint is not the recomputed"
        for counter, value in node.log.values.items():
            assert value <= self._positive.get(counter, 0), "I8: more counted than made"

    def _check_members(self, node: Node) -> None:
        ranks = {view.name: rank(view) for view in node.members}
        for name, before in self._ranks.get(node, {}).items():
            assert ranks[name] >= before, "I6: a member's state went back"
        for name, held in self._world.running.items():
            said = (held.own.generation, held.own.incarnation)
            heard = ranks.get(name)
            assert heard is None or (heard[0], heard[2]) <= said, "I12: raised by somebody else"
        self._ranks[node] = ranks

    def _last_event(self, place: tuple[Stream, str], seq: int) -> _Event:
        events = self._events.get(place, [_Event(0, 0)])
        return events[bisect_right(events, seq, key=lambda event: event.seq) - 1]
