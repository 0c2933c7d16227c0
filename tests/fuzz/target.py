"""What is fuzzed: something that takes bytes, and the contract that none of them may break.

A target is told nothing about where its input comes from: it is handed bytes, checks all that it
promises about them, and says whether they were taken for what they claim to be. Of what it refuses
nothing may have changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from random import Random

from .mutator import mutated_bytes


class Broken(Exception):  # noqa: N818  it is what the input has done
    """A contract was broken; the text says how."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One of the table."""

    take: Callable[[bytes], bool]
    """Hand an input over and check the contract; False: it was refused. Whatever is raised is a
    find."""

    seeds: Callable[[], Iterable[bytes]] = tuple
    """Inputs that mutation begins with, good ones and bad ones, beside those of the corpus."""

    pieces: tuple[bytes, ...] = (b"",)
    """Words of its language, which mutation puts in."""

    change: Callable[[bytes, Sequence[bytes], Random], bytes] = mutated_bytes
    """Another input made of one, with parts of others."""

    size_max: int = 4096
    """Bytes of an input."""

    def mutated(self, data: bytes, others: Sequence[bytes], rng: Random) -> bytes:
        """An input that may be new: changed, with a word in it, or both."""
        if rng.random() < 0.7:
            data = self.change(data, others, rng)
        while rng.random() < 0.4:
            at = rng.randrange(len(data) + 1)
            data = data[:at] + rng.choice(self.pieces) + data[at + rng.choice((0, 0, 1, 4)) :]
        return data[: self.size_max]
