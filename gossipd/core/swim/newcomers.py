"""Members that have proven nothing here yet: others tell of them, or an earlier life knew them.

Whoever is told of is not believed to be where it is said to be before it has answered a nonce of
this very node there (see `introducing`). Until then it stands here and not in the member table, so
it is probed, asked and gossiped to by nobody, told to nobody, and no part of the fingerprint. It
goes after a while; as long as it lives, others tell of it again.

Two bounds. Each telling earns its address three times the bytes that it took, and nothing more is
sent there: whatever anybody says, no address is sent more than three times what was said of it.
And each *origin*, the address that a telling came from, has a pace: who tells of thousands waits
with these, and those that others tell of do not.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from gossipd.core.gossip.amplification import AMPLIFICATION_MAX
from gossipd.core.identity import Address
from gossipd.core.wire.messages import MemberView

from .members import rank

NEWCOMERS_MAX = 10_000
"""Those that others tell of, at most."""

PACE = 200
"""Newcomers of one origin that this node turns to in a second."""

AT_ONCE = 100
"""How many of them without a pause, first."""

WAIT_MAX = 10.0
"""Seconds for which one waits for its turn at most: what would wait longer is not held, so an
origin has `PACE` x this places, and `AT_ONCE`."""

KEPT_AT_ONCE = 8
"""The same as `AT_ONCE` for those of an earlier life: whoever answers tells the others."""

KEPT_PACE = 50

PATIENCE = 10.0
"""Probe intervals after its turn in which a newcomer has to answer."""

PAUSE = 0.15
"""Seconds between the first two questions to one newcomer; each further pause is twice as long."""

ORIGINS_MAX = 1024

_OWN: Address = ("", 0)
"""The origin of those that an earlier life of this node knew."""


@dataclass(slots=True)
class Newcomer:
    """One of them, and what was done to find out."""

    view: MemberView
    is_news: bool
    """Whether others may not know it: it did not come with a whole table."""
    is_kept: bool
    """Whether an earlier life of this node knew it."""
    credit: int
    """Bytes that may be sent to it for what was said of it."""
    turn_at: float
    """When it is its turn, first or again."""
    ends_at: float
    asks: int = 0
    challenged_at: float = float("-inf")
    """When it was last asked because it spoke."""

    def asked(self, now: float) -> None:
        """It is asked; the next time is later by twice as long."""
        self.turn_at = now + PAUSE * 2.0**self.asks
        self.asks += 1


class Newcomers:
    """All of them by name."""

    def __init__(self, probe_interval: float) -> None:
        self._patience = PATIENCE * probe_interval
        self._held: dict[str, Newcomer] = {}
        self._kept = 0
        self._paces: dict[Address, float] = {}
        """By origin: when the next one would have its turn, but for those at once."""

    def __len__(self) -> int:
        return len(self._held)

    @property
    def kept(self) -> list[MemberView]:
        """What an earlier life knew, and this one has not found out yet."""
        return [newcomer.view for newcomer in self._held.values() if newcomer.is_kept]

    @property
    def names(self) -> Collection[str]:
        """Theirs."""
        return self._held.keys()

    def get(self, name: str) -> Newcomer | None:
        """The newcomer of that name."""
        return self._held.get(name)

    def tell(
        self, view: MemberView, size: int, origin: Address, earliest: float, *, is_news: bool
    ) -> float | None:
        """Somebody tells of it in `size` bytes: when it has its turn, not before `earliest`; None
        where there is no place for it."""
        earned = AMPLIFICATION_MAX * size
        held = self._held.get(view.name)
        if held is None:
            turn_at = None
            if len(self._held) - self._kept < NEWCOMERS_MAX:
                turn_at = self._turn(origin, earliest, PACE, AT_ONCE)
            if turn_at is not None and turn_at - earliest <= WAIT_MAX:
                ends_at = turn_at + self._patience
                self._held[view.name] = Newcomer(view, is_news, False, earned, turn_at, ends_at)
                return turn_at
            return None
        if rank(view) > rank(held.view):
            if view.address != held.view.address:
                held.credit = 0
            held.view = view
        if view.address == held.view.address:
            held.credit += earned
        held.is_news |= is_news
        return max(held.turn_at, earliest)

    def keep(self, view: MemberView, now: float) -> float:
        """An earlier life knew it: when it has its turn."""
        turn_at = self._turn(_OWN, now, KEPT_PACE, KEPT_AT_ONCE)
        assert turn_at is not None
        held = self._held.get(view.name)
        if held is None or rank(view) > rank(held.view):
            self.drop(view.name)
            ends_at = turn_at + self._patience
            self._held[view.name] = Newcomer(view, True, True, 0, turn_at, ends_at)
            self._kept += 1
        return turn_at

    def anew(self, now: float) -> list[tuple[str, float]]:
        """What was asked of those that an earlier life knew went nowhere: when each has its turn
        again."""
        self._paces.pop(_OWN, None)
        turns: list[tuple[str, float]] = []
        for name, newcomer in self._held.items():
            if newcomer.is_kept:
                turn_at = self._turn(_OWN, now, KEPT_PACE, KEPT_AT_ONCE)
                assert turn_at is not None
                newcomer.asks, newcomer.turn_at = 0, turn_at
                newcomer.ends_at = turn_at + self._patience
                turns.append((name, turn_at))
        return turns

    def found(self, view: MemberView) -> bool:
        """A member has proven where it is; whether it was a newcomer there."""
        held = self._held.get(view.name)
        if held is None or held.view.address != view.address:
            return False
        self.drop(view.name)
        return True

    def ended(self, view: MemberView) -> None:
        """Somebody says that a member lives no more: there is nothing to find out."""
        held = self._held.get(view.name)
        if held is not None and not held.is_kept and rank(view) > rank(held.view):
            self.drop(view.name)

    def drop(self, name: str) -> None:
        """It is a newcomer no more."""
        held = self._held.pop(name, None)
        if held is not None and held.is_kept:
            self._kept -= 1

    def _turn(self, origin: Address, earliest: float, pace: int, at_once: int) -> float | None:
        """When the next one of an origin has its turn; None where there are too many origins."""
        if origin not in self._paces and len(self._paces) >= ORIGINS_MAX:
            self._paces = {known: at for known, at in self._paces.items() if at > earliest}
            if len(self._paces) >= ORIGINS_MAX:
                return None
        behind = max(self._paces.get(origin, earliest), earliest)
        turn_at = max(earliest, behind - at_once / pace)
        if turn_at - earliest <= WAIT_MAX or origin == _OWN:
            self._paces[origin] = behind + 1 / pace
        return turn_at
