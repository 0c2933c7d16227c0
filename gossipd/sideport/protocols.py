"""What other protocols say first, and how each is told that this port does not speak it.

A client that hears its own protocol's word for "no" fails at once, with a reason; one that hears
nothing, or what it cannot read, waits for its time-out.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_SPOKEN = "this port speaks HTTP/1.1, RESP (Redis) and lines of text"


class Protocol(NamedTuple):
    """One that is not spoken here."""

    beginning: re.Pattern[bytes]
    """What its clients send first; as much of it as is certain."""

    refusal: bytes


def _error(what: str) -> bytes:
    return f"error: {_SPOKEN}, not {what}\n".encode()


RESP = re.compile(rb"[*$][0-9+-]")
"""An array or a string of RESP, which a line of text does not begin with."""

NOT_RESP = b"-ERR this connection speaks lines of text; RESP (Redis) begins with an array\r\n"

_TLS_ALERT = bytes([0x15, 0x03, 0x01, 0, 2, 2, 70])
"""A record with a fatal alert: protocol_version (RFC 8446 6.2)."""

_GOAWAY_TEXT = f"{_SPOKEN}, not HTTP/2".encode()
_HTTP_1_1_REQUIRED = 13
_HTTP_2_SETTINGS = bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])
_HTTP_2_GOAWAY = (
    (8 + len(_GOAWAY_TEXT)).to_bytes(3, "big")
    + bytes([7, 0, 0, 0, 0, 0])
    + bytes(4)  # no stream was looked at
    + _HTTP_1_1_REQUIRED.to_bytes(4, "big")
    + _GOAWAY_TEXT
)
"""RFC 9113 3.4, 6.8 and 7."""

PROTOCOLS = (
    Protocol(re.compile(rb"\x16"), _TLS_ALERT),
    Protocol(re.compile(rb"PRI \* HTTP/2"), _HTTP_2_SETTINGS + _HTTP_2_GOAWAY),
    Protocol(re.compile(rb"SSH-"), _error("SSH")),
    Protocol(re.compile(rb"PROXY "), _error("the PROXY protocol")),
    Protocol(re.compile(rb"\xef\xbb\xbf"), _error("text with a byte order mark in front")),
    Protocol(re.compile(rb"\xff\xfe|\xfe\xff|\x00[\t -~]|[\t -~]\x00"), _error("UTF-16")),
    Protocol(
        re.compile(rb"[\x80-\xff]|[^\n]*?(?:[\x00-\x06\x0b\x0c\x0e-\x1a\x1c-\x1f]|\r[^\n])"),
        _error("binary"),
    ),
)
"""The first that fits the beginning of a connection is the one that is spoken."""


def refused(first: bytes) -> bytes | None:
    """The answer to a client that has sent `first`, where that shows what is not spoken here."""
    for protocol in PROTOCOLS:
        if protocol.beginning.match(first):
            return protocol.refusal
    return None
