"""The frame of a datagram: the one seam where a body is tagged (or, with secrets, sealed).

    2 bytes magic · version · flags · 4 bytes cluster hash · 8 bytes tag · body

The tag is blake2b over header and body, keyed with the cluster's name: it keeps damage and foreign
clusters out. It is no protection against somebody who knows the name.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Protocol

from gossipd.core.settings import DATAGRAM_SIZE_MAX

from .drops import Drop

MAGIC = b"gd"
VERSION = 1
_HEAD = 8
_TAG = 8


class Frame(Protocol):
    """Turns bodies into datagrams and back."""

    @property
    def overhead(self) -> int:
        """Bytes that `close` adds to a body."""

    def close(self, body: bytes) -> bytes:
        """The datagram that carries `body`."""

    def open(self, data: bytes) -> bytes | Drop:
        """The body of a datagram, or why there is none. Never raises."""


class TagFrame:
    """The frame without secrets: a keyed checksum."""

    overhead = _HEAD + _TAG

    def __init__(self, cluster: str) -> None:
        self._key = blake2b(cluster.encode(), digest_size=32).digest()
        self._head = MAGIC + bytes((VERSION, 0)) + blake2b(self._key, digest_size=4).digest()
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
            return _why_not(data)
        body = data[self.overhead :]
        return body if self._tag(body) == data[_HEAD : self.overhead] else Drop.TAG


def _why_not(data: bytes) -> Drop:
    if data[:2] != MAGIC:
        return Drop.MAGIC
    if data[2] != VERSION or data[3] != 0:
        return Drop.VERSION
    return Drop.FOREIGN
