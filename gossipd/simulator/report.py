"""What an experiment found, as plain values: what the tables, the plot and the JSON show.

Times are seconds, rounded to microseconds, so that the same seed gives the same text.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import TypeAlias

from gossipd.simulator.distribution import Distribution
from gossipd.simulator.verdicts import Detection, Tally

Plain: TypeAlias = "bool | int | float | str | list[Plain] | dict[str, Plain] | None"
"""What JSON can say."""

_DIGITS = 6


@dataclass(frozen=True, slots=True)
class Summary:
    """A distribution in four numbers; percentiles by nearest rank, None of nothing."""

    count: int
    median: float | None
    p99: float | None
    max: float | None

    @classmethod
    def of(cls, durations: Distribution) -> Summary:
        """The summary of a distribution."""
        return cls(durations.count, durations.median, durations.p99, durations.max)

    @classmethod
    def of_all(cls, durations: Iterable[float | None]) -> Summary:
        """The summary of some durations; what has not happened (None) is left out."""
        made = Distribution()
        for duration in durations:
            if duration is not None:
                made.add(duration)
        return cls.of(made)


@dataclass(frozen=True, slots=True)
class Convergence:
    increments: int
    whole: Summary
    """Until all nodes that run held an increment that met no partition."""
    apart: Summary
    """The same for those that did."""
    pairs: Summary
    """Until one node held one increment, over all pairs that met no partition."""
    unfinished: int
    """Increments that never came to all."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """What was sent while the load lasted, headers of IPv4 and UDP included."""

    packets: int
    bytes: int
    packets_per_node_second: float
    bytes_per_node_second: float
    messages_per_increment: float | None
    """All datagrams of any kind, over the increments."""


@dataclass(frozen=True, slots=True)
class Partition:
    """When the network was cut in two halves and healed, seconds after the load began."""

    began_at: float
    healed_at: float
    rejoined_after: float | None
    """From the healing until no running node held another one as failed."""


@dataclass(frozen=True, slots=True)
class Final:
    """The end, all faults undone."""

    settled_after: float | None
    """Seconds until all logs and member tables were equal; None if they did not become so."""
    acknowledged: int
    """The sum of all increments made."""
    lost_with_the_killed: int
    """What killed nodes had acknowledged and told nobody."""
    counts: list[int]
    """The different counts that nodes answer: one, if they agree."""

    @property
    def exact(self) -> bool:
        """Whether all nodes answer what was acknowledged, but for what died with the killed."""
        return self.counts == [self.acknowledged - self.lost_with_the_killed]


@dataclass(frozen=True, slots=True)
class Theory:
    """What formulas expect (see `gossipd.simulator.theory`), and their measured counterparts."""

    first_suspicion: float
    """Seconds: SWIM's e/(e-1) periods."""
    measured_first_suspicion: float | None
    """Seconds, the mean over all kills that were suspected."""
    false_suspicions_per_probe: float
    """SWIM's probability, with the settings' relays."""
    measured_false_suspicions_per_probe: float
    """Suspicions of healthy members over probes (node-seconds / probe interval)."""
    rounds: float
    """log N to the base of fan-out + 1: rounds of gossip until all know, at least."""
    measured_rounds: float | None
    """The median time until all knew, in rounds of `latency` + `flush_after`: what a node waits
    with fresh news, and its way. None where nothing arrived or rounds take no time."""
    missed_by_push: float
    """Share of nodes that gossip without repair would miss; there is repair, so it cannot be
    measured."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Some seconds of the load."""

    begins_at: float
    """Seconds after the load began."""
    seconds: float
    packets_per_node_second: float
    bytes_per_node_second: float
    convergence: Summary
    """Of the increments made in it, whatever they met."""


@dataclass(frozen=True, slots=True)
class Report:
    seed: int
    wishes: dict[str, float]
    settings: dict[str, float | str]
    detections: list[Detection]
    """One for each kill; `killed_at` is seconds after the load began."""
    first_suspicion: Summary
    first_verdict: Summary
    known_to_all: Summary
    never_found: int
    """Kills that some of the others never held as failed; `known_to_all` leaves them out."""
    false_verdicts: dict[str, Tally]
    """Suspicions and verdicts on members that ran, by how these fared."""
    convergence: Convergence
    traffic: Traffic
    partition: Partition | None
    final: Final
    theory: Theory
    over_time: list[Stretch]

    def plain(self) -> dict[str, Plain]:
        """Everything as values that JSON knows."""
        told = {name: _plain(value) for name, value in asdict(self).items()}
        final = told["final"]
        assert isinstance(final, dict)
        final["exact"] = self.final.exact
        return told


def _plain(value: object) -> Plain:
    match value:
        case dict():
            return {str(name): _plain(item) for name, item in value.items()}
        case list():
            return [_plain(item) for item in value]
        case float():
            return round(value, _DIGITS)
        case None | bool() | int() | str():
            return value
    raise TypeError(f"{value!r} is not plain")
