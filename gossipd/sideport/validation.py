"""The arguments of what can be asked: what each may be, written once for all dialects.

A dialect brings a value as it found it (`object`) and gets it back with its type, or `Refused`.
The limits of what is counted are the core's.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid5

from gossipd.config.bounds import COPIES_MAX, KEY_LENGTH_MAX, TIMEOUT_MAX
from gossipd.core import BY_MAX, COUNTER_BYTES_MAX, KEY_BYTES, SEQ_MAX, TOTAL_MAX, Refused, Why
from gossipd.sideport import access

COUNTER_DEFAULT = "default"
LOG_LIMIT_DEFAULT, LOG_LIMIT_MAX = 100, 1000
PAGE_MAX = 2**31 - 1
PEERS_MAX = 256
ADDRESS_SIZE_MAX = 300
WATCHED_MAX = 256
TIMEOUT_DEFAULT = 2.0
"""Seconds for which a call waits unless told otherwise."""

KEY_NAMESPACE = UUID("6f8f6d7e-3a3c-5b0e-9d0a-67a1c1b5d2f4")
"""Of the UUIDs of version 5 that stand for keys that are no UUIDs; on all nodes the same."""
_UNSET = frozenset({bytes(KEY_BYTES), b"\xff" * KEY_BYTES})
"""The nil and the max UUID (RFC 9562 5.9, 5.10)."""
_UNSET_TEXTS = frozenset({"", "undefined", "null", "none", "nil", "nan"})
"""What languages make of a field that was never set."""

KEY_VERSION_RESERVED = 8
"""The UUID version (RFC 9562) of increment ids, which a client's key must therefore not have."""

_TIMED = 7
"""The UUID version that tells its time, in milliseconds since the epoch."""

_VARIANT = 2
"""The first two bits of the ninth byte of a UUID, where it is of that RFC."""

_TIMES = (1_577_836_800_000, 4_102_444_800_000)
"""From 2020 until 2100: the times that are believed of 32 digits without hyphens."""

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")
_HYPHENS = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_UUID = re.compile(_HYPHENS, re.IGNORECASE)
_UUID_WRITTEN = re.compile(
    rf"(?:urn:uuid:|(\{{))?(?:(?P<hyphens>{_HYPHENS})|(?P<plain>[0-9a-f]{{32}}))(?(1)\}})",
    re.IGNORECASE,
)
"""Bare, in braces, as a URN (RFC 9562 4), or without hyphens."""
_INTEGER = re.compile("[+-]?[0-9]{1,100}")
_NUMBER = re.compile("[0-9]{1,16}")
_SECONDS = re.compile(r"([0-9]{1,10}(?:\.[0-9]{1,10})?)(ms|s)?")


def wrong(detail: str) -> Refused:
    """What is said to who asks what makes no sense."""
    return Refused(Why.WRONG, detail)


def shown(value: object) -> str:
    """A client's value for an error message: on one line, and short."""
    text = ascii(value)
    return text if len(text) <= 60 else text[:57] + "..."


def number(text: str) -> int | str:
    """An integer as clients type it; anything else is left for the rules below to refuse."""
    return int(text) if _INTEGER.fullmatch(text) else text


def truth(text: str) -> bool | str:
    """The same of true and false."""
    return text == "true" if text in ("true", "false") else text


def name(value: object, what: str = "counter") -> str:
    """A counter, or another name that may be as long."""
    if not isinstance(value, str):
        raise wrong(f"{what} must be a string, not {shown(value)}")
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        raise wrong(f"{what} must be valid Unicode, not {shown(value)}") from None
    if not 1 <= size <= COUNTER_BYTES_MAX:
        raise wrong(f"{what} must have 1 to {COUNTER_BYTES_MAX} bytes of UTF-8, not {size}")
    if _CONTROL.search(value):
        raise wrong(f"{what} must not contain control characters: {shown(value)}")
    return value


