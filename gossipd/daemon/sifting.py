"""Datagrams before the core hears of them: plain questions are answered, and what is nothing is
dropped. The core is told nothing of that, as it would change nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial

from gossipd.core import Address, Drop, Effect, Node
from gossipd.daemon import plain
from gossipd.daemon.allowing import allowing
from gossipd.daemon.dropping import Drops
from gossipd.daemon.sealing import Seals
from gossipd.daemon.udp import Udp


class Sifting:
    """That of one node."""

    def __init__(
        self,
        node: Node,
        udp: Udp,
        seals: Seals,
        drops: Drops,
        perform: Callable[[Sequence[Effect]], None],
    ) -> None:
        self._node = node
        self._udp = udp
        self._seals = seals
        self._drops = drops
        self._perform = perform

    def allow(self, networks: Sequence[str]) -> None:
        """Exchange datagrams with these only, from now on."""
        permits = allowing(networks, lambda: self._node.own.address[0])
        self._udp.restrict(permits, partial(self._drops.drop, reason=Drop.NOT_ALLOWED))

    def receive(self, data: bytes, source: Address) -> None:
        """It is its turn."""
        if data.startswith(plain.PING):
            said = plain.answer(data, time.time(), only_ping=self._seals.is_closed)
            if said is not None:
                self._udp.send(said, source)
                return
        if not self._is_dropped(self._seals.frame.judge(data), data, source):
            effects = self._node.receive_datagram(data, source, time.monotonic())
            self._seals.opened(source)
            self._perform(effects)

    def refuse(self, data: bytes, source: Address) -> bool:
        """Whether a datagram is nothing, as it costs little to find out: it is done with, then."""
        is_question = data.startswith(plain.PING)
        return not is_question and self._is_dropped(self._seals.frame.refusal(data), data, source)

    def _is_dropped(self, reason: Drop | None, data: bytes, source: Address) -> bool:
        """Whether there is a reason."""
        if reason is None:
            return False
        self._drops.drop(source, reason)
        self._seals.refused(reason, len(data), source)
        return True
