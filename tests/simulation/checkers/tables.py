"""What every node holds of members: only upwards, and no more than they said of themselves.

The precedence (gossipd/core/README.md#membership) is written down here again, so that a core which
ranks otherwise does not judge itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

from gossipd.core import (
    Address,
    MemberChanged,
    MemberView,
    Node,
    Status,
)
from gossipd.core.hashing import MASK, fingerprint_of, wide_hash
from tests.inside import shared_members
from tests.simulation.faulty.world import World

Precedence: TypeAlias = tuple[int, Address, int, int]
Life: TypeAlias = tuple[str, Address]


def precedence(view: MemberView) -> Precedence:
    """What outranks what: generation, then the larger address; incarnation; status."""
    return view.generation, view.address, view.incarnation, view.status


class Words:
    """What members said of themselves: the largest (generation, incarnation) of each."""

    def __init__(self, all_heard: bool) -> None:
        """`all_heard`: every datagram is looked at. Else only what processes say that run now is
        known, as others may have come, spoken and gone unseen."""
        self._all_heard = all_heard
        self._said: dict[Life, tuple[int, int]] = {}

    def ask(self, nodes: Iterable[Node]) -> None:
        """Hear what all running processes say of themselves now."""
        if not self._all_heard:
            self._said.clear()
        for node in nodes:
            own = node.own
            self.hear(own.name, own.address, own.generation, own.incarnation)

    def hear(self, name: str, address: Address, generation: int, incarnation: int) -> None:
        """A member spoke for itself."""
        life = (name, address)
        self._said[life] = max(self._said.get(life, (0, 0)), (generation, incarnation))

    def check(self, view: MemberView, where: str) -> None:
        """I12: nobody holds or tells more of a member than it said."""
        said = self._said.get((view.name, view.address))
        if said is None and not self._all_heard:
            return
        assert said is not None, f"I12: {where} {view}, which never spoke"
        stated = (view.generation, view.incarnation)
        assert stated <= said, f"I12: {where} {stated} of {view.name}, which said {said}"


@dataclass(slots=True)
class _Seen:
    fingerprint: int | None = None
    views: dict[str, MemberView] = field(default_factory=dict)


class TableChecker:
    """I6, I9 and I12 of the member tables."""

    def __init__(self, world: World, words: Words) -> None:
        self._world = world
        self._words = words
        self._seen: dict[Node, _Seen] = {}
        self._given: dict[tuple[str, Precedence], float] = {}
        """When each view was first held anywhere."""

    @property
    def _life(self) -> float:
        """Seconds for which a verdict is remembered at least: ages are told rounded up to a
        minute, and are those of the wall clock on a disk."""
        remember = self._world.settings.remember
        if any(host.clock for host in self._world.hosts.values()):
            return remember / 2
        return max(remember / 2, remember - 60 * len(self._world.hosts))

    def check(self, nodes: dict[str, Node], full: bool) -> None:
        """Look at the tables of all running nodes; those that did not change only if `full`."""
        self._seen = {node: self._seen.get(node, _Seen()) for node in nodes.values()}
        self._words.ask(nodes.values())
        for name, node in nodes.items():
            if full or node.members_fingerprint != self._seen[node].fingerprint:
                self._look(name, node, self._seen[node])

    def _look(self, name: str, node: Node, seen: _Seen) -> None:
        views = {view.name: view for view in node.members}
        for member, view in views.items():
            before = seen.views.get(member)
            if before is not view:
                self._words.check(view, f"{name} holds")
                risen = before is None or precedence(view) >= precedence(before)
                assert risen, f"I6: {name} held {before}, now {view}"
        for member, before in seen.views.items():
            if member not in views:
                assert before.status > Status.SUSPECT, f"I6: {name} let {before} go"
                held_for = self._world.now - self._given[member, precedence(before)]
                assert held_for >= self._life, f"I6: {name} let {before} go after {held_for} s"
        seen.views = views
        for member, view in views.items():
            given = self._given.get((member, precedence(view)), self._world.now)
            self._given[member, precedence(view)] = min(given, node.since(member))
        seen.fingerprint = node.members_fingerprint
        right = _fingerprint(node, self._world.now)
        said = seen.fingerprint
        assert said == right, f"I9: {name}: the members' fingerprint is not the recomputed one"


def _fingerprint(node: Node, now: float) -> int:
    return fingerprint_of(sum(_hash(view) for view in shared_members(node, now)) & MASK)


def _hash(view: MemberView) -> int:
    tags = [text for tag in view.tags for text in tag]
    name, (host, port), generation, incarnation, status = view[:5]
    return wide_hash("m", name, host, port, generation, incarnation, status.value, tags)


def demand_calm(world: World, since: float = 0.0) -> None:
    """I12: nobody was suspected since then. True where there were no faults, all delays were
    below the probe timeout, and no process ended or stood still."""
    for at, by, effect in world.effects:
        if at >= since and isinstance(effect, MemberChanged):
            blamed = effect.view.status in (Status.SUSPECT, Status.FAILED)
            assert not blamed, f"I12: {by} blames {effect.view.name} at {at:.2f} s without a cause"
