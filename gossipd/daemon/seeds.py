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
import logging
import random
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from gossipd.config.endpoint import Endpoint
from gossipd.core import RETRY_AFTER, Address, Effect, Joined, Node, Refused, Settings, Why
from gossipd.daemon.reports import address_text
from gossipd.daemon.resolving import Resolver, literal
from gossipd.daemon.retrying import Retrying
from gossipd.daemon.targets import Targets
from gossipd.daemon.troubles import Trouble, Troubles

log = logging.getLogger(__name__)

ROUND_INTERVAL = 0.1
"""Seconds between two rounds at least, so that a name with very many addresses is no burst."""

SLOW_AFTER = 3.0
"""Seconds after which a resolver that has not answered yet is told of."""

WISH_LASTS = 600.0
"""Seconds for which the seeds of a single wish to join are tried."""

WISHES_MAX = 1024
"""Seeds of such wishes at the same time."""

TOLD_MAX = 3
"""Seeds that one sentence names."""

GONE = (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME))
"""The answers of a resolver that knows that there is no address (others: that it cannot tell)."""


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
        why_not: Callable[[Address], str | None],
        retrying: Retrying,
    ) -> None:
        """`changed` is called when addresses or what is known of them have changed, before new
        ones are asked; `why_not`: why the node cannot send to an address at all;
        `retrying` is told who does not answer."""
        self._node = node
        self._settings = settings
        self._troubles = troubles
        self._perform = perform
        self._changed = changed
        self._why_not = why_not
        self._retrying = retrying
        self._loop = asyncio.get_running_loop()
        self._resolver = Resolver()
        self._seeds: dict[Endpoint, _Seed] = {}
        self._targets = Targets(node, settings)
        self._resolved = False
        """Whether any seed ever had an address."""
        self._timer: asyncio.TimerHandle | None = None
        self._holds = False
        """Several seeds are being changed at once."""

    # --- inputs ------------------------------------------------------------------------------

    def keep(self, endpoint: Endpoint) -> None:
        """Join through a seed from now on, for ever."""
        seed = self._hurry(endpoint)
        if seed.wish is not None:
            seed.wish.cancel()
            seed.wish = None

    def give_up(self, endpoint: Endpoint) -> None:
        """Join through a seed no longer that was to be kept for ever; who is a member stays."""
        seed = self._seeds.get(endpoint)
        if seed is not None and seed.wish is None:
            self._drop(seed)

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
        return self._targets.joined(effect)

    def found_itself(self, address: Address) -> None:
        """What was sent to a seed's address came to this node itself."""
        if self._targets.found_itself(address):
            self._loop.call_soon(self._changed)

    def tick(self, now: float) -> None:
        """About a second has passed, and the node is awake: whose turn it is need not wait."""
        if self._timer is not None and self._targets.is_due(now):
            self._timer.cancel()
            self._look()

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
        return self._targets.addresses

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
        """Whether all seeds are known, and the node itself is behind each of them and for good."""
        are_known = all(seed.addresses for seed in self._seeds.values())
        return are_known and self._targets.only_itself

    def report(self) -> list[dict[str, object]]:
        """What has become of each seed."""
        return [
            {
                "seed": str(seed.endpoint),
                "joined": self._is_joined(seed),
                "error": seed.failure or self._why_silent(seed),
                "addresses": [self._targets.row(address) for address in seed.addresses],
            }
            for seed in self._seeds.values()
        ]

    def _is_joined(self, seed: _Seed) -> bool:
        return any(self._targets.member(address) for address in seed.addresses)

    def _why_silent(self, seed: _Seed) -> str | None:
        """Why nobody takes this node in there, as far as it can be seen from here."""
        silent = self._targets.silent(time.monotonic())
        if self._is_joined(seed) or not any(address in silent for address in seed.addresses):
            return None
        return self._retrying.cause()

    # --- asking ------------------------------------------------------------------------------

    def _look(self) -> None:
        """Ask those whose turn it is."""
        self._timer = None
        if self._node.leaving:
            return
        now = time.monotonic()
        absent = self._targets.due(now)
        if absent:
            self._perform(self._node.join(absent, now))
        self._tell_silent(now)
        self._arm(ROUND_INTERVAL)

    def _tell_silent(self, now: float) -> None:
        """In the log, of those that have been asked for a while."""
        since = self._targets.silent(now)
        if since:
            silent = [address_text(address) for address in since]
            alone = self._node.live_count == 1
            self._retrying.silent(silent, min(since.values()), alone, now)
        else:
            self._retrying.answered()

    def _arm(self, after: float) -> None:
        """Look when an address has to have its turn, `after` seconds from now at the earliest."""
        if self._holds:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        latest_at = self._targets.latest_at
        if latest_at is not None:
            wait = max(after, latest_at - time.monotonic())
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
        self._targets.hurry(seed.addresses)
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
                wait = min(pause, self._targets.look_interval)
                pause = min(2 * pause, self._settings.join_retry_max)
            else:
                wait, pause = self._targets.look_interval, self._settings.join_retry_min
            finally:
                slow.cancel()
            with suppress(TimeoutError):
                async with asyncio.timeout(wait * random.uniform(0.5, 1.0)):
                    await seed.hurry.wait()
            seed.hurry.clear()

    def _found(self, seed: _Seed, addresses: list[Address]) -> None:
        reasons = [self._why_not(address) for address in addresses]
        usable = [each for each, reason in zip(addresses, reasons, strict=True) if reason is None]
        if not usable:
            self._list(seed, [])
            family = "IPv6" if ":" in addresses[0][0] else "IPv4"
            self._failed(seed, f"it has only {family} addresses that this node {reasons[0]}")
            return
        self._resolved = True
        seed.failure = None
        self._troubles.end(Trouble.SEED, str(seed.endpoint))
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
            self._troubles.begin(
                Trouble.SEED, f"{what}; it will be tried again", str(seed.endpoint)
            )
        self._changed()

    def _list(self, seed: _Seed, addresses: list[Address]) -> bool:
        """A seed has these addresses now; whether they are others than before."""
        before, seed.addresses = seed.addresses, addresses
        return self._targets.relist(before, addresses)

    def _drop(self, seed: _Seed) -> None:
        """Try a seed no longer."""
        del self._seeds[seed.endpoint]
        if seed.task is not None:
            seed.task.cancel()
        self._list(seed, [])
        self._troubles.end(Trouble.SEED, str(seed.endpoint))
        self._changed()


def _nothing() -> None:
    pass
