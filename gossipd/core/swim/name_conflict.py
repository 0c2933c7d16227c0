"""How well this node holds its name, and others that are said to hold it, too.

See gossipd/core/README.md#membership.

Nobody's word ends a node. Whoever says that the name lives elsewhere, by a view, a refusal or a
join, only makes this node ask there itself. Each address is asked once in `name_check`, and a few
at a time, so that lies make no flood. Two that have met go by the same rule: the larger claim
keeps the name.
"""

from __future__ import annotations

from typing import TypeAlias

from gossipd.core.effects import NameLost
from gossipd.core.identity import Address
from gossipd.core.means import Means
from gossipd.core.timers import Timer
from gossipd.core.turn import Turn
from gossipd.core.wire.messages import Standing

from .life import Life
from .members import MemberTable

RIVALS_MAX = 16
"""Addresses that are asked, or were, within `name_check`."""

STATED_FOR = 60.0
"""Seconds for which a node keeps to what it has told another holder of its name: until nobody
can go by that any more."""

SETTLED_CHECKS = 2
"""A name is held for good after so many times `name_check`: by then a refusal would have come."""

Claim: TypeAlias = tuple[Standing, int, Address]
"""How well somebody holds a name: of two the larger one keeps it. That of a node only rises."""


class NameConflict:
    """This node's own claim, and the addresses of others that may have one."""

    def __init__(self, means: Means, life: Life, members: MemberTable) -> None:
        self._settings, self._timers = means.settings, means.timers
        self._life = life
        self._members = members
        self._ask_at: dict[Address, float] = {}
        """Where others are said to be."""
        self._asked_at: dict[Address, float] = {}
        """Where they were asked just now."""
        self._member_since = float("inf")
        """When somebody first took this node in, or was taken in by it."""
        self._acked_at = float("-inf")
        """When a member last answered this node as one of its own."""
        self._took_in_at = float("-inf")
        """When this node last took somebody in."""
        self.is_lost = False
        """Whether this node has given its name up."""
        self._stated: tuple[Claim, float] | None = None
        """The largest claim that rivals were told of late, and when one was told last."""

    def told(self, address: Address, turn: Turn) -> None:
        """This node's name is said to live at `address`: ask there, unless that was just done."""
        if self._life.leaving or address in self._ask_at:
            return
        wait = self._settings.name_check
        asked_at = {to: at for to, at in self._asked_at.items() if at + wait > turn.now}
        self._asked_at = asked_at
        if address in asked_at or len(asked_at) + len(self._ask_at) < RIVALS_MAX:
            at = asked_at[address] + wait if address in asked_at else turn.now
            self._ask_at[address] = at
            self._timers.set_if_sooner(Timer.RIVAL, at)

    def due(self, turn: Turn) -> list[Address]:
        """Those whose turn it is now."""
        due = [address for address, at in self._ask_at.items() if at <= turn.now]
        for address in due:
            del self._ask_at[address]
            self._asked_at[address] = turn.now
        if self._ask_at:
            self._timers.set(Timer.RIVAL, min(self._ask_at.values()))
        return due

    # --- this node's claim -------------------------------------------------------------------

    def welcomed(self, now: float) -> None:
        """A member took this node in."""
        self._member_since = min(self._member_since, now)
        self._life.heard_at = now

    def took_in(self, now: float) -> None:
        """This node took somebody in."""
        self._member_since = min(self._member_since, now)
        self._took_in_at = now

    def acked(self, now: float) -> None:
        """A member has answered a ping, as it does for those that it holds."""
        self._acked_at = self._life.heard_at = now

    def moved(self, now: float) -> None:
        """This node is reached at another address now. Who is a member holds its name, however
        short a time: nobody need wait for silence at its old address, which may be just as much
        its own."""
        if self._life.is_recent(max(self._life.heard_at, self._took_in_at), now):
            self._member_since, self._acked_at = float("-inf"), now

    def standing(self, now: float) -> Standing:
        """That of this node. Who is a member for nobody any more is as good as alone."""
        was_member = self._member_since < float("inf")
        last = max(self._member_since, self._acked_at)
        if not was_member or not self._life.is_recent(last, now):
            return Standing.ALONE if self._life.ready else Standing.NEWCOMER
        settled_at = self._member_since + SETTLED_CHECKS * self._settings.name_check
        return Standing.HOLDER if settled_at <= now else Standing.MEMBER

    def _claim(self, now: float) -> Claim:
        own = self._members.own
        return self.standing(now), own.generation, own.address

    # --- meeting another holder --------------------------------------------------------------

    def met(self, theirs: Claim, turn: Turn) -> None:
        """Another holder of this node's name has answered where this node asked it, with a nonce
        that was sent to nobody else. Both know the same rule, and none goes by less than it has
        just told the other one: so the largest one of any number never gives way."""
        host, port = theirs[2]
        stated, stated_at = self._stated or (theirs, float("-inf"))
        is_bound = turn.now - stated_at <= STATED_FOR
        if theirs > self._claim(turn.now) and not (is_bound and theirs <= stated):
            self.is_lost = True
            was_member = self._member_since < float("inf")
            was = "was taken over by the" if was_member else "is taken by a live"
            turn.emit(
                NameLost(f"the name {self._members.own.name!r} {was} node at {host} port {port}")
            )
        else:
            self.told(theirs[2], turn)  # until it has asked in turn, and gives way

    def asked(self, theirs: Claim, turn: Turn) -> bool:
        """Another holder of this node's name asks it, or its own earlier life did; whether it is
        answered: not by one that has given way to somebody, and says no more."""
        if self.is_lost:
            return False
        own = self._claim(turn.now)
        if theirs > own:
            self.told(theirs[2], turn)
        stated, stated_at = self._stated or (own, turn.now)
        self._stated = max(own, stated) if turn.now - stated_at <= STATED_FOR else own, turn.now
        return True
