"""How tests hold what they measure against the bounds that are promised.

A test only has to notice that something is badly wrong, for others may use the machine too; the
figures themselves are printed, and `tests.bench.figures` holds them against the true bounds.
"""

from __future__ import annotations

import os
import re

import pytest

NOISE = 4.0
"""How many times its bound a measurement may take in a test."""

STARVED = 4.0
"""Crowding above which a healthy node may get no turn before others suspect it."""

_BLAMES = re.compile(r"member (\S+) at \S+ is (?:suspect|failed)|refuted being")


def crowding() -> float:
    """How many programs share a processor at the moment, at least 1: so many times longer may take
    what a test waits for."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


def allowed(bound: float) -> float:
    """The seconds that something may take here whose bound is this many."""
    return bound * NOISE * crowding()


def blames_in(log: str) -> list[str]:
    """Lines of a log that blame somebody, or tell that somebody has blamed its node."""
    return [line for line in log.splitlines() if _BLAMES.search(line)]


def blames_nobody(blamed: object) -> None:
    """Healthy nodes were blamed by none, and this is the list of those who were. Where the machine
    starves them, that proves nothing."""
    if blamed and crowding() > STARVED:
        pytest.skip(f"the machine is too busy ({crowding():.0f} programs for each processor)")
    assert not blamed


def report(what: str, seconds: float) -> None:
    """Print a figure: `pytest -rP` shows it."""
    print(f"{what}: {seconds:.2f} s")
