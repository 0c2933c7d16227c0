"""What nodes think of each other, held against what is true: detections and false verdicts.

A kill is detected when others suspect the dead, give it up, and all have. A suspicion or verdict
on a member that runs is false, but it makes a difference whether that member could be reached by
who suspected it. One (subject, generation, incarnation) is one
suspicion, however many hold it: the state of its subject when it was first held decides, as all
later holders may only have heard of it. A verdict that follows a suspicion is of the same kind.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from gossipd.core import MemberChanged, Status
from gossipd.simulator.engine import AnyWorld

GRACE_PERIODS = 2.0
"""Probe intervals for which a member counts as cut off after it is so no more, or
`probe_patience` if that is more: a probe that began before becomes a suspicion `probe_patience`
intervals (1.5) later. A prober that notices its own slowness takes up to `health_max` times as
long; what it says after the grace counts as said of a healthy member."""


class Subject(Enum):
    """How a member that was suspected fared."""

    HEALTHY = "healthy"
    CUT = "cut"


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


@dataclass(slots=True)
class _Search:
    """How the others find out about one kill."""

    detection: Detection
    others: set[str]
    """Who ran when it was killed, but those that ended since."""
    waiting: set[str]
    """Those of them that do not hold it as failed."""

    def changed(self, at: float, observer: str, status: Status) -> None:
        """What `observer` holds of the killed changed, perhaps by its last words."""
        detection = self.detection
        after = at - detection.killed_at
        if status in (Status.SUSPECT, Status.FAILED) and detection.suspected_after is None:
            detection.suspected_after = after
        if status is Status.FAILED:
            if detection.failed_after is None:
                detection.failed_after = after
            self.waiting.discard(observer)
            self.maybe_over(at)
        elif observer in self.others:
            self.waiting.add(observer)

    def maybe_over(self, now: float) -> None:
        """All know, if nobody is left who does not."""
        detection = self.detection
        known = not self.waiting and detection.failed_after is not None
        if known and detection.known_after is None:
            detection.known_after = now - detection.killed_at


class Verdicts:
    """Follows every change of a member's status, in the order in which they happened."""

    def __init__(self, world: AnyWorld) -> None:
        self.detections: list[Detection] = []
        self.tallies = {subject: Tally() for subject in Subject}
        self.rejoined_after: list[float] = []
        """Seconds from each healing until no node that ran held another that ran as failed."""
        self._world = world
        settings = world.settings
        self._grace = max(GRACE_PERIODS, settings.probe_patience) * settings.probe_interval
        self._searches: dict[str, _Search] = {}
        """By the name of the killed."""
        self._suspicions: dict[_Life, Subject] = {}
        self._verdicts: dict[_Life, Subject] = {}
        self._sides: dict[str, int] = {}
        self._cut_until = 0.0
        self._apart_since: float | None = None
        self._wrong: dict[tuple[str, str], None] = {}
        """(observer, subject) of those who run and are held as failed."""

    # --- faults ------------------------------------------------------------------------------

    def killed(self, name: str, others: set[str], now: float) -> None:
        """A process ended without a word while `others` ran.

        Who holds it as failed already, wrongly so far, has found it after 0 s.
        """
        knowing = {other for other in others if (other, name) in self._wrong}
        detection = Detection(name, now)
        if knowing:
            detection.suspected_after = detection.failed_after = 0.0
        self.detections.append(detection)
        self.gone(name, now)
        self._searches[name] = search = _Search(detection, others, others - knowing)
        search.maybe_over(now)

    def gone(self, name: str, now: float) -> None:
        """A process does not run any more, so nobody waits for its opinion."""
        for search in self._searches.values():
            if name in search.others:
                search.others.discard(name)
                search.waiting.discard(name)
                search.maybe_over(now)
        self._wrong = {pair: None for pair in self._wrong if name not in pair}
        self._maybe_rejoined(now)

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
                self._find_failed(life, self._subject(observer, view.name, at))
            else:
                self._wrong.pop((observer, view.name), None)
                self._maybe_rejoined(at)
            if view.status is Status.SUSPECT:
                self._suspect(life, self._subject(observer, view.name, at))
        elif view.name in self._searches:
            self._searches[view.name].changed(at, observer, view.status)

    def _suspect(self, life: _Life, subject: Subject) -> None:
        first = life not in self._suspicions
        tally = self.tallies[self._suspicions.setdefault(life, subject)]
        tally.suspicions += first
        tally.suspicion_observers += 1

    def _find_failed(self, life: _Life, subject: Subject) -> None:
        first = life not in self._verdicts
        if first:
            self._verdicts[life] = self._suspicions.get(life, subject)
        tally = self.tallies[self._verdicts[life]]
        tally.verdicts += first
        tally.verdict_observers += 1

    def _subject(self, observer: str, name: str, at: float) -> Subject:
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
