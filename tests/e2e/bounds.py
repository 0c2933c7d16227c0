"""How tests hold what they measure against the bounds that are promised.

A test only has to notice that something is badly wrong, for others may use the machine too; the
figures themselves are printed, and `tests.bench.figures` holds them against the true bounds.
"""

from __future__ import annotations

NOISE = 4.0
"""How many times its bound a measurement may take in a test."""


def report(what: str, seconds: float) -> None:
    """Print a figure: `pytest -rP` shows it."""
    print(f"{what}: {seconds:.2f} s")
