"""Whatever can be said on the wire, made of what was heard: a grammar over the messages' types.

A value is drawn by its annotation: a message or a part of one field by field, a list item by item,
a number, text or name from what was heard under that *sort*, as it is, moved a little, or far from
the truth. Or something that was heard is told again with some of it changed. A kind of message, a
field or a record that is new is spoken as soon as it is declared; only a number, a text or bytes
under a field's name that is not known here needs a row in `SORTS`.
"""

from __future__ import annotations

import types
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from enum import Enum, IntEnum, auto
from random import Random
from typing import Any, get_args, get_origin, get_type_hints

from gossipd.core.identity import (
    BY_MAX,
    GENERATION_MAX,
    INCARNATION_MAX,
    KEY_BYTES,
    SEQ_MAX,
    STREAM_BITS,
    STREAM_BYTES,
    TOTAL_MAX,
    Address,
    is_host,
)
from gossipd.core.settings import DATAGRAM_SIZE_FLOOR, DATAGRAM_SIZE_MAX
from gossipd.core.wire.messages import (
    ACCUSERS_MAX,
    COOKIE_BYTES_MAX,
    DIGEST_DEPTH_MAX,
    DIGEST_FANOUT,
    HOLD_GROUPS_MAX,
    NONCE_MAX,
    PAGES_MAX,
    PASS_ITEMS_MAX,
    ROUND_MAX,
    TIMEOUT_MS_MAX,
    Message,
)
from gossipd.core.wire.records import AGE_WANTED_MAX, BEGINNING, END, Position, Register

HEARD_MAX = 64
"""So many values of a sort, and so many things of a type, are remembered: the newest ones."""

AS_HEARD, NEAR = 0.6, 0.85
"""Up to which part of the draws a value is told as it was heard, and up to which nearly so."""

AGAIN = 0.5
"""How often something is told that was heard, with a change."""

MANY = 0.05
"""How often a list is as long as lists may be."""

INVENTED = 0.03
"""How often a name is one that nobody has heard."""


class Sort(Enum):
    """What a number, a text or bytes stand for."""

    NAME = auto()
    NAME_OR_NONE = auto()
    COUNTER = auto()
    TEXT = auto()
    ADDRESS = auto()
    STREAM = auto()
    KEY = auto()
    COOKIE = auto()
    GENERATION = auto()
    INCARNATION = auto()
    SEQ = auto()
    EVENT = auto()
    TOTAL = auto()
    AMOUNT = auto()
    AGE = auto()
    NONCE = auto()
    SUM = auto()
    ROUND = auto()
    DEPTH = auto()
    PREFIX = auto()
    SIZE = auto()
    COUNT = auto()
    TIMEOUT = auto()
    UNKNOWN = auto()


SORTS: dict[str, Sort] = {
    **dict.fromkeys(("name", "sender", "target", "accusers"), Sort.NAME),
    **dict.fromkeys(("after", "upto"), Sort.NAME_OR_NONE),
    "counter": Sort.COUNTER,
    "tags": Sort.TEXT,
    **dict.fromkeys(("stream", "winner"), Sort.STREAM),
    "key": Sort.KEY,
    "cookie": Sort.COOKIE,
    "generation": Sort.GENERATION,
    "incarnation": Sort.INCARNATION,
    **dict.fromkeys(("seq", "winner_seq"), Sort.EVENT),
    **dict.fromkeys(("start", "to", "until", "version", "lost"), Sort.SEQ),
    "out": Sort.TOTAL,
    "by": Sort.AMOUNT,
    "age": Sort.AGE,
    **dict.fromkeys(("nonce", "echo"), Sort.NONCE),
    **dict.fromkeys(("digest", "log", "members", "sums"), Sort.SUM),
    "round": Sort.ROUND,
    "depth": Sort.DEPTH,
    "prefix": Sort.PREFIX,
    "size": Sort.SIZE,
    "pages": Sort.COUNT,
    "timeout_ms": Sort.TIMEOUT,
    "unknown": Sort.UNKNOWN,
}
"""By the name of a field that holds a number, a text or bytes, or a list of these."""

RANGES: dict[Sort, tuple[int, int]] = {
    Sort.GENERATION: (0, GENERATION_MAX),
    Sort.INCARNATION: (0, INCARNATION_MAX),
    Sort.SEQ: (0, SEQ_MAX),
    Sort.EVENT: (1, SEQ_MAX),
    Sort.TOTAL: (-TOTAL_MAX, TOTAL_MAX),
    Sort.AMOUNT: (-BY_MAX, BY_MAX),
    Sort.AGE: (0, AGE_WANTED_MAX),
    Sort.NONCE: (0, NONCE_MAX),
    Sort.SUM: (0, NONCE_MAX),
    Sort.ROUND: (0, ROUND_MAX),
    Sort.DEPTH: (0, DIGEST_DEPTH_MAX),
    Sort.PREFIX: (0, 2**STREAM_BITS - 1),
    Sort.SIZE: (DATAGRAM_SIZE_FLOOR, DATAGRAM_SIZE_MAX),
    Sort.COUNT: (1, PAGES_MAX),
    Sort.TIMEOUT: (1, TIMEOUT_MS_MAX),
    Sort.UNKNOWN: (0, 0),
}

