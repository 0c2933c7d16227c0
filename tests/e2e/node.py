"""One real node as a child process, watched from outside: through the side port and its log.

Nothing here waits without a deadline.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from tests.e2e.bounds import crowding
from tests.e2e.forge import Forge, Forked, can_have
from tests.e2e.namespaces import Namespace
from tests.e2e.ports import free_port

ROOT = Path(__file__).parents[2]
DEFAULT = 7946
"""The gossip port that a node takes by itself, and that of nodes in networks of their own."""

SECRET = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
"""For nodes on addresses at which they would warn that they have none."""

POLL = 0.03
"""Seconds between two looks at a condition, in the first second."""

PATIENT_POLL = 0.1
"""After it: looks cost the machine what others need."""


def until(condition: Callable[[], object], within: float, what: str) -> float:
    """Poll until `condition` holds; the seconds that took. Raises `AssertionError` if it does not
    `within` as many seconds, or longer on a crowded machine.

    A node that cannot be asked yet is one for which the condition does not hold.
    """
    began = time.monotonic()
    while True:
        trouble: object = ""
        try:
            if condition():
                return time.monotonic() - began
        except (OSError, http.client.HTTPException) as error:
            trouble = error
        waited = time.monotonic() - began
        if waited > within * crowding():
            raise AssertionError(f"not within {within:g} s: {what} {trouble}")
        time.sleep(POLL if waited < 1.0 else PATIENT_POLL)


def at_once(tasks: Iterable[Callable[[], Any]]) -> list[Any]:
    """Run all of them in threads beside each other; their results in order."""
    listed = list(tasks)
    with ThreadPoolExecutor(max(1, len(listed))) as pool:
        return [future.result() for future in [pool.submit(task) for task in listed]]


def environment(**variables: str) -> dict[str, str]:
    """This process's, without what would steer a node. A node that begins a cluster is ready at
    once, unless a test is about just that."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("GOSSIPD_")}
    return {**kept, "GOSSIPD_RUN_ALONE_AFTER": "0", **variables}


def end_by_unwinding() -> None:
    """Who started processes ends them, also when it is told to end: SIGTERM is what Ctrl-C is.
    Those that it forks end at once: what Python does for a signal may come too late for who is
    just about to wait."""
    in_main = threading.current_thread() is threading.main_thread()
    if in_main and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        os.register_at_fork(after_in_child=_end_at_once)


def _end_at_once() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def with_children(pid: int) -> list[Path]:
    """Where the system tells of a process and of its children."""
    own = Path(f"/proc/{pid}")
    children = (own / "task" / own.name / "children").read_text().split()
    return [own, *(Path("/proc") / child for child in children)]


def cpu_of(processes: Iterable[Path]) -> float:
    """Seconds of CPU that they have used."""
    stats = [(process / "stat").read_text().rpartition(")")[2] for process in processes]
    ticks = sum(int(ticks) for stat in stats for ticks in stat.split()[11:13])
    return ticks / os.sysconf("SC_CLK_TCK")


class Reply(NamedTuple):
    status: int
    headers: dict[str, str]
    data: Any


