"""Handing inputs to a target, with a bound on what each may cost, and keeping those that broke it.

The corpus of a target is a file of lines, `NAME BYTES` as Python writes them: inputs that once
broke something, by the name of what they broke, and such that reach what seeds do not.
"""

from __future__ import annotations

import ast
import resource
import signal
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from types import FrameType

from .target import Broken, Target

CORPUS = Path(__file__).parent / "corpus"

CPU_MAX = 5.0
"""Seconds of processor time that one input may take: a thousand times what they do."""

GROWN_MAX = 64 * 2**20
"""Bytes of memory by which one input may raise the most that the process ever had; all together
four times that."""


def corpus_of(name: str) -> dict[str, bytes]:
    """What is kept of a target."""
    path = CORPUS / f"{name}.txt"
    lines = path.read_text().splitlines() if path.exists() else []
    found = {}
    for line in lines:
        case, _, data = line.partition(" ")
        found[case] = ast.literal_eval(data)
    return found


def keep(name: str, case: str, data: bytes) -> None:
    """Add an input to a corpus."""
    with (CORPUS / f"{name}.txt").open("a") as file:
        file.write(f"{case} {data!r}\n")


class Run:
    """Inputs to one target, one after the other."""

    def __init__(self, name: str, target: Target) -> None:
        self._name = name
        self._target = target
        self._most = self._first = _most_memory()
        self.count = 0
        self.taken = 0

    def take(self, data: bytes) -> None:
        """Hand one over; whatever breaks keeps it and raises `Broken`."""
        try:
            with within(CPU_MAX):
                self.taken += self._target.take(data)
            self._check_memory()
        except Exception as error:
            raise Broken(f"{self._name} {data!r}: {error!r}") from error
        self.count += 1

    def _check_memory(self) -> None:
        most = _most_memory()
        if most - self._most > GROWN_MAX or most - self._first > 4 * GROWN_MAX:
            raise Broken(f"memory grew by {(most - self._most) / 2**20:.0f} MiB")
        self._most = most


def case_of(data: bytes) -> str:
    """The name of an input that nobody has looked at yet."""
    return f"found-{zlib.crc32(data):08x}"


def known(name: str, target: Target) -> list[bytes]:
    """What mutation begins with."""
    return [*target.seeds(), *corpus_of(name).values()]


def inputs(name: str, target: Target, rng: Random) -> Iterator[bytes]:
    """All that is known, then mutations of it without end."""
    begin = known(name, target)
    yield from begin
    while True:
        yield target.mutated(rng.choice(begin), begin, rng)


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Raise `Broken` where the processor has been used for so long."""
    before = signal.signal(signal.SIGVTALRM, _over)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def _over(_: int, __: FrameType | None) -> None:
    raise Broken(f"it takes more than {CPU_MAX} s")


def _most_memory() -> int:
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