def amount(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise wrong(f"by must be an integer, not {shown(value)}")
    if value == 0:
        raise wrong("by must not be 0")
    if abs(value) > BY_MAX:
        raise wrong(f"by must be within -2^53 and 2^53, not {shown(value)}")
    return value


def beginning(value: object) -> str:
    return _text(value, "prefix")


def last(value: object) -> str:
    return _text(value, "after")


def page_limit(value: object) -> int:
    return _within(value, "limit", 1, PAGE_MAX)


def are_text(value: object) -> bool:
    """Whether counts are wanted as strings, as those beyond 2^53 are no numbers in JavaScript."""
    if value not in ("string", "number"):
        raise wrong(f"counts must be string or number, not {shown(value)}")
    return value == "string"


def log_limit(value: object) -> int:
    return _within(value, "limit", 1, LOG_LIMIT_MAX)


def copies(value: object) -> int:
    """How many nodes shall hold an increment; 1 is the node that is asked."""
    return _within(value, "ack", 1, COPIES_MAX)


def source_seq(value: object) -> int:
    return _within(value, "seq", 1, SEQ_MAX, "2^48-1")


def source_total(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > TOTAL_MAX:
        raise wrong(f"total must be an integer within -2^62 and 2^62, not {shown(value)}")
    return value


def flag(value: object, what: str = "ack_memory") -> bool:
    if not isinstance(value, bool):
        raise wrong(f"{what} must be true or false, not {shown(value)}")
    return value


def counters(value: object) -> frozenset[str]:
    """Those of which a watcher wants to hear."""
    assert isinstance(value, list)
    if len(value) > WATCHED_MAX:
        raise wrong(f"at most {WATCHED_MAX} counters are watched by name, not {len(value)}")
    return frozenset(map(name, value))


def timeout(value: object) -> float:
    """Seconds, from a number or from text like `2s`, `500ms` or `1.5`."""
    seconds = math.nan
    if isinstance(value, str) and (found := _SECONDS.fullmatch(value)):
        seconds = float(found[1]) / (1000 if found[2] == "ms" else 1)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        seconds = value
    if not 0 <= seconds <= TIMEOUT_MAX:
        raise wrong(
            f"timeout must be 0 to {TIMEOUT_MAX:g} seconds, like 2s or 500ms: {shown(value)}"
        )
    return float(seconds)


def increment_id(value: object) -> UUID:
    return _uuid(value, "an increment id")


def log_place(value: object) -> UUID | int:
    """The number of an event in the log, or the id of an increment."""
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return int(value)
    return _uuid(value, "an event's number is digits, an increment id")


def key(value: object) -> bytes:
    """A client's key. A UUID is its 16 bytes, however it is written; any other string stands for
    the UUID that is its hash, which does not tell its time."""
    if not isinstance(value, str) or not 1 <= len(value) <= KEY_LENGTH_MAX:
        raise wrong(
            f"a key is a UUID or another string of 1 to {KEY_LENGTH_MAX} characters, "
            f"not {shown(value)}"
        )  # fmt: skip
    found = _written_uuid(value)
    if found in _UNSET or (found is None and value.strip().lower() in _UNSET_TEXTS):
        raise wrong(
            f"the key {shown(value)} is that of a field that was never set: every increment needs "
            "its own; leave the key out or use a UUID of version 7",
        )
    if found is None:
        try:
            return uuid5(KEY_NAMESPACE, value).bytes
        except UnicodeEncodeError:
            raise wrong(f"a key must be valid Unicode, not {shown(value)}") from None
    if _version(found) == KEY_VERSION_RESERVED:
        raise wrong(
            f"a key must not be a UUID of version {KEY_VERSION_RESERVED}, which is that of "
            "increment ids; use version 7 (or 4)",
        )
    return found


def secret(value: object) -> bytes:
    """A token, which is shown nowhere."""
    if not isinstance(value, str) or not value:
        raise wrong("which token? auth TOKEN")
    return value.encode(errors="replace")


def addresses(value: object) -> list[str]:
    if not isinstance(value, list) or not 1 <= len(value) <= PEERS_MAX:
        raise wrong(f'peers must be a list of 1 to {PEERS_MAX} strings "host:port"')
    found: list[str] = []
    for item in value:
        if not isinstance(item, str) or not 1 <= len(item) <= ADDRESS_SIZE_MAX:
            raise wrong(f'a peer must be a string "host:port", not {shown(item)}')
        found.append(item)
    return found


def _written_uuid(value: str) -> bytes | None:
    """The UUID that a key is. One in 32 digests of 32 digits would be one by chance, of an
    increment or of a time that is far away: such are none."""
    if _UUID.fullmatch(value):  # as nearly everybody writes it
        return bytes.fromhex(value.replace("-", ""))
    written = _UUID_WRITTEN.fullmatch(value)
    if written is None:
        return None
    if written["hyphens"]:
        return bytes.fromhex(written["hyphens"].replace("-", ""))
    found = bytes.fromhex(written["plain"])
    version, time = _version(found), int.from_bytes(found[:6], "big")
    by_chance = version == KEY_VERSION_RESERVED or (
        version == _TIMED and not _TIMES[0] <= time < _TIMES[1]
    )
    return None if by_chance else found


def _version(uuid: bytes) -> int | None:
    """Of a UUID as RFC 9562 has it; None of one of another kind."""
    return uuid[6] >> 4 if uuid[8] >> 6 == _VARIANT else None


def _uuid(value: object, what: str) -> UUID:
    if not isinstance(value, str) or not _UUID.fullmatch(value):
        raise wrong(f"{what} is a UUID with hyphens, not {shown(value)}")
    return UUID(value)


def _text(value: object, what: str) -> str:
    """A name or the beginning of one: whatever it is, nothing but names is compared with it."""
    if not isinstance(value, str) or len(value) > COUNTER_BYTES_MAX:
        raise wrong(f"{what} must be a name or the beginning of one, not {shown(value)}")
    return value


def _within(value: object, what: str, least: int, most: int, most_shown: str = "") -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        limit = most_shown or most
        raise wrong(f"{what} must be an integer from {least} to {limit}: {shown(value)}")
    return value


REQUIRED = object()
"""Stands for the default of what must be given."""


@dataclass(frozen=True, slots=True)
class Argument:
    """Something that may be said along with a question."""

    name: str
    check: Callable[[object], Any]
    """Its rule: returns the value, or raises `Refused`."""

    sample: str = ""
    """How text shows its value as that of an option."""

    default: Any = REQUIRED
    read: Callable[[str], object] = str
    """Its value where it was typed: a query or a line has text only, JSON has types."""

    many: bool = False
    """It may be given several times: its values are a list."""

    waits: bool = False
    """It makes the answer wait for other nodes."""

    within: Callable[[Any, str], Any] | None = None
    """What it is, where it names counters, for whoever may use those alone that begin so. Raises
    `Refused`."""


COUNTER = Argument("counter", name, default=COUNTER_DEFAULT, within=access.within)
ANY_COUNTER = Argument("counter", name, default=None, within=access.within)
GIVEN_COUNTER = Argument("counter", name, within=access.within)
WATCHED = Argument("counter", counters, default=None, many=True, within=access.all_within)
MEMBERS = Argument(
    "members",
    lambda value: flag(value, "members"),
    "true",
    None,
    lambda text: truth(text or "true"),
)
CLIENT = Argument("client", lambda value: name(value, "client"))
MEMBER = Argument("name", lambda value: name(value, "name"))
BY = Argument("by", amount, default=1, read=number)
KEY = Argument("key", key, "UUID", default=None)
GIVEN_KEY = Argument("key", lambda value: (value, key(value)))
"""As it is written, too."""
ACK = Argument("ack", copies, "K", None, number, waits=True)
ACK_MEMORY = Argument("ack_memory", flag, "true", default=False, read=truth)
TIMEOUT = Argument("timeout", timeout, f"{TIMEOUT_DEFAULT:g}s", TIMEOUT_DEFAULT)
ID = Argument("id", increment_id)
INCLUDING = Argument("after", increment_id, "ID", None, waits=True)
SEQ = Argument("seq", source_seq)
TOTAL = Argument("total", source_total)
PREFIX = Argument("prefix", beginning, "X", "", within=access.narrowed)
MEMBER_PREFIX = Argument("prefix", beginning, "X", "")
LIMIT = Argument("limit", page_limit, "N", None, number)
AFTER = Argument("after", last, "NAME", "")
COUNTERS = Argument(
    "counters", lambda value: _text(value, "counters"), default=None, within=access.narrowed
)
LOG_LIMIT = Argument("limit", log_limit, "N", LOG_LIMIT_DEFAULT, number)
LOG_AFTER = Argument("after", log_place, "NUMBER", None)
PEERS = Argument("peers", addresses)
COUNTS = Argument("counts", are_text)
TOKEN = Argument("token", secret)

OPTIONS = sorted(
    {each.name for each in (ACK, ACK_MEMORY, AFTER, KEY, LIMIT, MEMBERS, PREFIX, TIMEOUT)}
)
"""What a line of text gives by name, as in `key=x`; a name that looks so is written in quotes."""
