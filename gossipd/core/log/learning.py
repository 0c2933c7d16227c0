"""What others tell of the log: the one place where their word enters it, and becomes versions.

News comes in groups, what is pulled in pages, and the disk tells of events under one key. Records
merge, whoever sent them and whenever; a version rises by two rules only (I3). *The receiver's*: a
group `(start, to]` has everything above `start`, so who holds everything up to there holds
everything up to `to` with it. *The asker's*: a pass whose pages have covered everything claims the
smallest version stated on any of them (see `passes`). For both all of it has to be used, and
somebody must have shown an event up to which everything is said to be held. Nobody has to say
anything where key records follow each other without a gap: each seq is one event, so who holds
them, and the registers they name, holds everything up to the last of them.

It knows no peers, and sends nothing: a `Lesson` says what follows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from gossipd.core.identity import Stream
from gossipd.core.wire.drops import Drop
from gossipd.core.wire.records import Group, KeyRecord, Page

from .log import Log
from .passes import Pass
from .registers import Advance
from .writer import Stored, Writer

Accepted: TypeAlias = Callable[[Stream, tuple[KeyRecord, ...], float], tuple[KeyRecord, ...]]
"""Which of some key records are not too old to be held."""


COMPANY_MAX = 40
"""Events of keys that one input may make this node look at, beside those that it tells: each may
become a double of a new one. A datagram has room for some 36 records, each may show one."""


@dataclass(slots=True)
class Company:
    """Events of keys that one input may still make this node look at."""

    left: int = COMPANY_MAX


@dataclass(slots=True)
class Lesson:
    """What became of something that was told."""

    new: int = 0
    """How many of its records were."""
    whole: bool = True
    """Whether all of them were used; otherwise it claims nothing."""
    news_above: int | None = None
    """The seq above which others are to be told of the stream, where there is news."""
    moved: bool = False
    """Whether it brought a pass forward."""
    advances: list[Advance] = field(default_factory=list)
    drops: list[Drop] = field(default_factory=list)
    """Why some of it was not used, or ends this node's stream."""


