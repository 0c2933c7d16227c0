"""Answers in the order of the commands, with as little waiting as that allows.

Increments that follow each other are started together and share a commit. Everything else is run
only when all commands before it are answered, and nothing is started past it: so a client sees
one history, its own, however it fills its packets. One callback hangs on the oldest unfinished
increment alone: a commit that ends a hundred of them costs one callback and one write.

Invariant: `running` holds increments only, and all of them are older than any in `waiting`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from gossipd.sideport.backend import Incremented

Increment = Callable[[str, int], asyncio.Future[Incremented]]
Render = Callable[[asyncio.Future[Incremented]], bytes]

WRITE_SIZE = 64 * 1024
"""Answers are gathered up to this many bytes before they are written, so that a full transport
says so before the next large answer is made."""


@dataclass(frozen=True, slots=True)
class _Increment:
    counter: str
    by: int
    render: Render


@dataclass(frozen=True, slots=True)
class _End:
    linger: bool


_Step = _Increment | Callable[[], bytes] | _End


class Pipeline:
    """The commands of one connection that have not been answered yet.

    `write` takes answers, `progressed` is called when an increment has ended and `advance` is
    worth calling, `ended` when the end was reached and everything before it was written.
    """

    def __init__(
        self,
        increment: Increment,
        write: Callable[[bytes], None],
        progressed: Callable[[], None],
        ended: Callable[[bool], None],
    ) -> None:
        self._increment = increment
        self._write = write
        self._progressed = progressed
        self._ended = ended
        self._running: deque[tuple[asyncio.Future[Incremented], Render]] = deque()
        self._waiting: deque[_Step] = deque()
        self._watched: asyncio.Future[Incremented] | None = None
        self._answers: list[bytes] = []
        self._answers_size = 0
        self.held = False
        """The transport takes no more: nothing is rendered or started."""
        self.closed = False
        """The end has been asked for: no command may follow."""

    def __len__(self) -> int:
        return len(self._running) + len(self._waiting)

    def add_increment(self, counter: str, by: int, render: Render) -> None:
        if self._waiting or self.held:
            self._waiting.append(_Increment(counter, by, render))
        else:
            self._start(counter, by, render)

    def add(self, run: Callable[[], bytes]) -> None:
        """`run` must not raise; it is called when all before it is answered."""
        self._waiting.append(run)

    def end(self, *, linger: bool = False) -> None:
        """Nothing follows: when all is answered, `ended(linger)` is called."""
        if not self.closed:
            self.closed = True
            self._waiting.append(_End(linger))

    def advance(self) -> None:
        """Answer what can be answered, start what can be started, write once."""
        while not self.held and self._step():
            if self._answers_size >= WRITE_SIZE:
                self._flush()
        self._flush()
        self._watch()

    def abandon(self) -> None:
        """The client is gone. Its increments go on; somebody must still look at how they end."""
        for future, _ in self._running:
            future.add_done_callback(_look)
        self._running.clear()
        self._waiting.clear()
        self._answers.clear()
        self.closed = True

    def _step(self) -> bool:
        """One step; False when there is none to be made now."""
        running, waiting = self._running, self._waiting
        if running and running[0][0].done():
            future, render = running.popleft()
            self._emit(render(future))
            return True
        if not waiting or (running and not isinstance(waiting[0], _Increment)):
            return False
        match waiting.popleft():
            case _Increment(counter, by, render):
                self._start(counter, by, render)
            case _End(linger):
                self._flush()
                self._ended(linger)
            case run:
                self._emit(run())
        return True

    def _start(self, counter: str, by: int, render: Render) -> None:
        try:
            future = self._increment(counter, by)
        except Exception as failure:  # ends as an answer like any other failure
            future = asyncio.get_running_loop().create_future()
            future.set_exception(failure)
        self._running.append((future, render))

    def _emit(self, answer: bytes) -> None:
        self._answers.append(answer)
        self._answers_size += len(answer)

    def _flush(self) -> None:
        if self._answers:
            answers = b"".join(self._answers)
            self._answers.clear()
            self._answers_size = 0
            self._write(answers)

    def _watch(self) -> None:
        if self._running and not self.held:
            oldest = self._running[0][0]
            if oldest is not self._watched:
                self._watched = oldest
                oldest.add_done_callback(self._on_done)

    def _on_done(self, future: asyncio.Future[Incremented]) -> None:
        if future is self._watched:
            self._watched = None
            self._progressed()


def _look(future: asyncio.Future[Incremented]) -> None:
    """Retrieve a failure nobody waits for, or asyncio would log it as forgotten."""
    if not future.cancelled():
        future.exception()
