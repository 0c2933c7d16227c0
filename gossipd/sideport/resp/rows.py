"""What a row of the table of commands is, and how its words are read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from gossipd.config.tokens import Right
from gossipd.sideport.access import within
from gossipd.sideport.resp.reading import Words
from gossipd.sideport.resp.session import Call, Session
from gossipd.sideport.validation import COUNTER, number, wrong

NOT_A_NUMBER = "value is not an integer or out of range"
"""In the words of Redis."""

SYNTAX = "syntax error"
"""The same."""


class Given(NamedTuple):
    """What a command may be given, as `COMMAND DOCS` tells it."""

    name: str
    type: str = "string"
    """`key` is a counter."""

    token: str = ""
    """The word in front of it."""

    optional: bool = False
    multiple: bool = False


@dataclass(frozen=True, kw_only=True)
class Command:
    """A row."""

    arity: int
    """As in Redis: how many words it has, its name included; if negative, at least so many."""

    summary: str
    right: Right
    """What whoever says it must be allowed."""

    run: Callable[[Session, Words], object] | None = None
    """Called when all before it is answered; returns a `Value`, or what is to be awaited for it.
    May raise `Refused`."""

    search: Callable[[Session, Words, str], object] | None = None
    """In its place: the same for whoever may ask about counters alone that begin so."""

    call: Callable[[Session, Words], Call] | None = None
    """In its place, for what is asked most, and for what changes how the next one is understood:
    tells what to start. May raise `Refused`."""

    given: tuple[Given, ...] = ()
    group: str = "string"
    since: str = "1.0.0"
    """The version of Redis that has it first."""

    flags: tuple[str, ...] = ()
    is_brief: bool = False
    """It is answered where there is room for one short question only."""

    def begin(self, session: Session, words: Words) -> Call:
        """Raises `Refused`."""
        prefix = session.visitor.grant.prefix
        if self.call is not None:
            call = self.call(session, words)
            if call.counter:
                within(call.counter, prefix)
            return call
        if self.search is not None:
            return Call(partial(self.search, session, words, prefix))
        assert self.run is not None
        return Call(partial(self.run, session, words))

    def takes(self, count: int) -> bool:
        return count == self.arity if self.arity > 0 else count >= -self.arity


def text(word: bytes) -> str:
    try:
        return word.decode()
    except UnicodeDecodeError:
        raise wrong("names and keys must be UTF-8") from None


def counter(word: bytes) -> str:
    name: str = COUNTER.check(text(word))
    return name


def whole(word: bytes) -> int:
    found = number(word.decode("latin-1"))
    if isinstance(found, str):
        raise wrong(NOT_A_NUMBER)
    return found
