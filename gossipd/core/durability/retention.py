"""How long key records are held: in memory for the window, on a disk for the retention.

What is dropped raises the horizon, below which keys are not judged from memory any more. A record
leaves memory for the disk only once it is stored, and covered by its stream's version: above it,
it is part of the fingerprint, which is to be equal on nodes with and without a disk, so there all
hold it for the retention. But where memory is crowded, stored ones above versions leave it, too:
who has to catch up with more than fits into memory would never come to the end of a pass.

A record stays in memory, too, while a batch with its key is on its way to the disk: when that is
exposed, its events are compared with what memory has.

A node without a disk holds a record longer whose key may seem new without it, as it comes from a
clock that is ahead of this node's (see `dedup`).

Doubles are held one by one for as long as any record of their keys may be anywhere, and then
folded (see `doubles`). Where there are many, they are folded sooner, the older ones first: that is
exact as long as no node is behind by so much.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from itertools import islice, takewhile

from gossipd.core.identity import Stream
from gossipd.core.log.dedup import Dedup, held_longer
from gossipd.core.log.doubles import FOLDED_AT_ONCE
from gossipd.core.log.log import Log
from gossipd.core.log.registers import Advance
from gossipd.core.means import Means
from gossipd.core.timers import Timer
from gossipd.core.turn import Turn
from gossipd.core.wire.records import AGE_TICK, AGE_WANTED_MAX, Correction, KeyRecord

from .write_behind import WriteBehind

DROPPED_AT_ONCE = 2_000
"""Records dropped in one turn, some milliseconds; more follow soon."""

KEY_STREAMS_AT_ONCE = 250
"""Streams whose key records are looked at in one turn, some 3 us each."""

PAUSE = 0.02
"""Seconds until more are dropped."""

INTERVAL_MAX = 5.0
EARLY = 0.2
"""The part of an interval by which the next look comes sooner if the node is awake anyway."""

CROWDED = 3 / 4
"""From this part of `doubles_max` on doubles are folded sooner, at `doubles_max` as soon as they
are not `YOUNG` any more."""

YOUNG = 60.0
"""Seconds, or half of a window that is shorter than twice that: doubles that others may not know
yet are not folded."""

LATE_WINDOWS = 10
"""Key windows for which doubles wait at most because others are found late: who has been away for
longer would keep the table full."""

STREAMS_AT_ONCE = 1_000
"""Streams whose doubles are looked at in one turn."""

CORRECTED_AT_ONCE = 500
"""Corrections joined in one turn."""


class Retention:
    """Drops what is too old."""

    def __init__(self, means: Means, log: Log, dedup: Dedup, write_behind: WriteBehind) -> None:
        self._settings, self._timers = means.settings, means.timers
        self._log = log
        self._dedup = dedup
        self._write_behind = write_behind
        settings = self._settings
        self._interval = min(INTERVAL_MAX, settings.key_window / 20)
        self._retention = min(settings.key_retention, AGE_WANTED_MAX * AGE_TICK)
        covered = settings.key_retention if self._log.keeps_marks else settings.key_window
        self._longest = min(covered, self._retention)
        self._young = min(YOUNG, settings.key_window / 2)
        self._folded_after = settings.key_retention + held_longer(settings.key_window)
        self._corrections: dict[tuple[Stream, str], Correction] = {}
        self._streams: list[Stream] = []
        """Those whose key records are still to be looked at in this round, the next one last."""
        self._lag = self._lag_found = 0.0
        """How old what is missing of any stream may be, by the last round and by this one."""
        self._doubled: list[Stream] = []
        """Those whose doubles are still to be looked at in this round, the next one last."""

    @property
    def age_wanted(self) -> int:
        """Records that are older are not accepted, in `AGE_TICK`."""
        return int(self._longest / AGE_TICK)

    def start(self, turn: Turn) -> None:
        """Begin to look for what is too old."""
        self._look_again(turn)

    def _look_again(self, turn: Turn) -> None:
        latest = turn.now + self._interval
        self._timers.set_between(Timer.KEYS, latest - EARLY * self._interval, latest)

    def accepted(
        self, stream: Stream, records: tuple[KeyRecord, ...], now: float
    ) -> tuple[KeyRecord, ...]:
        """Those that have not expired; of the others nothing more will be known here."""
        young = tuple(record for record in records if not self._is_expired(stream, record))
        if len(young) < len(records):
            for record in records:
                if self._is_expired(stream, record):
                    self._dedup.refused(record.key, record.age * AGE_TICK, now)
        return young

    def make_room(self, turn: Turn) -> None:
        """A peer has more key records than there is room for: the old ones leave memory, which
        they may once they are stored."""
        turn.save_wanted = True
        self._timers.set_if_sooner(Timer.KEYS, turn.now + PAUSE)

    def drop(self, turn: Turn) -> None:
        """Drop some of what is too old, and look again later."""
        self._look_again(turn)  # whatever raises
        log, dedup = self._log, self._dedup
        count = 0
        may_go = partial(self._may_go, turn.now)
        self._streams = self._streams or log.keys.streams
        some = self._streams[: -KEY_STREAMS_AT_ONCE - 1 : -1]
        for stream, records in log.keys.old(some, DROPPED_AT_ONCE, may_go, turn.now):
            count += len(records)
            for record in records:
                dedup.dropped(record.key)
            expires = turn.now + self._longest - records[-1].age * AGE_TICK
            log.drop_keys(stream, records, expires if log.keeps_marks else turn.now)
        for stream in some:
            count += self._drop_above(stream, DROPPED_AT_ONCE - count, turn.now)
        if count < DROPPED_AT_ONCE:
            del self._streams[-KEY_STREAMS_AT_ONCE:]
            self._see_lag(some, turn.now)
        more = count >= DROPPED_AT_ONCE or bool(self._streams)
        if log.doubles.behind:
            more = True  # what waits for no more than its turn must not be folded as lost
        else:
            more |= self._join_corrections(turn)
            more |= self._fold(turn)
        if more:
            self._timers.set(Timer.KEYS, turn.now + PAUSE)

    def _drop_above(self, stream: Stream, limit: int, now: float) -> int:
        """Drop up to `limit` records above a stream's version that have expired, however long an
        older one stays before them: as part of the fingerprint they go everywhere at that time."""
        log, under_way = self._log, self._dedup.under_way
        above = log.keys.oldest_first(stream, log.version(stream), now)
        expired = takewhile(lambda record: self._is_expired(stream, record), islice(above, limit))
        records = [record for record in expired if record.key not in under_way]
        log.forget_keys(stream, records)
        for record in records:
            self._dedup.dropped(record.key)
        return len(records)

    def _see_lag(self, streams: Iterable[Stream], now: float) -> None:
        """Note how far streams are behind. In a crowded memory what is known of them is not whole
        either."""
        lags = [self._log.lag(stream, now) for stream in streams]
        crowd = float("inf") if self._log.is_crowded else 0.0
        self._lag_found = max(self._lag_found, crowd, *lags)
        if not self._streams:
            self._lag, self._lag_found = self._lag_found, 0.0

    def correct(self, found: dict[tuple[Stream, str], Correction], turn: Turn) -> None:
        """Join corrections that peers told, some at a time."""
        if found:
            self._corrections |= found
            self._timers.set(Timer.KEYS, turn.now)

    def _join_corrections(self, turn: Turn) -> bool:
        """Join some of them; whether there are more."""
        log, young, advances = self._log, int(self._young / AGE_TICK), list[Advance]()
        looked = log.doubles.looked
        for place in list(islice(self._corrections, CORRECTED_AT_ONCE)):
            correction, held = self._corrections.pop(place), len(log.doubles)
            advances += log.correct(place[0], correction, young, turn.now)
            if held - len(log.doubles) >= FOLDED_AT_ONCE:
                self._corrections[place] = correction  # there may be more to fold first
            if log.doubles.looked - looked >= FOLDED_AT_ONCE:
                break
        turn.learn(advances)
        return bool(self._corrections)

    def _fold(self, turn: Turn) -> bool:
        """Fold some doubles that are old; whether there are more."""
        log = self._log
        age, left = int(self._age_of_folded(turn.now) / AGE_TICK), FOLDED_AT_ONCE
        self._doubled = self._doubled or log.doubles.streams
        for stream in self._doubled[: -STREAMS_AT_ONCE - 1 : -1]:
            count = log.doubles.old(stream, age, left, turn.now)
            turn.learn(log.fold(stream, count, turn.now))
            left -= count
            if not left:
                return True
            self._doubled.pop()
        return bool(self._doubled)

    def _age_of_folded(self, now: float) -> float:
        """Seconds after which doubles are folded, given how many there are. What comes below a
        correction comes too late: so they wait by as much as streams are behind each other, which
        what is missing shows, and what has come late."""
        log = self._log
        room = (log.doubles_max - len(log.doubles)) / ((1 - CROWDED) * log.doubles_max)
        late = min(max(self._lag, log.lateness(now)), LATE_WINDOWS * self._settings.key_window)
        crowded = max(self._young + late, self._folded_after * min(1.0, room))
        return min(crowded, self._folded_after)

    def _may_go(self, now: float, stream: Stream, record: KeyRecord) -> bool:
        age = record.age * AGE_TICK
        if age < self._settings.key_window or record.key in self._dedup.under_way:
            return False
        covered = record.seq <= self._log.version(stream)
        if not self._log.keeps_marks and covered:
            longer = self._longest + held_longer(self._settings.key_window)
            return age >= longer or not self._dedup.may_seem_new(record.key, now)
        if self._is_expired(stream, record):
            return True
        may_leave = covered or (self._log.keeps_marks and self._log.is_crowded)
        return may_leave and not self._write_behind.is_unsaved(stream, record.seq)

    def _is_expired(self, stream: Stream, record: KeyRecord) -> bool:
        if record.age < self.age_wanted:
            return False
        covered = record.seq <= self._log.version(stream)
        return covered or record.age * AGE_TICK >= self._retention
