"""How long a suspect has to refute (Lifeguard, LHA-Suspicion): a formula and its books.

    low  = suspicion_mult x max(1, log10 N)^suspicion_growth x probe_interval
    high = suspicion_max_mult x low
    length = max(low, high - (high - low) x log(c + 1) / log(k + 1))

c: accusers beside the first; k: `confirmations`, at most N - 2. A stall of this node moves a
deadline, but in all by no more than its own length, so that a busy node still detects.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

from gossipd.core.settings import Settings
from gossipd.core.wire.messages import MemberView


@dataclass(slots=True)
class _Suspicion:
    life: tuple[int, int]
    started_at: float
    low: float
    high: float
    confirmations_max: int
    confirmations: int = 0
    moved: float = 0.0
    """How much stalls have moved the deadline already."""

    @property
    def length(self) -> float:
        if self.confirmations_max < 1:
            return self.low
        share = math.log(self.confirmations + 1) / math.log(self.confirmations_max + 1)
        return max(self.low, self.high - (self.high - self.low) * share)

    @property
    def deadline(self) -> float:
        return self.started_at + self.length + self.moved


class Suspected(NamedTuple):
    """A suspicion, to be told."""

    started_at: float
    deadline: float
    confirmations: int
    """Accusers beside the first, as far as they count."""
    confirmations_max: int


class Suspicions:
    """The suspicions that run on this node, by member."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._running: dict[str, _Suspicion] = {}

    def raise_(self, view: MemberView, live_count: int, now: float) -> tuple[float, bool]:
        """Start the suspicion of a view, or confirm it; its deadline and whether it is new."""
        life = (view.generation, view.incarnation)
        running = self._running.get(view.name)
        new = running is None or running.life != life
        if running is None or running.life != life:
            running = self._start(view, life, live_count, now)
        running.confirmations = min(running.confirmations_max, max(0, len(view.accusers) - 1))
        return running.deadline, new

    def of(self, name: str) -> Suspected | None:
        """That of a member."""
        held = self._running.get(name)
        if held is None:
            return None
        return Suspected(
            held.started_at, held.deadline, held.confirmations, held.confirmations_max
        )

    def lift(self, name: str) -> None:
        """The member is not suspected any more."""
        self._running.pop(name, None)

    def stall(self, stalled_at: float, now: float) -> list[tuple[str, float]]:
        """This node stood still from `stalled_at` to `now`: the deadlines, moved."""
        moved: list[tuple[str, float]] = []
        for name, running in self._running.items():
            since = max(stalled_at, running.started_at)
            grant = min(now - since, running.length - running.moved)
            if grant > 0:
                left = max(0.0, running.deadline - since)
                running.moved += grant
                # A stall longer than the suspicion leaves what was left when it began.
                late = now + min(left, grant) - running.deadline
                running.started_at += max(0.0, late)
            moved.append((name, running.deadline))
        return moved

    def _start(
        self, view: MemberView, life: tuple[int, int], live_count: int, now: float
    ) -> _Suspicion:
        settings = self._settings
        scale = max(1.0, math.log10(live_count)) ** settings.suspicion_growth
        low = settings.suspicion_mult * scale * settings.probe_interval
        high = settings.suspicion_max_mult * low
        confirmations = max(0, min(settings.confirmations, live_count - 2))
        running = _Suspicion(life, now, low, high, confirmations)
        self._running[view.name] = running
        return running
