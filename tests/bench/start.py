"""How long a client command takes from its start to its end, and what it imports meanwhile.

    python -m tests.bench.start [--python BIN/python] [--quick] [--json]

`gossipd count` asks a node that runs beside it, in turn with an interpreter that does nothing and,
where they are installed, `redis-cli` with its server: medians of 20 turns of wall time, which
shows other work on the machine, too, and of CPU time, which does so less. Then the time of its
imports, of several runs the shortest for each module: those of the interpreter's start, of click
with all that it imports, and of this package's own modules.

Installed as for development, the interpreter imports a finder at its start, some 10 ms:
`--python` names that of an environment where it is installed as users install it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import takewhile
from pathlib import Path
from shutil import which
from statistics import median
from time import perf_counter
from typing import NamedTuple

from tests.bench.program import Row, options, report
from tests.bench.servers import Server, gossipd, redis

TURNS, QUICK_TURNS = 20, 5
IMPORTS = 5
WALL_MAX = 0.080

_QUIET = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in (1, 2)]


def _run(command: list[str]) -> tuple[float, float]:
    """Seconds of wall and of CPU that a command takes."""
    began = perf_counter()
    pid = os.posix_spawn(command[0], command, os.environ, file_actions=_QUIET)
    _, status, used = os.wait4(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0, command
    return perf_counter() - began, used.ru_utime + used.ru_stime


def _commands(python: str, node: Server, other: Server | None) -> Iterator[tuple[str, list[str]]]:
    host, port = node.address
    program, api = str(Path(python).with_name("gossipd")), f"--api={host}:{port}"
    yield "gossipd count", [python, program, "count", api]
    yield "gossipd increment", [python, program, "increment", api]
    yield "python -c pass", [python, "-c", "pass"]
    if other is not None:
        host, port = other.address
        client = which("redis-cli")
        assert client is not None
        yield "redis-cli get", [client, "-h", host, "-p", str(port), "get", "default"]


def _turns(commands: dict[str, list[str]], turns: int) -> Iterator[Row]:
    took: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    for _ in range(turns):
        for name, command in commands.items():
            took[name].append(_run(command))
    for name, samples in took.items():
        wall, cpu = (1000 * median(column) for column in zip(*samples, strict=True))
        bound = 1000 * WALL_MAX if name == "gossipd count" else None
        least = 1000 * min(seconds for _, seconds in samples)
        note = f"CPU {cpu:.1f}, at least {least:.1f}"
        yield Row(f"{name}: wall, median of {turns}", wall, bound, "ms", note=note)


class _Module(NamedTuple):
    name: str
    depth: int
    ms: float
    """Without what it imports."""


def _imports(command: Sequence[str]) -> list[_Module]:
    """Each with those that it was the first to import before it."""
    runs = [_modules(command) for _ in range(IMPORTS)]
    assert len({len(run) for run in runs}) == 1, "not the same imports each time"
    return [min(same, key=lambda module: module.ms) for same in zip(*runs, strict=True)]


def _modules(command: Sequence[str]) -> list[_Module]:
    traced = (command[0], "-X", "importtime", *command[1:])
    said = subprocess.run(traced, capture_output=True, text=True, check=True).stderr
    found = []
    for line in said.splitlines():
        own, _, name = line.removeprefix("import time:").split("|")
        if own.strip().isdigit():
            depth = len(name) - len(name.lstrip())
            found.append(_Module(name.strip(), depth, int(own) / 1000))
    return found


def _with_imports(name: str, modules: Sequence[_Module]) -> float:
    """The ms of a module and of all that it was the first to import."""
    place = [module.name for module in modules].index(name)
    before = reversed(modules[:place])
    imported = takewhile(lambda module: module.depth > modules[place].depth, before)
    return modules[place].ms + sum(module.ms for module in imported)


def _listed(commands: dict[str, list[str]]) -> Iterator[Row]:
    count = _imports(commands["gossipd count"])
    whole = sum(module.ms for module in count)
    start = sum(module.ms for module in _imports(commands["python -c pass"]))
    ours = sum(module.ms for module in count if module.name.partition(".")[0] == "gossipd")
    yield Row(f"imports of gossipd count, {len(count)} modules", whole, unit="ms")
    yield Row("  the interpreter's start", start, unit="ms")
    yield Row("  click, and what it imports", _with_imports("click", count), unit="ms")
    yield Row("  this package's own modules", ours, unit="ms")


def measure(wanted: Namespace) -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as directory, ExitStack() as stack:
        places = [Path(directory) / name for name in ("node", "redis")]
        for place in places:
            place.mkdir()
        node = stack.enter_context(gossipd(places[0], durable=False))
        has_redis = which("redis-server") and which("redis-cli")
        other = stack.enter_context(redis(places[1], durable=False)) if has_redis else None
        commands = dict(_commands(wanted.python, node, other))
        yield from _turns(commands, QUICK_TURNS if wanted.quick else TURNS)
        yield from _listed(commands)


def main(arguments: list[str]) -> int:
    """Measure and print; 1 when a bound was missed."""
    parser = options(__doc__)
    parser.add_argument("--python", default=sys.executable, help="an interpreter; this one")
    wanted = parser.parse_args(arguments)
    return report(measure(wanted), wanted.json)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
