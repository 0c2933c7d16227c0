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


@contextmanager
def interrupts(told: Callable[[], str]) -> Iterator[None]:
    """`told`: what to say of what is interrupted. A signal that is ignored remains so."""
    previous = {
        number: signal.getsignal(number)
        for number in ENDS
        if signal.getsignal(number) is not signal.SIG_IGN
    }

    def end(number: int, _frame: FrameType | None) -> None:
        for other in previous:
            signal.signal(other, signal.SIG_DFL)
        raise _Signalled(signal.Signals(number))

    for number in previous:
        signal.signal(number, end)
    try:
        yield
    except _Signalled as signalled:
        raise ENDS[signalled.number](f"interrupted; {told()}") from None
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
