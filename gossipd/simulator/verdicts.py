"""What nodes think of each other, held against what is true: detections and false verdicts.

A kill is detected when others suspect the dead, give it up, and all have. A suspicion or verdict
on a member that runs is false, but it makes a difference whether that member was healthy, stood
still or could not be reached by who suspected it. One (subject, generation, incarnation) is one
suspicion, however many hold it: the state of its subject when it was first held decides, as all
later holders may only have heard of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from gossipd.core import MemberChanged, Status
from gossipd.simulator.world import World

GRACE_PERIODS = 2.0
"""Probe intervals for which a member counts as stalled or cut off after it is so no more: a probe
that had begun before ends within one, two where the prober has stretched its timeouts."""


class Subject(Enum):
    """How a member that was suspected fared."""

    HEALTHY = "healthy"
    CUT = "cut"
    STALLED = "stalled"


@dataclass(slots=True)
class Detection:
    """What followed one kill, in seconds after it; None is what has not happened."""

    name: str
    killed_at: float
    suspected_after: float | None = None
    """The first suspicion by anybody."""
    failed_after: float | None = None
    """The first verdict by anybody."""
    known_after: float | None = None
    """The moment from which all others that ran held it as failed."""


@dataclass(slots=True)
class Tally:
    """Suspicions and verdicts on members that ran."""

    suspicions: int = 0
    """Different (subject, generation, incarnation) that anybody held as suspect."""
    suspicion_observers: int = 0
    """How often any node came to hold such a suspicion."""
    verdicts: int = 0
    """Different (subject, generation, incarnation) that anybody held as failed."""
    verdict_observers: int = 0
    """How often any node came to hold such a verdict."""


_Life: TypeAlias = tuple[str, int, int]
"""(name, generation, incarnation)"""


class Verdicts:
    """Follows every change of a member's status, in the order in which they happened."""

    def __init__(self, world: World) -> None:
        self.detections: list[Detection] = []
        self.tallies = {subject: Tally() for subject in Subject}
        self.rejoined_after: list[float] = []
        """Seconds from each healing until no node that ran held another that ran as failed."""
        self._world = world
        self._grace = GRACE_PERIODS * world.settings.probe_interval
        self._waiting: dict[str, tuple[Detection, set[str]]] = {}
        self._suspicions: dict[_Life, Subject] = {}
        self._verdicts: dict[_Life, Subject] = {}
        self._stalled_until: dict[str, float] = {}
        self._sides: dict[str, int] = {}
        self._cut_until = 0.0
        self._apart_since: float | None = None
        self._wrong: dict[tuple[str, str], None] = {}
        """(observer, subject) of those who run and are held as failed."""

    # --- faults ------------------------------------------------------------------------------

    def killed(self, name: str, others: set[str], now: float) -> None:
        """A process ended without a word while `others` ran."""
        detection = Detection(name, now)
        self.detections.append(detection)
        self.gone(name, now)
        self._waiting[name] = (detection, others)

    def gone(self, name: str, now: float) -> None:
        """A process does not run any more, so nobody waits for its opinion."""
        for detection, waiting in self._waiting.values():
            if name in waiting:
                waiting.discard(name)
                self._maybe_known(detection, waiting, now)
        self._wrong = {pair: None for pair in self._wrong if name not in pair}
        self._maybe_rejoined(now)

    def stalled(self, name: str) -> None:
        """A process stopped."""
        self._stalled_until[name] = float("inf")

    def resumed(self, name: str, now: float) -> None:
        """A process goes on."""
        self._stalled_until[name] = now + self._grace

    def parted(self, sides: dict[str, int], now: float) -> None:
        """Nodes with different numbers cannot reach each other; it replaces what was so far."""
        self._sides, self._cut_until, self._apart_since = sides, float("inf"), now

    def healed(self, now: float) -> None:
        """All nodes reach each other."""
        if self._apart_since is not None:
            self._cut_until, self._apart_since = now + self._grace, now
            self._maybe_rejoined(now)

    @property
    def apart(self) -> bool:
        """Whether the cluster is cut, or was and has not become one again."""
        return self._apart_since is not None

    # --- effects -----------------------------------------------------------------------------

    def changed(self, at: float, observer: str, effect: MemberChanged) -> None:
        """What `observer` holds of a member changed."""
        view = effect.view
        life = (view.name, view.generation, view.incarnation)
        if self._runs(view.name, view.generation):
            if view.status is Status.FAILED:
                self._wrong[observer, view.name] = None
                self._judge(life, self._subject(observer, view.name, at))
            else:
                self._wrong.pop((observer, view.name), None)
                self._maybe_rejoined(at)
            if view.status is Status.SUSPECT:
                self._suspect(life, self._subject(observer, view.name, at))
        elif view.name in self._waiting:
            self._detect(at, observer, view.name, view.status)

    def _detect(self, at: float, observer: str, name: str, status: Status) -> None:
        detection, waiting = self._waiting[name]
        after = at - detection.killed_at
        if status is Status.SUSPECT and detection.suspected_after is None:
            detection.suspected_after = after
        if status is Status.FAILED:
            if detection.suspected_after is None:
                detection.suspected_after = after
            if detection.failed_after is None:
                detection.failed_after = after
            waiting.discard(observer)
            self._maybe_known(detection, waiting, at)

    def _maybe_known(self, detection: Detection, waiting: set[str], at: float) -> None:
        if not waiting and detection.known_after is None and detection.failed_after is not None:
            detection.known_after = at - detection.killed_at

    def _suspect(self, life: _Life, subject: Subject) -> None:
        first = life not in self._suspicions
        tally = self.tallies[self._suspicions.setdefault(life, subject)]
        tally.suspicions += first
        tally.suspicion_observers += 1

    def _judge(self, life: _Life, subject: Subject) -> None:
        first = life not in self._verdicts
        if first:
            if subject is Subject.HEALTHY:
                subject = self._suspicions.get(life, subject)
            self._verdicts[life] = subject
        tally = self.tallies[self._verdicts[life]]
        tally.verdicts += first
        tally.verdict_observers += 1

    def _subject(self, observer: str, name: str, at: float) -> Subject:
        if at < self._stalled_until.get(name, 0.0):
            return Subject.STALLED
        sides = self._sides.get(observer), self._sides.get(name)
        if at < self._cut_until and None not in sides and sides[0] != sides[1]:
            return Subject.CUT
        return Subject.HEALTHY

    def _runs(self, name: str, generation: int) -> bool:
        host = self._world.hosts.get(name)
        return (
            host is not None and host.node is not None and host.node.own.generation == generation
        )

    def _maybe_rejoined(self, at: float) -> None:
        healed = self._cut_until != float("inf")
        if self._apart_since is not None and healed and not self._wrong:
            self.rejoined_after.append(at - self._apart_since)
            self._apart_since = None
