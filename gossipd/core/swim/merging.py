"""Two clusters of one name that meet: nothing keeps them apart, so somebody is told.

Logs only join, so the counts of two clusters become one for good at the first join from one to the
other. That may be meant, or somebody has left the name at its default. Who joins notices it: it
has members and counts, is taken in by a node that it has never heard of and that has counts, too,
and the members of that one are strangers to it without exception. After a partition they are not,
for those of the other side are known as failed; nor are they where a cluster forms. The table is
asked for at once, before the other cluster has heard of this one: where that fails, or where
clusters are so young that they still tell of their members, nothing is said.
"""

from __future__ import annotations

from gossipd.core.effects import ClustersMet
from gossipd.core.log.log import Log
from gossipd.core.turn import Turn
from gossipd.core.wire.messages import MemberView, Shown, Status

from .members import MemberTable
from .newcomers import Newcomers


class ClusterMerge:
    """What the member table of one who has just taken this node in says of its cluster."""

    def __init__(self, members: MemberTable, newcomers: Newcomers, log: Log) -> None:
        self._members = members
        self._newcomers = newcomers
        self._log = log
        self.peer: str | None = None
        """Whose table is to be looked at."""
        self._ours: tuple[str, ...] = ()
        self._theirs: list[str] = []
        self._related = False

    def welcomed(self, peer: str, shown: Shown) -> None:
        """Somebody takes this node in, and nothing that it says was used yet."""
        members, log = self._members, self._log
        both_count = log.counter_count and shown.log not in (0, log.fingerprint)
        if not both_count or self._is_heard_of(peer):
            return
        ours = tuple(name for name in members.live if members.is_met(name))
        if ours:
            self.peer, self._ours, self._theirs, self._related = peer, ours, [], False

    def heard(self, peer: str, views: tuple[MemberView, ...]) -> None:
        """A page of a table, before it is used."""
        if peer != self.peer:
            return
        for view in views:
            if view.name in (peer, self._members.own.name):
                continue
            if self._is_heard_of(view.name):
                self._related = True
            elif view.status <= Status.SUSPECT:
                self._theirs.append(view.name)

    def ended(self, peer: str, whole: bool, turn: Turn) -> None:
        """No more pages of a table come; `whole`: all have come."""
        if peer != self.peer:
            return
        self.peer = None
        if whole and self._theirs and not self._related:
            turn.emit(ClustersMet(self._ours, (peer, *self._theirs)))

    def _is_heard_of(self, name: str) -> bool:
        """Whether anything is held of somebody, be it that it has proven nothing yet."""
        held = self._members.get(name) or self._newcomers.get(name)
        return held is not None
