"""The frame of a datagram: the one seam where a body is tagged (or, with secrets, sealed).

    2 bytes magic · version · flags · 4 bytes cluster hash · 8 bytes tag · body

The tag is blake2b over header and body, keyed with the cluster's name: it keeps damage and foreign
clusters out. It is no protection against somebody who knows the name. The frame with secrets
(`SealedFrame`) begins with the same 8 bytes, so that each of the two can tell what the other is.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Protocol

from gossipd.core.settings import DATAGRAM_SIZE_MAX

from .drops import Drop

MAGIC = b"gd"
VERSION = 1
PLAIN, SEALED = 0, 1
"""Flags."""

QUESTION = b"ping "
"""How a body begins that is a plain question of `gossipd doctor`, and no message."""

_HEAD = 8
_TAG = 8


class Frame(Protocol):
    """Turns bodies into datagrams and back."""

    @property
    def overhead(self) -> int:
        """Bytes that `close` adds to a body."""

    @property
    def padding(self) -> int:
        """Bodies of messages are made multiples of so many bytes, as far as there is room, so
        that their sizes tell less; 1: they are not."""

    def close(self, body: bytes) -> bytes:
        """The datagram that carries `body`."""

    def open(self, data: bytes) -> bytes | Drop:
        """The body of a datagram, or why there is none. Never raises."""

    def peek(self, data: bytes) -> bytes | Drop:
        """The same of one that is still to be opened, which changes nothing."""


class TagFrame:
    """The frame without secrets: a keyed checksum."""

    overhead = _HEAD + _TAG
    padding = 1

    def __init__(self, cluster: str) -> None:
        self._key = _key_of(cluster)
        self._head = head_of(cluster, PLAIN)
        self._hash = blake2b(self._head, digest_size=_TAG, key=self._key)

    def _tag(self, body: bytes | memoryview) -> bytes:
        keyed = self._hash.copy()
        keyed.update(body)
        return keyed.digest()

    def close(self, body: bytes) -> bytes:
        return self._head + self._tag(body) + body

    def open(self, data: bytes) -> bytes | Drop:
        if len(data) > DATAGRAM_SIZE_MAX:
            return Drop.TOO_LARGE
        if len(data) < self.overhead:
            return Drop.TOO_SHORT
        if data[:_HEAD] != self._head:
            return why_not(data, self._head)
        body = data[self.overhead :]
        return body if self._tag(body) == data[_HEAD : self.overhead] else Drop.TAG

    def peek(self, data: bytes) -> bytes | Drop:
        return self.open(data)


def head_of(cluster: str, flags: int) -> bytes:
    """How each datagram of a cluster begins."""
    return MAGIC + bytes((VERSION, flags)) + blake2b(_key_of(cluster), digest_size=4).digest()


def why_not(data: bytes, head: bytes) -> Drop:
    """Why a datagram does not begin as it should."""
    if len(data) < _HEAD:
        return Drop.TOO_SHORT
    if data[:2] != MAGIC:
        return Drop.MAGIC
    if data[2] != VERSION or data[3] not in (PLAIN, SEALED):
        return Drop.VERSION
    if data[4:_HEAD] != head[4:]:
        return Drop.FOREIGN
    return Drop.SEALED if data[3] == SEALED else Drop.UNSEALED


def _key_of(cluster: str) -> bytes:
    return blake2b(cluster.encode(), digest_size=32).digest()
