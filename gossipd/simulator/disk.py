"""The disk of a host: what is left of a process after a crash.

Own increments are committed before they are exposed, and what comes from others, and the members,
is stored in parts from time to time, so that a crash may come between a commit and its exposure,
and between two parts. The generation is kept from the moment of the start, so that the next life
begins above it.
"""

from __future__ import annotations

import math
from copy import deepcopy
from dataclasses import dataclass, field

from gossipd.core import Batch, Changes, Image, MemberView, Status, Stream, StreamImage
from gossipd.core.messages import Register

WRITE_INTERVAL = 1.0
"""Seconds after which what has changed begins to be stored."""

WRITE_TAKES = 0.005
"""Seconds that a part of it takes."""

PART_MAX = 20
"""Registers in one part."""


@dataclass(slots=True)
class _StreamRows:
    version: int = 0
    registers: dict[str, Register] = field(default_factory=dict)


class Disk:
    """Rows as they were committed last."""

    def __init__(self) -> None:
        self.generation = 0
        """The largest one that a process with this disk has had."""
        self._streams: dict[Stream, _StreamRows] = {}
        self._members: dict[str, tuple[MemberView, float]] = {}
        """Views, and the wall time at which they were stored."""

    def begin(self, generation: int) -> None:
        """A process starts with this disk."""
        self.generation = max(self.generation, generation)

    def commit(self, batch: Batch) -> None:
        """Write the rows of own increments, which may be exposed from now on."""
        rows = self._streams.setdefault(batch.stream, _StreamRows())
        rows.version = batch.version
        rows.registers.update((register[0], register) for register in batch.rows)

    def store(self, changes: Changes, wall: float) -> None:
        """Write a part of what a node holds; `wall`: seconds since 1970."""
        self.generation = max(self.generation, changes.generation)
        for stream, counter, seq, total in changes.registers:
            rows = self._streams.setdefault(stream, _StreamRows())
            held = rows.registers.get(counter, (counter, 0, 0))
            rows.registers[counter] = max(held, (counter, seq, total))
        for stream, version in changes.versions:
            rows = self._streams.setdefault(stream, _StreamRows())
            rows.version = max(rows.version, version)
        for view in changes.members:
            self._members[view.name] = (view, wall)
        for name in changes.gone:
            self._members.pop(name, None)

    @property
    def streams(self) -> tuple[Stream, ...]:
        """Every stream of which something is on the disk."""
        return tuple(self._streams)

    def version(self, stream: Stream) -> int:
        """The version of a stream, 0 where there is none."""
        rows = self._streams.get(stream)
        return rows.version if rows else 0

    def register(self, stream: Stream, counter: str) -> tuple[int, int]:
        """(seq, total) of a register, (0, 0) where there is none."""
        rows = self._streams.get(stream)
        found = rows.registers.get(counter) if rows else None
        return found[1:] if found else (0, 0)

    def image(self, wall: float) -> Image:
        """What the next life finds; verdicts have aged meanwhile."""
        streams = (
            StreamImage(stream, rows.version, tuple(rows.registers.values()))
            for stream, rows in self._streams.items()
        )
        members = (_aged(view, wall - stored_at) for view, stored_at in self._members.values())
        return Image(tuple(streams), tuple(members))

    def copy(self) -> Disk:
        """A backup, or the disk of a clone."""
        return deepcopy(self)


def _aged(view: MemberView, seconds: float) -> MemberView:
    if view.status <= Status.SUSPECT:
        return view
    return view._replace(age=view.age + math.ceil(max(0.0, seconds) / 60))
