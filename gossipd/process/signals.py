"""Every signal that a process may get is handled, ignored or left alone on purpose.

| signal | a node (`gossipd run`) |
|---|---|
| TERM, INT, QUIT | it leaves; a second one: it goes without waiting for the leave; a third one, and one before it serves: at once |
| XCPU | the same with exit code 1, for its CPU time is nearly used up |
| HUP | it reads its configuration again (`daemon.reload`); before it serves, as soon as it does |
| USR1, USR2 | a line in the log: there is nothing to reopen |
| TSTP, STOP, CONT | it stands still and goes on, which only somebody at a keyboard wants |
| CHLD, URG, WINCH | nothing, as in every process |
| KILL, ABRT, SEGV, BUS, FPE, ILL, SYS, TRAP | it ends: what a fault leaves behind is not to be trusted; with ABRT (the watchdog of systemd), SEGV, BUS, FPE and ILL it says on stderr where each thread is |
| any other: PIPE, XFSZ, ALRM, PROF, TTIN, TTOU, IO, PWR, … | nothing; a write that fails says so itself |

What a node starts beside itself for its disk (`store.worker`) or a log in a file (`daemon.logfile`)
ends with the node, not by a signal that was meant for both: it ignores all but those that stop or
end a process anyway.

Other commands end on INT with one line, and leave the rest as they found it. No signal is answered
by a traceback.
"""  # noqa: E501  a table

from __future__ import annotations

import faulthandler
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NoReturn

from gossipd.process import passed, streams

ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGXCPU)
TOLD = (signal.SIGUSR1, signal.SIGUSR2)

LEFT_ALONE = (
    *(signal.SIGTSTP, signal.SIGSTOP, signal.SIGCONT),
    *(signal.SIGCHLD, signal.SIGURG, signal.SIGWINCH),
    *(signal.SIGKILL, signal.SIGABRT, signal.SIGSEGV, signal.SIGBUS),
    *(signal.SIGFPE, signal.SIGILL, signal.SIGSYS, signal.SIGTRAP),
)

INTERRUPTED = 130
"""The exit code of a command that SIGINT ended, as shells have it."""

NO_THREAD = "can't start new thread"
"""How Python says so, in a RuntimeError."""

MOST = "(ulimit -u, TasksMax)"
"""Where it is said how many processes and threads there may be."""

_told: Callable[[str], None] = streams.say
"""Takes what a signal that does not end the process is answered by."""
_last: Callable[[str], None] = streams.say
"""Takes the last words of the process."""
_node: Callable[[signal.Signals], None] | None = None
"""What is told while a node serves that it shall end."""
_reload: Callable[[], None] | None = None
"""What is told while a node serves that its configuration is to be read again."""
_is_to_reload = False
"""That was asked for before."""
_has_served = False
_raises = False
"""Whether an interrupt is for the command to handle."""


class NoProcessError(Exception):
    """The system lets this process start no other, nor a thread; the text is the one line that
    says why."""


def begin(serves: bool) -> None:
    """From now on signals are handled; `serves`: this process is to be a node."""
    if not serves:
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, _interrupt)
        return
    faulthandler.enable(2)
    for number in signal.valid_signals() - {*LEFT_ALONE, *ENDING, *TOLD, signal.SIGHUP}:
        signal.signal(number, signal.SIG_IGN)
    for number in TOLD:
        signal.signal(number, _tell)
    signal.signal(signal.SIGHUP, _hang_up)
    for number in ENDING:
        signal.signal(number, _end)
    # Who starts a process may have blocked them for itself, and that is inherited.
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def fork() -> int:
    """`os.fork`, for a process that does a part of the node's work: all signals that it can ignore
    are the node's, also those that are sent to both, by a terminal or a service manager, from the
    first moment on. Nothing may run in this process yet but the one thread. Raises
    `NoProcessError`."""
    held = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        pid = os.fork()
        if not pid:
            passed.close()
            for number in signal.valid_signals() - {*LEFT_ALONE}:
                signal.signal(number, signal.SIG_IGN)
    except OSError as error:
        raise NoProcessError(f"cannot start a process: {error.strerror} {MOST}") from error
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, held)
    return pid


def say_with(told: Callable[[str], None], last: Callable[[str], None]) -> None:
    """How to say what a signal does, and why the process ends; both may be called in the middle of
    anything."""
    global _told, _last
    _told, _last = told, last


@contextmanager
def interruptible() -> Iterator[None]:
    """The first interrupt meanwhile raises KeyboardInterrupt; any other ends the process."""
    global _raises
    _raises = signal.getsignal(signal.SIGINT) is _interrupt
    try:
        yield
    finally:
        _raises = False


@contextmanager
def serving(
    asked_to_end: Callable[[signal.Signals], None], asked_to_reload: Callable[[], None]
) -> Iterator[None]:
    """A node serves meanwhile, so it has to leave first, and can reload. Both are called by the
    handler of a signal, in the middle of anything."""
    global _node, _reload, _has_served, _is_to_reload
    before = {number: signal.signal(number, _end) for number in ENDING}
    _node, _reload = asked_to_end, asked_to_reload
    if _is_to_reload:
        _is_to_reload = False
        asked_to_reload()
    try:
        yield
    finally:
        _node, _reload, _has_served = None, None, True
        for number, handler in before.items():
            signal.signal(number, handler)


def end_now(number: signal.Signals) -> NoReturn:
    """End the process. What is stored is whole at any time."""
    if _has_served or _node is not None:
        _last(f"gossipd: {number.name}: ended at once")
        os._exit(1)
    _last(f"gossipd: {number.name}: ended before the node served")
    os._exit(int(number == signal.SIGXCPU))


def _end(number: int, _frame: object) -> None:
    if _node is None:
        end_now(signal.Signals(number))
    _node(signal.Signals(number))


def _tell(number: int, _frame: object) -> None:
    name = signal.Signals(number).name
    _told(f"{name}: nothing to reopen; SIGHUP reads the configuration again")


def _hang_up(_number: int, _frame: object) -> None:
    global _is_to_reload
    if _reload is not None:
        _reload()
    elif not _has_served:
        _is_to_reload = True
        _told("SIGHUP: the configuration is read again as soon as this node serves")


def _interrupt(_number: int, _frame: object) -> None:
    global _raises
    if _raises:
        _raises = False
        raise KeyboardInterrupt
    _last("gossipd: interrupted")
    os._exit(INTERRUPTED)
