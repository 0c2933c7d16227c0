"""Second opinions: this node asks for itself before it believes what others say of a member.

A suspect of somebody else's is pinged by some more members, and a verdict on a member that lives
here is believed once that is silent (`rumours`). Each ping tells its target what is said of it, so
that it can refute.
"""

from __future__ import annotations

from dataclasses import InitVar, dataclass

from gossipd.core.means import Means
from gossipd.core.timers import Timer
from gossipd.core.turn import Turn

from .members import MemberTable
from .membership import Membership
from .pinging import Pinger
from .pings import Purpose
from .reason import Cause, Reason
from .rumours import PINGS, Rumours
from .suspecting import Suspecting


@dataclass(eq=False, repr=False)
class SecondOpinions:
    """Those that this node forms."""

    means: InitVar[Means]
    _members: MemberTable
    _pinger: Pinger
    _rumours: Rumours
    _suspecting: Suspecting
    _membership: Membership

    def __post_init__(self, means: Means) -> None:
        self._settings, self._timers = means.settings, means.timers

    def look_into_rumour(self, name: str, turn: Turn) -> None:
        """Ask a member that is said not to live any more; it is believed if that is silent."""
        rumour = self._rumours.get(name)
        assert rumour is not None
        if rumour.pings == PINGS:
            self._membership.believe(rumour, turn)
            return
        rumour.pings += 1
        self._timers.set(Timer.RUMOUR, turn.now + self._pinger.timeout(name), name)
        self._pinger.ping(self._members.held(name), Purpose.RUMOUR, turn, rumour.view)

    def corroborate(self, name: str, turn: Turn) -> None:
        """Ping a suspect until it answers or its suspicion ends: each ping tells it to refute.

        When the first few stayed unanswered, agree with the accuser; that changes nothing where
        this node is it.
        """
        suspect = self._members.held(name)
        pings = self._suspecting.corroborations.get(name, 0)
        if pings == self._settings.corroboration_pings:
            self._membership.accuse(suspect, Reason(Cause.SILENT, pings=pings), turn)
        self._suspecting.corroborations[name] = pings + 1
        wait = self._pinger.timeout(name)
        self._timers.set(Timer.CORROBORATE, turn.now + wait, name)
        self._pinger.ping(suspect, Purpose.CORROBORATE, turn)

    def suspect_answered(self, name: str) -> None:
        """A suspect that was asked lives."""
        self._suspecting.corroborations.pop(name, None)
        self._timers.cancel(Timer.CORROBORATE, name)

    def rumour_answered(self, name: str, turn: Turn) -> None:
        """A member that is said not to live was asked, and does."""
        self._timers.cancel(Timer.RUMOUR, name)
        self._rumours.answered(name, turn.now)
