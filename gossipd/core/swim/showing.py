"""What nodes show of their state in pings and answers: so they see what differs."""

from __future__ import annotations

from gossipd.core.log.log import Log
from gossipd.core.wire.messages import Shown

from .life import Life
from .members import MemberTable
from .rounds import Rounds


class Showing:
    """What this node shows, and what the others have."""

    def __init__(self, log: Log, members: MemberTable, rounds: Rounds, life: Life) -> None:
        self._log = log
        self._members = members
        self._rounds = rounds
        self._life = life
        self.by: dict[str, Shown] = {}
        """What live members last showed."""

    @property
    def own(self) -> Shown:
        """What this node shows now."""
        log, members = self._log.fingerprint, self._members.fingerprint
        return Shown(log, members, self._life.ready, self._rounds.number)

    def differ(self, beside: str, *, log: bool) -> list[str]:
        """Live members, `beside` one, that showed another log than this node's, or another
        table."""
        own = self.own
        shown = ((name, its) for name, its in self.by.items() if name != beside)
        if log:
            return [name for name, its in shown if its.log != own.log]
        return [name for name, its in shown if its.members != own.members]
