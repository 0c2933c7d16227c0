"""The addresses that a node joins through: resolved afresh, asked for ever.

Every address of every seed gets its turn, except the node's own ones and those at which a live
member answers; these are looked at again later, so that a partition or two islands under one name
heal for as long as one seed is configured across them. A lone node asks soon at first, later once
per `contact_interval`; in a cluster of N each node waits N times that on average, so that an
absent address hears from all of them together about once per `contact_interval`. As all begin when
it falls silent, pauses differ widely: else they would ask together, and then for long not.

Names that do not resolve hold up nothing and end nothing: they are told once and tried for ever.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
import random
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from gossipd.config.endpoint import Endpoint
from gossipd.core import (
    RETRY_AFTER,
    Address,
    Effect,
    Joined,
    Node,
    Refused,
    Settings,
    Status,
    Why,
)
from gossipd.daemon.reports import address_text
from gossipd.daemon.resolving import Resolver, literal
from gossipd.daemon.retrying import Retrying
from gossipd.daemon.troubles import Troubles
from gossipd.daemon.udp import is_local

log = logging.getLogger(__name__)

ROUND_MAX = 32
"""Addresses that are asked at once."""

ROUND_INTERVAL = 0.1
"""Seconds between two rounds at least, so that a name with very many addresses is no burst."""

SLOW_AFTER = 3.0
"""Seconds after which a resolver that has not answered yet is told of."""

SILENT_AFTER = 1.0
"""Seconds after which an address that has not answered yet is called silent."""

SELF_AGAIN_AFTER = 60.0
"""Seconds for which an address at which the node found itself is not asked: it may become
somebody else's."""

WISH_LASTS = 600.0
"""Seconds for which the seeds of a single wish to join are tried."""

WISHES_MAX = 1024
"""Seeds of such wishes at the same time."""

TOLD_MAX = 3
"""Seeds that one sentence names."""

GONE = (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME))
"""The answers of a resolver that knows that there is no address (others: that it cannot tell)."""


@dataclass(slots=True)
class _Target:
    """One address."""

    pause: float
    due_at: float = 0.0
    listed: int = 0
    """How many seeds list it."""

    member: str | None = None
    """Who answered there last: a member may advertise another address."""

    asked_at: float | None = None
    """When it was first asked since it was last known to be somebody's."""

    self_until: float = 0.0
    """Until when it counts as the node's own."""


@dataclass(slots=True)
class _Seed:
    endpoint: Endpoint
    addresses: list[Address] = field(default_factory=list)
    """What it was resolved to last."""

    failure: str | None = None
    """Why it has none, or why these may be old."""

    wish: asyncio.TimerHandle | None = None
    """The end of a seed that is not tried for ever."""

    task: asyncio.Task[None] | None = None
    hurry: asyncio.Event = field(default_factory=asyncio.Event)


