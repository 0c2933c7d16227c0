"""The client's own name for an increment: whoever sends it again under that name only asks again.

A key is any string that this side chooses; what is minted here is a UUID. It is written by hand
because `uuid` of Python 3.11 knows no version 7, and is slow to import for that.
"""

from __future__ import annotations

import os
import re
import time

from gossipd.config.bounds import KEY_LENGTH_MAX

_FORM = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def mint(ahead: float = 0.0) -> str:
    """A new UUIDv7 (RFC 9562, section 5.7): milliseconds since the epoch, then 74 random bits.

    `ahead`: seconds by which the clock that is to judge it is ahead of this host's.
    """
    milliseconds = (time.time_ns() // 1_000_000 + int(1000 * ahead)) % 2**48
    random = int.from_bytes(os.urandom(10))
    high, low = random >> 62 & 0xFFF, random & (1 << 62) - 1
    digits = f"{milliseconds << 80 | 0x7 << 76 | high << 64 | 0b10 << 62 | low:032x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def uuid(text: str) -> str:
    """A UUID with hyphens, in lower case. Raises ValueError."""
    lowered = text.lower()
    if not _FORM.fullmatch(lowered):
        raise ValueError(f"expected a UUID with hyphens, not {text!r}")
    return lowered


def key(text: str) -> str:
    """A key as a user gives it: whatever a daemon may take. Raises ValueError."""
    if not 1 <= len(text) <= KEY_LENGTH_MAX:
        raise ValueError(f"expected 1 to {KEY_LENGTH_MAX} characters, not {len(text)}")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("expected UTF-8") from None
    return text
