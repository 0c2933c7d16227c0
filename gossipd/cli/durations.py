"""How people write a length of time: 20s, 500ms or 2m."""

from __future__ import annotations

import re

_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_NUMBER = r"[0-9]{1,9}(?:\.[0-9]{1,9})?"


def duration(text: str) -> float:
    """Seconds; the unit must be there. Raises ValueError."""
    found = re.fullmatch(rf"({_NUMBER})(us|ms|s|m|h)", text)
    if not found:
        raise ValueError(f"expected a duration like 20s, 500ms or 2m, not {text!r}")
    return float(found[1]) * _UNITS[found[2]]


def duration_or_seconds(text: str) -> float:
    """Seconds, where a number alone means seconds too. Raises ValueError."""
    return float(text) if re.fullmatch(_NUMBER, text) else duration(text)
