"""A node follows the addresses of its host before it says anything more."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import cast

import pytest

from gossipd.config.config import Config
from gossipd.core import Address, Effect, Send
from gossipd.daemon import advertising as module
from gossipd.daemon.advertising import Advertising
from gossipd.daemon.alone import Alone
from gossipd.daemon.seeds import Seeds
from gossipd.daemon.troubles import Troubles
from gossipd.daemon.udp import Udp
from tests.unit.core.talk import Talk

NEXT = "10.0.7.7"


class Host:
    """What the kernel says: one address at most, from which all others are reached."""

    def __init__(self, host: str) -> None:
        self.host: str | None = host

    def towards(self, _: Address) -> str | None:
        return self.host

    def has(self, host: str) -> bool:
        return host == self.host

    def outward(self) -> str | None:
        return self.host


class AnySocket:
    address = "0.0.0.0", 7946
    socket = None


class NoSeeds:
    addresses: Sequence[Address] = ()

    def hurry(self) -> None:
        pass


class Moving:
    """A node with two members whose host can change."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.talk = Talk(peers=2)
        self.talk.now = time.monotonic()
        self.host = Host(self.talk.me.address[0])
        self.said_as: list[str] = []
        """What the node advertised whenever it sent something."""
        monkeypatch.setattr(module, "Routes", lambda _: self.host)
        node = self.talk.node
        self.advertising = Advertising(
            node,
            Config(settings=self.talk.settings),
            cast("Udp", AnySocket()),
            cast("Seeds", NoSeeds()),
            Troubles(),
            Alone(node, self.perform),
            self.perform,
        )

    def perform(self, effects: Sequence[Effect]) -> None:
        if any(isinstance(effect, Send) for effect in effects):
            self.said_as.append(self.talk.node.own.address[0])

    def change(self, host: str | None) -> None:
        self.host.host = host
        self.advertising.look()


@pytest.mark.parametrize("gap", [False, True], ids=["at once", "after a gap"])
async def test_a_host_with_another_address_is_followed_before_anybody_is_asked(
    monkeypatch: pytest.MonkeyPatch, gap: bool
) -> None:
    moving = Moving(monkeypatch)
    if gap:
        moving.change(None)
        assert moving.advertising.cause == "this host has no route to any other"
    moving.change(NEXT)
    assert moving.advertising.cause is None
    assert moving.said_as
    assert set(moving.said_as) == {NEXT}
