"""Bodies that are almost right: every value in every kind of message, replaced by every trap.

What is still read must be legal in every part: written again it is read as the same, and it holds
no type that the messages do not have.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from enum import IntEnum

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipd.core.settings import DATAGRAM_SIZE_MAX
from gossipd.core.wire.decoding import decode
from gossipd.core.wire.drops import Drop
from gossipd.core.wire.messages import (
    ACCUSERS_MAX,
    HOLD_GROUPS_MAX,
    PASS_ITEMS_MAX,
    Envelope,
    Gossip,
    Hold,
    MembersPage,
    Pages,
    PassAsk,
)
from gossipd.core.wire.records import Group
from tests.effort import examples
from tests.unit.core.wire.wire_examples import (
    EXAMPLES,
    GROUP,
    LEFT,
    SUSPECT,
)

from .strategies import MESSAGES, encode, envelopes


class _Raw(bytes):
    """Bytes that stand in a body as they are."""


def _packed(value: object) -> bytes:
    """msgpack, with `_Raw` inside."""
    if isinstance(value, _Raw):
        return bytes(value)
    if isinstance(value, list):
        return b"\xdc" + len(value).to_bytes(2, "big") + b"".join(map(_packed, value))
    packed: bytes = msgpack.packb(value)
    return packed


_TRAPS: tuple[object, ...] = (
    None,
    True,
    False,
    *(-1, 0, 1, 2, 18, 255, 65536, 2**31 + 1, 2**32, 2**48, 2**52, 2**62 + 1, 2**64 - 1),
    *(-(2**62) - 1, -(2**63)),
    *(0.0, 1.0, float("nan"), float("inf"), -0.0),
    *("", "a", "a\n", "\x7f", "\u0085", "x" * 129, "10.0.0.300", "fe80::1%1", "::ffff:1.2.3.4"),
    *("0.0.0.0", "224.0.0.1", "010.0.0.1", "2001:DB8::1", "localhost"),
    *(b"", b"\0", b"\0" * 10, b"\4" + b"\0" * 9, b"\xff" * 10, b"\0" * 17, b"\0" * 511),
    *([], [[]], [None], [0, 0, 0, 0, 0, 0, 0, 0, 0, 0], {}, {"a": 1}),
    *([["x"]] * 33, ["k", "v", "k", "v"], ["k"], ["z", "", "a", ""], [0, "a", 0, 0], [1]),
    msgpack.ExtType(5, b""),
    msgpack.ExtType(5, b"xyz"),
    msgpack.Timestamp(1),
    _Raw(b"\xa3\xed\xa0\x80"),  # a surrogate as UTF-8 would have it
    _Raw(b"\xa2\xc3\x28"),
    _Raw(b"\xc1"),
    _Raw(b"\xdd\xff\xff\xff\xff"),
    _Raw(b"\xdf\xff\xff\xff\xff"),
    _Raw(b"\xdb\xff\xff\xff\xff"),
    _Raw(b"\xc6\xff\xff\xff\xff"),
    _Raw(b"\xc9\xff\xff\xff\xff\x01"),
    _Raw(b"\x91" * 1300 + b"\xc0"),
    _Raw(b"\x81\x00" * 650 + b"\xc0"),
    _Raw(b"\x81\x00\x00"),  # a map with a key that is no text
    _Raw(b"\x81\x90\x00"),  # and one with a key that cannot be a key
    _Raw(b""),  # nothing: the array before it is one short
)


def _places(tree: object, path: tuple[int, ...] = ()) -> Iterator[tuple[int, ...]]:
    yield path
    if isinstance(tree, list):
        for index, part in enumerate(tree):
            yield from _places(part, (*path, index))


def _put(tree: object, path: tuple[int, ...], value: object) -> object:
    if not path:
        return value
    assert isinstance(tree, list)
    return [*tree[: path[0]], _put(tree[path[0]], path[1:], value), *tree[path[0] + 1 :]]


def _plain(value: object) -> bool:
    """Whether it is made of what messages are made of, and of nothing that only looks like it."""
    if is_dataclass(value):
        return all(_plain(getattr(value, field.name)) for field in fields(value))
    if isinstance(value, tuple):
        return all(map(_plain, value))
    return isinstance(value, IntEnum) or type(value) in (int, str, bytes, bool, type(None))


def _check(body: bytes) -> bool:
    """Whether a body is read at all; if so, it must be legal."""
    read = decode(body)
    assert isinstance(read, Envelope | Drop)
    if isinstance(read, Drop):
        assert read in (Drop.MALFORMED, Drop.UNKNOWN_KIND)
        return False
    assert _plain(read)
    if not read.unknown:
        assert decode(encode(read)) == read
    return True


@pytest.mark.parametrize("named", EXAMPLES, ids=lambda named: named[0])
def test_every_trap_at_every_place_is_an_envelope_or_a_drop(named: tuple[str, Envelope]) -> None:
    tree: object = msgpack.unpackb(encode(named[1]))
    read = 0
    for place in _places(tree):
        read += sum(_check(_packed(_put(tree, place, trap))) for trap in _TRAPS)
    assert read, "some of them are legal"


@examples(300)
@given(envelopes(), st.data())
def test_two_traps_at_once_are_an_envelope_or_a_drop(
    envelope: Envelope, data: st.DataObject
) -> None:
    tree: object = msgpack.unpackb(encode(envelope))
    for _ in range(2):
        place = data.draw(st.sampled_from(list(_places(tree))))
        tree = _put(tree, place, data.draw(st.sampled_from(_TRAPS)))
    _check(_packed(tree))


@examples(200)
@given(envelopes(), st.integers(0, 1500))
def test_what_is_cut_off_is_dropped(envelope: Envelope, length: int) -> None:
    body = encode(envelope)
    assert decode(body[: length % len(body)]) is Drop.MALFORMED
    assert decode(body + b"\0") is Drop.MALFORMED


_MANY = (
    ("views", Envelope("ann", 1, 0, Gossip(), (SUSPECT, LEFT) * 8)),
    ("groups", Envelope("ann", 1, 0, Gossip(), (), (GROUP,) * 17)),
    ("accusers", Envelope("ann", 1, 0, Gossip(), (SUSPECT._replace(accusers=tuple("abcdefgh")),))),
    (
        "registers",
        Envelope("ann", 1, 0, Gossip(), (), (GROUP._replace(registers=(("c", 1, 1),) * 130),)),
    ),
    ("held groups", Envelope("ann", 1, 0, Hold(1, (GROUP,) * HOLD_GROUPS_MAX))),
)  # fmt: skip


@pytest.mark.parametrize("named", _MANY, ids=lambda named: named[0])
def test_long_lists_are_read_as_they_were_written(named: tuple[str, Envelope]) -> None:
    assert len(encode(named[1])) <= DATAGRAM_SIZE_MAX
    assert decode(encode(named[1])) == named[1]


def test_lists_that_are_too_long_are_dropped() -> None:
    accused = SUSPECT._replace(accusers=("a",) * (ACCUSERS_MAX + 1))
    assert decode(encode(Envelope("ann", 1, 0, Gossip(), (accused,)))) is Drop.MALFORMED
    hold = Hold(1, (GROUP,) * (HOLD_GROUPS_MAX + 1))
    assert decode(encode(Envelope("ann", 1, 0, hold))) is Drop.MALFORMED


@examples(60)
@given(MESSAGES[PassAsk], st.integers(1, PASS_ITEMS_MAX + 2))
def test_a_question_for_too_many_passes_is_dropped(ask: PassAsk, count: int) -> None:
    longer = replace(ask, items=ask.items[:1] * count)
    read = decode(encode(Envelope("ann", 1, 0, longer)))
    assert isinstance(read, Envelope) is (count <= PASS_ITEMS_MAX)


@examples(60)
@given(MESSAGES[Hold], MESSAGES[Pages], MESSAGES[MembersPage])
def test_groups_pages_and_views_are_read_alike_wherever_they_stand(
    hold: Hold, pages: Pages, listed: MembersPage
) -> None:
    envelope = Envelope("ann", 1, 0, hold, listed.views, hold.groups)
    read = decode(encode(envelope))
    assert isinstance(read, Envelope)
    assert isinstance(read.message, Hold)
    assert read.message.groups == read.groups == hold.groups
    assert read.views == listed.views
    groups = tuple(Group(p.stream, p.start, p.version, p.registers) for p in pages.pages)
    assert decode(encode(replace(envelope, message=pages, groups=groups))) == replace(
        envelope, message=pages, groups=groups
    )
