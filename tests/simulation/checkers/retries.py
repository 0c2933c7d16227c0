"""Q4: a retry changes nothing, wherever it comes.

While the faults go on, a process, or a disk, that has once known a key never counts it again
before its record is too old, nor ever if the key tells its time; and nothing is called a retry,
reused, expired or one too many that is not, whatever clocks others have or had. Once all agree,
every node knows every key.
"""

from __future__ import annotations

from collections.abc import Container
from typing import assert_never

from gossipd.core import (
    Accepted,
    CatchingUp,
    Duplicate,
    KeyedEvent,
    KeyExpired,
    KeyReused,
    KeysFull,
    LogFull,
    Mixed,
    Node,
    OutOfRange,
    Stream,
    key_time,
)
from gossipd.core.log.dedup import AHEAD_MAX, held_longer, reach
from tests.simulation.faulty.world import Disk, Judged, World

from .doubles import Group, is_present
from .ghosts import Ghosts
from .keyed import Keyed

OTHER_BY = 2**50 + 7
"""A payload that no operation has."""


class RetryChecker:
    """Q4, from what clients were told."""

    def __init__(self, world: World, ghosts: Ghosts, keyed: Keyed) -> None:
        self._world = world
        self._ghosts = ghosts
        self._keyed = keyed
        self._read = 0
        self._known: dict[tuple[str, int] | Disk, dict[Group, float]] = {}
        """By process or disk: the operations that it knew, and when they were made."""
        self._newest_time = 0
        """The largest time in a key that was accepted, ms."""
        self._clocks: dict[str, float] = {}
        """By host: by how much its wall clock was ahead when it was looked at last."""
        self._set_back_at: dict[str, float] = {}
        """By host: when that fell last."""

    def read(self) -> None:
        """Look at what was answered since the last time."""
        for name, host in self._world.hosts.items():
            if host.clock < self._clocks.get(name, host.clock):
                self._set_back_at[name] = self._world.now
            self._clocks[name] = host.clock
        for answer in self._world.judged[self._read :]:
            self._judge(answer)
        self._read = len(self._world.judged)

    def check_rest(self, forgotten: Container[tuple[Stream, int]]) -> None:
        """Once all agree: retry everything that must be remembered on every node. `forgotten`:
        events whose records were destroyed."""
        for group, events in self._keyed.groups.items():
            born = self._world.now - self._keyed.remembered
            places = [(event.stream, event.seq) for event in events]
            if all(e.at > born for e in events) and not any(p in forgotten for p in places):
                for name, node in self._world.running.items():
                    self._retry(name, node, group)

    def _retry(self, name: str, node: Node, group: Group) -> None:
        key, counter, by = group
        events = [KeyedEvent(e.stream, e.seq, counter, by) for e in self._keyed.groups[group]]
        present = [e for e in events if is_present(node.log, e.stream, e.seq, counter)]
        if not present or any(self._ghosts.is_shared(event.stream) for event in events):
            return
        before = (node.log.values, node.log.fingerprint)
        again = self._world.increment(name, counter, by, key)
        right = Duplicate(min(present))
        assert again == right, f"Q4: {name} answers a retry with {again}, not {right}"
        other = self._world.increment(name, counter, OTHER_BY, key)
        assert isinstance(other, KeyReused), f"Q4: {name} answers a key that was used with {other}"
        after = (node.log.values, node.log.fingerprint)
        assert after == before, f"Q4: a retry changed {name}"

    # --- answers -----------------------------------------------------------------------------

    def _judge(self, answer: Judged) -> None:
        group = (answer.key, answer.counter, answer.by)
        where = f"Q4: {answer.host} at {answer.at:.2f} s"
        result = answer.result
        match result:
            case Accepted():
                self._check_new(answer, group, where)
                made = self._keyed.groups[group][-1]
                self._newest_time = max(self._newest_time, key_time(answer.key) or 0)
                self._know(answer, group, made.at)
            case Duplicate(event):
                self._check_retry(answer, event, where)
                made_at = min(made.at for made in self._keyed.groups[group])
                self._know_in_memory(answer, group, made_at)
            case KeyReused(event):
                made_as = self._keyed.event(event.stream, event.seq)
                known = made_as is not None and made_as.key == answer.key
                assert known, f"{where} calls a key reused that was not: {event}"
                assert (event.counter, event.by) != group[1:], f"{where}: reused, though a retry"
            case KeyExpired():
                self._check_expired(answer, where)
            case KeysFull():
                most = self._world.settings.key_limit
                assert self._keyed.count >= most, f"{where} is full of {self._keyed.count} keys"
            case CatchingUp():
                set_back_at = self._set_back_at.get(answer.host, float("-inf"))
                matters = held_longer(self._world.settings.key_window)
                set_back = answer.at - set_back_at <= matters
                may_lack = set_back or answer.lacking
                assert not answer.ready or may_lack, f"{where} is ready and says that it is not"
            case OutOfRange() | LogFull():
                pass
            case Mixed():
                raise AssertionError(f"{where} was asked for several in a row")
            case _:
                assert_never(result)

    def _check_new(self, answer: Judged, group: Group, where: str) -> None:
        assert answer.ready, f"{where} accepts a key and is not ready"
        time = key_time(answer.key)
        settings = self._world.settings
        if time is not None:
            age = answer.wall - time / 1000
            assert -AHEAD_MAX <= age <= settings.key_window, f"{where} accepts a key of {age} s"
        longest = settings.key_window if answer.disk is None else settings.key_retention
        for knower in (_process(answer), answer.disk):
            at = self._known.get(knower, {}).get(group) if knower is not None else None
            young = at is not None and answer.at - at < self._keyed.kept(longest)
            what = f"{where} counts {group} again"
            assert not young, f"{what}, which it has known for {answer.at - (at or 0.0):.2f} s"
            certain = time is not None and not self._was_set_back(answer, at)
            assert at is None or not certain, f"{what}, though its key tells its age"

    def _was_set_back(self, answer: Judged, since: float | None) -> bool:
        """Whether a disk may have let a record go by a clock that was set back since."""
        set_back_at = self._set_back_at.get(answer.host, float("-inf"))
        return answer.disk is not None and since is not None and set_back_at >= since

    def _check_retry(self, answer: Judged, event: KeyedEvent, where: str) -> None:
        made = self._keyed.event(event.stream, event.seq)
        said = (answer.key, answer.counter, answer.by)
        right = made is not None and (made.key, made.counter, made.by) == said
        assert right or self._ghosts.is_shared(event.stream), (
            f"{where} takes {said} for a retry of {made}"
        )

    def _check_expired(self, answer: Judged, where: str) -> None:
        time = key_time(answer.key)
        assert time is not None, f"{where} takes a key for expired that tells no time"
        settings = self._world.settings
        age = answer.wall - time / 1000
        outside = not -AHEAD_MAX <= age <= settings.key_window
        behind = time <= self._newest_time and age >= reach(settings.key_window)
        assert outside or behind, f"{where} takes a key of {age:.2f} s for expired"

    def _know(self, answer: Judged, group: Group, at: float) -> None:
        self._know_in_memory(answer, group, at)
        if answer.disk is not None:
            self._known.setdefault(answer.disk, {})[group] = at

    def _know_in_memory(self, answer: Judged, group: Group, at: float) -> None:
        self._known.setdefault(_process(answer), {})[group] = at


def _process(answer: Judged) -> tuple[str, int]:
    return answer.host, answer.life
