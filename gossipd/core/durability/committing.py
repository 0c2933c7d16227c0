"""Group commit: what waits is committed together, then exposed, then answered.

While one batch is on its way to the disk the next one collects. Nothing is told before its commit,
and a batch is begun only when everything that is ready to be taken in has been (`CommitSoon`).

A commit that fails proves nothing: its rows may be on the disk. So it is *abandoned*: nothing of
it is told, its stream ends, the disk is to take it back, and its clients hear that it may have
been counted. While the disk hangs everybody is refused. The batch that it holds is kept all the
same: whether it was committed is known when the disk answers, and then it is exposed or abandoned
as ever. So its stream has one history, and nothing else is committed meanwhile.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import InitVar, dataclass
from itertools import islice
from typing import TypeAlias

from gossipd.core.effects import (
    Abandon,
    Answered,
    Commit,
    CommitSoon,
    FindKeys,
    GaveUpDisk,
    Incremented,
    Learned,
    Token,
)
from gossipd.core.gossip.dissemination import Dissemination
from gossipd.core.log.dedup import Dedup
from gossipd.core.log.log import Log
from gossipd.core.log.recent import RecentEvents
from gossipd.core.log.registers import Advance
from gossipd.core.log.sources import Put
from gossipd.core.log.writer import (
    NOTHING_STORED,
    Accepted,
    Batch,
    Mixed,
    OneResult,
    Result,
    Stored,
    Writer,
)
from gossipd.core.means import Means
from gossipd.core.replies import (
    Failure,
    Fate,
    OneReply,
    PutAnswer,
    Reply,
    Run,
    Several,
    Uncounted,
)
from gossipd.core.results import Item
from gossipd.core.snapshot import StreamSnapshot
from gossipd.core.swim.leaving import Leaving
from gossipd.core.timers import Timer
from gossipd.core.turn import Turn

from .disk_health import Disk, Retry
from .intake import Intake, times

BATCH_KEYS = 0.8
"""Share of the table of keys that batches may fill. The rest is for increments that come alone:
whoever sends a million lines must not stop everybody else's for the whole window."""

AMEND_EVERY = 1.0
"""Seconds between two batches that make up for what others have spoilt of this node's streams."""

Reaction: TypeAlias = Answered | CommitSoon
"""What it causes to ask for something: a refusal, or that it is committed soon."""

_SOON: tuple[Reaction, ...] = (CommitSoon(),)
_NOTHING: tuple[Reaction, ...] = ()


