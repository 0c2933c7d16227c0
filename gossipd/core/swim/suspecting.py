"""What a suspicion brings about, and what ends with it: its deadline, and more pings.

The accuser goes on to ping its suspect, and so do `corroborators` of the members; whoever pings it
tells it to refute. How long it has for that, `suspicion` says.
"""

from __future__ import annotations

from dataclasses import InitVar, dataclass

from gossipd.core.means import Means
from gossipd.core.timers import Timer
from gossipd.core.turn import Turn
from gossipd.core.wire.messages import MemberView, Status

from .members import MemberTable
from .pinging import Pinger
from .rounds import is_spread
from .suspicion import Suspected, Suspicions


@dataclass(eq=False, repr=False)
class Suspecting:
    """The suspicions that this node knows of."""

    means: InitVar[Means]
    _members: MemberTable
    _pinger: Pinger

    def __post_init__(self, means: Means) -> None:
        self._settings, self._rng, self._timers = means
        self._suspicions = Suspicions(self._settings)
        self.corroborations: dict[str, int] = {}
        """Pings of this node to each suspect since it is one, beside those of probes; they end
        with the suspicion, or an answer."""

    def follow(self, view: MemberView, before: MemberView | None, turn: Turn) -> None:
        """A member is held otherwise than before."""
        if view.status is Status.SUSPECT:
            deadline, new = self._suspicions.raise_(view, self._members.live_count, turn.now)
            self._count(view, before, new, turn)
            # A confirmation may put it into the past, which must not look like a late timer.
            self._timers.set(Timer.SUSPICION, max(turn.now, deadline), view.name)
            if new:
                self._end_corroboration(view.name)  # it was about an earlier suspicion
                self._look_into(view, turn)
            elif self._members.own.name in view.accusers and view.name not in self.corroborations:
                self._ping_on(view, turn)
        else:
            self._suspicions.lift(view.name)
            self._timers.cancel(Timer.SUSPICION, view.name)
            self._end_corroboration(view.name)
        if view.status > Status.SUSPECT:
            self._pinger.forget(view.name)

    def stall(self, stalled_at: float, turn: Turn) -> None:
        """Give the suspects back the time for which this node stood still, or was cut off."""
        for name, deadline in self._suspicions.stall(stalled_at, turn.now):
            self._timers.set(Timer.SUSPICION, max(turn.now, deadline), name)

    def suspicion(self, name: str) -> Suspected | None:
        """That of a member that is suspected."""
        return self._suspicions.of(name)

    def _count(self, view: MemberView, before: MemberView | None, new: bool, turn: Turn) -> None:
        own = self._members.own.name
        if own not in view.accusers:
            turn.tally.suspicions["told"] += new
        elif new:
            turn.tally.suspicions["probe"] += 1
        elif before is None or own not in before.accusers:
            turn.tally.suspicions["confirmed"] += 1

    def _look_into(self, suspect: MemberView, turn: Turn) -> None:
        """`corroborators` of the members, spread evenly from the suspect on, probe it themselves
        at once; the accuser, which has done that, goes on to ping it."""
        settings = self._settings
        if self._members.own.name in suspect.accusers:
            self._ping_on(suspect, turn)
        elif is_spread(*self._members.place_after(suspect.name), settings.corroborators):
            delay = self._rng.random() * settings.corroboration_delay
            self._timers.set(Timer.CORROBORATE, turn.now + delay, suspect.name)

    def _ping_on(self, suspect: MemberView, turn: Turn) -> None:
        """This node has accused a member, and goes on to ping it."""
        if self._settings.corroborators:
            self.corroborations[suspect.name] = 0
            wait = self._pinger.timeout(suspect.name)
            self._timers.set(Timer.CORROBORATE, turn.now + wait, suspect.name)

    def _end_corroboration(self, name: str) -> None:
        self._timers.cancel(Timer.CORROBORATE, name)
        self.corroborations.pop(name, None)
