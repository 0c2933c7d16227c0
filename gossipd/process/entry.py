"""Where every command begins and ends: signals first, then the standard streams, then the rest.

What is imported before `main` has done both is kept small: until then an interrupt is Python's own
affair.
"""

from __future__ import annotations

import gc
import os
import sys
from contextlib import ExitStack
from typing import NoReturn

from gossipd.process import passed, signals, streams


def main() -> NoReturn:
    """The command line, from the first moment of a process to its last."""
    serves = sys.argv[1:2] == ["run"]
    signals.begin(serves)
    streams.begin()
    with ExitStack() as stack:
        if serves:
            passed.begin()
            from gossipd.daemon.logfile import writer_of
            from gossipd.daemon.logs import STDERR, written_aside

            try:
                writer = writer_of(STDERR)
            except signals.NoProcessError as error:
                sys.exit(f"gossipd: {error}")
            log = stack.enter_context(written_aside(writer))
            signals.say_with(log.tell, log.finish)
        code = _run()
    if serves:
        sys.exit(code)
    # Everything is written and closed. To take all modules apart would take a sixth of the time of
    # a command that asks one question.
    sys.stderr.flush()
    os._exit(code)


def _run() -> int:
    try:
        code = _called()
        sys.stdout.flush()
    except streams.ReaderGone:
        return streams.READER_GONE
    except streams.StreamError as error:
        sys.stderr.write(f"gossipd: {error}\n")
        return 1
    except KeyboardInterrupt:  # between the end of the command and that of the process
        return signals.INTERRUPTED
    return code


def _called() -> int:
    gc.disable()  # what is imported stays
    from gossipd.cli import gossipd

    gc.freeze()
    gc.enable()
    try:
        gossipd(prog_name="gossipd")
    except SystemExit as end:
        return int(end.code or 0)
    return 0
