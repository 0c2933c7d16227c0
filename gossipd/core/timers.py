"""The core's deadlines: a keyed heap with one earliest entry.

Setting a key replaces its deadline; equal deadlines come out in the order in which they were set.
"""

from __future__ import annotations

from enum import IntEnum, auto
from heapq import heapify, heappop, heappush
from typing import TypeAlias


class Timer(IntEnum):
    """What a deadline is for; an integer, as that hashes fast. Those that wait for somebody else
    move when this node stalled."""

    PROBE = auto()
    PROBE_TIMEOUT = auto()
    PROBE_VERDICT = auto()
    RELAY_NACK = auto()
    SUSPICION = auto()
    CORROBORATE = auto()
    RUMOUR = auto()
    GOSSIP = auto()
    PULL = auto()
    MEMBER_PULL = auto()
    CONTACT = auto()
    NAME_CHECK = auto()
    RIVAL = auto()
    READY = auto()
    LEAVE = auto()
    HOLD = auto()
    COPIES = auto()
    AFTER = auto()
    INTRODUCE = auto()
    EXPIRE = auto()
    KEYS = auto()
    ANSWER = auto()
    REOPEN = auto()
    SAVE = auto()
    DRAIN = auto()


Key: TypeAlias = tuple[Timer, str]
"""A timer and whom or what it concerns ("" where there is only one)."""


class Timers:
    """A set of named deadlines, in seconds of whatever clock `now` is."""

    def __init__(self) -> None:
        self._deadlines: dict[Key, tuple[float, int]] = {}
        self._heap: list[tuple[float, int, Key]] = []
        self._order = 0

    def set(self, timer: Timer, at: float, about: str = "") -> None:
        """Let `timer` fire at `at`, whatever it was set to before."""
        key = (timer, about)
        self._order += 1
        self._deadlines[key] = (at, self._order)
        heappush(self._heap, (at, self._order, key))
        if len(self._heap) > 4 * len(self._deadlines) + 64:
            self._heap = [(at, order, key) for key, (at, order) in self._deadlines.items()]
            heapify(self._heap)

    def set_if_sooner(self, timer: Timer, at: float, about: str = "") -> None:
        """Let `timer` fire at `at` unless it fires before."""
        held = self._deadlines.get((timer, about))
        if held is None or at < held[0]:
            self.set(timer, at, about)

    def cancel(self, timer: Timer, about: str = "") -> None:
        """Forget a deadline; nothing happens where there is none."""
        self._deadlines.pop((timer, about), None)

    @property
    def next(self) -> float | None:
        """The earliest deadline."""
        while self._heap:
            at, order, key = self._heap[0]
            if self._deadlines.get(key) == (at, order):
                return at
            heappop(self._heap)
        return None

    def pop(self, now: float) -> Key | None:
        """Take the earliest deadline that is not after `now`."""
        at = self.next
        if at is None or at > now:
            return None
        _, _, key = heappop(self._heap)
        del self._deadlines[key]
        return key

    def postpone(self, timers: frozenset[Timer], by: float) -> None:
        """Move the deadlines of some timers `by` seconds into the future."""
        for (timer, about), (at, _) in sorted(self._deadlines.items(), key=lambda item: item[1]):
            if timer in timers:
                self.set(timer, at + by, about)
