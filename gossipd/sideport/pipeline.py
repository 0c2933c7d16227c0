"""Answers in the order of the commands, with as little waiting as that allows.

Increments that follow each other are started together and share a commit. Everything else is run
only when all commands before it are answered, and nothing is started past it: so a client sees
one history, its own, however it fills its packets. One callback hangs on the oldest unfinished
command alone: a commit that ends a hundred increments costs one callback and one write.

A long answer comes in pieces, of which each is made when the client has taken those before it; and
who has answered for a slice of time goes on when it is his turn (`turns`).

Invariant: `running` holds increments only, or one other command alone; all of them are older than
any in `waiting`.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias
from uuid import UUID

from gossipd.sideport.backend import Incremented
from gossipd.sideport.outcomes import failed, look
from gossipd.sideport.turns import Slice, Turns

log = logging.getLogger(__name__)

Increment = Callable[[str, int, UUID | None], asyncio.Future[Incremented]]
Render = Callable[[asyncio.Future[Incremented]], bytes]

Answer: TypeAlias = bytes | asyncio.Future[bytes] | Iterator[bytes]
"""At once, later, or in pieces, of which none takes long to make."""

WRITE_SIZE = 64 * 1024
"""Answers are gathered up to this many bytes before they are written, so that a full transport
says so before the next large answer is made."""


@dataclass(frozen=True, slots=True)
class _Increment:
    counter: str
    by: int
    key: UUID | None
    render: Render


@dataclass(frozen=True, slots=True)
class _Acknowledged:
    """An increment that is answered later than it is committed."""

    start: Callable[[], asyncio.Future[bytes]]


@dataclass(frozen=True, slots=True)
class _Command:
    run: Callable[[], Answer]
    size: int


@dataclass(frozen=True, slots=True)
class _End:
    linger: bool


_Step = _Increment | _Acknowledged | _Command | _End
_Running = tuple[asyncio.Future[Incremented], Render] | asyncio.Future[bytes]


class Pipeline:
    """The commands of one connection that have not been answered yet.

    `write` takes answers, `progressed` is called when a command has ended and `advance` is worth
    calling, `ended` when the end was reached and everything before it was written.
    """

    def __init__(
        self,
        increment: Increment,
        write: Callable[[bytes], None],
        progressed: Callable[[], None],
        ended: Callable[[bool], None],
        turns: Turns,
    ) -> None:
        self._turns = turns
        self._increment = increment
        self._write = write
        self._progressed = progressed
        self._ended = ended
        self._running: deque[_Running] = deque()
        self._alone: _Command | None = None
        """The command that is running and is no increment."""
        self._pieces: Iterator[bytes] | None = None
        """The answer that is being given."""
        self._waiting: deque[_Step] = deque()
        self._watched: asyncio.Future[Incremented] | asyncio.Future[bytes] | None = None
        self._answers: list[bytes] = []
        self._answers_size = 0
        self.size = 0
        """Bytes of large bodies that the pending commands hold."""
        self.held = False
        """The transport takes no more: nothing is rendered or started."""
        self.closed = False
        """The end has been asked for: no command may follow."""
        self.resting = False
        """It goes on when it is its turn."""

    def __len__(self) -> int:
        return len(self._running) + len(self._waiting) + (self._pieces is not None)

    def add_increment(self, counter: str, by: int, key: UUID | None, render: Render) -> None:
        if self._waiting or self.held or self._alone or self._pieces:
            self._waiting.append(_Increment(counter, by, key, render))
        else:
            self._start(counter, by, key, render)

    def add_acknowledged(self, start: Callable[[], asyncio.Future[bytes]]) -> None:
        """`start`, which must not raise, starts an increment, in its turn among the others; the
        future of its answer must not fail, and is cancelled when the client goes."""
        self._waiting.append(_Acknowledged(start))

    def add(self, run: Callable[[], Answer], size: int = 0) -> None:
        """`run` must not raise; it is called when all before it is answered. If it returns a
        future, that must not fail, and is cancelled when the client goes. If pieces fail, the
        connection ends without the rest. `size`: bytes of a large body that it holds."""
        self._waiting.append(_Command(run, size))
        self.size += size

    def end(self, *, linger: bool = False) -> None:
        """Nothing follows: when all is answered, `ended(linger)` is called."""
        if not self.closed:
            self.closed = True
            self._waiting.append(_End(linger))

    def advance(self, time: Slice) -> None:
        """Answer what can be answered, start what can be started, write; rest when the slice of
        time is over."""
        while not self.held and not self.resting and self._step():
            if self._answers_size >= WRITE_SIZE:
                self._flush()
            if time.over:
                self.rest()
        self._flush()
        self._watch()

    def arrive(self) -> None:
        """There is something to do: now, unless the time of this turn of the loop is over."""
        if self._turns.slice().over:
            self.rest(is_new=True)

    def rest(self, *, is_new: bool = False) -> None:
        """Go on when it is one's turn."""
        if not self.resting:
            self.resting = True
            self._turns.add(self._go_on, is_new=is_new)

    def abandon(self) -> None:
        """The client is gone. Its increments go on; somebody must still look at how they end.
        Nothing that was given to the constructor is called or held any more."""
        self._write = self._ended = self._progressed = _nothing
        self._watched = None
        for running in self._running:
            if isinstance(running, tuple):
                running[0].add_done_callback(look)
            else:
                running.cancel()
        self._running.clear()
        self._waiting.clear()
        self._answers.clear()
        self._alone = None
        self._pieces = None
        self.size = 0
        self.closed = True

    def _step(self) -> bool:
        """One step; False when there is none to be made now."""
        running, waiting = self._running, self._waiting
        if self._pieces is not None:
            self._give_piece(self._pieces)
            return True
        if running:
            oldest = running[0]
            if (oldest[0] if isinstance(oldest, tuple) else oldest).done():
                self._answer(running.popleft())
                return True
            if not waiting or not self._may_share(waiting[0]):
                return False
        elif not waiting:
            return False
        match waiting.popleft():
            case _Increment(counter, by, key, render):
                self._start(counter, by, key, render)
            case _Acknowledged(start):
                self._running.append(start())
            case _End(linger):
                self._flush()
                self._ended(linger)
            case command:
                self._run(command)
        return True

    def _start(self, counter: str, by: int, key: UUID | None, render: Render) -> None:
        try:
            future = self._increment(counter, by, key)
        except Exception as failure:  # ends as an answer like any other failure
            future = failed(failure)
        self._running.append((future, render))

    def _may_share(self, step: _Step) -> bool:
        return self._alone is None and isinstance(step, _Increment | _Acknowledged)

    def _answer(self, running: _Running) -> None:
        if isinstance(running, tuple):
            future, render = running
            self._emit(render(future))
            return
        if self._alone is not None:
            self.size -= self._alone.size
            self._alone = None
        self._emit(running.result())

    def _run(self, command: _Command) -> None:
        answer = command.run()
        if isinstance(answer, asyncio.Future):
            self._alone = command
            self._running.append(answer)
            return
        self.size -= command.size
        if isinstance(answer, bytes):
            self._emit(answer)
        else:
            self._pieces = answer

    def _give_piece(self, pieces: Iterator[bytes]) -> None:
        try:
            piece = next(pieces, None)
        except Exception:
            # What was given cannot be taken back: that the rest is missing must show.
            log.exception("an answer broke off")
            self._pieces = None
            self._waiting.clear()
            self.closed = True
            self._waiting.append(_End(linger=False))
            return
        if piece is None:
            self._pieces = None
        else:
            self._emit(piece)

    def _emit(self, answer: bytes) -> None:
        self._answers.append(answer)
        self._answers_size += len(answer)

    def _flush(self) -> None:
        if self._answers:
            answers = b"".join(self._answers)
            self._answers.clear()
            self._answers_size = 0
            self._write(answers)

    def _go_on(self) -> None:
        self.resting = False
        self._progressed()

    def _watch(self) -> None:
        if self._running and not self.held:
            oldest = self._running[0]
            future = oldest[0] if isinstance(oldest, tuple) else oldest
            if future is not self._watched:
                self._watched = future
                future.add_done_callback(self._on_done)

    def _on_done(self, future: asyncio.Future[Incremented] | asyncio.Future[bytes]) -> None:
        if future is self._watched:
            self._watched = None
            self.arrive()
            if not self.resting:
                self._progressed()


def _nothing(*_: object) -> None:
    pass