class Node:
    """One process under one address; it may be started again."""

    def __init__(
        self,
        name: str,
        host: str,
        directory: Path,
        port: int | None = None,
        namespace: Namespace | None = None,
    ) -> None:
        self.name = name
        self.host = host
        self.port = port or (DEFAULT if namespace else free_port())
        self.api = ("127.0.0.1" if namespace else host, self.port + 1)
        self.logs: list[Path] = []
        self.prefix: tuple[str, ...] = namespace.prefix if namespace else ()
        """The command that runs the process."""
        self.program: tuple[str, ...] = ("gossipd",)
        """The module that is run, with what comes before the node's own arguments."""
        self.checkout = ROOT
        """Whose code is run."""
        self.options: tuple[str, ...] = ()
        """What each of its processes is given, before what is given it alone."""
        self.token = ""
        """What those show who ask it; empty: nothing."""
        self.keyring = ""
        """The file of its secrets; empty: it has none."""
        self.forge: Forge | None = None
        """What forks its processes; without one each is an interpreter of its own."""
        self._directory = directory
        self._namespace = namespace
        self._process: subprocess.Popen[bytes] | Forked | None = None

    @property
    def state_home(self) -> Path:
        """The XDG state directory that it is given."""
        return self._directory / "state"

    @property
    def data_directory(self) -> Path:
        """Where it keeps its state, unless it is told otherwise."""
        return self.state_home / "gossipd" / self.name

    @property
    def address(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    # --- the process -------------------------------------------------------------------------

    def start(self, *options: str, join: Sequence[Node] = (), **variables: str) -> None:
        """Start the process; `options` may override what is given here."""
        joins = [part for node in join for part in ("--join", node.address)]
        sealed = ("--keyring", self.keyring) if self.keyring else ()
        own = ("--bind", self.address, "--name", self.name, *sealed)
        self.start_as("run", *own, *joins, *self.options, *options, **variables)

    def start_as(self, *arguments: str, **variables: str) -> None:
        """Start `gossipd`, or what runs in its place, with just these arguments."""
        end_by_unwinding()
        self.logs.append(self._directory / f"{self.name}.{len(self.logs)}.log")
        variables = environment(**{"XDG_STATE_HOME": str(self.state_home), **variables})
        with self.logs[-1].open("wb") as log, Path(os.devnull).open("rb") as nothing:
            if self.forge and self._is_plain and can_have(variables):
                streams = nothing, log, log
                self._process = self.forge.start(
                    arguments, variables, streams, self._network, self.program
                )
            else:
                self._process = subprocess.Popen(
                    (*self.prefix, sys.executable, "-m", *self.program, *arguments),
                    cwd=self.checkout,
                    env=variables,
                    stdin=nothing,
                    stdout=log,
                    stderr=log,
                )

    @property
    def _is_plain(self) -> bool:
        network = self._namespace.prefix if self._namespace else ()
        return (self.prefix, self.checkout) == (network, ROOT)

    @property
    def _network(self) -> str:
        return self._namespace.name if self._namespace else ""

    @property
    def process(self) -> subprocess.Popen[bytes] | Forked:
        assert self._process is not None, f"{self.name} was never started"
        return self._process

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL, and wait for the end."""
        self.process.kill()
        self.process.wait(10)

    def ended(self, within: float = 10.0) -> int:
        """The exit code of a process that is expected to end."""
        return self.process.wait(within * crowding())

    @property
    def processes(self) -> list[Path]:
        """Of the node and of what has its disk: where the system tells of them."""
        return with_children(self.process.pid)

    @property
    def resident(self) -> int:
        """Bytes of its processes that are in memory; what they share is divided among them."""
        found = 0
        for process in self.processes:
            for line in (process / "smaps_rollup").read_text().splitlines():
                name, _, value = line.partition(":")
                if name == "Pss":
                    found += 1024 * int(value.split()[0])
        return found

    @property
    def cpu(self) -> float:
        """Seconds of CPU that its processes have used."""
        return cpu_of(self.processes)

    @property
    def wakeups(self) -> int:
        """How often its event loop has gone to sleep."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("\nvoluntary_ctxt_switches:")[2].split()[0])

    @property
    def log(self) -> str:
        """The log of the present process; while it runs, lines may still be on their way."""
        return self.logs[-1].read_text(errors="replace")

    def says(self, text: str) -> None:
        """Wait until the log says so."""
        until(lambda: text in self.log, 30, f"{self.name} says {text!r}")

    # --- the side port -----------------------------------------------------------------------

    def connect(self, timeout: float = 5.0) -> socket.socket:
        """A connection to the side port."""
        timeout *= crowding()
        if self._namespace is None:
            return socket.create_connection(self.api, timeout)
        with self._namespace.entered():
            return socket.create_connection(self.api, timeout)

    def ask(self, method: str, path: str, body: object = None, raw: bytes | None = None) -> Reply:
        """One HTTP request on a connection of its own."""
        connection = http.client.HTTPConnection(*self.api)
        connection.sock = self.connect()
        try:
            sent = raw if body is None else json.dumps(body).encode()
            shown = {"Authorization": f"Bearer {self.token}"} if self.token else {}
            connection.request(method, path, sent, shown)
            response = connection.getresponse()
            text = response.read().decode()
            is_json = "json" in response.headers.get_content_type()
            data = json.loads(text) if is_json else text
            return Reply(response.status, dict(response.headers), data)
        finally:
            connection.close()

    def get(self, path: str) -> Any:
        """The data of a call that succeeds. Raises `OSError` where it does not."""
        reply = self.ask("GET", path)
        if reply.status != 200:
            raise OSError(f"{self.name} {path}: {reply}")
        return reply.data

    def increment(self, counter: str = "default", by: int = 1) -> int:
        """Count; the new count. Raises `OSError` where that is refused."""
        reply = self.ask("POST", "/increment", {"counter": counter, "by": by})
        if reply.status != 200:
            raise OSError(f"{self.name} does not count: {reply}")
        return int(reply.data["count"])

    def count(self, counter: str = "default") -> int:
        return int(self.get(f"/count?counter={counter}")["count"])

    def states(self) -> dict[str, str]:
        """The state of each member by name."""
        return {member["name"]: member["state"] for member in self.get("/members")}

    def state_of(self, name: str) -> str | None:
        """The state of one member; None: it is none. The others are not asked for: they may be
        many."""
        found = self.get(f"/members?prefix={quote(name)}")
        return next((str(member["state"]) for member in found if member["name"] == name), None)

    def status(self) -> dict[str, Any]:
        return dict(self.get("/status"))

    @property
    def ready(self) -> bool:
        return self.ask("GET", "/ready").status == 200

    def text(self, *lines: str | bytes) -> list[str]:
        """Say lines in the text dialect, end the input, and read all answers."""
        with self.connect() as connection:
            said = (line if isinstance(line, bytes) else line.encode() for line in lines)
            connection.sendall(b"".join(line + b"\n" for line in said))
            connection.shutdown(socket.SHUT_WR)
            answer = b"".join(iter(lambda: connection.recv(65536), b""))
        return answer.decode().splitlines()

    def cli(
        self, *arguments: str, given: str = "", **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """A client command of the command line beside it, with `given` as its input."""
        host = f"[{self.api[0]}]" if ":" in self.api[0] else self.api[0]
        variables = {"GOSSIPD_API": f"{host}:{self.api[1]}", **variables}
        whole = environment(**variables)
        if self.forge and can_have(whole):
            return self.forge.run(arguments, whole, self._network, given, COMMAND * crowding())
        prefix = self._namespace.prefix if self._namespace else ()
        return gossipd(*arguments, prefix=prefix, given=given, **variables)


COMMAND = 60.0
"""Seconds within which a command has to end."""


def gossipd(
    *arguments: str, prefix: Sequence[str] = (), given: str = "", **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run the command line to its end."""
    return subprocess.run(
        (*prefix, sys.executable, "-m", "gossipd", *arguments),
        cwd=ROOT,
        env=environment(**variables),
        input=given,
        capture_output=True,
        text=True,
        timeout=COMMAND * crowding(),
        check=False,
    )
