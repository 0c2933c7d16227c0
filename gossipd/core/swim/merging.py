"""Two clusters of one name that meet: nothing keeps them apart, so somebody is told.

Logs only join, so the counts of two clusters become one for good at the first join from one to the
other. That may be meant, or somebody has left the name at its default. Who joins notices it: it
has members and counts, is taken in by a node that it has never heard of and that has counts, too,
and the members of that one are strangers to it without exception. After a partition they are not,
for those of the other side are known as failed; nor are they where a cluster forms. What counts is
who was known when this node asked: as soon as it is taken in, others of that cluster turn to it
and tell of each other. The table is asked for at once, but on a slow way members of this cluster
may be in it by then. They were not when this node was taken in, if the others alone make the
fingerprint that was shown then. Where that cannot be told, or the table does not come whole,
nothing is said.
"""

from __future__ import annotations

from gossipd.core.effects import ClustersMet
from gossipd.core.hashing import MASK, fingerprint_of
from gossipd.core.log.log import Log
from gossipd.core.turn import Turn
from gossipd.core.wire.messages import MemberView, Shown, Status

from .members import MemberTable, digest_of
from .newcomers import Newcomers

AT_ONCE = 2.0
"""Seconds within which all joins are one: several seeds of one cluster may be asked."""

THEIRS_MAX = 1_000
"""Members of the other cluster that are told of: a table that is made up may have no end."""


class ClusterMerge:
    """What the member table of one who has just taken this node in says of its cluster."""

    def __init__(self, members: MemberTable, newcomers: Newcomers, log: Log) -> None:
        self._members = members
        self._newcomers = newcomers
        self._log = log
        self.peer: str | None = None
        """Whose table is to be looked at."""
        self._known: frozenset[str] | None = None
        """Who was heard of before the cluster of those who were asked could hear of this node."""
        self._asked_at = float("-inf")
        self._ours: tuple[str, ...] = ()
        self._theirs: list[str] = []
        self._related = False
        self._shown = 0
        """The fingerprint of their table as it was when they took this node in."""
        self._sum = 0
        """The sum under that of those in it who were not known."""

    def asks(self, peer: str, now: float) -> None:
        """Somebody will be asked to take this node in, and has not heard of it yet."""
        is_known = self._members.get(peer) or self._newcomers.get(peer)
        if self._log.counter_count and not is_known and now - self._asked_at > AT_ONCE:
            self._known = frozenset((*self._members.names_after(""), *self._newcomers.names))
            self._asked_at = now

    def welcomed(self, peer: str, shown: Shown) -> None:
        """Somebody takes this node in, and nothing that it says was used yet."""
        members, log, known = self._members, self._log, self._known
        both_count = log.counter_count and shown.log not in (0, log.fingerprint)
        if not both_count or known is None or peer in known:
            return
        ours = tuple(name for name in members.live if members.is_met(name) and name in known)
        if ours:
            self.peer, self._ours, self._theirs, self._related = peer, ours, [], False
            self._shown, self._sum = shown.members, 0

    def heard(self, peer: str, views: tuple[MemberView, ...]) -> None:
        """A page of a table, before it is used."""
        if peer != self.peer or self._known is None:
            return
        for view in views:
            if view.name == self._members.own.name:
                continue
            if view.name in self._known:
                self._related = True
                continue
            self._sum = (self._sum + digest_of(view)) & MASK
            if (
                view.name != peer
                and view.status <= Status.SUSPECT
                and len(self._theirs) < THEIRS_MAX
            ):
                self._theirs.append(view.name)

    def ended(self, peer: str, whole: bool, turn: Turn) -> None:
        """No more pages of a table come; `whole`: all have come."""
        if peer != self.peer:
            return
        self.peer = None
        if whole and self._theirs and not (self._related and self._knew_ours):
            turn.emit(ClustersMet(self._ours, (peer, *self._theirs)))
            self._known = None  # once

    @property
    def _knew_ours(self) -> bool:
        """Whether somebody known here was in their table when they took this node in: as far as
        can be told. They may have taken it in before they showed it."""
        own = digest_of(self._members.own)
        theirs = self._sum, (self._sum + own) & MASK
        return self._shown not in map(fingerprint_of, theirs)
