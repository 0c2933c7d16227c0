"""Requests that come again, byte for byte, and what they mean.

A client that counts says the same again and again. To find what that means by its bytes takes
0.3 microseconds, to parse and check an HTTP request of 60 bytes 12, and of 200 bytes 16.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from gossipd.sideport.pipeline import Answer

MEANINGS_MAX = 1024
"""Requests that are remembered, the last ones."""

SIZE_MAX = 1024
"""Bytes of the largest that is."""


class Meaning(NamedTuple):
    """What `Pipeline.add` is given; nothing in it belongs to one connection or one moment."""

    start: Callable[..., object]
    render: Callable[[Any], Answer]
    shares: bool


class Memo:
    """The requests of one dialect, of all its connections."""

    def __init__(self) -> None:
        self._meanings: dict[bytes, Meaning] = {}
        self.meaning = self._meanings.get
        """What a request means; None where it is not known."""

    def remember(self, request: bytes, meaning: Meaning) -> None:
        """A request that is whole and means always the same."""
        if len(request) > SIZE_MAX:
            return
        if len(self._meanings) >= MEANINGS_MAX:
            del self._meanings[next(iter(self._meanings))]
        self._meanings[request] = meaning
