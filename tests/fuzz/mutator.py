"""Damages bytes and msgpack trees at random, from one generator."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import msgpack

_BYTES = bytes.fromhex("00 01 7f 80 90 a0 c0 c1 c2 c4 c7 cb cf d3 d6 d9 db dc dd de df e0 ff")
_VALUES: tuple[object, ...] = (
    None,
    True,
    False,
    0,
    1,
    -1,
    18,
    2**32,
    2**48,
    2**52 - 1,
    2**62,
    2**64 - 1,
    -(2**63),
    1.5,
    float("nan"),
    float("inf"),
    "",
    "n0",
    "n1",
    "default",
    "a\n",
    "x" * 64,
    "x" * 129,
    "\U0010ffff",
    "10.0.0.2",
    "fe80::1%x",
    b"",
    b"\0" * 8,
    b"\0" * 10,
    b"\xff" * 10,
    b"\0" * 512,
    [],
    [[]],
    {},
    {"a": []},
    msgpack.ExtType(5, b""),
    msgpack.Timestamp(1),
)


def mutated_bytes(data: bytes, others: Sequence[bytes], rng: Random) -> bytes:
    """`data` with one to four pieces of damage."""
    for _ in range(rng.choice((1, 1, 2, 4))):
        data = _damaged(data, others, rng)
    return data


def _damaged(data: bytes, others: Sequence[bytes], rng: Random) -> bytes:
    at = rng.randrange(len(data) + 1)
    to = min(len(data), at + rng.choice((0, 1, 1, 2, 8, 64)))
    match rng.randrange(7):
        case 0 if data:
            bit = rng.randrange(8 * len(data))
            flipped = bytearray(data)
            flipped[bit // 8] ^= 1 << bit % 8
            return bytes(flipped)
        case 1:
            return data[:at]
        case 2:
            return data[:at] + data[to:]
        case 3:
            return data[:to] + data[at:]
        case 4:
            other = rng.choice(others)
            return data[:at] + other[rng.randrange(len(other) + 1) :]
        case 5:
            return data[:at] + rng.randbytes(to - at) + data[to:]
        case _:
            return data[:at] + bytes((rng.choice(_BYTES),)) + data[at + 1 :]


def mutated_tree(body: bytes, others: Sequence[bytes], rng: Random) -> bytes:
    """A msgpack body with some values replaced, dropped, doubled or taken from another one."""
    tree: object = msgpack.unpackb(body, strict_map_key=False)
    for _ in range(rng.choice((1, 1, 2, 4))):
        other: object = msgpack.unpackb(rng.choice(others), strict_map_key=False)
        tree = _changed(tree, other, rng)
    packed: bytes = msgpack.packb(tree)
    return packed


def _changed(tree: object, other: object, rng: Random) -> object:
    if not isinstance(tree, list) or not tree or rng.random() < 0.1:
        return _near(tree, rng) if rng.random() < 0.4 else rng.choice(_VALUES)
    at = rng.randrange(len(tree))
    donor = other[at] if isinstance(other, list) and at < len(other) else other
    match rng.randrange(8):
        case 0:
            return [*tree[:at], *tree[at + 1 :]]
        case 1:
            return [*tree[:at], tree[at], *tree[at:]]
        case 2:
            return [*tree[:at], donor, *tree[at + 1 :]]
        case 3:
            return [*tree, rng.choice(_VALUES)]
        case _:
            return [*tree[:at], _changed(tree[at], donor, rng), *tree[at + 1 :]]


def _near(value: object, rng: Random) -> object:
    if type(value) is int and -(2**62) < value < 2**62:
        return value + rng.choice((-1, 1, 2, 1000))
    if isinstance(value, str):
        return value[1:] if rng.random() < 0.5 else value + "x"
    if isinstance(value, bytes):
        return value[1:] if rng.random() < 0.5 else value + b"x"
    return value
