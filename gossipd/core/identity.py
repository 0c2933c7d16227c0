"""Who and what things are called: addresses, names, streams, increments.

A stream is 74 bits kept as 10 big-endian bytes, so that bytes sort as the integers do; its highest
bit is the kind (0: the increments of one process lifetime, 1: a register that a client owns). An
increment id is the UUID (RFC 9562, version 8) whose 122 free bits are the stream and the 48-bit
`seq`: a bijection, readable in a log.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from random import Random
from typing import TypeAlias
from uuid import UUID

Address: TypeAlias = tuple[str, int]
"""(IP address literal, UDP port). Names are resolved by the shell, never by the core."""

Tags: TypeAlias = tuple[tuple[str, str], ...]
"""Labels of a member, keys and values in the order of keys."""

Stream: TypeAlias = bytes
"""10 bytes, see the module's text."""

STREAM_BITS = 74
STREAM_BYTES = 10
SOURCE_BIT = 2
"""In a stream's first byte: the register belongs to a client (see `sources`)."""

SEQ_MAX = 2**48 - 1
SEQ_DIGITS = 12
"""Hexadecimal digits of a seq: the last group of the text of an increment id."""
KEY_BYTES = 16
TOTAL_MAX = 2**62
BY_MAX = 2**53
GENERATION_MAX = 2**52 - 1
INCARNATION_MAX = 2**32 - 1
NAME_BYTES_MAX = 64
COUNTER_BYTES_MAX = 128
TAGS_BYTES_MAX = 256
TAGS_MAX = 32

_LOW_14 = 2**14 - 1
_LOW_12 = 2**12 - 1


def may_move(before: int, after: int) -> bool:
    """Whether a count may change so: it stays within +-2^62, or comes nearer to that.

    Counts can lie beyond: two nodes that had not heard of each other may both have added to one.
    """
    return abs(after) <= TOTAL_MAX or abs(after) < abs(before)


def new_stream(rng: Random) -> Stream:
    """Mint a stream of kind 0: 73 random bits below a kind bit of 0."""
    return rng.getrandbits(STREAM_BITS - 1).to_bytes(STREAM_BYTES, "big")


def increment_id(stream: Stream, seq: int) -> UUID:
    """The UUID of event `seq` of `stream`."""
    bits = int.from_bytes(stream, "big")
    high = bits >> 26
    middle = (bits >> 14) & _LOW_12
    low = bits & _LOW_14
    value = high << 80 | 8 << 76 | middle << 64 | 2 << 62 | low << 48 | seq
    return UUID(int=value)


@lru_cache(maxsize=64)
def _prefix_of(stream: Stream) -> str:
    return str(increment_id(stream, 0))[:-SEQ_DIGITS]


def increment_text(stream: Stream, seq: int) -> str:
    """The text of that UUID; to make it of its prefix takes a fourth of the time."""
    return f"{_prefix_of(stream)}{seq:012x}"


def parse_increment_id(uuid: UUID) -> tuple[Stream, int]:
    """The (stream, seq) that an increment id names.

    Raises `ValueError` unless the UUID has version 8, the RFC 9562 variant and a seq above 0.
    """
    value = uuid.int
    if (value >> 76) & 0xF != 8 or (value >> 62) & 3 != 2:
        raise ValueError("not an increment id: it must be a UUID of version 8")
    seq = value & SEQ_MAX
    if seq == 0:
        raise ValueError("not an increment id: its last group, the seq, must be above 0")
    bits = (value >> 80) << 26 | ((value >> 64) & _LOW_12) << 14 | (value >> 48) & _LOW_14
    return bits.to_bytes(STREAM_BYTES, "big"), seq


def key_time(key: bytes) -> int | None:
    """The milliseconds since 1970 in a UUIDv7 (RFC 9562, 5.7); None for keys of other versions."""
    return int.from_bytes(key[:6], "big") if key[6] >> 4 == 7 else None


def is_text(value: str, bytes_max: int) -> bool:
    """Whether `value` can be a name: 1 to `bytes_max` bytes of UTF-8, no control characters."""
    if value.isascii() and value.isprintable():
        return 0 < len(value) <= bytes_max
    try:
        size = len(value.encode())
    except UnicodeEncodeError:
        return False
    return 0 < size <= bytes_max and not any(unicodedata.category(c) == "Cc" for c in value)


@lru_cache(maxsize=4096)
def is_host(host: str) -> bool:
    """Whether `host` is the one literal of an address that a member can have.

    Zones (`%eth0`) mean something on one host only, and an IPv4 address is not written as IPv6.
    """
    try:
        address = ip_address(host)
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and (address.scope_id or address.ipv4_mapped):
        return False
    return not (address.is_unspecified or address.is_multicast) and str(address) == host
