"""The addresses that a node joins through: resolved afresh, tried for ever.

A seed whose member is alive is left alone and looked at again later, so that a partition heals
for as long as one seed is configured across it. Tries back off from `join_retry_min` to
`join_retry_max` with jitter; in a cluster of N each node waits longer, so that an absent seed
hears from all of them together about once per `contact_interval`.
"""

from __future__ import annotations

import asyncio
import logging
import random
import socket
import time
from collections.abc import Callable, Sequence

from gossipd.core import Address, Effect, Joined, MemberView, Node, Settings, Status
from gossipd.endpoint import Endpoint
from gossipd.udp import plain

log = logging.getLogger(__name__)

ADDRESSES_MAX = 32
"""Addresses of one name that are asked at most."""


def resolve_now(seed: Endpoint) -> list[Address]:
    """All addresses (A and AAAA) of a seed. Raises `OSError` where there is none; blocks."""
    found = socket.getaddrinfo(seed.host, seed.port, type=socket.SOCK_DGRAM)
    return list(dict.fromkeys(plain(address) for *_, address in found))[:ADDRESSES_MAX]


class Seeds:
    """Keeps every seed joined, one task each."""

    def __init__(
        self, node: Node, settings: Settings, perform: Callable[[Sequence[Effect]], None]
    ) -> None:
        self._node = node
        self._settings = settings
        self._perform = perform
        self._names: dict[Address, str] = {}
        """Which member answered at an address, for it may advertise another."""
        self._tasks: dict[Endpoint, asyncio.Task[None]] = {}
        self._addresses: dict[Endpoint, list[Address]] = {}
        """What each seed was resolved to last."""

    def keep(self, seed: Endpoint, once: bool = False) -> None:
        """Join through a seed from now on; `once`: only until that has succeeded."""
        if seed not in self._tasks:
            task = asyncio.get_running_loop().create_task(self._keep(seed, once))
            self._tasks[seed] = task
            task.add_done_callback(lambda _: self._end(seed))

    def joined(self, effect: Joined) -> bool:
        """A member took this node in; whether that is news of a seed."""
        if not any(effect.address in addresses for addresses in self._addresses.values()):
            return False
        before = self._names.get(effect.address)
        self._names[effect.address] = effect.name
        return before != effect.name

    async def stop(self) -> None:
        """End all tries."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _end(self, seed: Endpoint) -> None:
        del self._tasks[seed]
        self._addresses.pop(seed, None)
        self._forget_names()

    def _forget_names(self) -> None:
        """Keep the names only of addresses that are still some seed's."""
        current = {address for listed in self._addresses.values() for address in listed}
        self._names = {at: name for at, name in self._names.items() if at in current}

    async def _keep(self, seed: Endpoint, once: bool) -> None:
        loop = asyncio.get_running_loop()
        pause = self._settings.join_retry_min
        failed = False
        while not self._node.leaving:
            try:
                addresses = await loop.run_in_executor(None, resolve_now, seed)
            except OSError as error:
                level = logging.DEBUG if failed else logging.WARNING
                reason = error.strerror or error
                log.log(level, "cannot resolve the seed %s: %s; trying again", seed, reason)
                addresses = []
            failed = not addresses
            self._addresses[seed] = addresses
            self._forget_names()
            if self._node.own.address in addresses or (once and self._is_alive(addresses)):
                return
            if self._is_alive(addresses):
                pause = self._settings.join_retry_min
                wait = self._settings.join_retry_max
            else:
                self._perform(self._node.join(addresses, time.monotonic()))
                wait = max(pause, self._share())
                pause = min(2 * pause, self._settings.join_retry_max)
            await asyncio.sleep(wait * random.uniform(0.75, 1.25))

    def _share(self) -> float:
        """This node's part of contacting an absent seed once per `contact_interval`."""
        live = self._node.live_count
        return self._settings.contact_interval * live if live > 1 else 0.0

    def _is_alive(self, addresses: list[Address]) -> bool:
        live = [view for view in self._node.members if view.status <= Status.SUSPECT]
        own = self._node.own.name
        return any(self._is_at(view, addresses) for view in live if view.name != own)

    def _is_at(self, view: MemberView, addresses: list[Address]) -> bool:
        return view.address in addresses or any(
            self._names.get(address) == view.name for address in addresses
        )
