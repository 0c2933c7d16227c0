"""The rules about values: what each field may be, written once for both dialects.

A dialect brings a value as it found it (`object`) and gets it back with its type, or `Refused`.
"""

from __future__ import annotations

import math
import re
from http import HTTPStatus
from uuid import UUID

from gossipd.sideport.backend import Refused

NAME_SIZE_MAX = 128
BY_MAX = 2**53
SEQ_MAX = 2**48 - 1
TOTAL_MAX = 2**62
LOG_LIMIT_MAX = 1000
PEERS_MAX = 256
ADDRESS_SIZE_MAX = 300
COPIES_MAX = 64
TIMEOUT_MAX = 60.0
"""Seconds for which a call may ask to wait."""

KEY_VERSION_RESERVED = 8
"""The UUID version (RFC 9562) of increment ids, which a client's key must therefore not have."""

NUMBERS = frozenset({"by", "limit", "ack"})
FLAGS = frozenset({"ack_memory"})
TYPED = NUMBERS | FLAGS
"""Fields that are no strings: a query or a line has only text, so theirs is read as what they
are. JSON has numbers and `true` of its own."""

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
_UUID = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_INTEGER = re.compile("[+-]?[0-9]{1,100}")
_SECONDS = re.compile(r"([0-9]{1,10}(?:\.[0-9]{1,10})?)(ms|s)?")


def refusal(status: int, detail: str, retry_after: int | None = None) -> Refused:
    """A refusal under the status' usual title (RFC 9457 wants that for `about:blank`)."""
    return Refused(status, HTTPStatus(status).phrase, detail, retry_after)


def shown(value: object) -> str:
    """A client's value for an error message: on one line, and short."""
    text = ascii(value)
    return text if len(text) <= 60 else text[:57] + "..."


def number(text: str) -> int | str:
    """An integer as clients type it; anything else is left for the rules below to refuse."""
    return int(text) if _INTEGER.fullmatch(text) else text


def from_text(field: str, text: str) -> object:
    """The value of a field that was typed rather than sent as JSON."""
    if field in NUMBERS:
        return number(text)
    if field in FLAGS and text in ("true", "false"):
        return text == "true"
    return text


def name(value: object, what: str = "counter") -> str:
    if not isinstance(value, str):
        raise refusal(400, f"{what} must be a string, not {shown(value)}")
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        raise refusal(400, f"{what} must be valid Unicode, not {shown(value)}") from None
    if not 1 <= size <= NAME_SIZE_MAX:
        raise refusal(400, f"{what} must have 1 to {NAME_SIZE_MAX} bytes of UTF-8, not {size}")
    if _CONTROL.search(value):
        raise refusal(400, f"{what} must not contain control characters: {shown(value)}")
    return value


def amount(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise refusal(400, f"by must be an integer, not {shown(value)}")
    if value == 0:
        raise refusal(400, "by must not be 0")
    if abs(value) > BY_MAX:
        raise refusal(400, f"by must be within -2^53 and 2^53, not {shown(value)}")
    return value


def log_limit(value: object) -> int:
    return _within(value, "limit", 1, LOG_LIMIT_MAX)


def page_limit(value: object, most: int) -> int:
    """How many entries a part of a long answer has at most."""
    return _within(value, "limit", 1, most)


def copies(value: object) -> int:
    """How many nodes shall hold an increment; 1 is the node that is asked."""
    return _within(value, "ack", 1, COPIES_MAX)


def source_seq(value: object) -> int:
    return _within(value, "seq", 1, SEQ_MAX, "2^48-1")


def source_total(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > TOTAL_MAX:
        raise refusal(400, f"total must be an integer within -2^62 and 2^62, not {shown(value)}")
    return value


def flag(value: object, what: str) -> bool:
    if not isinstance(value, bool):
        raise refusal(400, f"{what} must be true or false, not {shown(value)}")
    return value


def timeout(value: object) -> float:
    """Seconds, from a number or from text like `2s`, `500ms` or `1.5`."""
    seconds = math.nan
    if isinstance(value, str) and (found := _SECONDS.fullmatch(value)):
        seconds = float(found[1]) / (1000 if found[2] == "ms" else 1)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        seconds = value
    if not 0 <= seconds <= TIMEOUT_MAX:
        raise refusal(
            400, f"timeout must be 0 to {TIMEOUT_MAX:g} seconds, like 2s or 500ms: {shown(value)}"
        )
    return float(seconds)


def increment_id(value: object) -> UUID:
    return _uuid(value, "an increment id")


def key(value: object) -> UUID:
    found = _uuid(value, "a key")
    if found.version == KEY_VERSION_RESERVED:
        raise refusal(
            400,
            f"a key must not be a UUID of version {KEY_VERSION_RESERVED}, which is that of "
            "increment ids; use version 7 (or 4)",
        )
    return found


def addresses(value: object) -> list[str]:
    if not isinstance(value, list) or not 1 <= len(value) <= PEERS_MAX:
        raise refusal(400, f'peers must be a list of 1 to {PEERS_MAX} strings "host:port"')
    found: list[str] = []
    for item in value:
        if not isinstance(item, str) or not 1 <= len(item) <= ADDRESS_SIZE_MAX:
            raise refusal(400, f'a peer must be a string "host:port", not {shown(item)}')
        found.append(item)
    return found


def _uuid(value: object, what: str) -> UUID:
    if not isinstance(value, str) or not _UUID.fullmatch(value):
        raise refusal(400, f"{what} is a UUID with hyphens, not {shown(value)}")
    return UUID(value)


def _within(value: object, what: str, least: int, most: int, most_shown: str = "") -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        limit = most_shown or most
        raise refusal(400, f"{what} must be an integer from {least} to {limit}: {shown(value)}")
    return value
