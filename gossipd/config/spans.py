"""Lengths of time as a reader would say them: in the units that fit, no finer than it matters."""

from __future__ import annotations

_UNITS = ((86_400, "days", 3_600, " h"), (3_600, "h", 60, " min"), (60, "min", 60, ""))
"""Seconds and name of a unit, and of the finer one that is told beside it."""


def span(seconds: float) -> str:
    """How long that is, from 0 s on: "90 s", "15 min", "7 h", "2 days 12 h"."""
    for length, unit, finer, part in _UNITS:
        if seconds >= 2 * length:
            whole, rest = divmod(round(seconds / finer), length // finer)
            return f"{whole} {unit} {rest}{part}" if rest else f"{whole} {unit}"
    return f"{seconds:.0f} s"
