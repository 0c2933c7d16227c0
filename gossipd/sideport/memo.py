"""Requests that come again, byte for byte, and what they mean.

A client that counts says the same again and again, or the same with another key. To look up what
that means takes 0.2 microseconds, and 4 with a key; to parse and check an HTTP request 12 to 20.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, TypeAlias, TypeVar
from uuid import UUID

from gossipd.sideport.pipeline import Answer

MEANINGS_MAX = 1024
"""Requests that are remembered, the last ones; and as many places of keys."""

SIZE_MAX = 1024
"""Bytes of the largest that is."""

_KEY = re.compile(
    rb"-(?<=[0-9a-f]{8}-)[0-9a-f]{4}-[1-7][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
)
"""A UUID of a version that a key may have, as nearly everybody writes it, from its first hyphen
on. To look for that takes 0.2 microseconds in a request and 0.4 in 1 KiB of them; to look for
eight digits took 0.9 and 17."""

_BEFORE = 8
"""Digits before that hyphen."""


T = TypeVar("T")
U = TypeVar("U")

_Place: TypeAlias = tuple[bytes, bytes]
"""What stands before and behind a key."""


class _Found(NamedTuple):
    """What looks like a key."""

    place: _Place
    key: str


class Meaning(NamedTuple):
    """What `Pipeline.add` is given; nothing in it belongs to one connection or one moment."""

    start: Callable[..., object]
    render: Callable[[Any], Answer]
    shares: bool


class Memo:
    """The requests of one dialect, of all its connections."""

    def __init__(self) -> None:
        self._meanings: dict[bytes, Meaning] = {}
        self._keyed: dict[_Place, Meaning] = {}
        self._seen: dict[_Place, str] = {}
        """Of places that are not known yet to be the key's: the key that stood there."""

    def find(self, request: bytes) -> Meaning | None:
        """What a request means; None where that is not known."""
        meaning = self._meanings.get(request)
        if meaning is not None or not self._keyed:
            return meaning
        found = _first_key(request)
        keyed = None if found is None else self._keyed.get(found.place)
        if found is None or keyed is None:
            return None
        start = partial(keyed.start, key=UUID(found.key))
        return Meaning(start, keyed.render, keyed.shares)

    def remember(self, request: bytes, meaning: Meaning, key: object = None) -> None:
        """A request that is whole and means always the same, but for its `key`, as it was given:
        with another one in the same place it means the same with that. Only once two keys were
        found there: one of them may also stand where nobody heeds it, as the id of the request,
        while the one that counts is written in another way, or in two places."""
        if len(request) > SIZE_MAX:
            return
        if key is None:
            _keep(self._meanings, request, meaning)
            return
        found = _first_key(request)
        if found is None or found.key != key:
            return
        if self._seen.get(found.place, found.key) == found.key:
            _keep(self._seen, *found)
        else:
            _keep(self._keyed, found.place, meaning)


def _first_key(request: bytes) -> _Found | None:
    match = _KEY.search(request)
    if match is None:
        return None
    start, end = match.start() - _BEFORE, match.end()
    return _Found((request[:start], request[end:]), request[start:end].decode())


def _keep(known: dict[T, U], one: T, what: U) -> None:
    if len(known) >= MEANINGS_MAX:
        del known[next(iter(known))]
    known[one] = what
