"""Where something was measured, and with what; and whether `tests.bench.speed` can be run here."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

RESULTS = Path(__file__).with_name("RESULTS.md")

_PROGRAMS = {
    "redis-server": "redis-server",
    "redis-benchmark": "redis-tools",
    "wrk": "wrk",
}
"""The Debian package of each."""


_TEXT = """# Measured side by side

Written by
`{command}`.

Operations a second, server CPU for each, and how long what a client sent at once took; then the
first line's by each of the others', with what is to be reached. [How](speed.py) it is measured.

| | |
|---|---|
{facts}

```text
{table}
```
"""


def why_not() -> str:
    """Why it cannot be measured here; nothing where it can."""
    missing = [package for program, package in _PROGRAMS.items() if not shutil.which(program)]
    return f"needs the packages {', '.join(missing)}" if missing else ""


def written(table: Sequence[str], load: float, arguments: Sequence[str]) -> None:
    """Write the file of results anew."""
    command = " ".join(("python -m tests.bench.speed", *arguments))
    facts = "\n".join(f"| {name} | {value} |" for name, value in _facts(load))
    text = "\n".join(table)
    RESULTS.write_text(_TEXT.format(command=command, facts=facts, table=text))


def _facts(load: float) -> Iterator[tuple[str, str]]:
    yield "at", f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, load before it {load:.1f}"
    yield "CPU", f"{os.cpu_count()} x {_cpu()}"
    yield "system", f"{platform.system()} {platform.release()}, {_filesystem()}"
    libraries = ("uvloop", "httptools", "msgpack")
    used = ", ".join(f"{name} {version(name)}" for name in libraries)
    yield "Python", f"{platform.python_implementation()} {platform.python_version()}, {used}"
    yield "gossipd", f"{version('gossipd')}, {_said('git', 'describe', '--always', '--dirty')}"
    yield "Redis", _said("redis-server", "--version")
    yield "wrk", _said("wrk", "--version").partition("Copyright")[0].strip()


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()


def _filesystem() -> str:
    """Where the servers keep what they have."""
    kind = _said("findmnt", "-no", "FSTYPE", "-T", tempfile.gettempdir())
    return f"state on {kind}"


def _said(*command: str) -> str:
    """The first line that a program prints."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return (done.stdout or done.stderr).partition("\n")[0]
