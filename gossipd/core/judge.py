"""Whether an increment with an idempotency key is new, a retry, or too old to tell (section 7).

Records are looked up first. Without one, a key that tells its time (UUIDv7) is taken only within
the window and above the *horizon*: the largest time among records that were dropped here. Other
keys do not tell, so they are new for as long as no record is held.

A node with a disk has the older records there only: before such keys are judged, whoever calls
looks there for those that are `doubtful`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TypeAlias

from .identity import key_time
from .keys import KeyedEvent
from .log import Log
from .settings import Settings

AHEAD_MAX = 60.0
"""Seconds by which the time in a key may be ahead of this node's clock."""


@dataclass(frozen=True, slots=True)
class Duplicate:
    """It was counted before, as this event; nothing is done."""

    event: KeyedEvent


@dataclass(frozen=True, slots=True)
class KeyReused:
    """The key was used for something else; nothing is done."""

    event: KeyedEvent


@dataclass(frozen=True, slots=True)
class KeyExpired:
    """The key is too old, or too far in the future, to know what became of it; nothing is done."""

    seconds: float
    """Its age; negative when it lies in the future."""


@dataclass(frozen=True, slots=True)
class KeysFull:
    """More keys are in the window than the limit allows; nothing is done."""


@dataclass(frozen=True, slots=True)
class CatchingUp:
    """This node is not ready, so it may lack the key's record; nothing is done."""


Judgement: TypeAlias = Duplicate | KeyReused | KeyExpired | KeysFull | CatchingUp


class Judge:
    """What this node knows of keys, as one question."""

    def __init__(self, log: Log, settings: Settings, is_ready: Callable[[], bool]) -> None:
        self._log = log
        self._window = settings.key_window
        self._limit = int(settings.key_limit)
        self._is_ready = is_ready
        self._furthest: float | None = None
        """The wall clock less the other one, when that was most."""
        self._set_back = 0.0
        """Seconds by which it is less now."""
        self.horizon = 0
        """Milliseconds since 1970; it never moves back."""

    def see_clocks(self, now: float, wall: float) -> None:
        """Both clocks, before keys are judged by them."""
        offset = wall - now
        self._furthest = max(offset, offset if self._furthest is None else self._furthest)
        self._set_back = self._furthest - offset

    def dropped(self, key: bytes) -> None:
        """A record is not held any more."""
        self.horizon = max(self.horizon, key_time(key) or 0)

    def is_doubtful(self, key: bytes, wall: float) -> bool:
        """Whether a record of the key may be on the disk only."""
        time = key_time(key)
        return time is None or time <= self.horizon or wall - time / 1000 > self._window

    def _horizon_at(self, wall: float) -> float:
        """The horizon, or where it comes from a clock that was ahead, what it would be at most: a
        record is dropped after the window, and its key was at most so much ahead of it. This
        node's own clock may have been set back since."""
        if self.horizon <= 1000 * (wall + self._set_back + AHEAD_MAX):
            return self.horizon
        return 1000 * (wall - max(self._window - AHEAD_MAX, self._window / 2))

    def judge(
        self,
        key: bytes,
        counter: str,
        by: int,
        wall: float,
        stored: Collection[KeyedEvent],
        pending: int,
    ) -> Judgement | None:
        """None for a new key. `wall`: seconds since 1970; `stored`: what the disk holds of it;
        `pending`: new keys that are not in the log yet."""
        if not self._is_ready():
            return CatchingUp()
        events = self._log.events(key)
        events.update(stored)
        if events:
            same = [event for event in events if (event.counter, event.by) == (counter, by)]
            if not same:
                return KeyReused(min(events))
            return Duplicate(min(filter(self._log.is_present, same), default=min(same)))
        time = key_time(key)
        if time is not None:
            age = wall - time / 1000
            if age > self._window or age < -AHEAD_MAX or time <= self._horizon_at(wall):
                return KeyExpired(age)
        return KeysFull() if len(self._log.keys) + pending >= self._limit else None
