"""The addresses that seeds were resolved to: whose they are, and when each is asked next.

Those of the node itself, and those at which a live member answers, are not asked but looked at
again later. How the pauses come about, `seeds` says.
"""

from __future__ import annotations

import heapq
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass

from gossipd.core import Address, Joined, Node, Settings, Status
from gossipd.daemon.reports import address_text
from gossipd.daemon.udp import is_local

ROUND_MAX = 32
"""Addresses that are asked at once."""

SILENT_AFTER = 1.0
"""Seconds after which an address that has not answered yet is called silent."""

LOOKED_AT_LATE = 2.0
"""Seconds by which a look at a live member, or at the node itself, may be late: it need not wake
one that sleeps."""

SELF_AGAIN_AFTER = 60.0
"""Seconds for which an address at which the node found itself is not asked: it may become
somebody else's."""


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

    def is_silent(self, now: float) -> bool:
        """Whether it has been asked for a while without an answer."""
        return self.asked_at is not None and now - self.asked_at >= SILENT_AFTER


class Targets:
    """Those of all seeds, each once."""

    def __init__(self, node: Node, settings: Settings) -> None:
        self._node = node
        self._settings = settings
        self._targets: dict[Address, _Target] = {}
        self._live: tuple[int, dict[Address, str], set[str]] = (-1, {}, set())
        """A fingerprint of the member table, and the live members in it by address and name."""

    def relist(self, before: Sequence[Address], after: Sequence[Address]) -> bool:
        """A seed has these addresses now; whether they are others than before."""
        for address in after:
            target = self._targets.get(address)
            if target is None:
                target = self._targets[address] = _Target(self._settings.join_retry_min)
            target.listed += 1
        for address in before:
            target = self._targets[address]
            target.listed -= 1
            if not target.listed:
                del self._targets[address]
        return set(before) != set(after)

    def hurry(self, addresses: Sequence[Address]) -> None:
        """It is their turn at once."""
        for address in addresses:
            target = self._targets[address]
            target.pause, target.due_at = self._settings.join_retry_min, 0.0
            target.asked_at, target.self_until = None, 0.0

    def joined(self, effect: Joined) -> bool:
        """A member took this node in; whether that is news of a seed."""
        target = self._targets.get(effect.address)
        if target is None:
            return False
        before, target.member = target.member, effect.name
        target.self_until = 0.0
        return before != effect.name

    def found_itself(self, address: Address) -> bool:
        """What was sent to an address came to this node itself; whether a seed has that."""
        target = self._targets.get(address)
        if target is not None:
            target.member = None
            target.self_until = time.monotonic() + SELF_AGAIN_AFTER
        return target is not None

    def due(self, now: float) -> list[Address]:
        """Whom to ask now: nobody at whose address the node itself or a live member is; the
        longest waiting ones first. All that were looked at have their next turn later."""
        due = [(target.due_at, at) for at, target in self._targets.items() if target.due_at <= now]
        absent = []
        for _, address in heapq.nsmallest(ROUND_MAX, due):
            target = self._targets[address]
            if self._is_self(address, target, now) or self.member(address) is not None:
                target.pause = self._settings.join_retry_min
                target.asked_at = None
                wait = self.look_interval * random.uniform(0.75, 1.25)
            else:
                absent.append(address)
                target.asked_at = target.asked_at or now
                wait = 2 * self._share * random.random()
                if self._node.live_count == 1:
                    wait = min(target.pause, self._share) * random.uniform(0.75, 1.25)
                target.pause = min(2 * target.pause, self._settings.join_retry_max)
            target.due_at = now + wait
        return absent

    def silent(self, now: float) -> dict[Address, float]:
        """Those that have been asked for a while without an answer: since when."""
        return {
            address: target.asked_at
            for address, target in self._targets.items()
            if target.asked_at is not None and target.is_silent(now)
        }

    # --- queries -----------------------------------------------------------------------------

    @property
    def addresses(self) -> list[Address]:
        """All of them."""
        return list(self._targets)

    def is_due(self, now: float) -> bool:
        """Whether it is the turn of any."""
        return any(target.due_at <= now for target in self._targets.values())

    @property
    def latest_at(self) -> float | None:
        """By when one has to have its turn."""
        targets = self._targets.values()
        late = (t.due_at + (LOOKED_AT_LATE if t.asked_at is None else 0.0) for t in targets)
        return min(late, default=None)

    @property
    def only_itself(self) -> bool:
        """Whether the node itself is behind each, and for good: behind a balancer's address there
        may be another one next time."""
        now = time.monotonic()
        return all(
            self._is_self(address, target, now) and is_local(address)
            for address, target in self._targets.items()
        )

    def row(self, address: Address) -> dict[str, object]:
        """What is known of one, as the API shows it."""
        target, now = self._targets[address], time.monotonic()
        member = self.member(address)
        if self._is_self(address, target, now):
            state = "self"
        elif member is not None:
            state = "member"
        else:
            state = "silent" if target.is_silent(now) else "asked"
        return {"address": address_text(address), "state": state, "member": member}

    def member(self, address: Address) -> str | None:
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

    @property
    def look_interval(self) -> float:
        """Seconds between two looks at what may have changed: at a name, at a live member."""
        return min(self._share, self._settings.join_retry_max)

    def _is_self(self, address: Address, target: _Target, now: float) -> bool:
        return address == self._node.own.address or now < target.self_until

    @property
    def _share(self) -> float:
        """This node's part of contacting an address once per `contact_interval`, seconds."""
        return self._settings.contact_interval * self._node.live_count
