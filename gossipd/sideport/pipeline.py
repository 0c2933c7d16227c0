"""Answers in the order of the commands, with as little waiting as that allows.

Increments that follow each other are started together and share a commit; the same one several
times in a row is one command. Everything else is run
only when all commands before it are answered, and nothing is started past it: so a client sees
one history, its own, however it fills its packets. The oldest unfinished command alone is watched:
a commit that ends a hundred increments costs one callback and one write.

A command ends with a value or with `Refused`, at once or later, and nothing else gets out of it: a
fault in the daemon costs one answer, not the connection.

A long answer comes in pieces, of which each is made when the client has taken those before it; and
who has answered for a slice of time goes on when it is his turn (`turns`).

Invariant: `running` holds commands that share, or one other alone; all of them are older than any
in `waiting`.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Hashable, Iterator
from inspect import isawaitable
from typing import Any, NamedTuple, TypeAlias, cast

from gossipd.core import Refused, Why
from gossipd.sideport.turns import Slice, Turns

log = logging.getLogger(__name__)

Answer: TypeAlias = bytes | Iterator[bytes]
"""Whole, or in pieces, of which none takes long to make."""

WRITE_SIZE = 64 * 1024
"""Answers are gathered up to this many bytes before they are written, so that a full transport
says so before the next large answer is made."""


_PENDING: Any = object()
"""The result of what has not ended."""


class _Command:
    """What was asked, and once it was started what becomes of it."""

    __slots__ = ("_pipeline", "count", "render", "result", "shares", "size", "start", "task")

    def __init__(
        self,
        pipeline: Pipeline,
        start: Callable[..., object],
        render: Callable[[Any], Answer],
        shares: bool,
        size: int,
        count: int,
    ) -> None:
        self._pipeline = pipeline
        self.count = count
        self.start = start
        self.render = render
        self.shares = shares
        self.size = size
        self.result = _PENDING
        self.task: asyncio.Future[Any] | None = None

    def end(self, result: object) -> None:
        """It has ended with a value or `Refused`."""
        self.result = result
        if self is self._pipeline.watched:
            self._pipeline.watched = None
            self._pipeline.rest(is_new=True)

    def end_with(self, task: asyncio.Future[Any]) -> None:
        """It has ended as what was awaited for it."""
        if task.cancelled():
            self.end(Refused(Why.UNAVAILABLE, "the node is shutting down"))
        elif (failure := task.exception()) is not None:
            self.end(refused(failure))
        else:
            self.end(task.result())


class _End(NamedTuple):
    linger: bool
    shares: bool = False


class Flow(Iterator[bytes]):
    """An answer in pieces that does not end by itself. An empty piece: there is nothing to be
    given until `Pipeline.wake`."""

    def close(self) -> None:
        """Nobody wants more of it."""
        raise NotImplementedError

    def stop(self, reason: str) -> None:
        """Tell the client that this was all, and why."""
        raise NotImplementedError


class Pipeline:
    """The commands of one connection that have not been answered yet.

    `write` takes answers; `go_on` is called when it is its turn: it ends `resting`, and calls
    `advance`; `at_end` when the end was reached and everything before it was written.
    """

    def __init__(
        self,
        write: Callable[[bytes], None],
        go_on: Callable[[], None],
        at_end: Callable[[bool], None],
        turns: Turns,
    ) -> None:
        self._turns = turns
        self._write = write
        self._go_on = go_on
        self._at_end = at_end
        self._running: deque[_Command] = deque()
        self._alone = False
        """What is running shares with nobody."""
        self._pieces: Iterator[bytes] | None = None
        """The answer that is being given."""
        self._waiting: deque[_Command | _End] = deque()
        self._answers: list[bytes] = []
        self._answers_size = 0
        self.watched: _Command | None = None
        """The oldest command, where all the others wait for it."""
        self.pending = 0
        """Commands, and the end, that were added and are not answered yet."""
        self.size = 0
        """Bytes of large bodies that the pending commands hold."""
        self.held = False
        """The transport takes no more: nothing is rendered or started."""
        self.at_flow: Callable[[], None] = _nothing
        """Called when an answer begins that does not end."""
        self.is_dry = False
        """There is nothing to be given at the moment of the answer that is being given."""
        self.is_cut = False
        """The answer that was given has ended by `cut`."""
        self.closed = False
        """The end has been asked for: no command may follow."""
        self.resting = False
        """It goes on when it is its turn."""
        self.source: Hashable = None
        """Whom the connection is counted for."""
        self.client = ""
        """Who that is, for people."""

    @property
    def flow(self) -> Flow | None:
        """The answer that is being given, if it does not end by itself."""
        return self._pieces if isinstance(self._pieces, Flow) else None

    def add(
        self,
        start: Callable[..., object],
        render: Callable[[Any], Answer],
        shares: bool = False,
        size: int = 0,
        count: int = 1,
    ) -> None:
        """`start` returns or raises what the command ends with, or returns what is to be awaited
        for it, which is cancelled when the client goes. It is called when all before it is
        answered; where it `shares`, beside others, with whom to call once it has ended, if it
        returns None. `render` makes an answer of a value or of `Refused`, of the latter surely. If
        pieces fail, the connection ends without the rest. `size`: bytes of a large body that it
        holds. `count`: so many such commands in a row, which are started as one, with that
        `count`; they end with what `render` makes all answers of, with a list of one result for
        each, or with one `Refused` for all."""
        command = _Command(self, start, render, shares, size, count)
        self.size += size
        self.pending += count
        is_first = self.pending == count
        if not self.held and (
            is_first or (shares and not (self._waiting or self._alone or self._pieces))
        ):
            self._start(command)
        else:
            self._waiting.append(command)

    def say(self, answer: bytes) -> None:
        """An answer in its turn."""
        self.add(lambda: answer, _itself)

    def end(self, *, linger: bool = False) -> None:
        """Nothing follows: when all is answered, `at_end(linger)` is called."""
        if not self.closed:
            self.closed = True
            self.pending += 1
            self._waiting.append(_End(linger))

    @property
    def has_waiting(self) -> bool:
        """Whether there are commands that have not begun."""
        return any(isinstance(step, _Command) for step in self._waiting)

    def turn_away(self) -> None:
        """What has not begun is not done, and not answered; before `end`."""
        for step in self._waiting:
            if isinstance(step, _Command):
                self.size -= step.size
                self.pending -= step.count
        self._waiting.clear()

    def advance(self, time: Slice) -> None:
        """Answer what can be answered, start what can be started, write; rest when the slice of
        time is over."""
        running = self._running
        while self.pending and not self.held and not self.resting:
            if running and running[0].result is not _PENDING and self._pieces is None:
                self._answer(running.popleft())
            elif not (self._waiting or self._pieces) or not self._step():
                break
            if self._answers_size >= WRITE_SIZE:
                self._flush()
            if self.pending and time.over:
                self.rest()
        if self._answers:
            self._flush()
        if running and not self.held:
            self.watched = running[0]

    def rest(self, *, is_new: bool = False) -> None:
        """Go on when it is one's turn. So those that end together go on together."""
        if not self.resting:
            self.resting = True
            self._turns.add(self._go_on, is_new=is_new)

    def wake(self) -> None:
        """There is more to be given of a flow."""
        if self.is_dry:
            self.is_dry = False
            self._flow_on()

    def cut(self, last: bytes) -> None:
        """End the answer that is being given, and the connection, with these bytes: they are
        written though the transport takes no more at the moment."""
        self.is_cut = self.closed = True
        self._pieces = None
        self._waiting.clear()
        self.size = self.pending = 0
        self._answers.append(last)
        self._flush()
        self._at_end(True)

    def abandon(self) -> None:
        """The client is gone. Its increments go on. Nothing that was given to the constructor is
        called or held any more."""
        self._write = self._at_end = self._go_on = self.at_flow = _nothing
        self.watched = None
        for command in self._running:
            if command.task is not None:
                self._turns.forsake(command.task)
        self._running.clear()
        self._waiting.clear()
        self._answers.clear()
        if isinstance(self._pieces, Flow):
            self._pieces.close()
        self._pieces = None
        self.size = self.pending = 0
        self.closed = True

    def _step(self) -> bool:
        """A step other than to answer what has ended; False when there is none to be made now."""
        running, waiting = self._running, self._waiting
        if self._pieces is not None:
            if not self.is_dry:
                self._give_piece(self._pieces)
            return not self.is_dry
        if not waiting or (running and (self._alone or not waiting[0].shares)):
            return False
        step = waiting.popleft()
        if isinstance(step, _Command):
            self._start(step)
        else:
            self._flush()
            self.pending -= 1
            self._at_end(step.linger)
        return True

    def _start(self, command: _Command) -> None:
        self._running.append(command)
        self._alone = not command.shares
        try:
            if command.count > 1:
                value = command.start(command.end, count=command.count)
            else:
                value = command.start(command.end) if command.shares else command.start()
        except Exception as failure:
            value = refused(failure)
        if value is None and command.shares:
            return
        if isawaitable(value):
            command.task = asyncio.ensure_future(value)
            command.task.add_done_callback(command.end_with)
        else:
            command.result = value

    def _answer(self, command: _Command) -> None:
        self.size -= command.size
        self._alone = False
        try:
            answer = _rendered(command, command.result)
        except Exception as failure:
            answer = _rendered(command, refused(failure))
        if isinstance(answer, bytes):
            self.pending -= command.count
            self._answers.append(answer)
            self._answers_size += len(answer)
        else:
            self._pieces = answer
            if isinstance(answer, Flow):
                self.at_flow()

    def _give_piece(self, pieces: Iterator[bytes]) -> None:
        try:
            piece = next(pieces, None)
        except Exception:
            # What was given cannot be taken back: that the rest is missing must show.
            log.exception("an answer broke off")
            if isinstance(pieces, Flow):
                pieces.close()
            self._pieces = None
            self._waiting.clear()
            self._waiting.append(_End(linger=False))
            self.closed, self.pending = True, 1
            return
        if self.is_cut:
            return  # as it found out itself that it has to end
        if piece is None:
            self._pieces = None
            self.pending -= 1
        else:
            self._answers.append(piece)
            self._answers_size += len(piece)
            if isinstance(pieces, Flow):
                self._flush()  # so that the transport says soon that it takes no more
                self.is_dry = not piece
                if piece:
                    self._flow_on()

    def _flow_on(self) -> None:
        """Give the next piece when those who ask something have had their turn."""
        if not self.resting:
            self.resting = True
            self._turns.add_flow(self._go_on)

    def _flush(self) -> None:
        answers = self._answers
        if answers:
            self._write(b"".join(answers) if len(answers) > 1 else answers[0])
            answers.clear()
            self._answers_size = 0


def refused(failure: BaseException) -> Refused:
    """What is told of a failure."""
    if isinstance(failure, Refused):
        return failure.bare()
    log.error("a command failed", exc_info=failure)
    return Refused(Why.MISTAKE, "internal error; the log of the node has the details")


def _rendered(command: _Command, result: Any) -> Answer:
    render, count = command.render, command.count
    if count > 1 and isinstance(result, Refused):
        result = [result] * count
    if count > 1 and isinstance(result, list):
        return b"".join([cast(bytes, render(each)) for each in result])
    return render(result)


def _itself(answer: bytes | Refused) -> bytes:
    assert isinstance(answer, bytes)
    return answer


def _nothing(*_: object) -> None:
    pass
