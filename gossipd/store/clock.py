"""How old key records are on a disk: by time that was measured, not by what the wall clock says.

A wall clock may be wrong by years and be put right at any moment. If keys were as old as it says,
one step would make all of them expire, and they would count again. So a file has a time of its
own. It begins as the wall clock's, when the file is first opened, and passes as that of the
machine does since its start (`CLOCK_BOOTTIME`: no step moves it, and it goes on while the machine
sleeps), also between two processes. It stands still where nobody measures: while the machine is
off, or the file is on its way to another one. So records are kept longer at times, never shorter.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import NamedTuple

BOOT = Path("/proc/sys/kernel/random/boot_id")
"""Another one after each start of the machine."""

MARKED_EVERY = 60.0
"""Seconds after which the next transaction marks the time: so much of it may be lost when the
machine goes off."""

TIME_MAX = 2**53
"""Milliseconds, either way: beyond it none is a moment, nor a number of its own as a float."""


class Mark(NamedTuple):
    """A moment, as it is kept in the file."""

    at: int
    """Its own time, ms."""
    up: int
    """Milliseconds since the machine was started."""
    boot: str
    """Which start that was; empty: nobody knows."""

    def __str__(self) -> str:
        return f"{self.at} {self.up} {self.boot}"

    @classmethod
    def parse(cls, text: str) -> Mark:
        """What `str` gave. Raises `ValueError`."""
        at, up, boot = text.split(" ")
        mark = cls(int(at), int(up), boot)
        if max(abs(mark.at), abs(mark.up)) > TIME_MAX:
            raise ValueError(f"no moment: {text[:80]!r}")
        return mark


class FileClock:
    """The time of one file that is open."""

    def __init__(self, last: str | None, wall: float) -> None:
        """`last`: the mark that was kept last, None in a new file or one of an older version,
        which went by the wall clock: `wall`, seconds since 1970."""
        self._boot, self._up = _boot(), _up()
        self._began = wall
        if last is not None:
            mark = Mark.parse(last)
            measured = self._boot and self._boot == mark.boot
            passed = max(0.0, self._up - mark.up / 1000) if measured else 0.0
            self._began = mark.at / 1000 + passed
        self._marked = float("-inf")

    def now(self) -> float:
        """Seconds; to be compared with nothing but itself."""
        return self._began + _up() - self._up

    @property
    def is_to_be_marked(self) -> bool:
        """Whether the last mark is old."""
        return _up() - self._marked >= MARKED_EVERY

    def mark(self) -> str:
        """This moment, to be kept."""
        return str(Mark(int(1000 * self.now()), int(1000 * _up()), self._boot))

    def marked(self) -> None:
        """A mark of this moment is on the disk."""
        self._marked = _up()


def _boot() -> str:
    try:
        return BOOT.read_text().strip()
    except OSError:
        return ""


def _up() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)
