"""Two cores in one process whose datagrams reach each other at once: what the shell talks to."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence

from gossipd.core import (
    Address,
    Effect,
    MemberView,
    Node,
    Send,
    Settings,
    Status,
    TagFrame,
)

HERE: Address = ("127.0.0.1", 1001)
THERE: Address = ("127.0.0.1", 1002)
NOWHERE: Address = ("127.0.0.1", 1009)
SETTINGS = Settings(
    join_retry_min=0.005, join_retry_max=0.02, contact_interval=0.001, alone_after=0.0
)


class Pair:
    """`node` and `other`; whoever performs the effects of one hands them in here."""

    def __init__(
        self, settings: Settings = SETTINGS, disk_timeout: float = 5.0, *, durable: bool = False
    ) -> None:
        self.node = _node("here", HERE, settings, disk_timeout, durable)
        self.other = _node("there", THERE, settings)
        self.sent: list[Address] = []
        """Where `node` has sent to."""
        self.effects: list[Effect] = []
        """All effects of `node`."""
        self.cut = False

    def start(self) -> None:
        """`node` waits for somebody to join, `other` is alone and ready."""
        self.perform(self.node.start(False, time.monotonic()))
        self.perform_other(self.other.start(True, time.monotonic()))

    def perform(self, effects: Sequence[Effect]) -> None:
        """Perform what an input of `node` caused."""
        self.effects += effects
        for effect in effects:
            if isinstance(effect, Send):
                self.sent.append(effect.to)
                if effect.to == THERE and not self.cut:
                    now = time.monotonic()
                    self.perform_other(self.other.receive_datagram(effect.data, HERE, now))

    def perform_other(self, effects: Sequence[Effect]) -> None:
        """Perform what an input of `other` caused."""
        for effect in effects:
            if isinstance(effect, Send) and effect.to == HERE:
                now = time.monotonic()
                self.perform(self.node.receive_datagram(effect.data, THERE, now))

    def leave(self) -> None:
        """`other` leaves, and `node` asks it whether that is true."""
        self.perform_other(self.other.leave(time.monotonic()))
        self.perform(self.node.handle_timeout(time.monotonic()))


def _node(
    name: str,
    address: Address,
    settings: Settings,
    disk_timeout: float = 5.0,
    durable: bool = False,
) -> Node:
    own = MemberView(name, address, 1, 0, Status.ALIVE, (("zone", "a"),))
    return Node(
        own,
        settings,
        TagFrame("pair"),
        random.Random(name),
        time.monotonic(),
        durable=durable,
        disk_timeout=disk_timeout,
    )
