"""A peer of a later version: what it appends to datagrams that this version writes.

A version only ever appends: fields behind the known ones of every array that stands for one thing
(an envelope, a message's fields, a view, group, page, record, leaf, item of a pass), kinds of
records, kinds of messages.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import msgpack

from gossipd.core import Address
from gossipd.core.settings import DATAGRAM_SIZE_MAX
from gossipd.core.wire.decoding import decode
from gossipd.core.wire.frame import TagFrame
from gossipd.core.wire.messages import (
    Digest,
    Envelope,
    Held,
    Hold,
    MembersPage,
    Message,
    Pages,
    PassAsk,
)

LATER_KIND = 99
LATER_RECORD = [7, "a key", 3]
_FIELDS, _VIEWS, _GROUPS, _PADDING = 4, 5, 6, 7
_LISTED: dict[type[Message], int] = {
    Digest: 3,
    PassAsk: 1,
    Pages: 1,
    MembersPage: 3,
    Hold: 1,
    Held: 2,
}
"""Which field of a message is a list of things that have fields of their own."""

_RECORDS: dict[type[Message], int] = {Pages: 5, Hold: 3}
"""Which field of the things in it is a list of records."""

_GROUP_RECORDS = 3


def _read(body: bytes) -> tuple[list[object], type[Message]]:
    envelope = decode(body)
    assert isinstance(envelope, Envelope)
    return _array(msgpack.unpackb(body)), type(envelope.message)


def _array(value: object) -> list[object]:
    assert isinstance(value, list)
    return value


def _things(tree: list[object], kind: type[Message]) -> Iterator[list[object]]:
    """Every array that later versions may make longer."""
    yield tree
    yield _array(tree[_FIELDS])
    yield from map(_array, _array(tree[_VIEWS]))
    yield from map(_array, _array(tree[_GROUPS]))
    listed = _array(tree[_FIELDS])[_LISTED[kind]] if kind in _LISTED else None
    yield from map(_array, _array(listed) if listed is not None else ())
    for records in record_lists(tree, kind):
        yield from map(_array, records)


def record_lists(tree: list[object], kind: type[Message]) -> Iterator[list[object]]:
    """Every list of log records."""
    for group in _array(tree[_GROUPS]):
        yield _array(_array(group)[_GROUP_RECORDS])
    if kind in _RECORDS:
        for thing in _array(_array(tree[_FIELDS])[_LISTED[kind]]):
            yield _array(_array(thing)[_RECORDS[kind]])


def with_later_fields(body: bytes, extra: Callable[[int], Sequence[object]]) -> tuple[bytes, int]:
    """A body with `extra(n)` behind the fields of its n-th thing; and how many that were."""
    tree, kind = _read(body)
    if len(tree) == _PADDING:
        tree.append(None)
    added = 0
    for number, thing in enumerate(list(_things(tree, kind))):
        more = extra(number)
        thing += more
        added += len(more)
    packed: bytes = msgpack.packb(tree)
    return packed, added


def with_later_records(
    body: bytes, record: object = LATER_RECORD, riding: bool = False
) -> tuple[bytes, int]:
    """A body with one record of a later kind in each list of them (`riding`: in the groups only);
    and how many that were."""
    tree, kind = _read(body)
    lists = list(record_lists(tree, kind))
    if riding:
        lists = lists[: len(_array(tree[_GROUPS]))]
    for records in lists:
        records.insert(len(records) // 2, record)
    packed: bytes = msgpack.packb(tree)
    return packed, len(lists)


def with_later_kind(body: bytes) -> bytes:
    """The same body under a kind of message that is yet to be invented."""
    tree, _ = _read(body)
    packed: bytes = msgpack.packb([LATER_KIND, *tree[1:]])
    return packed


class LaterWire:
    """Rewrites what nodes of a later version send, on its way."""

    def __init__(self, frame: TagFrame, later: Sequence[Address]) -> None:
        self._frame = frame
        self._later = set(later)
        self.records = False
        """Whether their groups hold records of a later kind."""
        self.rewritten = 0

    def sent(self, data: bytes, source: Address) -> list[bytes]:
        """What leaves the host in place of a datagram."""
        body = self._frame.open(data)
        if source not in self._later or not isinstance(body, bytes):
            return [data]
        written, _ = with_later_fields(
            body, lambda number: (number, [None, "later"])[: 1 + number % 2]
        )
        if self.records:
            written, _ = with_later_records(written, riding=True)
        later = self._frame.close(written)
        if len(later) > DATAGRAM_SIZE_MAX:
            return [data]
        self.rewritten += 1
        return (
            [later, self._frame.close(with_later_kind(body))]
            if self.rewritten % 5 == 0
            else [later]
        )
