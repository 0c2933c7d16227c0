"""`gossipd`, but SIGUSR1 makes its event loop stand still for good, in the way that the first
argument names.

It needs nothing else of the tests, so that it runs wherever the package does.
"""

from __future__ import annotations

import ctypes
import signal
import sys
import time

from gossipd.process import signals
from gossipd.process.entry import main


def turning(_number: int, _frame: object) -> None:
    """Others may still run, but for the interpreter's lock."""
    while True:
        pass


def waiting(_number: int, _frame: object) -> None:
    time.sleep(3600)


def holding(_number: int, _frame: object) -> None:
    """Nothing of Python runs any more."""
    ctypes.PyDLL(None).sleep(3600)


HOW = {"turning": turning, "waiting": waiting, "holding": holding}


if __name__ == "__main__":
    how, begin = HOW[sys.argv.pop(1)], signals.begin

    def begin_stuck(serves: bool) -> None:
        begin(serves)
        signal.signal(signal.SIGUSR1, how)

    signals.begin = begin_stuck
    main()