class Learning:
    """Joins what others tell into the log of one node."""

    def __init__(self, log: Log, writer: Writer, accepted: Accepted) -> None:
        self._log = log
        self._writer = writer
        self._accepted = accepted

    def new_in(self, group: Group) -> tuple[int, int]:
        """How many streams and registers it would add."""
        streams = 0 if self._log.holds(group.stream) else 1
        return streams, self._log.new_registers(group.stream, group.registers)

    def group(self, group: Group, company: Company, now: float) -> Lesson:
        """Join news. Most of it comes several times: of key records, those that the version covers
        are held. In the own stream others would show a clone."""
        lesson, stream = Lesson(), group.stream
        version = self._log.version(stream)
        may_claim = self._may_claim(group, version, lesson)
        if group.keys and not self._writer.amends.is_own(stream):
            above = tuple(record for record in group.keys if record.seq > version)
            group = group._replace(keys=above)
        keys = self._merge(group, lesson, company, now)
        claimed = lesson.whole and may_claim and self._claim(stream, group.to, lesson)
        self._merge_keys(stream, keys, lesson, now)
        if lesson.new or claimed:
            lesson.news_above = min(group.start, version)
        return lesson

    def page(self, page: Page, running: Pass | None, company: Company, now: float) -> Lesson:
        """Join a page, and take it into account in the pass that asked for such, which claims
        what it may once it is complete. Corrections are not joined yet: who asked does that when
        the registers of all winners are here."""
        lesson = Lesson()
        keys = self._merge(page, lesson, company, now)
        new, advances = self._log.enter(page.stream, page.doubles, now, told=True)
        lesson.new += new
        lesson.advances += advances
        self._merge_keys(page.stream, keys, lesson, now)
        if running is not None and lesson.whole:
            lesson.moved = running.use(page)
            claim = running.claim if running.complete else None
            if claim is not None and self._is_shown(page.stream, claim, 0, lesson):
                self._claim(page.stream, claim, lesson)
        return lesson

    def twins(self, stored: Stored, now: float) -> list[Advance]:
        """Of some keys the disk holds these events, of which some may be doubles; what values
        lose by that."""
        return self._log.find_doubles(stored, now)

    # --- records -----------------------------------------------------------------------------

    def _merge(
        self, of: Group | Page, lesson: Lesson, company: Company, now: float
    ) -> tuple[KeyRecord, ...]:
        """Join registers; the key records that are to be joined, too: none where there is no room
        for all of them."""
        fits = not of.keys or self._log.has_room_for_keys(of.stream, of.keys)
        amends = self._writer.amends
        is_own = amends.is_own(of.stream)
        spoilt = list(amends.spoilt_by(of.stream, of.registers)) if is_own else []
        advances = self._log.merge(of.stream, of.registers)
        lesson.whole = advances is not None and fits
        if advances:
            amends.spoilt(spoilt)
            lesson.new += len(advances)
            lesson.advances += advances
            self._hear_more(of.stream, lesson)
        if advances is None:
            lesson.drops.append(Drop.STREAMS_FULL)
        elif not fits:
            lesson.drops.append(Drop.KEYS_FULL)
        return self._looked_at(of, lesson, company, now) if lesson.whole else ()

    def _looked_at(
        self, of: Group | Page, lesson: Lesson, company: Company, now: float
    ) -> tuple[KeyRecord, ...]:
        """The first key records, as many as this input may still compare with others of the same
        keys. The rest comes again, when these are held and cost nothing."""
        for place, record in enumerate(of.keys):
            company.left -= self._log.keys.company(of.stream, record, now)
            if company.left < 0:
                company.left = 0
                lesson.whole = False
                lesson.drops.append(Drop.CROWDED)
                return of.keys[:place]
        return of.keys

    def _merge_keys(
        self, stream: Stream, keys: tuple[KeyRecord, ...], lesson: Lesson, now: float
    ) -> None:
        """After the claim of a group, as what a version covers need not be hashed. Own records
        that have left memory are not taken back: peers hold them a moment longer, no clone does.
        """
        if keys and self._writer.amends.is_own(stream):
            keys = self._own_keys(stream, keys, lesson, now)
        keys = self._accepted(stream, keys, now)
        if not keys:
            return
        new, advances = self._log.merge_keys(stream, keys, now)
        if new:
            lesson.new += new
            self._hear_more(stream, lesson)
        lesson.advances += advances
        self._claim(stream, self._log.run_end(stream), lesson)

    def _own_keys(
        self, stream: Stream, keys: tuple[KeyRecord, ...], lesson: Lesson, now: float
    ) -> tuple[KeyRecord, ...]:
        """Of key records of an own stream those behind what this process wrote, as others hold
        them; what it wrote stays as it is."""
        amends = self._writer.amends
        last = amends.last(stream)
        if any(amends.is_false(stream, key, now) for key in keys if key.seq <= last):
            self._hear_more(stream, lesson)
        return tuple(key for key in keys if key.seq > last)

    def _hear_more(self, stream: Stream, lesson: Lesson) -> None:
        """Somebody knows more of a stream: if it is this node's own, a clone of it lives, or a
        peer is wrong."""
        if self._writer.amends.is_own(stream) and Drop.NOT_OURS not in lesson.drops:
            lesson.drops.append(Drop.NOT_OURS)
        self._writer.heard_more_of(stream)

    # --- claims ------------------------------------------------------------------------------

    def _may_claim(self, group: Group, version: int, lesson: Lesson) -> bool:
        """The receiver's rule, where everything up to `version` was held before."""
        shown = max((seq for _, seq, _ in group.registers), default=0)
        if group.to > group.start and not self._is_shown(group.stream, group.to, shown, lesson):
            return False
        return version >= group.start

    def _is_shown(self, stream: Stream, version: int, shown: int, lesson: Lesson) -> bool:
        """Whether somebody has shown an event up to which everything is said to be held: there is
        always a register that has reached it. `shown`: the newest one that comes with the claim.
        """
        if version > shown:
            held = next(self._log.newest_first(stream, 0), ("", 0, 0))
            shown = held[1]
        if version > shown:
            lesson.drops.append(Drop.FALSE_CLAIM)
        return version <= shown

    def _claim(self, stream: Stream, version: int, lesson: Lesson) -> bool:
        if not self._log.claim(stream, version):
            return False
        self._hear_more(stream, lesson)
        return True