class Seeds:
    """Keeps every seed joined."""

    def __init__(
        self,
        node: Node,
        settings: Settings,
        troubles: Troubles,
        perform: Callable[[Sequence[Effect]], None],
        changed: Callable[[], None],
        speaks: Callable[[Address], bool],
        retrying: Retrying,
    ) -> None:
        """`changed` is called when addresses or what is known of them have changed, before new
        ones are asked; `speaks`: whether the node's socket can send to an address at all;
        `retrying` is told who does not answer."""
        self._node = node
        self._settings = settings
        self._troubles = troubles
        self._perform = perform
        self._changed = changed
        self._speaks = speaks
        self._retrying = retrying
        self._loop = asyncio.get_running_loop()
        self._resolver = Resolver()
        self._seeds: dict[Endpoint, _Seed] = {}
        self._targets: dict[Address, _Target] = {}
        self._resolved = False
        """Whether any seed ever had an address."""
        self._timer: asyncio.TimerHandle | None = None
        self._holds = False
        """Several seeds are being changed at once."""
        self._live: tuple[int, dict[Address, str], set[str]] = (-1, {}, set())
        """A fingerprint of the member table, and the live members in it by address and name."""

    # --- inputs ------------------------------------------------------------------------------

    def keep(self, endpoint: Endpoint) -> None:
        """Join through a seed from now on, for ever."""
        seed = self._hurry(endpoint)
        if seed.wish is not None:
            seed.wish.cancel()
            seed.wish = None

    def wish(self, endpoints: Sequence[Endpoint]) -> None:
        """Join through these seeds for `WISH_LASTS` seconds. Raises `Refused`, and takes
        none then."""
        new = set(endpoints) - self._seeds.keys()
        if len(new) + sum(seed.wish is not None for seed in self._seeds.values()) > WISHES_MAX:
            detail = f"at most {WISHES_MAX:,} seeds are joined at a time"
            raise Refused(Why.UNAVAILABLE, detail, RETRY_AFTER)
        with self._told_once():
            for endpoint in endpoints:
                seed = self._hurry(endpoint)
                if endpoint in new or seed.wish is not None:
                    if seed.wish is not None:
                        seed.wish.cancel()
                    seed.wish = self._loop.call_later(WISH_LASTS, self._drop, seed)

    def hurry(self) -> None:
        """There may be another way to all seeds now: try them at once."""
        with self._told_once():
            for endpoint in list(self._seeds):
                self._hurry(endpoint)

    def joined(self, effect: Joined) -> bool:
        """A member took this node in; whether that is news of a seed."""
        target = self._targets.get(effect.address)
        if target is None:
            return False
        before, target.member = target.member, effect.name
        return before != effect.name

    def found_itself(self, address: Address) -> None:
        """What was sent to a seed's address came to this node itself."""
        target = self._targets.get(address)
        if target is not None:
            target.member = None
            target.self_until = time.monotonic() + SELF_AGAIN_AFTER
            self._loop.call_soon(self._changed)

    async def stop(self) -> None:
        """End all tries."""
        if self._timer is not None:
            self._timer.cancel()
        tasks = [seed.task for seed in self._seeds.values() if seed.task is not None]
        for seed in self._seeds.values():
            if seed.wish is not None:
                seed.wish.cancel()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # --- queries -----------------------------------------------------------------------------

    @property
    def addresses(self) -> list[Address]:
        """All addresses that seeds were last resolved to, each once."""
        return list(self._targets)

    @property
    def unresolved(self) -> str | None:
        """Why no seed could be asked until now; None where one could, or there is none."""
        if self._resolved or not self._seeds:
            return None
        reasons = [
            f"{seed.endpoint}: {seed.failure or 'not answered yet'}"
            for seed in self._seeds.values()
        ]
        more = len(reasons) - TOLD_MAX
        listed = [*reasons[:TOLD_MAX], f"and {more} more"] if more > 0 else reasons
        return f"no seed's name resolves: {'; '.join(listed)}"

    @property
    def only_itself(self) -> bool:
        """Whether all seeds are known, and the node itself is behind each of them and for good:
        behind a balancer's address there may be another one next time."""
        now = time.monotonic()
        return all(seed.addresses for seed in self._seeds.values()) and all(
            self._is_self(address, target, now) and is_local(address)
            for address, target in self._targets.items()
        )

    def report(self) -> list[dict[str, object]]:
        """What has become of each seed."""
        return [
            {
                "seed": str(seed.endpoint),
                "joined": any(self._member(address) for address in seed.addresses),
                "error": seed.failure,
                "addresses": [self._row(address) for address in seed.addresses],
            }
            for seed in self._seeds.values()
        ]

    def _row(self, address: Address) -> dict[str, object]:
        target, now = self._targets[address], time.monotonic()
        member = self._member(address)
        if self._is_self(address, target, now):
            state = "self"
        elif member is not None:
            state = "member"
        else:
            asked_at = target.asked_at
            is_silent = asked_at is not None and now - asked_at >= SILENT_AFTER
            state = "silent" if is_silent else "asked"
        return {"address": address_text(address), "state": state, "member": member}

    def _is_self(self, address: Address, target: _Target, now: float) -> bool:
        return address == self._node.own.address or now < target.self_until

    def _member(self, address: Address) -> str | None:
        """The live member that answers at a seed's address, as far as is known."""
        fingerprint = self._node.members_fingerprint
        if self._live[0] != fingerprint:
            own = self._node.own.name
            live = [v for v in self._node.members if v.status <= Status.SUSPECT and v.name != own]
            by_address = {view.address: view.name for view in live}
            self._live = fingerprint, by_address, {view.name for view in live}
        _, by_address, names = self._live
        answered = self._targets[address].member
        return by_address.get(address) or (answered if answered in names else None)

    # --- asking ------------------------------------------------------------------------------

    def _look(self) -> None:
        """Ask those whose turn it is, the longest waiting ones first."""
        self._timer = None
        if self._node.leaving:
            return
        now = time.monotonic()
        due = [(target.due_at, at) for at, target in self._targets.items() if target.due_at <= now]
        absent = []
        for _, address in heapq.nsmallest(ROUND_MAX, due):
            target = self._targets[address]
            if self._is_self(address, target, now) or self._member(address) is not None:
                target.pause = self._settings.join_retry_min
                target.asked_at = None
                wait = self._look_interval * random.uniform(0.75, 1.25)
            else:
                absent.append(address)
                target.asked_at = target.asked_at or now
                wait = 2 * self._share * random.random()
                if self._node.live_count == 1:
                    wait = min(target.pause, self._share) * random.uniform(0.75, 1.25)
                target.pause = min(2 * target.pause, self._settings.join_retry_max)
            target.due_at = now + wait
        if absent:
            self._perform(self._node.join(absent, now))
        self._tell_silent(now)
        self._arm(ROUND_INTERVAL)

    def _tell_silent(self, now: float) -> None:
        """In the log, of those that have been asked for a while."""
        since = {
            address_text(address): target.asked_at
            for address, target in self._targets.items()
            if target.asked_at is not None and now - target.asked_at >= SILENT_AFTER
        }
        if since:
            alone = self._node.live_count == 1
            self._retrying.silent(list(since), min(since.values()), alone, now)
        else:
            self._retrying.answered()

    @property
    def _share(self) -> float:
        """This node's part of contacting an address once per `contact_interval`, seconds."""
        return self._settings.contact_interval * self._node.live_count

    @property
    def _look_interval(self) -> float:
        """Seconds between two looks at what may have changed: at a name, at a live member."""
        return min(self._share, self._settings.join_retry_max)

    def _arm(self, after: float) -> None:
        """Look when the next address is due, `after` seconds from now at the earliest."""
        if self._holds:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._targets:
            due_at = min(target.due_at for target in self._targets.values())
            wait = max(after, due_at - time.monotonic())
            self._timer = self._loop.call_later(wait, self._look)

    @contextmanager
    def _told_once(self) -> Iterator[None]:
        """Whatever changes in it is told, and looked at, in the end: both cost as much as there
        are seeds."""
        changed, self._changed = self._changed, _nothing
        self._holds = True
        try:
            yield
        finally:
            self._changed, self._holds = changed, False
        self._changed()
        self._arm(0.0)

    # --- resolving ---------------------------------------------------------------------------

    def _hurry(self, endpoint: Endpoint) -> _Seed:
        """The seed, tried at once."""
        seed = self._seeds.get(endpoint)
        if seed is None:
            seed = self._seeds[endpoint] = _Seed(endpoint)
            if addresses := literal(endpoint):
                self._found(seed, addresses)
            else:
                seed.task = self._loop.create_task(self._resolve(seed))
                self._changed()
            return seed
        seed.hurry.set()
        for address in seed.addresses:
            target = self._targets[address]
            target.pause, target.due_at = self._settings.join_retry_min, 0.0
            target.asked_at, target.self_until = None, 0.0
        self._arm(0.0)
        return seed

    async def _resolve(self, seed: _Seed) -> None:
        """Look a name up, again and again."""
        pause = self._settings.join_retry_min
        while not self._node.leaving:
            slow = self._loop.call_later(
                SLOW_AFTER, self._failed, seed, f"no answer for {SLOW_AFTER:g} s"
            )
            try:
                self._found(seed, await self._resolver.resolve(seed.endpoint))
            except OSError as error:
                if error.errno in GONE:
                    self._list(seed, [])
                self._failed(seed, error.strerror or str(error))
                wait = min(pause, self._look_interval)
                pause = min(2 * pause, self._settings.join_retry_max)
            else:
                wait, pause = self._look_interval, self._settings.join_retry_min
            finally:
                slow.cancel()
            with suppress(TimeoutError):
                async with asyncio.timeout(wait * random.uniform(0.5, 1.0)):
                    await seed.hurry.wait()
            seed.hurry.clear()

    def _found(self, seed: _Seed, addresses: list[Address]) -> None:
        usable = [address for address in addresses if self._speaks(address)]
        if not usable:
            self._list(seed, [])
            family = "IPv6" if ":" in addresses[0][0] else "IPv4"
            self._failed(seed, f"it has only {family} addresses that this node cannot speak to")
            return
        self._resolved = True
        seed.failure = None
        self._troubles.end(f"seed {seed.endpoint}")
        if self._list(seed, usable):
            self._changed()
            self._arm(0.0)

    def _failed(self, seed: _Seed, reason: str) -> None:
        """A seed without any address is told of; one that has old ones is asked there."""
        if reason == seed.failure:
            return
        seed.failure = reason
        if not seed.addresses:
            what = f"cannot resolve the seed {seed.endpoint}: {reason}"
            self._troubles.begin(f"seed {seed.endpoint}", f"{what}; it will be tried again")
        self._changed()

    def _list(self, seed: _Seed, addresses: list[Address]) -> bool:
        """A seed has these addresses now; whether they are others than before."""
        before, seed.addresses = seed.addresses, addresses
        for address in addresses:
            target = self._targets.get(address)
            if target is None:
                target = self._targets[address] = _Target(self._settings.join_retry_min)
            target.listed += 1
        for address in before:
            target = self._targets[address]
            target.listed -= 1
            if not target.listed:
                del self._targets[address]
        return set(before) != set(addresses)

    def _drop(self, seed: _Seed) -> None:
        """Try a seed no longer."""
        del self._seeds[seed.endpoint]
        if seed.task is not None:
            seed.task.cancel()
        self._list(seed, [])
        self._troubles.end(f"seed {seed.endpoint}")
        self._changed()


def _nothing() -> None:
    pass
