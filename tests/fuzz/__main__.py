"""Bytes that nobody should send, to one of the targets, for as long as asked:

    python -m tests.fuzz http --seconds 600

With atheris (`pip install -e '.[fuzz]'`) inputs that reach new branches of gossipd are kept and
mutated further; without it, or with `--plain`, seeds and corpus are mutated, the same for the same
`--seed`. An input that breaks something is written into the corpus, and tried by all tests from
then on. Seconds are those of the processor.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from random import Random

from .running import Run, case_of, inputs, keep, known
from .target import Broken
from .targets import TARGETS, target


class Timed:
    """A run for so many seconds of processor time."""

    def __init__(self, name: str, run: Run, seconds: float) -> None:
        self._name = name
        self._run = run
        self._until = time.process_time() + seconds
        self.code = 0

    def take(self, data: bytes) -> bool:
        """Hand an input over; False where that was the last one."""
        try:
            self._run.take(data)
        except Broken:
            traceback.print_exc()
            keep(self._name, case_of(data), data)
            self.code = 1
        return not self.code and time.process_time() < self._until

    def tell(self) -> None:
        """Say what came of it."""
        run = self._run
        told = "something broke" if self.code else "nothing broke"
        print(f"{self._name}: {run.count} inputs, {run.taken} of them taken, {told}", flush=True)


def plain(name: str, seconds: float, seed: int) -> int:
    """Mutations that follow from the seed alone."""
    found = target(name)
    timed = Timed(name, Run(name, found), seconds)
    for data in inputs(name, found, Random(seed)):
        if not timed.take(data):
            break
    timed.tell()
    return timed.code


def guided(name: str, seconds: float, seed: int, directory: Path) -> None:
    """Mutations that follow what they reach; ends the process."""
    import atheris

    with atheris.instrument_imports(include=["gossipd"]):
        found = target(name)
    begin = known(name, found)
    timed = Timed(name, Run(name, found), seconds)

    def take(data: bytes) -> None:
        if not timed.take(data):
            timed.tell()
            os._exit(timed.code)  # the library would go on, and call it a crash

    def mutated(data: bytes, size: int, number: int) -> bytes:
        if number % 4 == 0:
            changed: bytes = atheris.Mutate(data, size)
            return changed
        return found.mutated(data, begin, Random(number))[:size]

    for data in begin:
        (directory / case_of(data)).write_bytes(data)
    options = [f"-seed={seed}", f"-max_len={found.size_max}", "-rss_limit_mb=0", "-verbosity=0"]
    atheris.Setup([sys.argv[0], *options, str(directory)], take, custom_mutator=mutated)
    atheris.Fuzz()


def main(arguments: Sequence[str] | None = None) -> int:
    """The program."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="See the module.")
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--plain", action="store_true", help="without atheris")
    parser.add_argument("--corpus", type=Path, help="where atheris keeps what reaches branches")
    wanted = parser.parse_args(arguments)
    if wanted.plain or importlib.util.find_spec("atheris") is None:
        return plain(wanted.target, wanted.seconds, wanted.seed)
    directory = wanted.corpus or Path(tempfile.gettempdir()) / f"gossipd-{wanted.target}"
    directory.mkdir(parents=True, exist_ok=True)
    guided(wanted.target, wanted.seconds, wanted.seed, directory)
    return 0


if __name__ == "__main__":
    sys.exit(main())
