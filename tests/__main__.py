"""The one check command: format, lint, types and all tests.

    python -m tests                         everything, in a few minutes
    python -m tests -k decoding             the source, then what pytest makes of the arguments
    python -m tests --coverage              all, and the tests of the core cover all its branches
    python -m tests --thorough [--seed 7]   that, and more examples, seeds and rounds from one seed

What does not need the other runs beside it: the lanes below. Real processes wait much and are held
to times, so they come first where the processor is short.
"""

from __future__ import annotations

import argparse
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple, NoReturn

from tests.effort import VARIABLE

ROOT = Path(__file__).parent.parent
POLL = 0.1
"""Seconds between two looks for more to show."""

CORES = os.cpu_count() or 1
COVERED = "tests/unit/core"
"""The tests that cover all branches of the core; coverage doubles the time that they take."""

Command = tuple[str, ...]
"""A module and its arguments."""

SOURCE: tuple[Command, ...] = (
    ("ruff", "format", "--check", "."),
    ("ruff", "check", "."),
    ("mypy",),
)
PYTEST: Command = ("pytest", "-q", *(("--color=yes",) if sys.stdout.isatty() else ()))


class Lane(NamedTuple):
    """Commands that run one after the other, beside other lanes; the first that fails ends it."""

    name: str
    commands: tuple[Command, ...]
    yields: bool = True
    """Whether it leaves the processor to those that do not."""


def spread(workers: int, *options: str) -> tuple[Command, ...]:
    """Tests in processes beside each other, once their files have been read."""
    tests = (*PYTEST, "-n", str(workers), "--dist", "worksteal", *options)
    return ("tests.prepare", *options), tests


def lanes(options: Command, covering: bool) -> tuple[Lane, ...]:
    """Everything; `options` go to pytest."""
    cover: tuple[Command, ...] = (
        ("coverage", "run", "-m", *PYTEST, *options, COVERED),
        ("coverage", "report", "--fail-under=100"),
    )
    without = ("--ignore", "tests/e2e", *(("--ignore", COVERED) if covering else ()))
    return (
        Lane("source", SOURCE),
        *((Lane("core", cover),) if covering else ()),
        Lane("models and parts", spread(CORES + 2, *options, *without)),
        Lane("real processes", spread(max(4, CORES // 2), *options, "tests/e2e"), yields=False),
    )


class Runner:
    """Runs lanes and shows what each says, one lane after the other, as it comes."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._children: list[subprocess.Popen[bytes]] = []
        self._ending = False

    def run(self, lanes: Sequence[Lane]) -> list[str]:
        """The names of the lanes that failed."""
        with ThreadPoolExecutor(len(lanes)) as pool:
            try:
                running = [pool.submit(self._run, lane) for lane in lanes]
                return [
                    lane.name
                    for lane, done in zip(lanes, running, strict=True)
                    if not self._show(lane, done)
                ]
            finally:
                self._end()

    def _output(self, lane: Lane) -> Path:
        return self._directory / lane.name

    def _run(self, lane: Lane) -> bool:
        """Run the commands of a lane; whether all went well."""
        nice = ("nice",) if lane.yields and shutil.which("nice") else ()
        with self._output(lane).open("wb", buffering=0) as output:
            for command in lane.commands:
                output.write(f"$ {' '.join(command)}\n".encode())
                child = subprocess.Popen(
                    (*nice, sys.executable, "-m", *command), cwd=ROOT, stdout=output, stderr=output
                )
                self._children.append(child)
                if child.wait() or self._ending:
                    return False
        return True

    def _show(self, lane: Lane, done: Future[bool]) -> bool:
        """Copy a lane's output until it is done; whether it went well."""
        until_there = self._output(lane)
        while not until_there.exists():
            time.sleep(POLL)
        with until_there.open("rb") as output:
            while True:
                last = done.done()
                sys.stdout.buffer.write(output.read())
                sys.stdout.flush()
                if last:
                    return done.result()
                time.sleep(POLL)

    def _end(self) -> None:
        self._ending = True
        for child in self._children:
            if child.poll() is None:
                child.terminate()


def parsed(arguments: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """What this program understands, and what goes to pytest."""
    parser = argparse.ArgumentParser(
        prog="python -m tests",
        description="Check everything. Other arguments go to pytest.",
        allow_abbrev=False,
    )
    parser.add_argument("--coverage", action="store_true", help="all branches of the core are run")
    parser.add_argument("--thorough", action="store_true", help="try more, drawn from one seed")
    parser.add_argument("--seed", type=int, help="the seed of an earlier thorough run")
    wanted, others = parser.parse_known_args(arguments)
    if wanted.seed is not None and not wanted.thorough:
        parser.error("--seed is for --thorough")
    if others and wanted.coverage:
        parser.error("a part of the tests says nothing about --coverage")
    return wanted, others


def main(arguments: list[str]) -> int:
    """Run the checks; 1 if any of them fails."""
    wanted, others = parsed(arguments)
    began = time.monotonic()
    options: Command = ()
    if wanted.thorough:
        seed = secrets.randbelow(1_000_000) if wanted.seed is None else wanted.seed
        os.environ[VARIABLE] = str(seed)
        options = (f"--hypothesis-seed={seed}",)
        print(f"thorough; again with: python -m tests --thorough --seed {seed}", flush=True)
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # hundreds of interpreters begin
    signal.signal(signal.SIGTERM, _terminated)
    chosen = lanes(options, wanted.coverage or wanted.thorough)
    if others:  # a part of the tests says nothing about coverage
        part = (*PYTEST, *options, *others)
        chosen = (chosen[0], Lane("tests", (part,)))
    with tempfile.TemporaryDirectory() as directory:
        failed = Runner(Path(directory)).run(chosen)
    minutes, seconds = divmod(round(time.monotonic() - began), 60)
    print(f"failed: {', '.join(failed)}" if failed else "all passed", end="")
    print(f" in {minutes} min {seconds} s")
    return 1 if failed else 0


def _terminated(*_: object) -> NoReturn:
    raise SystemExit(128 + signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
