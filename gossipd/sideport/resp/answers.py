"""Answers in RESP, of version 2 or 3, from plain values.

What version 3 alone has is a map for a dictionary and a null of its own; everything else is the
same in both. A refusal is a line that begins with a word in capitals, for programs:

- `ERR`: a mistake, as in Redis, or what cannot be done here.
- `MISCONF`: not counted, as the disk cannot be written, as in Redis.
- `UNAVAILABLE`: not done here and now.
- `UNCERTAIN`: it may have been counted.

None is `LOADING`, `TRYAGAIN`, `READONLY`, `MASTERDOWN`, `CLUSTERDOWN` or `NOREPLICAS`, though some
would fit: on these clients try again by themselves (go-redis on all, redis-py on the first), and
*all* commands of a pipeline, also those that have counted. In Redis none of them would have.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import TypeAlias

from gossipd.core import Refused, Why
from gossipd.sideport.access import Denied
from gossipd.sideport.pipeline import Answer
from gossipd.sideport.streaming import ROWS_AT_ONCE

_CODES = {
    Why.DISK: "MISCONF",
    Why.UNAVAILABLE: "UNAVAILABLE",
    Why.UNCERTAIN: "UNCERTAIN",
}


class Encoded(bytes):
    """What is in RESP already."""

    __slots__ = ()


class Error(Refused):
    """What has a word of its own in Redis."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(Why.WRONG, detail)
        self.code = code


@dataclass(eq=False)
class Names:
    """A long list, which is told in pieces."""

    names: list[str] = field(default_factory=list)


Value: TypeAlias = (
    "int | str | bytes | Refused | Sequence[Value] | Mapping[str, Value] | Names | None"
)
"""What can be told. Text is a string of bytes; a status is `Encoded`."""


def answer(value: Value, version: int) -> Answer:
    """A whole answer."""
    return _in_pieces(value.names) if isinstance(value, Names) else encode(value, version)


def encode(value: Value, version: int) -> bytes:
    parts: Iterator[Value]
    match value:
        case str():
            return _string(value.encode(errors="replace"))
        case None:
            return b"_\r\n" if version == 3 else b"$-1\r\n"
        case int():
            return b":%d\r\n" % value
        case Encoded():
            return value
        case bytes():
            return _string(value)
        case Refused():
            return error(value)
        case Mapping():
            sign, count = (b"%", len(value)) if version == 3 else (b"*", 2 * len(value))
            parts = chain.from_iterable(value.items())
        case _:
            assert not isinstance(value, Names)
            sign, count, parts = b"*", len(value), iter(value)
    return b"%b%d\r\n%b" % (sign, count, b"".join([encode(part, version) for part in parts]))


def simple(text: str) -> Encoded:
    """A status: a short word of the server's own."""
    return Encoded(f"+{text}\r\n".encode())


OK = simple("OK")


def error(refused: Refused) -> bytes:
    code = refused.code if isinstance(refused, Error | Denied) else _CODES.get(refused.why, "ERR")
    return f"-{code} {' '.join(refused.detail.split())}\r\n".encode(errors="replace")


def _string(value: bytes) -> bytes:
    return b"$%d\r\n%b\r\n" % (len(value), value)


def _in_pieces(names: list[str]) -> Iterator[bytes]:
    yield b"*%d\r\n" % len(names)
    for at in range(0, len(names), ROWS_AT_ONCE):
        some = names[at : at + ROWS_AT_ONCE]
        yield b"".join([_string(name.encode(errors="replace")) for name in some])
