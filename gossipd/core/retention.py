"""How long key records are held: in memory for the window, on a disk for the retention.

What is dropped raises the horizon, below which keys are not judged from memory any more. A record
leaves memory for the disk only once it is stored, and covered by its stream's version: above it,
it is part of the fingerprint, which is to be equal on nodes with and without a disk, so there all
hold it for the retention.

A node without a disk holds a record longer whose key may seem new without it, as it comes from a
clock that is ahead of this node's (see `judge`).
"""

from __future__ import annotations

from functools import partial

from .identity import Stream
from .judge import held_longer
from .messages import AGE_TICK, AGE_WANTED_MAX, KeyRecord
from .state import State, Turn
from .timers import Timer

DROPPED_AT_ONCE = 2_000
"""Records dropped in one turn, some milliseconds; more follow soon."""

PAUSE = 0.02
"""Seconds until more are dropped."""

INTERVAL_MAX = 5.0


class Retention:
    """Drops what is too old."""

    def __init__(self, state: State) -> None:
        self._state = state
        settings = state.settings
        self._interval = min(INTERVAL_MAX, settings.key_window / 20)
        self._retention = min(settings.key_retention, AGE_WANTED_MAX * AGE_TICK)
        covered = settings.key_retention if state.log.keeps_marks else settings.key_window
        self._longest = min(covered, self._retention)

    @property
    def age_wanted(self) -> int:
        """Records that are older are not accepted, in `AGE_TICK`."""
        return int(self._longest / AGE_TICK)

    def start(self, turn: Turn) -> None:
        """Begin to look for what is too old."""
        self._state.timers.set(Timer.KEYS, turn.now + self._interval)

    def accepted(
        self, stream: Stream, records: tuple[KeyRecord, ...], now: float
    ) -> tuple[KeyRecord, ...]:
        """Those that have not expired; of the others nothing more will be known here."""
        young = tuple(record for record in records if not self._is_expired(stream, record))
        if len(young) < len(records):
            for record in records:
                if self._is_expired(stream, record):
                    self._state.judge.refused(record.key, record.age * AGE_TICK, now)
        return young

    def drop(self, turn: Turn) -> None:
        """Drop some of what is too old, and look again later."""
        log, judge = self._state.log, self._state.judge
        count = 0
        may_go = partial(self._may_go, turn.now)
        for stream, records in log.keys.old(DROPPED_AT_ONCE, may_go, turn.now):
            count += len(records)
            for record in records:
                judge.dropped(record.key)
            expires = turn.now + self._longest - records[-1].age * AGE_TICK
            log.drop_keys(stream, records, expires if log.keeps_marks else turn.now)
        pause = PAUSE if count >= DROPPED_AT_ONCE else self._interval
        self._state.timers.set(Timer.KEYS, turn.now + pause)

    def _may_go(self, now: float, stream: Stream, record: KeyRecord) -> bool:
        age = record.age * AGE_TICK
        if age < self._state.settings.key_window:
            return False
        covered = record.seq <= self._state.log.version(stream)
        if not self._state.log.keeps_marks and covered:
            longer = self._longest + held_longer(self._state.settings.key_window)
            return age >= longer or not self._state.judge.may_seem_new(record.key, now)
        if self._is_expired(stream, record):
            return True
        return covered and not self._state.saving.is_unsaved(stream, record.seq)

    def _is_expired(self, stream: Stream, record: KeyRecord) -> bool:
        if record.age < self.age_wanted:
            return False
        covered = record.seq <= self._state.log.version(stream)
        return covered or record.age * AGE_TICK >= self._retention
