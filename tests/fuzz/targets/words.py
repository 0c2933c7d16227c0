"""A single word of who starts a node or asks it: an option's value, an address, a key, a mark.

An input is which of them (its first byte), and the word. It is understood, or refused with the
error that its reader has for that, and nothing else.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable

from gossipd.cli.durations import duration, duration_or_seconds
from gossipd.config.endpoint import Endpoint
from gossipd.config.options import keys
from gossipd.core import Refused
from gossipd.process import passed
from gossipd.sideport.tokens import options, split
from gossipd.sideport.validation import increment_id, key, name, timeout
from gossipd.store.clock import FileClock
from tests.fuzz.target import Broken, Target


def _listen_fds(count: str) -> None:
    """As a service manager tells how many sockets it passes: none are."""
    if "\0" in count or not count.isprintable():
        return
    first, passed.FIRST = passed.FIRST, 1_000_000  # where nothing is
    os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=count, LISTEN_FDNAMES=count)
    try:
        passed.begin()
    except ValueError as error:
        raise Broken("it ends with a traceback") from error
    finally:
        passed.FIRST = first
        passed.take()


def _text(line: str) -> None:
    options(split(line))


READERS: tuple[Callable[[str], object], ...] = (
    Endpoint.parse,
    Endpoint.parse_peer,
    duration,
    duration_or_seconds,
    key,
    increment_id,
    name,
    timeout,
    _text,
    _listen_fds,
    lambda text: FileClock(text, 0.0),
    *(each.parse for each in keys()),
)


def take(data: bytes) -> bool:
    """Read it, as the byte in front says."""
    read = READERS[(data[0] if data else 0) % len(READERS)]
    try:
        read(data[1:].decode(errors="surrogateescape"))
    except (ValueError, Refused, SystemExit) as error:
        str(error).encode()
        return False
    return True


_WORDS = (
    b"a:1", b":7947", b"[::1]:7946", b"[fe80::1%eth0]:1", b"10.0.0.1", b"http://a:1/b", b"20s",
    b"0.5", b"500ms", b"01890a5d-ac96-774b-bcce-b302099a8057",
    b"{01890a5dac96774bbcceb302099a8057}",
    b"urn:uuid:00000000-0000-8000-8000-000000000001", b"visits", b'increment "a b" ack=2 key="x"',
    b"1", b"2", b"true", b"full", b"info", b"zone=b", b"1700000000000 5 boot", b"\xff", b"",
)  # fmt: skip


def seeds() -> Iterable[bytes]:
    """All words to all readers."""
    return (bytes((number,)) + word for number in range(len(READERS)) for word in _WORDS)


WORDS = Target(
    take=take,
    seeds=seeds,
    pieces=(
        *_WORDS, b"[", b"]", b"%", b":", b"-", b".", b"e", b"9" * 30, b"9" * 5000, b"\0", b"\n",
        "é".encode(), "١".encode(), b"\xed\xa0\x80", b"=", b'"', b"\\", b"_", b"+", b"inf", b"nan",
    ),
    size_max=6000,
)  # fmt: skip
