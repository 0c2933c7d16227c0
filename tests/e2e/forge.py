"""Processes of `gossipd` that begin when all is imported: most nodes that tests start are such.

Nine tenths of the CPU time that a node takes until it serves, and three quarters of that of a
command, are imports, and tests start many hundreds. So a process of its own, the forge, imports
everything once and forks whatever is asked for. What it forks is a real process, with memory,
files, sockets and signals of its own, and runs the program from its first line to its last. What
is not shown by it: how an interpreter starts, its command line and environment as others see them,
its memory, and what is imported when. That is for tests with `@pytest.mark.fresh`.
"""

from __future__ import annotations

import array
import gc
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import weakref
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from threading import Lock
from typing import IO, Any, NamedTuple, NoReturn, Self

from tests.e2e.namespaces import move_to

ROOT = Path(__file__).parents[2]
REQUEST_MAX = 2**17
"""Bytes of a request: arguments and environment."""

INTERPRETER = ("PYTHON", "LD_", "LC_", "LANG", "TZ", "FAKETIME")
"""How variables begin that are read before a program begins: these take an interpreter of one's
own."""

USED = (
    *("gossipd.daemon.daemon", "gossipd.daemon.logfile", "gossipd.sealing.frame"),
    *("asyncio", "prometheus_client.exposition", "uvloop"),
    "tests.power.vfs",
)
"""What nodes import beside the commands, or only when they need it."""

PLAIN = ("gossipd",)


class Asked(NamedTuple):
    """What a new process is to be."""

    program: list[str]
    """A module that is run as `python -m` would, with what comes before the arguments."""
    arguments: list[str]
    variables: dict[str, str]
    namespace: str


class Forked:
    """A process that the forge has forked; to be used as a `subprocess.Popen`."""

    def __init__(self, forge: Forge, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._forge = forge
        self._ended = os.pidfd_open(pid)
        weakref.finalize(self, os.close, self._ended)
        self._reaping = Lock()
        """Held by who reaps it, or needs it to be there still."""

    def poll(self) -> int | None:
        """Its exit code, or the negative number of the signal that ended it; None: it runs."""
        return self._waited(0.0)

    def wait(self, timeout: float | None = None) -> int:
        """The same when it has ended. Raises `subprocess.TimeoutExpired`."""
        code = self._waited(timeout)
        if code is None:
            raise subprocess.TimeoutExpired("gossipd", timeout or 0.0)
        return code

    def send_signal(self, number: int) -> None:
        with self._reaping:
            if self.returncode is None:
                signal.pidfd_send_signal(self._ended, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _waited(self, timeout: float | None) -> int | None:
        waiting = select.poll()
        waiting.register(self._ended, select.POLLIN)
        if waiting.poll(None if timeout is None else 1000 * timeout):
            with self._reaping:
                if self.returncode is None:
                    self.returncode = self._forge.reaped(self.pid)
        return self.returncode


class Forge:
    """Forks processes that run the command line."""

    def __init__(self) -> None:
        self._asking = Lock()

    def __enter__(self) -> Self:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                (sys.executable, "-m", "tests.e2e.forge", str(theirs.fileno())),
                cwd=ROOT,
                pass_fds=[theirs.fileno()],
            )
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()
        self._process.wait(60)

    def start(
        self,
        arguments: Sequence[str],
        variables: Mapping[str, str],
        streams: Sequence[IO[bytes]],
        namespace: str = "",
        program: Sequence[str] = PLAIN,
    ) -> Forked:
        """Run `gossipd`, or what runs in its place, with these arguments, this environment and
        three standard streams, in the network namespace of this name."""
        files = array.array("i", [stream.fileno() for stream in streams])
        asked = Asked([*program], [*arguments], {**variables}, namespace)
        return Forked(self, self._asked(asked._asdict(), files))

    def run(
        self,
        arguments: Sequence[str],
        variables: Mapping[str, str],
        namespace: str,
        given: str,
        within: float,
    ) -> subprocess.CompletedProcess[str]:
        """Run it to its end, with `given` as its input."""
        with ExitStack() as stack:
            streams: list[IO[bytes]] = [
                stack.enter_context(open(os.memfd_create(name), "w+b"))  # noqa: PTH123
                for name in ("stdin", "stdout", "stderr")
            ]
            streams[0].write(given.encode())
            streams[0].seek(0)
            process = self.start(arguments, variables, streams, namespace)
            try:
                code = process.wait(within)
            finally:
                process.kill()
                process.wait()
            said = [os.pread(stream.fileno(), 2**30, 0).decode() for stream in streams[1:]]
        return subprocess.CompletedProcess(["gossipd", *arguments], code, *said)

    def reaped(self, pid: int) -> int:
        """How a process has ended."""
        return self._asked({"ended": pid})

    def _asked(self, request: Mapping[str, object], files: array.array[int] | None = None) -> int:
        with self._asking:
            passed = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, files)] if files else []
            self._socket.sendmsg([json.dumps(request).encode()], passed)
            return int(self._socket.recv(64))


def can_have(variables: Mapping[str, str]) -> bool:
    """Whether what is forked may have this environment."""
    added = (name for name, value in variables.items() if os.environ.get(name) != value)
    return not any(name.startswith(INTERPRETER) for name in added)


def serve(requests: socket.socket) -> None:
    """Fork and reap until nobody can ask any more. Returns in the forge alone."""
    while True:
        data, files, _, _ = socket.recv_fds(requests, REQUEST_MAX, 3)
        if not data:
            return
        asked: dict[str, Any] = json.loads(data)
        if "ended" in asked:
            answer = os.waitstatus_to_exitcode(os.waitpid(asked["ended"], 0)[1])
        else:
            answer = os.fork()
            if not answer:
                requests.close()
                become(Asked(**asked), files)
            for file in files:
                os.close(file)
        requests.send(str(answer).encode())


def become(asked: Asked, files: list[int]) -> NoReturn:
    """Be what was asked for: as a new interpreter that has come to the program's first line."""
    from gossipd.process.entry import main

    for stream, file in enumerate(files):
        os.dup2(file, stream)
        os.close(file)
    if asked.namespace:
        move_to(asked.namespace)
    os.environ.clear()
    os.environ.update(asked.variables)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    module, *before = asked.program
    sys.argv[1:] = [*before, *asked.arguments]
    if module == "gossipd":
        main()
    runpy.run_module(module, run_name="__main__")
    sys.exit()


def prepare() -> None:
    """Import what nodes and commands do."""
    from gossipd.cli import MODULES

    for command in sorted({*MODULES.values()} - {"simulate"}):
        import_module(f"gossipd.cli.{command}")
    for module in USED:
        import_module(module)
    gc.collect()
    gc.freeze()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who asks is interrupted, and ends this
    prepare()
    with socket.socket(fileno=int(sys.argv[1])) as theirs:
        serve(theirs)
