"""The protocol of Redis as its clients speak it, well and badly, and what a reader that knows
nothing of the one under test finds in that."""

from __future__ import annotations

import re
from random import Random

from gossipd.core import Refused
from gossipd.sideport.resp.reading import Reader, Words
from gossipd.sideport.validation import amount, name, number

from .conversation import LIMITS, split
from .target import Broken

WORDS = (
    b"INCR", b"incr", b"INCRBY", b"DECR", b"DECRBY", b"GET", b"MGET", b"EXISTS", b"TYPE", b"KEYS",
    b"SCAN", b"PING", b"ECHO", b"HELLO", b"RESET", b"MULTI", b"EXEC", b"QUIT", b"WAIT", b"SELECT",
    b"CONFIG", b"CLIENT", b"COMMAND", b"GOSSIPD.INCRBY", b"SET", b"x", b"a", b"b", b"page views",
    b"*", b"a*", b"[a-", b"\\", b"0", b"1", b"-1", b"3", b"2", b"10", b"9007199254740993", b"",
    "é".encode(), b"\r\n", b"\r", b"\n", b"a\r\nb", b"\0", b"COUNT", b"MATCH", b"LIST", b"SETNAME",
    b"*1\r\n$4\r\nQUIT\r\n", b"y" * 200, b"z" * 1500, b"z" * 4000, b"\r\n" * 9, b"DOCS", b"\xe9",
)  # fmt: skip
COUNTING = {b"INCR": 2, b"DECR": 2, b"INCRBY": 3, b"DECRBY": 3, b"GOSSIPD.INCRBY": 4}
"""What counts, and how many words it has."""

PIECES = (
    b"*", b"$", b"\r\n", b"-1", b"0", b"00", b"1", b"9", b"4294967295", b"+1", b" 1", b"%1", b"~",
    b"PING\r\n", b"*1\r\n", b"*-1\r\n", b"*0\r\n", b"$-1\r\n", b"$536870912\r\n", b"*1000000\r\n",
    b"$0\r\n\r\n", b"\0", b"*1\r\n*1\r\n", b":1\r\n", b"increment\n", b"\xff" * 20,
)  # fmt: skip


def command(words: Words) -> bytes:
    """As clients send it."""
    return b"*%d\r\n%b" % (
        len(words),
        b"".join([b"$%d\r\n%b\r\n" % (len(word), word) for word in words]),
    )


def said(rng: Random) -> bytes:
    """Mostly commands, perhaps with something wrong in them."""
    parts = []
    for _ in range(rng.randrange(1, 30)):
        head = rng.choice(WORDS)
        if rng.randrange(3):
            head = rng.choice(list(COUNTING))
            count = COUNTING[head] - 1
        else:
            count = rng.choice((0, 1, 2, 9))
        names, numbers = rng.choices(WORDS, k=count), (b"3", b"-1", b"9007199254740993", b"0")
        if count > 1 and rng.randrange(4):
            names[1] = rng.choice(numbers)
        parts.append(command((head, *names)))
        if not rng.randrange(60):
            parts.append(rng.choice(PIECES))
    data = bytearray(b"".join(parts))
    for _ in range(rng.choice((0, 0, 0, 1, 4))):
        at = rng.randrange(len(data) + 1)
        data[at : at + rng.randrange(3)] = rng.choice((rng.randbytes(1), rng.choice(PIECES), b""))
    return b"*" + bytes(data[1:])


def commands_in(data: bytes) -> list[Words]:
    """The commands in what was said, up to what breaks the protocol."""
    found: list[Words] = []
    at = 0
    while True:
        start = at
        line, at = _line(data, at)
        if line == b"":
            continue
        count = _number(line, b"*")
        if count is None or count > LIMITS.words_max:
            return found
        words: list[bytes] = []
        for _ in range(count):
            line, at = _line(data, at)
            size = _number(line, b"$")
            if size is None or size < 0 or at - start + size + 2 > LIMITS.request_size_max:
                return found
            if data[at + size : at + size + 2] != b"\r\n":
                return found
            words.append(data[at : at + size])
            at += size + 2
        if words:
            found.append(tuple(words))


def _line(data: bytes, at: int) -> tuple[bytes | None, int]:
    end = data.find(b"\r\n", at)
    return (None, at) if end < 0 else (data[at:end], end + 2)


def _number(line: bytes | None, sign: bytes) -> int | None:
    if line is None or not re.fullmatch(rb"[*$](0|-?[1-9][0-9]{0,9}|-0)", line):
        return None
    return int(line[1:]) if line[:1] == sign else None


def counted_by(commands: list[Words]) -> list[tuple[str, int]]:
    """What these add."""
    found = []
    is_refusing = False
    for head, *given in commands:
        verb = head.upper()
        if is_refusing and verb not in (b"QUIT", b"RESET"):
            is_refusing = verb not in (b"EXEC", b"DISCARD")
            continue
        is_refusing = verb == b"MULTI"
        if verb == b"QUIT":
            break
        if COUNTING.get(verb) == 1 + len(given):
            found += _added(verb, given)
    return found


def _added(verb: bytes, given: list[bytes]) -> list[tuple[str, int]]:
    try:
        by = 1 if len(given) == 1 else number(given[1].decode("latin-1"))
        if by == 0 or isinstance(by, str) or len(given) == 3:
            return []  # keys are tried elsewhere
        by = -by if verb.startswith(b"DECR") else by
        return [(name(given[0].decode()), amount(by))]
    except (Refused, UnicodeDecodeError):
        return []


def check_memory(data: bytes, rng: Random) -> None:
    """A reader takes no command that is too long."""
    reader = Reader(LIMITS.request_size_max, LIMITS.words_max)
    for piece in split(data, rng):
        for words in reader.take(piece):
            if len(words) > LIMITS.words_max or len(command(words)) > LIMITS.request_size_max:
                raise Broken(f"a command of {len(command(words))} bytes, {len(words)} words")
