"""The ghost record of keys: every logical operation, and every event that was made of it.

How long a record must be remembered follows from who takes part: the retention where all hosts
have disks, else the window, as who has no disk passes nothing older on. Clocks that are set make
ages on disks wrong by as much.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Container, Iterator

from gossipd.core import (
    Double,
    KeyRecord,
    Node,
    Stream,
)
from tests.simulation.faulty.world import Made, World

from .doubles import (
    Group,
    has_lost,
    is_present,
    left_out,
)
from .ghosts import Ghosts

ROUNDING = 0.5
"""Seconds by which a record may be taken for older than it is: ages are told in tenths of a
second, and rounded once more by each disk and each start."""


class Keyed:
    """What was made under keys in a world."""

    def __init__(self, world: World, ghosts: Ghosts) -> None:
        self._world = world
        self._ghosts = ghosts
        self._read = 0
        self._events: dict[tuple[Stream, int], Made] = {}
        self._streams: dict[Stream, list[Made]] = {}
        self._groups: dict[Group, list[Made]] = {}

    def read(self) -> None:
        """Note what was made since the last time."""
        for made in self._world.made[self._read :]:
            if made.key is not None:
                self._events[made.stream, made.seq] = made
                self._streams.setdefault(made.stream, []).append(made)
                self._groups.setdefault((made.key, made.counter, made.by), []).append(made)
        self._read = len(self._world.made)

    # --- queries -----------------------------------------------------------------------------

    @property
    def count(self) -> int:
        """How many events were made under keys."""
        return len(self._events)

    @property
    def streams(self) -> list[Stream]:
        """The streams that have such events, but those with two histories."""
        return [stream for stream in self._streams if not self._ghosts.is_shared(stream)]

    @property
    def groups(self) -> dict[Group, list[Made]]:
        """The events of each logical operation, in the order in which they were made."""
        return self._groups

    @property
    def remembered(self) -> float:
        """Seconds for which a record must be known wherever its stream's version covers it."""
        settings = self._world.settings
        everywhere = all(host.disk is not None for host in self._world.hosts.values())
        return (settings.key_retention if everywhere else settings.key_window) - ROUNDING

    def kept(self, longest: float) -> float:
        """Seconds for which a record must be known where it is to be kept for `longest`."""
        return longest - ROUNDING

    def event(self, stream: Stream, seq: int) -> Made | None:
        """What was made as this event, if that was under a key."""
        return self._events.get((stream, seq))

    def due(self, stream: Stream, above: int, upto: int) -> Iterator[Made]:
        """The events in `(above, upto]` whose records must still be known."""
        if stream not in self._streams or self._ghosts.is_shared(stream):
            return
        born = self._world.now - self.remembered
        events = self._streams[stream]
        for index in range(bisect_right(events, above, key=_seq_of), len(events)):
            made = events[index]
            if made.seq > upto:
                return
            if made.at > born:
                yield made

    # --- checks ------------------------------------------------------------------------------

    def check_record(self, stream: Stream, record: KeyRecord, where: str) -> None:
        """I1: a key record is that of an event that was made."""
        self._check(stream, record.key, record.seq, record.counter, record.by, where)

    def check_double(self, stream: Stream, double: Double, where: str) -> None:
        """I6: a double is an event that was made, and was made before under the same key."""
        counter, seq, by, winner, winner_seq, _ = double
        if self._ghosts.is_shared(stream) or self._ghosts.is_shared(winner):
            return
        events = (self.event(winner, winner_seq), self.event(stream, seq))
        said = {(made.key, made.counter, made.by) for made in events if made is not None}
        right = None not in events and len(said) == 1 and said.pop()[1:] == (counter, by)
        smaller = (winner, winner_seq) < (stream, seq)
        assert right, f"I6: {where} {double} in stream {stream.hex()}: {events}"
        assert smaller, f"I6: {where} {double} in stream {stream.hex()}: {events}"

    def check_once(self, nodes: dict[str, Node], forgotten: Container[tuple[Stream, int]]) -> None:
        """Q3: every logical operation counts once; more often only where the records of all but
        one of its events are too old, or were destroyed (`forgotten`)."""
        born = self._world.now - self.remembered
        for events in self._groups.values():
            known = [e for e in events if e.at > born and (e.stream, e.seq) not in forgotten]
            if len(known) < 2:
                continue
            for name, node in nodes.items():
                counted = [
                    e
                    for e in known
                    if is_present(node.log, e.stream, e.seq, e.counter)
                    and has_lost(node.log, e.stream, e.seq, e.counter) is False
                    and not self._ghosts.is_shared(e.stream)
                ]
                assert len(counted) < 2, f"Q3: {name} counts {counted}"

    def over(self, node: Node) -> dict[str, int]:
        """By how much each counter of a node is more than the sum over logical operations."""
        sums: dict[str, int] = {}
        for (_, counter, by), events in self._groups.items():
            present = sum(is_present(node.log, e.stream, e.seq, e.counter) for e in events)
            if present > 1:
                sums[counter] = sums.get(counter, 0) + by * (present - 1)
        out = left_out(node.log).sums
        over = {counter: excess - out.get(counter, 0) for counter, excess in sums.items()}
        return {counter: excess for counter, excess in over.items() if excess}

    def _check(
        self, stream: Stream, key: bytes, seq: int, counter: str, by: int, where: str
    ) -> None:
        if self._ghosts.is_shared(stream):
            return
        made = self._events.get((stream, seq))
        said = (key, counter, by)
        what = f"I1: {where} event {seq} under a key as {said}"
        assert made is not None, f"{what}, which nobody made"
        assert (made.key, made.counter, made.by) == said, f"{what}, made was {made}"


def _seq_of(made: Made) -> int:
    return made.seq
