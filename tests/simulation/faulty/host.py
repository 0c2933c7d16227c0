"""One place in the world where a process may run, and what that process suffers."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from gossipd.core import (
    Address,
    Changes,
    Commit,
    Stored,
)
from gossipd.simulator import engine

from .disk import Disk


@dataclass(slots=True, eq=False)
class Host(engine.Host):
    """A host that may have a disk, and joins seeds."""

    seeds: list[Address] = field(default_factory=list)
    disk: Disk | None = None
    """None: whatever a process knows dies with it."""
    ended: str = ""
    """Why the process ended by itself."""
    clock: float = 0.0
    """Seconds by which its wall clock is ahead."""
    stalled: bool = False
    work: float = 0.0
    """Seconds of its CPU that every datagram and timer takes; set it with `World.slow`."""
    busy: bool = False
    """Whether its slow CPU is at work."""
    crashes_in_commit: bool = False
    """Whether it crashes when its next commit is on the disk."""
    committing: Commit | None = None
    """What its disk was given to commit and has not answered."""
    write_behind: Changes | None = None
    """What its disk was given to store."""
    hangs: bool = False
    """Whether its disk has been silent for too long."""
    stored: Stored = field(default_factory=dict)
    """What the disk told of keys in that."""
    unheard: list[Callable[[], None]] = field(default_factory=list)
    """What happened in the process while it was stalled."""
    inbox: deque[tuple[bytes, Address]] = field(default_factory=deque)
    """Datagrams that came while it was stalled or busy."""
    reading: int | None = None
    """Datagrams that a slow process reads before it turns to a timer that is due: those that came
    before that. None: no timer is due."""
    join_pause: float = 0.0
    """Seconds until the next try to join, if this one is in vain."""
    seeds_seen: int | None = None
    """The member table's fingerprint when all seeds were last found in it."""

    def begin(self) -> None:
        """A new process runs here."""
        self.ended = ""
        self.stalled = self.busy = self.crashes_in_commit = self.hangs = False
        self.committing = self.write_behind = None
        self.inbox.clear()
        self.unheard.clear()
        self.reading = self.seeds_seen = None

    def note_timer(self) -> None:
        """A timer is due at a slow process."""
        if self.reading is None:
            self.reading = len(self.inbox)

    def turns_to_timer(self) -> bool:
        """Whether a slow process turns to the timer that is due; if not, to its inbox."""
        if self.inbox and self.reading:
            self.reading -= 1
            return False
        self.reading = None
        return True
