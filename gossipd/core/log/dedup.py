"""Whether an increment with an idempotency key is new, a retry, or too old to tell (section 7).

Records are looked up first. Without one, a key that tells its time (UUIDv7) is taken only within
the window and above the *horizon*: the largest time among records that have left memory. Other
keys do not tell, so they are new for as long as no record is held.

A node with a disk has the older records there only: before such keys are judged, whoever calls
looks there for those that are `doubtful`.

Keys tell the time of somebody's clock, which may be wrong by years. A record goes for good when it
is as old as records become here, and its key was made a minute ahead of that at most by this
node's clock; one that lies further ahead `may_seem_new` and stays longer (see `retention`). So the
horizon is believed up to there and not beyond: whatever lies above it comes from a clock that is
ahead, and would refuse the keys of all who are right. Only after the clock of a node without a
disk was set back, records may have gone by what it said before; for a while keys in between are
not judged.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Container
from dataclasses import dataclass
from typing import TypeAlias

from gossipd.core.identity import Stream, key_time
from gossipd.core.settings import Settings

from .keys import KeyedEvent
from .log import Log

AHEAD_MAX = 60.0
"""Seconds by which the time in a key may be ahead of this node's clock."""


def reach(kept: float) -> float:
    """Where records are kept for `kept` seconds: so old by their key, at least, are those that go.

    It was made `AHEAD_MAX` ahead at most; half of a time so short that this would be all of it.
    """
    return max(kept - AHEAD_MAX, kept / 2)


def held_longer(window: float) -> float:
    """For how many seconds beyond their time records stay that may seem new: until their keys are
    too old for the window, where they come from a clock that is ahead by no more than that."""
    return window + AHEAD_MAX


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
    """This node is not ready, or its clock was set back, so it may lack the key's record; or it
    lacks the event that the record is about. Nothing is done."""


COMES_WITHIN = 60.0
"""Seconds for which an event that only its key record tells of may be on its way, after somebody
has tried again under that key. Its node may have died for good before it told the rest. Should it
come all the same, two events have one key, of which one loses."""

AWAITED_MAX = 1_000
"""Streams of which such events are waited for; one more, and the first one is forgotten."""

Judgement: TypeAlias = Duplicate | KeyReused | KeyExpired | KeysFull | CatchingUp


class Dedup:
    """What this node knows of keys, as one question."""

    def __init__(self, log: Log, settings: Settings, is_ready: Callable[[], bool]) -> None:
        self._log = log
        self._window = settings.key_window
        self.limit = int(settings.key_limit)
        """Keys that are taken at most; it may grow."""
        self._is_ready = is_ready
        self._offset: float | None = None
        """The wall clock less the other one, when they were seen last."""
        self._furthest = float("-inf")
        """The same, when that was most, ..."""
        self._furthest_until = float("-inf")
        """... which matters until then."""
        self.horizon = 0
        """Milliseconds since 1970; it never moves back."""
        self._now = 0.0
        self._awaited: dict[Stream, tuple[int, float]] = {}
        """Streams of which the register for a key has not come: their version, and since when
        somebody has asked while it was that."""
        self.under_way: Container[bytes] = ()
        """Keys that are looked up or committed at present. What is known of them, or comes
        meanwhile, stays in memory until their events are exposed, and compared with that."""

    def see_clocks(self, now: float, wall: float) -> None:
        """Both clocks, from time to time and before keys are judged by them."""
        self._now, self._offset = now, wall - now
        offset = self._offset
        if offset >= self._furthest or now >= self._furthest_until:
            self._furthest, self._furthest_until = offset, now + held_longer(self._window)

    def may_seem_new(self, key: bytes, now: float) -> bool:
        """Whether the horizon does not speak for a key that is too far ahead of this node's clock,
        so that only its record does."""
        time = key_time(key)
        if time is None or self._offset is None:
            return False
        return time > _believed(now + self._offset, self._window)

    def dropped(self, key: bytes) -> None:
        """A record is not in memory any more."""
        self.horizon = max(self.horizon, key_time(key) or 0)

    def refused(self, key: bytes, age: float, now: float) -> None:
        """A record that is `age` seconds old came, and was not taken. Its key may be as old as it
        says, or it is made up."""
        time = key_time(key)
        if time is not None and self._offset is not None:
            made_at = now + self._offset - age
            if time > 1000 * (made_at + AHEAD_MAX):
                return
        self.dropped(key)

    def is_doubtful(self, key: bytes, wall: float) -> bool:
        """Whether a record of the key may be on the disk only."""
        time = key_time(key)
        return time is None or time <= self.horizon or wall - time / 1000 > self._window

    @property
    def _set_back(self) -> float:
        """Seconds by which the wall clock was further than it is, not long ago."""
        return 0.0 if self._offset is None else self._furthest - self._offset

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
        if stored or key in self._log.keys:
            known = self._known(self._log.events(key) | set(stored), counter, by)
            if known is not None:
                return known
        time = key_time(key)
        if time is not None:
            age = wall - time / 1000
            if age > self._window or age < -AHEAD_MAX:
                return KeyExpired(age)
            if time <= self.horizon:
                if time <= _believed(wall, self._window):
                    return KeyExpired(age)
                further = _believed(wall + self._set_back, self._window)
                if time <= further and not self._log.keeps_marks:
                    return CatchingUp()
        return KeysFull() if len(self._log.keys) + pending >= self.limit else None

    def _known(self, events: set[KeyedEvent], counter: str, by: int) -> Judgement | None:
        """What follows from the events of a key; None where none of them is to come."""
        present = {event for event in events if self._log.is_present(event)}
        same = [event for event in present if (event.counter, event.by) == (counter, by)]
        if same:
            return Duplicate(min(same))
        if present:
            return KeyReused(min(present))
        come = [self._may_come(event) for event in events]  # the time of each begins now
        return CatchingUp() if any(come) else None

    def _may_come(self, event: KeyedEvent) -> bool:
        """Whether the register of an event that is not here may be on its way."""
        version = self._log.version(event.stream)
        if event.seq <= version:
            return False
        asked, since = self._awaited.get(event.stream, (-1, self._now))
        if asked != version:
            since = self._now
            self._awaited[event.stream] = version, since
            if len(self._awaited) > AWAITED_MAX:
                del self._awaited[next(iter(self._awaited))]
        return self._now - since < COMES_WITHIN


def _believed(wall: float, kept: float) -> float:
    """The largest time, in ms, of a key whose record may have gone for good by then."""
    return 1000 * (wall - reach(kept))
