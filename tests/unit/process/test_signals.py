"""A user may have only so many processes and threads, and is told where one more is refused."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gossipd.process import signals

LIMITED = """
import errno, os, sys, threading
def refuse_process():
    raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
def refuse_thread(*_):
    raise RuntimeError("can't start new thread")
if "process" in sys.argv[1]:
    os.fork = refuse_process
if "thread" in sys.argv[1]:
    threading._start_new_thread = refuse_thread
sys.argv[1:] = ["run", "--bind", "127.0.0.1:0", "--name", "a", *sys.argv[2:]]
from gossipd.process.entry import main
main()
"""
"""Runs a node that can start no process, or no thread."""

NO_PROCESS = "gossipd: cannot start a process: Resource temporarily unavailable"
NO_THREAD = "gossipd: can't start new thread"


def test_who_cannot_fork_gets_its_signals_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> int:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    monkeypatch.setattr(os, "fork", refuse)
    try:
        with pytest.raises(signals.NoProcessError, match="cannot start a process: Resource"):
            signals.fork()
    finally:
        held = signal.pthread_sigmask(signal.SIG_SETMASK, before)
    assert held == before


@pytest.mark.parametrize("to", ["a pipe", "a file"])
@pytest.mark.parametrize(
    ("refused", "options", "says"),
    [
        ("process", [], NO_PROCESS),
        ("thread", ["--in-memory"], NO_THREAD),
        ("process and thread", [], NO_PROCESS),
    ],
)
def test_a_node_that_may_have_no_process_says_so_in_one_line(
    tmp_path: Path, to: str, refused: str, options: list[str], says: str
) -> None:
    """Also where its log is a file, for which it starts one, too."""
    with (tmp_path / "log").open("w+") as log:
        done = subprocess.run(
            [sys.executable, "-c", LIMITED, refused, *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=log if to == "a file" else subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
        log.seek(0)
        said = log.read() if to == "a file" else done.stderr
    assert (done.returncode, said) == (1, f"{says} (ulimit -u, TasksMax)\n")
