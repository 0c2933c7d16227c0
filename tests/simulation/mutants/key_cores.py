"""Broken variants of what the core does with keys and sources; see `cores`."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator

import pytest

from gossipd.core import (
    Changes,
    Correction,
    Effect,
    KeyedEvent,
    KeyRecord,
    Node,
    Snapshot,
    Stream,
)
from gossipd.core.durability.retention import Retention
from gossipd.core.durability.write_behind import WriteBehind
from gossipd.core.identity import SOURCE_BIT
from gossipd.core.log.dedup import Dedup, Duplicate, Judgement
from gossipd.core.log.doubles import Change, Doubles, LeftOut
from gossipd.core.log.keys import Keys
from gossipd.core.log.learning import Learning
from gossipd.core.log.log import Log
from gossipd.core.log.registers import Advance
from gossipd.core.log.tallies import Tallies
from gossipd.core.repair import answering
from gossipd.core.repair.answering import Answering
from gossipd.core.wire import encoding, records
from gossipd.core.wire.records import END, Page, PassItem, Position, Record, Register
from tests.simulation.faulty.engine import Engine
from tests.simulation.faulty.host import Host
from tests.simulation.faulty.rows import Moment

from .cores import nothing, put

_CORE = "gossipd.core"


# --- records -------------------------------------------------------------------------------------


def keys_of_another_event_on_the_wire(patch: pytest.MonkeyPatch) -> None:
    def pack(record: Record) -> encoding.Packed:
        if isinstance(record, KeyRecord):
            record = record._replace(by=record.by + 1)
        return encoding.pack_record(record)

    patch.setattr(f"{_CORE}.log.groups.pack_record", pack)


def keys_of_others_unheard(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Learning, "_merge_keys", nothing)


def groups_without_keys(patch: pytest.MonkeyPatch) -> None:
    def records(
        self: Log, stream: Stream, above: int, upto: int, now: float
    ) -> Iterator[Register]:
        return self.newest_first(stream, above, upto)

    patch.setattr(Log, "records_newest_first", records)


def pages_without_keys(patch: pytest.MonkeyPatch) -> None:
    sound = Answering._page

    def page_of(
        self: Answering,
        wish: PassItem,
        parts: Iterator[tuple[Position, list[Record]]],
        stop: int,
        free: int,
        looks: answering._Looks,
    ) -> tuple[Page | None, int, bool]:
        page, used, full = sound(self, wish, parts, stop, free, looks)
        return page and page._replace(keys=()), used, full

    patch.setattr(Answering, "_page", page_of)


def pages_without_the_archive(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Answering, "_stop", lambda *_: END[0])


def keys_are_not_stored(patch: pytest.MonkeyPatch) -> None:
    sound = WriteBehind.take

    def take(self: WriteBehind, limit: int, now: float) -> Changes | None:
        self._log.changed.keys.clear()
        return sound(self, limit, now)

    patch.setattr(WriteBehind, "take", take)


def keys_are_not_loaded(patch: pytest.MonkeyPatch) -> None:
    sound = Node.load

    def load(self: Node, snapshot: Snapshot, now: float) -> list[Effect]:
        streams = tuple(stream._replace(keys=()) for stream in snapshot.streams)
        return sound(self, snapshot._replace(streams=streams), now)

    patch.setattr(Node, "load", load)


def keys_stay_in_memory(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Keys, "old", lambda *_: [])


def holds_without_keys(patch: pytest.MonkeyPatch) -> None:
    def by_kind(told: Iterable[Record]) -> records.Kinds:
        return records.by_kind(told)._replace(keys=())

    patch.setattr(f"{_CORE}.swim.leaving.by_kind", by_kind)


def keys_above_versions_go_with_the_window(patch: pytest.MonkeyPatch) -> None:
    def is_expired(self: Retention, _stream: Stream, record: KeyRecord) -> bool:
        return record.age >= self.age_wanted

    patch.setattr(Retention, "_is_expired", is_expired)


# --- doubles -------------------------------------------------------------------------------------


def doubles_taken_off_too_often(patch: pytest.MonkeyPatch) -> None:
    sound = Log._leave_out

    def leave_out(self: Log, event: LeftOut) -> Advance:
        self._values[event.counter] -= 100 * event.by
        return sound(self, event)

    patch.setattr(Log, "_leave_out", leave_out)


def doubles_count(patch: pytest.MonkeyPatch) -> None:
    sound = Log._leave_out

    def leave_out(self: Log, event: LeftOut) -> Advance:
        advance = sound(self, event)
        self._values[event.counter] += event.by
        return advance

    patch.setattr(Log, "_leave_out", leave_out)


def twins_are_not_compared(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Log, "find_doubles", lambda *_: [])


def twins_on_disks_are_not_compared(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Learning, "twins", lambda *_: [])


def keys_outside_the_fingerprint(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Log, "_hash_of", lambda *_: 0)


def doubles_outside_the_fingerprint(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Tallies, "moves", lambda _: iter(()))


def what_is_folded_counts_again(patch: pytest.MonkeyPatch) -> None:
    sound = Doubles.fold

    def fold(
        self: Doubles, stream: Stream, count: int, now: float, counter: str | None = None
    ) -> Change:
        folded = list(self.of(stream, 0, now))[:count]
        change = sound(self, stream, count, now, counter)
        back = [LeftOut(stream, double.seq, double.counter, -double.by) for double in folded]
        return change._replace(left_out=change.left_out + back)

    patch.setattr(Doubles, "fold", fold)


def folding_leaves_the_fingerprint(patch: pytest.MonkeyPatch) -> None:
    sound = Doubles._put

    def put(self: Doubles, stream: Stream, correction: Correction) -> None:
        sound(self, stream, correction._replace(digest=0))

    patch.setattr(Doubles, "_put", put)


def folding_forgets_its_losers(patch: pytest.MonkeyPatch) -> None:
    sound = Doubles._put

    def put(self: Doubles, stream: Stream, correction: Correction) -> None:
        sound(self, stream, correction._replace(lost=0, out=0))

    patch.setattr(Doubles, "_put", put)


def doubles_are_folded_at_once(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Retention, "_age_of_folded", lambda *_: 0.0)


def corrections_are_not_told(patch: pytest.MonkeyPatch) -> None:
    def by_kind(told: Iterable[Record]) -> records.Kinds:
        return records.by_kind(told)._replace(corrections=())

    patch.setattr(f"{_CORE}.repair.answering.by_kind", by_kind)


def corrections_are_not_loaded(patch: pytest.MonkeyPatch) -> None:
    sound = Node.load

    def load(self: Node, snapshot: Snapshot, now: float) -> list[Effect]:
        streams = tuple(stream._replace(corrections=()) for stream in snapshot.streams)
        return sound(self, snapshot._replace(streams=streams), now)

    patch.setattr(Node, "load", load)


# --- judgement -----------------------------------------------------------------------------------


def keys_unknown(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Log, "events", lambda *_: set())


def the_largest_twin_wins(patch: pytest.MonkeyPatch) -> None:
    sound = Dedup.judge

    def judge(
        self: Dedup,
        key: bytes,
        counter: str,
        by: int,
        wall: float,
        stored: Collection[KeyedEvent],
        pending: int,
    ) -> Judgement | None:
        judgement = sound(self, key, counter, by, wall, stored, pending)
        if isinstance(judgement, Duplicate):
            return Duplicate(max(self._log.events(key) | set(stored)))
        return judgement

    patch.setattr(Dedup, "judge", judge)


def the_horizon_stays(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Dedup, "dropped", nothing)


def the_horizon_is_not_loaded(patch: pytest.MonkeyPatch) -> None:
    sound = Node.load

    def load(self: Node, snapshot: Snapshot, now: float) -> list[Effect]:
        return sound(self, snapshot._replace(horizon=0), now)

    patch.setattr(Node, "load", load)


def horizons_of_any_clock(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(f"{_CORE}.log.dedup._believed", lambda *_: math.inf)


def keys_ahead_go_in_time(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Dedup, "may_seem_new", lambda *_: False)


def clocks_set_back_do_not_matter(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Dedup, "_set_back", 0.0)


def disks_go_by_the_wall_clock(patch: pytest.MonkeyPatch) -> None:
    def moment(self: Engine, host: Host) -> Moment:
        return Moment(self._wall(host), self._wall(host))

    patch.setattr(Engine, "_moment", moment)


def keys_of_any_age(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(f"{_CORE}.log.dedup.key_time", lambda _: None)


def the_disk_is_not_asked(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Dedup, "is_doubtful", lambda *_: False)


# --- sources -------------------------------------------------------------------------------------


def the_first_put_of_a_seq_wins(patch: pytest.MonkeyPatch) -> None:
    sound = Log.merge

    def merge(
        self: Log, stream: Stream, registers: Iterable[Register], **how: bool
    ) -> list[Advance] | None:
        if stream[0] & SOURCE_BIT:
            registers = [r for r in registers if r[1] > self.register(stream, r[0])[0]]
        return sound(self, stream, registers, **how)

    patch.setattr(Log, "merge", merge)


def the_last_put_wins(patch: pytest.MonkeyPatch) -> None:
    sound = Log.merge

    def merge(
        self: Log, stream: Stream, registers: Iterable[Register], **how: bool
    ) -> list[Advance] | None:
        for register in registers:
            before = self.register(stream, register[0])
            if stream[0] & SOURCE_BIT and before[0] == register[1] and before[1] != register[2]:
                return [put(self, stream, register, before)]
        return sound(self, stream, registers, **how)

    patch.setattr(Log, "merge", merge)
