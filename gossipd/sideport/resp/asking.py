"""What is asked of counters: to add, to read, to list.

Increments are those of `sideport.operations`, whose row is named here: nothing is counted here.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from gossipd.config.bounds import COPIES_MAX, TIMEOUT_MAX
from gossipd.core import RETRY_AFTER, Refused, Why
from gossipd.daemon.service import Service
from gossipd.sideport.access import within
from gossipd.sideport.operations import INCREMENT, complete
from gossipd.sideport.resp.answers import Names, Value, simple
from gossipd.sideport.resp.patterns import pattern
from gossipd.sideport.resp.reading import Words
from gossipd.sideport.resp.rows import SYNTAX, counter, text, whole
from gossipd.sideport.resp.session import Call, Session
from gossipd.sideport.turns import Slice
from gossipd.sideport.validation import wrong

KEYS_MAX = 10_000
"""Names that `KEYS` answers, as it must say how many they are before the first."""

LISTS_MAX = 64
"""Answers to `KEYS` that are made or told at a time; one more is refused."""

SCANNED_MAX = 1_000
"""Names that one `SCAN` looks at, whatever its `COUNT`."""

SCANNED_AT_ONCE = 64

CURSOR_SIZE_MAX = 19
"""Digits of a number that fits into 64 bits."""


def incr(session: Session, words: Words) -> Call:
    return _add(session, words[1], 1)


def incrby(session: Session, words: Words) -> Call:
    return _add(session, words[1], whole(words[2]))


def decr(session: Session, words: Words) -> Call:
    return _add(session, words[1], -1)


def decrby(session: Session, words: Words) -> Call:
    return _add(session, words[1], -whole(words[2]))


def _add(session: Session, word: bytes, by: int) -> Call:
    """Adding 0, by which some read a counter as a number, reads it and creates none."""
    name = counter(word)
    if by == 0:
        return Call(partial(_value, session.node, name), again=True, counter=name)
    arguments = INCREMENT.validated({"counter": name, "by": by})
    start = INCREMENT.start(session.node, arguments)
    return Call(start, shares=True, again=True, counter=name)


def add_once(session: Session, words: Words) -> Call:
    _, name, by, key = words
    given = {"counter": counter(name), "by": whole(by), "key": text(key)}
    start = INCREMENT.start(session.node, INCREMENT.validated(given))
    return Call(start, shares=True, keyed=True, counter=text(name))


def _value(node: Service, name: str) -> Value:
    complete(node)
    return node.count(name)


async def wait(session: Session, words: Words) -> Value:
    """How many other nodes hold the last increment of this connection."""
    wanted, milliseconds = whole(words[1]), whole(words[2])
    if milliseconds < 0:
        raise wrong("timeout is negative")
    last, node = session.last, session.node
    if last is None:
        return sum(1 for _ in node.peers())
    copies = min(max(wanted, 0) + 1, COPIES_MAX)
    timeout = min(milliseconds / 1000 or TIMEOUT_MAX, TIMEOUT_MAX)
    return max(0, await node.held(last.id, copies, True, timeout) - 1)


def get(session: Session, words: Words) -> Call:
    name = counter(words[1])
    return Call(partial(_found, session.node, name), again=True, counter=name)


def _found(node: Service, name: str) -> Value:
    complete(node)
    value = node.find(name)
    return None if value is None else str(value)


def _several(session: Session, words: Words, prefix: str) -> list[int | None]:
    complete(session.node)
    return [session.node.find(within(counter(word), prefix)) for word in words[1:]]


def mget(session: Session, words: Words, prefix: str) -> Value:
    return [None if value is None else str(value) for value in _several(session, words, prefix)]


def exists(session: Session, words: Words, prefix: str) -> Value:
    return sum(value is not None for value in _several(session, words, prefix))


def type_of(session: Session, words: Words, prefix: str) -> Value:
    return simple("string" if exists(session, words, prefix) else "none")


def dbsize(session: Session, _: Words) -> Value:
    complete(session.node)
    return session.node.counter_count


def scan(session: Session, words: Words, prefix: str) -> Value:
    """A cursor says how many counters, in the order of names, are done. No counter is ever
    dropped, so those that are not done stay behind it, whatever is added: none is passed over,
    some may be told twice, and nothing has to be remembered here."""
    if not words[1].isdigit() or len(words[1]) > CURSOR_SIZE_MAX:
        raise wrong("invalid cursor")
    done, options = int(words[1]), _options(words[2:])
    fits, left = options.fits, min(options.wanted, SCANNED_MAX)
    node, time = session.node, Slice()
    complete(node)
    names: list[Value] = []
    while left and (some := node.counters_behind(done, min(left, SCANNED_AT_ONCE))):
        for name in some:
            done, left = done + 1, left - 1
            if options.are_any and name.startswith(prefix) and fits(name):
                names.append(name)
            if time.over:
                left = 0
                break
    return [str(done) if done < node.counter_count else "0", names]


class _Options(NamedTuple):
    fits: Callable[[str], object]
    wanted: int
    are_any: bool
    """Counters are of the type that is wanted."""


def _options(words: Words) -> _Options:
    given = dict(zip([word.upper() for word in words[::2]], words[1::2], strict=False))
    if len(words) % 2 or given.keys() - {b"MATCH", b"COUNT", b"TYPE"}:
        raise wrong(SYNTAX)
    count = whole(given.get(b"COUNT", b"10"))
    if count < 1:
        raise wrong(SYNTAX)
    fits = pattern(text(given.get(b"MATCH", b"*"))).fits
    return _Options(fits, count, given.get(b"TYPE", b"string").lower() == b"string")


async def keys(session: Session, words: Words, prefix: str) -> Value:
    wanted, node, lists = pattern(text(words[1])), session.node, session.port.resp.lists
    complete(node)
    if len(lists) >= LISTS_MAX:
        detail = f"{LISTS_MAX} clients are told lists of names already; use SCAN"
        raise Refused(Why.UNAVAILABLE, detail, RETRY_AFTER)
    found = Names()
    lists.add(found)
    names = found.names
    time = await session.port.turns.wait()
    for name, _ in node.counters(wanted.beginning, ""):
        if name.startswith(prefix) and wanted.fits(name):
            if len(names) == KEYS_MAX:
                raise wrong(f"more than {KEYS_MAX} counters fit; use SCAN")
            names.append(name)
        if time.over:
            time = await session.port.turns.wait()
    return found
