"""Clients' increments and puts on their way into the core, and its answers on their way back.

What is committed when, and what follows from a disk that fails, is the core's (see
`core.durability.committing`). Who waits is the token under which the core is asked; this says the
core's answers in the words of the interface.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, Protocol, TypeAlias, assert_never, cast

from gossipd.config.spans import span
from gossipd.core import (
    RETRY_AFTER,
    Advance,
    Answered,
    AnsweredPart,
    CatchingUp,
    CommitSoon,
    Counted,
    Duplicate,
    Fate,
    Item,
    KeyExpired,
    KeyReused,
    KeysFull,
    LogFull,
    Node,
    OutOfRange,
    Put,
    PutAnswer,
    PutConflicts,
    PutRefused,
    PutTaken,
    Refused,
    Reply,
    Run,
    Several,
    ShareFull,
    Uncounted,
    Why,
)

log = logging.getLogger(__name__)

KEYS_RETRY_AFTER = 10
"""Seconds after which a batch that found its share full is worth sending again."""

TOLD_MAX = 1000
"""Answers that are told in one turn of the loop. There are more where a disk hangs, for all that
wait are answered then."""

_NOT_TOLD = "a client was not told what became of its increment"
"""As he could not be, which costs nobody else his answer."""

_SHARE_FULL = "not counted: batches have filled their share of the keys in the window"

Answer: TypeAlias = Callable[[Any], None]
"""Who is told what became of an increment."""


class Increment(Protocol):
    """How an increment is asked for."""

    def __call__(
        self, counter: str, by: int, answer: Answer, key: bytes | None = None, count: int = 1
    ) -> None:
        """Count `by` on `counter`; `answer` is called once that is committed, or could not be.
        Raises `Refused`. `count`: so many times, in a row; the answer is of all, or a list of one
        for each."""


Of: TypeAlias = Answered | AnsweredPart
"""The effects that are performed here."""


class _Batch:
    """Many increments that are answered together."""

    def __init__(self, size: int) -> None:
        self._size = size
        self.answers: list[Counted | Refused] = []
        self.future: asyncio.Future[list[Counted | Refused]]
        self.future = asyncio.get_running_loop().create_future()

    def end_part(self) -> None:
        """So many answers are there now."""
        if len(self.answers) == self._size and not self.future.done():
            self.future.set_result(self.answers)


class Counting:
    """The increments and puts of one node that are not answered yet."""

    def __init__(self, node: Node, begin: Callable[[CommitSoon], None]) -> None:
        """`begin`: performs that effect."""
        self._node = node
        self._begin = begin
        self._loop = asyncio.get_running_loop()
        self._untold: deque[Iterator[None]] = deque()
        """What is being told; each step is an answer."""
        self._left = TOLD_MAX
        """So many more may be told in this turn of the loop."""

    # --- what clients ask for ----------------------------------------------------------------

    def increment(
        self, counter: str, by: int, answer: Answer, key: bytes | None = None, count: int = 1
    ) -> None:
        """See `Increment`."""
        effects = self._node.increment(answer, counter, by, key, count)
        if effects:
            self._react(effects)

    def increment_all(self, items: Sequence[Item]) -> asyncio.Future[list[Counted | Refused]]:
        """Count all of these, in parts; the future ends with an answer for each. Raises `Refused`
        where not one is looked at. Cancelling it stops nothing."""
        batch = _Batch(len(items))
        self._react(self._node.increment_all(batch, items))
        if not items:
            batch.end_part()
        return batch.future

    def put(self, put: Put) -> asyncio.Future[tuple[PutTaken, int]]:
        """Set a source; the future ends with what it holds then and the counter's value. Raises
        `Refused`."""
        future: asyncio.Future[tuple[PutTaken, int]] = self._loop.create_future()
        self._react(self._node.put(partial(_settle, future), put))
        return future

    def _react(self, effects: Sequence[Answered | CommitSoon]) -> None:
        """What is answered already was refused."""
        for effect in effects:
            if isinstance(effect, Answered):
                raise self._told(effect.replies[0])
            self._begin(effect)

    # --- answers -----------------------------------------------------------------------------

    def do(self, effect: Of) -> None:
        """Perform one effect: at once, unless there is much to tell in this turn of the loop."""
        if isinstance(effect, Answered) and not self._untold and len(effect.tokens) < self._left:
            self._count_told(len(effect.tokens))
            answers = cast(Sequence[Answer], effect.tokens)
            for answer, reply in zip(answers, effect.replies, strict=True):
                try:
                    answer(self._told(reply))
                except Exception:
                    log.exception(_NOT_TOLD)
            return
        self._untold.append(self._telling(effect))
        self._tell()

    def _count_told(self, count: int) -> None:
        if self._left == TOLD_MAX:
            self._loop.call_soon(self._go_on)
        self._left -= count

    def _tell(self) -> None:
        while self._untold and self._left:
            telling = self._untold.popleft()
            for _ in telling:
                self._count_told(1)
                if not self._left:
                    self._untold.appendleft(telling)
                    break

    def _go_on(self) -> None:
        """The loop has come round."""
        self._left = TOLD_MAX
        if self._untold:
            self._tell()

    def _telling(self, effect: Of) -> Iterator[None]:
        match effect:
            case Answered(tokens, replies):
                for answer, reply in zip(cast(Sequence[Answer], tokens), replies, strict=True):
                    try:
                        answer(self._told(reply))
                    except Exception:
                        log.exception(_NOT_TOLD)
                    yield
            case AnsweredPart(token, replies):
                batch = cast(_Batch, token)
                for reply in replies:
                    batch.answers.append(self._told(reply))
                    yield
                batch.end_part()
            case _:
                assert_never(effect)

    def _told(self, reply: Reply) -> Any:
        """A reply in the words of the interface."""
        match reply:
            case Advance():
                return Counted(*reply)
            case Run(last, count):
                return Counted(*last, False, count)
            case Several(replies):
                return [self._told(each) for each in replies]
            case Duplicate((stream, seq, counter, by)):
                return Counted(stream, counter, seq, by, self._node.log.value(counter), True)
            case PutAnswer(_, PutTaken() as taken, value):
                return taken, value
            case PutAnswer(put, PutConflicts() | PutRefused() as result):
                return _refused_put(result, put)
            case Uncounted():
                return _uncounted(reply)
            case _:
                assert not isinstance(reply, PutAnswer)
                return _refusal(reply)


def _settle(
    future: asyncio.Future[tuple[PutTaken, int]], told: tuple[PutTaken, int] | Refused
) -> None:
    if future.done():
        return  # nobody waits
    if isinstance(told, Refused):
        future.set_exception(told)
    else:
        future.set_result(told)


def _uncounted(reply: Uncounted) -> Refused:
    match reply.fate:
        case Fate.LEAVING:
            return _unavailable("this node is leaving the cluster")
        case Fate.CLOSED:
            return Refused(Why.DISK, "not counted: cannot write to the disk", RETRY_AFTER)
        case Fate.NOT_COUNTED:
            return Refused(Why.DISK, f"not counted: {reply.why}", RETRY_AFTER)
        case Fate.UNKNOWN:
            return Refused(Why.UNCERTAIN, f"it may have been counted: {reply.why}", RETRY_AFTER)
        case Fate.MISTAKE:
            detail = "internal error: it may have been counted"
            return Refused(Why.UNCERTAIN, detail, RETRY_AFTER)
        case _:
            assert_never(reply.fate)


def _refused_put(result: PutConflicts | PutRefused, put: Put) -> Refused:
    match result:
        case PutConflicts(total):
            detail = f"seq {put.seq} of this source was put with the total {total}"
            return Refused(Why.CONFLICT, f"{detail}, not {put.total}: not changed")
        case PutRefused(full=True):
            return _unavailable("the log holds no more counters")
        case PutRefused():
            detail = f"{put.total} would take {put.counter!r} beyond +-2^62"
            return Refused(Why.CONFLICT, detail)
        case _:
            assert_never(result)


def _unavailable(detail: str) -> Refused:
    return Refused(Why.UNAVAILABLE, detail)


def _refusal(
    result: OutOfRange | LogFull | KeyReused | KeyExpired | KeysFull | CatchingUp | ShareFull,
) -> Refused:
    match result:
        case OutOfRange(counter, by):
            return Refused(Why.CONFLICT, f"{by} would take {counter!r} beyond +-2^62")
        case LogFull():
            return _unavailable("the log holds no more counters")
        case KeyReused():
            # Not which: whoever asks may have nothing to do with that counter.
            detail = "not counted: the key was used before, for another increment"
            return Refused(Why.KEY, f"{detail}; GET /increments?key= tells which")
        case KeyExpired(seconds):
            return Refused(Why.KEY, _expired(seconds))
        case KeysFull():
            detail = "not counted: as many keys as this node keeps are in the window"
            return Refused(Why.UNAVAILABLE, detail, KEYS_RETRY_AFTER)
        case ShareFull():
            return Refused(Why.UNAVAILABLE, _SHARE_FULL, KEYS_RETRY_AFTER)
        case CatchingUp():
            detail = "not counted: the node is not ready yet, so it may not know of an earlier try"
            return Refused(Why.UNAVAILABLE, detail, RETRY_AFTER)
        case _:
            assert_never(result)


def _expired(seconds: float) -> str:
    """What is wrong with a key that tells a time `seconds` ago, and what to do."""
    clock = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    apart = f"{span(abs(seconds))} {'ahead of' if seconds < 0 else 'behind'} this node's clock"
    earlier = "" if seconds < 0 else ", an earlier one may have been counted"
    return (
        f"expired: the time in the key is {apart}, which says {clock}; this call did nothing"
        f"{earlier}. If the key is new, one of the clocks is wrong"
    )
