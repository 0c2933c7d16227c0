"""What a user is told who ends a command before its answer came.

SIGINT and SIGTERM end it with one line and the exit code of a process that the signal ended; a
second one ends it at once.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from gossipd.cli.failure import Failure
from gossipd.process.signals import INTERRUPTED


class Interrupted(Failure):
    """SIGINT ended it."""

    exit_code = INTERRUPTED


class Terminated(Failure):
    """SIGTERM ended it."""

    exit_code = 128 + signal.SIGTERM


ENDS = {signal.SIGINT: Interrupted, signal.SIGTERM: Terminated}
"""The signals that end a command, each with how."""


class _Signalled(BaseException):
    """One of the signals came."""

    def __init__(self, number: signal.Signals) -> None:
        self.number = number


class Interrupts:
    """The first signal that comes, once it may be heeded."""

    def __init__(self) -> None:
        self._holds = False
        self._came: signal.Signals | None = None

    def came(self, number: signal.Signals) -> None:
        """A signal has come."""
        if not self._holds:
            raise _Signalled(number)
        self._came = number

    @contextmanager
    def held(self) -> Iterator[None]:
        """A signal that comes within ends the command behind it: by then it is known what was
        begun."""
        self._holds = True
        try:
            yield
        finally:
            self._holds = False
            if self._came is not None:
                raise _Signalled(self._came)


@contextmanager
def interrupts(told: Callable[[], str]) -> Iterator[Interrupts]:
    """`told`: what to say of what is interrupted. A signal that is ignored remains so."""
    heeded = Interrupts()
    previous = {
        number: signal.getsignal(number)
        for number in ENDS
        if signal.getsignal(number) is not signal.SIG_IGN
    }

    def end(number: int, _frame: FrameType | None) -> None:
        for other in previous:
            signal.signal(other, signal.SIG_DFL)
        heeded.came(signal.Signals(number))

    for number in previous:
        signal.signal(number, end)
    try:
        yield heeded
    except _Signalled as signalled:
        raise ENDS[signalled.number](f"interrupted; {told()}") from None
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
