"""What is written is what is read; what is read never raises."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import get_args

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gossipd.core.wire.decoding import decode
from gossipd.core.wire.drops import Drop
from gossipd.core.wire.messages import Envelope, Message
from tests.effort import examples

from .strategies import MESSAGES, encode, envelopes


@pytest.mark.parametrize("kind", get_args(Message))
@examples(25)
@given(data=st.data())
def test_every_message_is_read_as_it_was_written(kind: type[Message], data: st.DataObject) -> None:
    envelope = data.draw(envelopes(MESSAGES[kind]))
    assert decode(encode(envelope)) == envelope


@examples(300)
@given(st.binary(max_size=1400))
def test_any_bytes_are_an_envelope_or_a_drop(body: bytes) -> None:
    assert isinstance(decode(body), Envelope | Drop)


_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=True)
    | st.text(max_size=5)
    | st.binary(max_size=12)
    | st.builds(msgpack.ExtType, st.integers(0, 127), st.binary(max_size=5))
)
_OBJECTS = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)
_PLACES = st.lists(st.integers(0, 20), max_size=5)


def _replace_at(tree: object, path: list[int], change: Callable[[object], object]) -> object:
    if not path or not isinstance(tree, list) or not tree:
        return change(tree)
    index = path[0] % len(tree)
    return [*tree[:index], _replace_at(tree[index], path[1:], change), *tree[index + 1 :]]


@examples(400)
@given(envelopes(), st.lists(st.tuples(_PLACES, _OBJECTS), min_size=1, max_size=3))
def test_a_body_with_other_fields_is_an_envelope_or_a_drop(
    envelope: Envelope, changes: list[tuple[list[int], object]]
) -> None:
    tree: object = msgpack.unpackb(encode(envelope))
    for path, value in changes:
        tree = _replace_at(tree, path, lambda _, value=value: value)  # type: ignore[misc]
    decoded = decode(msgpack.packb(tree))
    assert isinstance(decoded, Envelope | Drop)
    if isinstance(decoded, Envelope) and not decoded.unknown:
        assert decode(encode(decoded)) == decoded


@examples(200)
@given(envelopes(), _PLACES, st.lists(_OBJECTS, min_size=1, max_size=3))
def test_longer_arrays_are_an_envelope_or_a_drop(
    envelope: Envelope, path: list[int], more: list[object]
) -> None:
    tree: object = msgpack.unpackb(encode(envelope))
    tree = _replace_at(tree, path, lambda at: [*at, *more] if isinstance(at, list) else at)
    assert isinstance(decode(msgpack.packb(tree)), Envelope | Drop)


@examples(200)
@given(envelopes(), st.integers(0, 2**32))
def test_damaged_bodies_are_an_envelope_or_a_drop(envelope: Envelope, seed: int) -> None:
    rng = Random(seed)
    body = bytearray(encode(envelope))
    for _ in range(rng.randrange(1, 4)):
        body[rng.randrange(len(body))] = rng.choice((0xC1, 0xDD, 0xDF, 0xC9, rng.randrange(256)))
    assert isinstance(decode(bytes(body)), Envelope | Drop)
    assert isinstance(decode(bytes(body[: rng.randrange(len(body))])), Envelope | Drop)
