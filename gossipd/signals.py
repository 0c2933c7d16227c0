"""Every signal that a process may get is handled, ignored or left alone on purpose.

| signal | a node (`gossipd run`) |
|---|---|
| TERM, INT, QUIT | it leaves; a second one: it goes without waiting for the leave; a third one, and one before it serves: at once |
| XCPU | the same with exit code 1, for its CPU time is nearly used up |
| HUP, USR1, USR2 | a line in the log: there is nothing to read or to open again |
| TSTP, STOP, CONT | it stands still and goes on, which only somebody at a keyboard wants |
| CHLD, URG, WINCH | nothing, as in every process |
| KILL, ABRT, SEGV, BUS, FPE, ILL, SYS, TRAP | it ends: what a fault leaves behind is not to be trusted |
| any other: PIPE, XFSZ, ALRM, PROF, TTIN, TTOU, IO, PWR, … | nothing; a write that fails says so itself |

Other commands end on INT with one line, and leave the rest as they found it. No signal is answered
by a traceback.
"""  # noqa: E501  a table

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn

from gossipd import streams

ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGXCPU)
TOLD = (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)

LEFT_ALONE = (
    *(signal.SIGTSTP, signal.SIGSTOP, signal.SIGCONT),
    *(signal.SIGCHLD, signal.SIGURG, signal.SIGWINCH),
    *(signal.SIGKILL, signal.SIGABRT, signal.SIGSEGV, signal.SIGBUS),
    *(signal.SIGFPE, signal.SIGILL, signal.SIGSYS, signal.SIGTRAP),
)

INTERRUPTED = 130
"""The exit code of a command that SIGINT ended, as shells have it."""

_say: Callable[[str], None] = streams.say
_node: Callable[[signal.Signals], None] | None = None
"""What is told while a node serves that it shall end."""
_has_served = False
_raises = False
"""Whether an interrupt is for the command to handle."""


def begin(serves: bool) -> None:
    """From now on signals are handled; `serves`: this process is to be a node."""
    if not serves:
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, _interrupt)
        return
    for number in signal.valid_signals() - {*LEFT_ALONE, *ENDING, *TOLD}:
        signal.signal(number, signal.SIG_IGN)
    for number in TOLD:
        signal.signal(number, _tell)
    for number in ENDING:
        signal.signal(number, _end)
    # Who starts a process may have blocked them for itself, and that is inherited.
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def say_with(say: Callable[[str], None]) -> None:
    """How to say why the process ends; `say` may be called in the middle of anything."""
    global _say
    _say = say


def interruptible() -> None:
    """The command has begun: the next interrupt raises KeyboardInterrupt, the one after it ends
    the process."""
    global _raises
    _raises = signal.getsignal(signal.SIGINT) is _interrupt


@contextmanager
def serving(asked_to_end: Callable[[signal.Signals], None]) -> Iterator[None]:
    """A node serves meanwhile, so it has to leave first. `asked_to_end` is called by the handler
    of a signal, in the middle of anything."""
    global _node, _has_served
    before = {number: signal.signal(number, _end) for number in ENDING}
    _node = asked_to_end
    try:
        yield
    finally:
        _node, _has_served = None, True
        for number, handler in before.items():
            signal.signal(number, handler)


def end_now(number: signal.Signals) -> NoReturn:
    """End the process. What is stored is whole at any time."""
    if _has_served or _node is not None:
        _say(f"gossipd: {number.name}: ended at once")
        os._exit(1)
    _say(f"gossipd: {number.name}: ended before the node served")
    os._exit(int(number == signal.SIGXCPU))


def _end(number: int, _frame: object) -> None:
    if _node is None:
        end_now(signal.Signals(number))
    _node(signal.Signals(number))


def _tell(number: int, _frame: object) -> None:
    import logging

    name = signal.Signals(number).name
    logging.getLogger(__name__).info(
        "%s: nothing is read or opened again; options hold from start to end", name
    )


def _interrupt(_number: int, _frame: object) -> None:
    global _raises
    if _raises:
        _raises = False
        raise KeyboardInterrupt
    _say("gossipd: interrupted")
    os._exit(INTERRUPTED)