LENGTHS: dict[str, tuple[int, int]] = {
    "accusers": (0, ACCUSERS_MAX),
    "groups": (1, HOLD_GROUPS_MAX),
    "items": (1, PASS_ITEMS_MAX),
    "sums": (DIGEST_FANOUT, DIGEST_FANOUT),
    "tags": (0, 2),
}
"""How many there may be of what a field lists; of others up to `LENGTH_MAX`."""

LENGTH_MAX = 30

_SIZES = {Sort.STREAM: STREAM_BYTES, Sort.KEY: KEY_BYTES}
_REGISTER, _POSITION, _ADDRESS = Register, Position, Address
_SAME = {Sort.NAME_OR_NONE: Sort.NAME, Sort.EVENT: Sort.SEQ}
"""Sorts that are heard as others, too."""


_PARTS: dict[type, dict[str, Any]] = {}


def parts(kind: type) -> dict[str, Any]:
    """The fields of a message or of a part of one, and their types."""
    if kind not in _PARTS:
        hints = get_type_hints(kind)
        names = [f.name for f in fields(kind)] if is_dataclass(kind) else kind._fields  # type: ignore[attr-defined]
        _PARTS[kind] = {name: hints[name] for name in names}
    return _PARTS[kind]


def is_made_of_parts(hint: object) -> bool:
    """Whether a type has fields."""
    return isinstance(hint, type) and (is_dataclass(hint) or hasattr(hint, "_fields"))