@dataclass(eq=False, repr=False)
class Committing:
    """Takes increments and puts one by one and commits them in batches."""

    means: InitVar[Means]
    _log: Log
    _writer: Writer
    _dedup: Dedup
    _recent: RecentEvents
    _dissemination: Dissemination
    _leaving: Leaving
    _disk: Disk
    _disk_timeout: float

    def __post_init__(self, means: Means) -> None:
        self._settings, self._timers = means.settings, means.timers
        self._intake = Intake()
        self._batch: Batch | None = None
        """What the disk has."""
        self._finding = 0
        """The question for keys that the disk is to answer first; 0: none."""
        self._questions = 0
        self._begins = False
        """Whether `CommitSoon` was told and has not been heeded."""
        self._refusal: Uncounted | None = None
        """What is said to whoever comes now."""
        self._hangs = False
        self._closed = False
        """Whether the disk took nothing a moment ago."""
        self._retry = Retry()
        self._amend_at = float("-inf")
        """When a batch may make up for something next."""
        self._leave_since: float | None = None
        """When this node was asked to leave."""

    @property
    def silence(self) -> str:
        """What is said of a disk that hangs."""
        return f"the disk has not answered for {self._disk_timeout:g} s"

    @property
    def uncommitted_count(self) -> int:
        """Increments and puts that are not answered; of batches what was given in."""
        return self._intake.count

    # --- what clients ask for ----------------------------------------------------------------

    def increment(
        self, token: Token, counter: str, by: int, key: bytes | None, count: int
    ) -> Sequence[Reaction]:
        """Count `by` on `counter`; without a key `count` times."""
        if self._refusal is not None:
            return (Answered((token,), (self._refusal,)),)
        self._intake.waiting.append((token, counter, by, key, None, count))
        if count > 1:
            self._intake.has_runs = True
        return self._soon()

    def increment_all(self, token: Token, items: Sequence[Item]) -> Sequence[Reaction]:
        """Count all of these."""
        if self._refusal is not None:
            return (Answered((token,), (self._refusal,)),)
        if not items:
            return _NOTHING
        self._intake.add_all(token, items)
        return self._soon()

    def put(self, token: Token, put: Put) -> Sequence[Reaction]:
        """Set a source."""
        if self._refusal is not None:
            return (Answered((token,), (self._refusal,)),)
        self._intake.puts.append((token, put))
        return self._soon()

    def _soon(self) -> Sequence[Reaction]:
        if self._begins or self._finding or self._batch is not None:
            return _NOTHING
        self._begins = True
        return _SOON

    # --- from batch to batch -----------------------------------------------------------------

    def begin(self, wall: float, turn: Turn) -> None:
        """All that was ready has been taken in: begin with what waits."""
        self._begins = False
        if self._finding or self._batch is not None or not self._may_begin(turn):
            return
        if not self._intake.take() and not self._makes_amends(turn.now):
            return
        doubtful = self._doubtful(wall)
        if doubtful:
            self._questions += 1
            self._finding = self._questions
            self._dedup.under_way = {
                key for _, _, _, key, *_ in self._intake.taken if key is not None
            }
            turn.emit(FindKeys(self._finding, doubtful))
        else:
            self._prepare(NOTHING_STORED, wall, turn)

    def _may_begin(self, turn: Turn) -> bool:
        """Not while a stream would have to begin sooner than it may, as somebody spoils each."""
        wait = self._writer.wait(turn.now)
        if wait > 0:
            self._timers.set(Timer.AMEND, turn.now + wait)
        return wait <= 0

    def _makes_amends(self, now: float) -> bool:
        """Whether what is owed is made up for now."""
        return now >= self._amend_at and self._writer.amends.owes and not self._closed

    def keys_found(self, question: int, stored: Stored, wall: float, turn: Turn) -> None:
        """The disk has told what it knows of keys."""
        if question == self._finding:
            self._finding = 0
            self._prepare(stored, wall, turn)

    def keys_not_found(self, question: int, failure: Failure, why: str, turn: Turn) -> None:
        """The disk could not tell."""
        if question == self._finding:
            self._stop_finding()
            self._failed(failure, why, turn)
            why = "internal error" if failure is Failure.MISTAKE else why
            self._refuse(Uncounted(Fate.NOT_COUNTED, why), turn)
            self.go_on(turn)

    def committed(self, batch: Batch, turn: Turn) -> None:
        """The batch is on the disk: count it, answer, and tell others. Not if a mistake had it
        abandoned meanwhile: the disk was asked to take it back."""
        if batch is not self._batch:
            return
        self._batch = None
        self._retry.succeeded()
        if batch.rows or batch.sources:
            self._disk.succeeded(turn)
        made, others = self._writer.expose(batch, turn.now)
        if batch.amends and self._leave_since is not None:
            self._amend_at = float("-inf")  # there may be more, and no time
        replies: Sequence[Reply] = made
        if self._intake.took_runs or len(made) < len(batch.results):
            replies = list(_replies(batch.results, iter(made)))
        value = self._log.value
        put_replies = [
            PutAnswer(put, result, value(put.counter))
            for (_, put), result in zip(self._intake.taken_puts, batch.put_results, strict=False)
        ]
        self._intake.answer(replies, put_replies, self._refusal, turn)
        self._recent.append(made + others, turn.now)
        log = self._log
        if batch.rows:
            first = made[0].seq if made else batch.amends[0].seq
            log.set_committed(batch.stream, batch.rows, batch.version)
            self._dissemination.push_log(batch.stream, first - 1, turn)
        if made:
            turn.emit(Incremented(tuple(made)))
        if others:
            turn.emit(Learned(tuple(others)))
        turn.learn(())
        for stream, register in batch.sources:
            log.set_committed(stream, (register,), register[1])
            self._dissemination.push_log(stream, register[1] - 1, turn)
        self.go_on(turn)

    def commit_failed(self, failure: Failure, why: str, turn: Turn) -> None:
        """What is under way could not be committed, or this program made a mistake with it: what
        it has left on the disk is not known."""
        batch, self._batch = self._batch, None
        self._stop_finding()
        if batch is not None:
            exposed = self._exposed(batch)
            self._writer.abandon(batch)
            turn.emit(Abandon(batch, exposed))
        self._failed(failure, why, turn)
        fate = Fate.MISTAKE if failure is Failure.MISTAKE else Fate.UNKNOWN
        self._refuse(Uncounted(fate, why), turn)
        self.go_on(turn)

    def _doubtful(self, wall: float) -> list[bytes]:
        """Of the keys in what was taken, those that only the disk may know."""
        if not self._log.keeps_marks:
            return []
        is_doubtful = self._dedup.is_doubtful
        keys = (key for _, _, _, key, *_ in self._intake.taken)
        return [key for key in keys if key is not None and is_doubtful(key, wall)]

    def _stop_finding(self) -> None:
        self._finding, self._dedup.under_way = 0, ()

    def _prepare(self, stored: Stored, wall: float, turn: Turn) -> None:
        room = int(BATCH_KEYS * self._dedup.limit) - len(self._log.keys)
        taken = self._intake.within(room, lambda key: self._is_known(key, stored))
        increments = [(counter, by) for _, counter, by, *_ in taken]
        keys = [key for _, _, _, key, *_ in taken]
        puts = [put for _, put in self._intake.taken_puts]
        amends = self._makes_amends(turn.now)
        if amends:
            self._amend_at = turn.now + AMEND_EVERY
        self._batch = self._writer.prepare(
            increments,
            turn.now,
            wall,
            keys if any(keys) else (),
            stored,
            puts,
            list(map(times, taken)) if self._intake.took_runs else (),
            amends=amends,
        )
        turn.emit(Commit(self._batch, [token for token, *_ in taken]))

    def _is_known(self, key: bytes, stored: Stored) -> bool:
        log = self._log
        return key in log.keys or bool(log.events(key) or stored.get(key))

    def _exposed(self, batch: Batch) -> StreamSnapshot:
        """What counts of the stream of a batch, as far as its rows concern it."""
        log, stream = self._log, batch.stream
        registers = ((counter, *log.register(stream, counter)) for counter, _, _ in batch.rows)
        held = tuple(register for register in registers if register[1])
        return StreamSnapshot(stream, log.version(stream), held)

    def _refuse(self, refusal: Uncounted, turn: Turn) -> None:
        self._intake.refuse(refusal, self._refusal, turn)

    # --- troubles ----------------------------------------------------------------------------

    def disk_hangs(self, turn: Turn) -> None:
        """The disk has been silent for too long: answer everybody, though the truth of what it
        holds is not known."""
        self._hangs = True
        self._look()
        self._let_go(turn)
        self.go_on(turn)

    def disk_answers(self) -> None:
        """It does no longer hang."""
        self._hangs = False
        self._look()

    def reopen(self) -> None:
        """A disk that took nothing is tried again."""
        self._closed = False
        self._look()

    def drain(self, since: float, turn: Turn) -> None:
        """Take no more, and leave once all that was taken is answered; should the disk take long
        for that, there has to be time left for the leave itself."""
        if self._leave_since is None:
            self._leave_since = since
            self._amend_at = float("-inf")
            self._look()
            longest = min(self._disk_timeout, self._settings.leave_timeout / 2)
            self._timers.set(Timer.DRAIN, turn.now + longest)
        self.go_on(turn)

    def drained_too_long(self, turn: Turn) -> None:
        """Leave without the disk's answer."""
        turn.emit(GaveUpDisk())
        self._let_go(turn)
        self._leave(turn)

    def _failed(self, failure: Failure, why: str, turn: Turn) -> None:
        self._disk.failed(failure, why, turn)
        if failure is Failure.MISTAKE:
            return
        self._closed = True
        self._look()
        self._timers.set(Timer.REOPEN, turn.now + self._retry.failed())

    def _look(self) -> None:
        """Whether anything is taken, or why not."""
        if self._leave_since is not None:
            self._refusal = Uncounted(Fate.LEAVING)
        elif self._hangs:
            self._refusal = Uncounted(Fate.NOT_COUNTED, self.silence)
        else:
            self._refusal = Uncounted(Fate.CLOSED) if self._closed else None

    def _let_go(self, turn: Turn) -> None:
        fate = Fate.UNKNOWN
        if self._finding:
            fate = Fate.NOT_COUNTED
            self._stop_finding()
        self._refuse(Uncounted(fate, self.silence), turn)
        self._intake.take_rest()
        self._refuse(Uncounted(Fate.NOT_COUNTED, self.silence), turn)

    def go_on(self, turn: Turn) -> None:
        """Begin with what waits, or leave, if nothing does."""
        if self._intake.waits or self._makes_amends(turn.now):
            turn.effects += self._soon()
        elif self._leave_since is not None and not self._finding and self._batch is None:
            self._leave(turn)
        if self._writer.amends.owes:
            self._timers.set_if_sooner(Timer.AMEND, turn.now + AMEND_EVERY)

    def _leave(self, turn: Turn) -> None:
        assert self._leave_since is not None
        self._timers.cancel(Timer.DRAIN)
        self._leaving.start(turn, self._leave_since)


def _replies(results: Sequence[Result], made: Iterator[Advance]) -> Iterator[Reply]:
    """To each result what is told; `made`: all events, in order."""
    for each in results:
        if isinstance(each, Mixed):
            yield Several(tuple(_reply(one, made) for one in each.results))
        elif isinstance(each, Accepted) and each.times > 1:
            yield Run(deque(islice(made, each.times), maxlen=1).pop(), each.times)
        else:
            yield _reply(each, made)


def _reply(result: OneResult, made: Iterator[Advance]) -> OneReply:
    return next(made) if isinstance(result, Accepted) else result
