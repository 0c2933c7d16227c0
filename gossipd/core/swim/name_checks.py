"""Whether the holder of a name lives that a newcomer wants: it is pinged, also through relays.

If it answers within `name_check` the newcomer is refused; else the name is vacant, for that
newcomer and a while.
"""

from __future__ import annotations

from dataclasses import InitVar, dataclass
from typing import NamedTuple

from gossipd.core.identity import Address
from gossipd.core.means import Means
from gossipd.core.timers import Timer
from gossipd.core.turn import Turn
from gossipd.core.wire.messages import MemberView, Standing

from .name_conflict import Claim
from .pinging import Pinger
from .pings import Purpose
from .questions import Questions

VACANT_FOR = 10.0
"""Seconds for which a name that was found vacant is kept for the newcomer."""

CHECKS_MAX = 256


class Newcomer(NamedTuple):
    """Somebody who has proven where it is and wants in."""

    view: MemberView
    nonce: int
    standing: Standing

    @property
    def claim(self) -> Claim:
        return self.standing, self.view.generation, self.view.address

    def outranks(self, held: MemberView) -> bool:
        """Whether it is a holder that met a smaller one."""
        view = self.view
        larger = (view.generation, view.address) > (held.generation, held.address)
        return self.standing is Standing.HOLDER and larger


class _Relays(NamedTuple):
    """Relays were asked whether the holder of a name lives."""

    holder: str


@dataclass(slots=True)
class Check:
    """One that is under way."""

    newcomer: Newcomer
    holder: MemberView
    relayed: int
    """The nonce by which relays ask the holder."""


@dataclass(eq=False, repr=False)
class NameChecks:
    """Those that are under way, and what they showed."""

    means: InitVar[Means]
    _questions: Questions
    _pinger: Pinger

    def __post_init__(self, means: Means) -> None:
        self._settings, self._timers = means.settings, means.timers
        self._checks: dict[str, Check] = {}
        self._vacant: dict[str, tuple[Address, float]] = {}

    def begin(self, newcomer: Newcomer, holder: MemberView, turn: Turn) -> None:
        """Ask the holder of the name."""
        if holder.name in self._checks or len(self._checks) >= CHECKS_MAX:
            return
        self._pinger.ping(holder, Purpose.NAME_CHECK, turn)
        relayed = self._questions.ask(_Relays(holder.name), CHECKS_MAX, turn.now)
        self._checks[holder.name] = Check(newcomer, holder, relayed)
        wait = self._settings.name_check
        self._timers.set(Timer.NAME_CHECK, turn.now + wait, holder.name)
        self._pinger.ask_relays(holder, relayed, wait, turn)

    def answered(self, name: str) -> Check | None:
        """The holder of a name lives; the check that this ends."""
        check = self._checks.pop(name, None)
        if check is not None:
            self._timers.cancel(Timer.NAME_CHECK, name)
            self._questions.take(_Relays, check.relayed)
        return check

    def relayed(self, nonce: int) -> str | None:
        """A relay reached the holder of a name: which; None if no check asked for that."""
        relays = self._questions.get(_Relays, nonce)
        return relays.holder if relays is not None else None

    def unanswered(self, name: str, now: float) -> Newcomer:
        """The holder did not answer: who may have the name."""
        check = self._checks.pop(name)
        self._questions.take(_Relays, check.relayed)
        self._vacant = {
            held: (to, until) for held, (to, until) in self._vacant.items() if until > now
        }
        self._vacant[name] = (check.newcomer.view.address, now + VACANT_FOR)
        return check.newcomer

    def is_vacant(self, view: MemberView, now: float) -> bool:
        """Whether its name was found vacant for that newcomer."""
        address, until = self._vacant.get(view.name, (None, 0.0))
        return address == view.address and now < until
