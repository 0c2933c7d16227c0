"""A core with the part of the shell that counts: effects are performed, and timers fire."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import get_args

from gossipd.core import DiskLost, Effect, Node
from gossipd.daemon import counting, keeping
from gossipd.daemon.counting import Counting
from gossipd.daemon.keeping import Keeping
from gossipd.daemon.numbers import Numbers
from gossipd.daemon.troubles import Troubles
from gossipd.store import Store


class Counter:
    """One node that counts."""

    def __init__(
        self,
        node: Node,
        store: Store,
        limit: float = 60.0,
        perform: Callable[[Sequence[Effect]], None] = lambda _: None,
    ) -> None:
        """`limit`: seconds for which the disk may be silent; `perform` has all other effects."""
        self.node = node
        self.store = store
        self.broken: list[str] = []
        """What was said of a disk that was lost."""
        self.troubles = Troubles()
        self.keeping = Keeping(node, store, self.perform, self.troubles, Numbers(), limit)
        self.watch = self.keeping.watch
        self.counting = Counting(node, self.keeping.do)
        self._others = perform

    def perform(self, effects: Sequence[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, get_args(counting.Of)):
                self.counting.do(effect)
            elif isinstance(effect, get_args(keeping.Of)):
                self.keeping.do(effect)
            elif isinstance(effect, DiskLost):
                self.broken.append(effect.detail)
        self._others(effects)
        self._arm()

    def leave(self) -> None:
        """Ask the node to leave."""
        self.perform(self.node.leave(time.monotonic()))

    def _arm(self) -> None:
        at = self.node.next_timeout
        if at is not None:
            wait = max(0.001, at - time.monotonic())
            asyncio.get_running_loop().call_later(wait, self._fire)

    def _fire(self) -> None:
        at, now = self.node.next_timeout, time.monotonic()
        if at is not None and at <= now:
            self.perform(self.node.handle_timeout(now))
