"""Whether a node may call itself ready only because no ready peer showed itself in time.

Time proves nothing where no peer could be asked at all. Whoever notices such a reason forbids it
here, under a name, and permits it again once the reason is gone: this is the one place that
combines them, for the core and for the words in which `/ready` refuses.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from gossipd.core import Effect, Node


class Alone:
    """The reasons of one node."""

    def __init__(self, node: Node, perform: Callable[[Sequence[Effect]], None]) -> None:
        self._node = node
        self._perform = perform
        self._reasons: dict[str, str] = {}

    def forbid(self, name: str, text: str) -> None:
        """There is a reason against it, or it is told in other words."""
        self._reasons[name] = text
        self._tell()

    def permit(self, name: str) -> None:
        """A reason is gone; nothing happens where there was none."""
        if self._reasons.pop(name, None) is not None:
            self._tell()

    @property
    def why_not(self) -> str | None:
        """All reasons against it; None where there is none."""
        return "; ".join(self._reasons.values()) or None

    def _tell(self) -> None:
        allowed = not self._reasons
        self._perform(self._node.may_be_ready_alone(allowed, time.monotonic()))
