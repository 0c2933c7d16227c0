"""What a connection that speaks RESP remembers, and what all of them share."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, NamedTuple, TypeAlias
from weakref import WeakSet

from gossipd.config.tokens import Right
from gossipd.core import Counted, Refused
from gossipd.sideport.access import Access, Visitor
from gossipd.sideport.answered import Answers
from gossipd.sideport.http_answers import status_of
from gossipd.sideport.memo import Memo
from gossipd.sideport.operations import INCREMENT
from gossipd.sideport.pipeline import Answer
from gossipd.sideport.resp.answers import Names, Value, answer, error
from gossipd.sideport.resp.reading import Words

if TYPE_CHECKING:
    from gossipd.sideport.port import SidePort

CALLS_MAX = 16 * 1024
"""Commands that are remembered by their words, and as many by the bytes in which they came, each
with what it means: 0.7 KB."""

_ids = count(1)


class Call(NamedTuple):
    """A command that can be started."""

    start: Callable[..., object]
    """As of `Pipeline.add`; what it ends with is a `Value`, or `Counted` where it `shares`."""

    shares: bool = False
    """It is an increment, as in `operations`."""

    again: bool = False
    """It means the same whenever it comes, on any connection."""

    name: str = ""
    """Of the command."""

    keyed: bool = False
    """With another key, which is its last word, it means the same with that."""

    counter: str = ""
    right: Right = Right.NONE
    """What whoever says it must be allowed."""

    @property
    def runs(self) -> bool:
        """Some in a row may be started as one, as of `Pipeline.add`."""
        return self.shares and self.again

    def under(self, key: bytes) -> Call:
        """The same with another key."""
        return self._replace(start=partial(self.start, key=key), keyed=False)


Some: TypeAlias = tuple[Call, int]
"""So many in a row, which are started as one."""


class Common:
    """Of all connections of one port."""

    def __init__(self) -> None:
        self.calls: dict[Words, Call] = {}
        """What was asked for lately, by its words. Clients ask the same again and again: to find
        out what it means takes three microseconds, to find it here a tenth."""
        self.said: dict[bytes, tuple[Some, ...]] = {}
        """The same by the bytes of one read, which need not even be split then."""
        self.keyed: dict[Words, Call] = {}
        """The same of those with a key, by the words before it."""
        self.requests = Memo[Call]()
        """The same of those with a key that come alone, by the bytes around it."""
        self._said_count = 0
        """Commands in it."""
        self.lists: WeakSet[Names] = WeakSet()
        """The long lists that are being made or told."""
        self.began_at = time.time()

    def remember(self, words: Words, call: Call) -> None:
        calls, words = (self.keyed, words[:-1]) if call.keyed else (self.calls, words)
        if len(calls) >= CALLS_MAX:
            calls.clear()
        calls[words] = call

    def remember_said(self, data: bytes, calls: tuple[Some, ...]) -> None:
        self._said_count += len(calls)
        if self._said_count > CALLS_MAX:
            self.said.clear()
            self._said_count = len(calls)
        self.said[data] = calls


Teller: TypeAlias = Callable[[Value], Answer]


class Tellers(dict[str, Teller]):
    """Made when first asked for."""

    def __init__(self, make: Callable[[str], Teller]) -> None:
        super().__init__()
        self.make = make

    def __missing__(self, call: str) -> Teller:
        self[call] = teller = self.make(call)
        return teller


class Session:
    """One connection's."""

    def __init__(self, port: SidePort, access: Access) -> None:
        self.port = port
        self.access = access
        self.visitor = Visitor(access)
        self.node = port.node
        self.id = next(_ids)
        self._answered = port.answered.of("resp", INCREMENT.name)
        self.tellers = Tellers(self._teller)
        """Who answers what is no increment, by the name of the command."""
        self.last: Counted | None = None
        """Its last increment, for `WAIT`."""
        self.reset()

    def reset(self) -> None:
        """As if it had just begun, but for what it has counted."""
        self.version = 2
        self.name = ""
        self.library = {"lib-name": "", "lib-ver": ""}

    def counted(self, result: Counted | Refused) -> Answer:
        """The answer to an increment."""
        if isinstance(result, Counted):
            self.last = result
            self._answered.ok += result.times
            if result.times > 1:
                return b":%d\r\n" * result.times % tuple(result.values)
            return b":%d\r\n" % result.value
        self._answered.add(status_of(result))
        return error(result)

    def refused(self, refused: Refused, call: str) -> bytes:
        """The answer to what cannot be started."""
        self.port.answered.of("resp", call).add(status_of(refused))
        return error(refused)

    def _teller(self, call: str) -> Teller:
        return partial(self._told, self.port.answered.of("resp", call))

    def _told(self, answered: Answers, value: Value) -> Answer:
        if isinstance(value, Refused):
            answered.add(status_of(value))
        else:
            answered.ok += 1
        return answer(value, self.version)

    def end(self) -> None:
        """The connection is gone: nothing refers back to this."""
        self.tellers.clear()
        del self.tellers.make
