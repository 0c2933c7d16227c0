"""The disk of a host: what is left of a process after a crash.

Own increments are committed before they are exposed; what comes from others, and the members, are
written as a whole from time to time. The generation is kept from the moment of the start, so that
the next life begins above it.
"""

from __future__ import annotations

import math
from copy import deepcopy
from dataclasses import dataclass, field

from gossipd.core import Batch, Image, MemberView, Node, Status, Stream, StreamImage
from gossipd.core.messages import Register

WRITE_INTERVAL = 1.0
"""Seconds after which anything that is held is on the disk, at most."""


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
        self._members: tuple[MemberView, ...] = ()
        self._written_at = 0.0

    def begin(self, generation: int) -> None:
        """A process starts with this disk."""
        self.generation = max(self.generation, generation)

    def commit(self, batch: Batch) -> None:
        """Write the rows of own increments, which may be exposed from now on."""
        rows = self._streams.setdefault(batch.stream, _StreamRows())
        rows.version = batch.version
        rows.registers.update((register[0], register) for register in batch.rows)

    def write(self, node: Node, now: float, wall: float) -> None:
        """Write everything that a node holds; `wall` is seconds since the epoch."""
        self.begin(node.own.generation)
        image = node.image(now)
        self._members, self._written_at = image.members, wall
        for stream, version, registers in image.streams:
            rows = {register[0]: register for register in registers}
            self._streams[stream] = _StreamRows(version, rows)

    def image(self, wall: float) -> Image:
        """What the next life finds; verdicts have aged meanwhile."""
        streams = (
            StreamImage(stream, rows.version, tuple(rows.registers.values()))
            for stream, rows in self._streams.items()
        )
        minutes = math.ceil(max(0.0, wall - self._written_at) / 60)
        members = (
            view._replace(age=view.age + minutes) if view.status > Status.SUSPECT else view
            for view in self._members
        )
        return Image(tuple(streams), tuple(members))

    def copy(self) -> Disk:
        """A backup, or the disk of a clone."""
        return deepcopy(self)
