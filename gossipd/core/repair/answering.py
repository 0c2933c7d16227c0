"""Answers to repair: what is held below a digest's prefix, the pages of a pass, of the table.

The answerer keeps no state. A page says `(start, after, upto]` and the version at that moment, and
one position is never split, so pages may be lost, doubled or asked for singly.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from heapq import merge
from itertools import groupby
from operator import itemgetter
from typing import NamedTuple

from gossipd.core.gossip.packets import PacketBuilder
from gossipd.core.identity import NAME_BYTES_MAX, Stream
from gossipd.core.log.log import Log
from gossipd.core.swim.members import MemberTable
from gossipd.core.wire.encoding import (
    LEAF_SIZE_MAX,
    PAGE_OVERHEAD,
    Packed,
    pack_record,
    pack_view,
    position_size,
)
from gossipd.core.wire.messages import (
    Digest,
    DigestAsk,
    MembersAsk,
    MembersPage,
    MemberView,
    Pages,
    PassAsk,
)
from gossipd.core.wire.records import (
    AGE_TICK,
    END,
    Double,
    KeyRecord,
    Page,
    PassItem,
    Position,
    Record,
    by_kind,
)

LOOKS_MAX = 8
"""Times that one question may lead through many counters or events of which nothing is to be told;
then the answer ends, and who asked goes on from there."""

PASSED_MAX = 100
"""Events that are passed over, some 2 us each, before one of which nothing is told is named."""

_NAME_ROOM = 2 * (NAME_BYTES_MAX + 2)
"""Bytes that the two names which bound a page of the table may take."""


class Archive(NamedTuple):
    """The key records of a stream with `above` < seq <= `upto`, read from the disk."""

    stream: Stream
    above: int
    upto: int
    records: tuple[KeyRecord, ...]


class Lack(NamedTuple):
    """An answer cannot go on without the key records of a stream in `(above, upto]`."""

    stream: Stream
    above: int
    upto: int
    ask: PassAsk
    """What is left of the question, this stream first."""


@dataclass(slots=True)
class _Looks:
    """How often an answer may still pass over many of these."""

    left: int


class Answering:
    """What one node answers; it only reads."""

    def __init__(
        self, log: Log, members: MemberTable, packet_builder: PacketBuilder, key_window: float
    ) -> None:
        self._log = log
        self._members = members
        self._packet_builder = packet_builder
        self._key_window = key_window

    def digest(self, ask: DigestAsk) -> Digest:
        """All leaves below the prefix if they fit the size asked for, else its 64 sums."""
        empty = Digest(ask.nonce, ask.depth, ask.prefix, (), None)
        room = self._packet_builder.room(empty, ask.size)
        if self._log.has_few_below(ask.depth, ask.prefix, room // LEAF_SIZE_MAX):
            below = self._log.leaves_below(ask.depth, ask.prefix)
            leaves = tuple(self._log.leaf_shown(stream, ask.nonce) for stream in below)
            return Digest(ask.nonce, ask.depth, ask.prefix, leaves, None)
        sums = self._log.sums_shown(ask.depth, ask.prefix, ask.nonce)
        return Digest(ask.nonce, ask.depth, ask.prefix, None, sums)

    def passes(self, ask: PassAsk, archive: Archive | None, now: float) -> Iterator[Pages | Lack]:
        """Up to `ask.pages` datagrams with the pages asked for, in the order of the wishes; it
        ends with what it lacks where key records are on the disk only and not in `archive`."""
        room = self._packet_builder.room(Pages(ask.nonce, (), False), ask.size)
        filling: list[Page] = []
        free = room
        sent = 0
        looks = _Looks(LOOKS_MAX)
        wishes = list(ask.items)
        while wishes and sent < ask.pages:
            wish = wishes.pop(0)
            wanted = wish.until or END[0]
            stop = min(wanted, self._stop(wish, ask.age, archive, now))
            parts = self._parts(wish, stop, ask.age, archive, now)
            page, used, full = self._page(wish, parts, stop, free, looks)
            if page is not None:
                filling.append(page)
                free -= used
                wish = wish._replace(after=page.upto)
            if wish.after[0] >= wanted:
                continue
            wishes.insert(0, wish)
            if not looks.left:
                yield Pages(ask.nonce, tuple(filling), True)
                return
            if filling or full:
                sent += 1
                yield Pages(ask.nonce, tuple(filling), sent == ask.pages)
                filling, free = [], room
            if not full and sent < ask.pages:
                rest = replace(ask, items=tuple(wishes), pages=ask.pages - sent)
                upto = min(wanted, self._log.archived(wish.stream, now))
                yield Lack(wish.stream, stop, upto, rest)
                return
        if filling:
            yield Pages(ask.nonce, tuple(filling), True)

    def members(self, ask: MembersAsk, now: float) -> Iterator[MembersPage]:
        """Up to `ask.pages` datagrams with the table's shared entries in the order of names.

        Accusers travel with gossip only. An entry that is larger than a page of the size asked
        for is passed over: a larger page or gossip has to bring it.
        """
        names = iter(self._members.names_after(ask.after))
        after = ask.after
        empty = MembersPage(ask.nonce, "", "", ())
        pending: tuple[MemberView, Packed] | None = None
        for _ in range(ask.pages):
            room = self._packet_builder.room(empty, ask.size) - _NAME_ROOM
            views: list[MemberView] = []
            while True:
                pending = pending or self._next_shared(names, now)
                if pending is None or len(pending[1]) > room:
                    break
                views.append(pending[0])
                room -= len(pending[1])
                pending = None
            if pending is None:
                yield MembersPage(ask.nonce, after, "", tuple(views))
                return
            upto = (views[-1] if views else pending[0]).name
            if not views:
                pending = None
            yield MembersPage(ask.nonce, after, upto, tuple(views))
            after = upto

    def _stop(self, wish: PassItem, age: int, archive: Archive | None, now: float) -> int:
        """Up to which seq all key records that are asked for are known here without the disk."""
        archived = self._log.archived(wish.stream, now)
        above = max(wish.start, wish.after[0])
        if archived <= above or age * AGE_TICK <= self._key_window:
            return END[0]
        if archive is None or archive.stream != wish.stream or archive.above > above:
            return above
        return END[0] if archive.upto >= archived else max(above, archive.upto)

    def _page(
        self,
        wish: PassItem,
        parts: Iterator[tuple[Position, list[Record]]],
        stop: int,
        free: int,
        looks: _Looks,
    ) -> tuple[Page | None, int, bool]:
        """As much of a pass up to seq `stop` as fits, the bytes that takes, and whether there is
        more; None when that is nothing."""
        version = self._log.version(wish.stream)
        records: list[Record] = []
        used = PAGE_OVERHEAD + position_size(wish.after)
        upto, full = wish.after, False
        for position, part in parts:
            size = sum(len(pack_record(record)) for record in part)
            full = used + size + position_size(position) > free
            if full:
                break
            records += part
            used += size
            upto = position
            if not part:
                looks.left -= 1
                full = not looks.left
                if full:
                    break
        if not full:
            upto = max(upto, (stop, ""))
        used += position_size(upto)
        if upto == wish.after or used > free:
            return None, 0, full or used > free
        page = Page(wish.stream, wish.start, wish.after, upto, version, *by_kind(records))
        return page, used, full

    def _parts(
        self, wish: PassItem, stop: int, age: int, archive: Archive | None, now: float
    ) -> Iterator[tuple[Position, list[Record]]]:
        """What a wish is for up to seq `stop`, by positions, none of which may be split; now and
        then one of which nothing is told, as the asker may not want to look on."""
        log, (after_seq, after_name) = self._log, wish.after
        if not after_seq:
            yield from _by_name(log, wish, after_name)
        above = max(wish.start, after_seq)
        keys: Iterator[KeyRecord] = log.keys.oldest_first(wish.stream, above, now)
        if archive is not None and archive.stream == wish.stream:
            keys = _with_archive(archive, above, keys)
        version = log.version(wish.stream)
        doubles = log.doubles.of(wish.stream, after_seq if wish.doubles else above, now)
        rest: Iterator[KeyRecord | Double] = merge(keys, doubles, key=itemgetter(1))
        passed = 0
        for seq, part in groupby(rest, key=itemgetter(1)):
            if seq > stop:
                return
            records: list[Record] = [
                each
                for each in part
                if (
                    each.age <= age or each.seq > version
                    if isinstance(each, KeyRecord)
                    else wish.doubles or not self._is_found(wish.stream, each)
                )
            ]
            passed = 0 if records else passed + 1
            if records or passed % PASSED_MAX == 0:
                yield (seq, ""), records

    def _is_found(self, stream: Stream, double: Double) -> bool:
        """Whether who gets the key records finds it by itself."""
        has = self._log.keys.has
        return has(stream, double.seq) and has(double.winner, double.winner_seq)

    def _next_shared(self, names: Iterator[str], now: float) -> tuple[MemberView, Packed] | None:
        for name in names:
            view = self._members.shared(name, now)
            if view is not None:
                view = view._replace(accusers=())
                return view, pack_view(view)
        return None


def _by_name(log: Log, wish: PassItem, after: str) -> Iterator[tuple[Position, list[Record]]]:
    """Registers and corrections in the order of counters, one position for both."""
    found = log.look_by_name(wish.stream, wish.start, after)
    if wish.doubles:
        corrections = log.doubles.corrections(wish.stream, after)
        both: Iterator[Record | str] = merge(found, corrections, key=_name)
        for counter, part in groupby(both, key=_name):
            yield (0, counter), [each for each in part if not isinstance(each, str)]
        return
    for each in found:
        if isinstance(each, str):
            yield (0, each), []
            continue
        # A correction never is above its register.
        correction = log.doubles.correction(wish.stream, each[0])
        above = correction is not None and correction.seq > wish.start
        yield (0, each[0]), [each, correction] if correction and above else [each]


def _name(found: Record | str) -> str:
    """The counter of a register or correction, or a name that was passed."""
    return found if isinstance(found, str) else str(found[0])


def _with_archive(
    archive: Archive, above: int, in_memory: Iterator[KeyRecord]
) -> Iterator[KeyRecord]:
    """What is on the disk above a seq and what is in memory, each event once, oldest first."""
    kept = {record.seq: record for record in archive.records if record.seq > above}
    others = (record for record in in_memory if record.seq not in kept)
    return merge(sorted(kept.values(), key=itemgetter(1)), others, key=itemgetter(1))