class Grammar:
    """What one speaker has heard, and can say."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._values: dict[Sort, dict[Any, None]] = {sort: {} for sort in Sort}
        self._things: dict[type, list[Any]] = {}
        self._invented = 0

    # --- hearing -----------------------------------------------------------------------------

    def hear(self, thing: Any) -> None:
        """Remember something, and all that it is made of."""
        self._keep(thing)
        for name, hint in parts(type(thing)).items():
            self._hear(getattr(thing, name), hint, name)

    def heard(self, kind: type) -> list[Any]:
        """The last few of a type."""
        return self._things.get(kind, [])

    def _keep(self, thing: Any) -> None:
        things = self._things.setdefault(type(thing), [])
        things.append(thing)
        del things[:-HEARD_MAX]

    def _hear(self, value: Any, hint: Any, name: str) -> None:
        if is_made_of_parts(type(value)):
            self.hear(value)
        elif hint == _ADDRESS:
            self._note(Sort.ADDRESS, value)
        elif isinstance(value, tuple):
            for item, (of, field) in zip(value, _items(hint, name, len(value)), strict=True):
                self._hear(item, of, field)
        elif type(value) in (int, str, bytes) and value != "":
            self._note(SORTS[name], value)

    def _note(self, sort: Sort, value: Any) -> None:
        values = self._values[_SAME.get(sort, sort)]
        values.pop(value, None)
        values[value] = None
        if len(values) > HEARD_MAX:
            del values[next(iter(values))]

    # --- speaking ----------------------------------------------------------------------------

    def draw(self, hint: Any, name: str = "") -> Any:
        """A value of a type, for a field of that name. Most of them are legal, not all."""
        rng = self._rng
        if is_made_of_parts(hint):
            known = self._things.get(hint)
            if known and rng.random() < AGAIN:
                return self.twisted(rng.choice(known))
            return hint(**{field: self.draw(of, field) for field, of in parts(hint).items()})
        if isinstance(hint, type) and issubclass(hint, IntEnum):
            return rng.choice(list(hint))
        if hint is bool:
            return rng.random() < 0.5
        if isinstance(hint, types.UnionType):
            chosen = rng.choice(get_args(hint))
            return None if chosen is types.NoneType else self.draw(chosen, name)
        if get_origin(hint) is tuple:
            drawn = self._tuple(hint, name)
            return (
                tuple(sorted(dict(drawn).items())) if name == "tags" and _is_list(hint) else drawn
            )
        return self._value(SORTS[name])

    def twisted(self, thing: Any) -> Any:
        """Something that was heard, with one to three changes."""
        for _ in range(self._rng.choice((1, 1, 2, 3))):
            thing = self._changed(thing, type(thing), "")
        return thing

    def _changed(self, value: Any, hint: Any, name: str) -> Any:
        """With one part drawn anew."""
        rng = self._rng
        if is_made_of_parts(type(value)):
            names = list(parts(type(value)))
            if not names:
                return value
            field = rng.choice(names)
            new = self._changed(getattr(value, field), parts(type(value))[field], field)
            if isinstance(value, tuple):
                return value._replace(**{field: new})  # type: ignore[attr-defined]
            said = {each: getattr(value, each) for each in names}
            return type(value)(**(said | {field: new}))
        if hint in (_POSITION, _ADDRESS) or not isinstance(value, tuple) or not value:
            return self.draw(hint, name)
        at = rng.randrange(len(value))
        if _is_list(hint) and rng.random() < 0.3:
            return (*value[:at], *value[at + 1 :]) if rng.random() < 0.5 else (*value, value[at])
        of, field = list(_items(hint, name, len(value)))[at]
        return (*value[:at], self._changed(value[at], of, field), *value[at + 1 :])

    def _tuple(self, hint: Any, name: str) -> Any:
        rng = self._rng
        if hint == _ADDRESS:
            return self._address()
        if hint == _POSITION:
            inner = ((0, self._value(Sort.COUNTER)), (self._value(Sort.SEQ) or 1, ""))
            return rng.choice((BEGINNING, END, *inner))
        count = 0
        if _is_list(hint):
            least, most = LENGTHS.get(name, (0, LENGTH_MAX))
            few = min(most, max(least, rng.choice((0, 1, 1, 2, 3))))
            count = rng.randint(least, most) if rng.random() < MANY else few
        return tuple(self.draw(of, field) for of, field in _items(hint, name, count))

    def _value(self, sort: Sort) -> Any:
        if sort is Sort.NAME_OR_NONE:
            return "" if self._rng.random() < 0.3 else self._value(Sort.NAME)
        if sort in RANGES:
            return self._number(sort)
        if sort in (Sort.NAME, Sort.COUNTER, Sort.TEXT):
            return self._text(sort)
        return self._bytes(sort)

    def _number(self, sort: Sort) -> int:
        rng, (low, high) = self._rng, RANGES[sort]
        known = list(self._values[_SAME.get(sort, sort)]) or [max(low, 0)]
        value, dice = rng.choice(known), rng.random()
        if dice >= NEAR:
            value = rng.choice((low, low + 1, high, high - 1, high // 2, rng.randint(low, high)))
        elif dice >= AS_HEARD:
            value += rng.choice((-1, 1, 1, 2, -7, 1000, value))
        value = min(max(value, low), high)
        return value or 1 if sort is Sort.AMOUNT else value

    def _text(self, sort: Sort) -> str:
        rng, known = self._rng, list(self._values[sort])
        if not known or rng.random() < INVENTED:
            self._invented += 1
            return f"{sort.name.lower()} {self._invented}"
        return str(rng.choice(known))

    def _bytes(self, sort: Sort) -> bytes:
        rng, known = self._rng, list(self._values[sort])
        size = _SIZES.get(sort) or rng.choice((0, 8, 8, COOKIE_BYTES_MAX))
        dice = rng.random()
        if known and dice < NEAR:
            value = bytearray(rng.choice(known))
            if value and dice >= AS_HEARD:
                value[-1] ^= 1 << rng.randrange(8)
        else:
            value = bytearray(rng.choice((bytes(size), b"\xff" * size, rng.randbytes(size))))
        if sort is Sort.STREAM:
            value[0] &= 3
        return bytes(value)

    def _address(self) -> Address:
        rng, known = self._rng, list(self._values[Sort.ADDRESS])
        host, port = rng.choice(known) if known else ("192.0.2.1", 1)
        dice = rng.random()
        if dice >= NEAR:
            host = f"192.0.2.{rng.randrange(256)}"
        elif dice >= AS_HEARD:
            port = min(max(port + rng.choice((-1, 1)), 1), 65535)
        return (host, port) if is_host(host) else ("192.0.2.1", port)


def _is_list(hint: Any) -> bool:
    return get_args(hint)[1:] == (...,)


def _items(hint: Any, name: str, count: int) -> Iterator[tuple[Any, str]]:
    """The types of what a tuple holds, and the names of fields that tell their sorts."""
    inner = get_args(hint)
    if isinstance(hint, types.UnionType):
        hint = next(of for of in inner if of is not types.NoneType)
        inner = get_args(hint)
    if _is_list(hint):
        yield from ((inner[0], name) for _ in range(count))
    else:
        yield from zip(inner, ROWS.get(hint, (name,) * len(inner)), strict=True)


ROWS: dict[object, tuple[str, ...]] = {
    _REGISTER: ("counter", "seq", "out"),
    tuple[bytes, int]: ("stream", "seq"),
}
"""What the items of tuples without fields are named like."""

KINDS: tuple[type[Message], ...] = get_args(Message)
"""Every kind of message."""
