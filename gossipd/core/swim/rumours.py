"""What others say of members that live, for as long as it is only said.

A verdict (failed, left, forgotten) on a member that is held as live is believed once the member
has not answered this node's own pings. They tell it the verdict, so that it can refute. So whoever
lies about a member that lives changes nothing where that answers, and a member that has left says
so itself in its answer. Who has just answered is not asked again at once, however often others
say the same.

Only books: `membership` fills them, `detector` pings.
"""

from __future__ import annotations

from dataclasses import dataclass

from gossipd.core.wire.messages import MemberView

from .members import rank

PINGS = 2
"""Unanswered pings after which a verdict is believed."""

QUIET_MAX = 1024
"""Members of which it is remembered that they have just answered, at least."""


@dataclass(slots=True)
class Rumour:
    """A verdict, and how often its subject was asked."""

    view: MemberView
    by: str
    """Who has said that."""
    pings: int = 0


class Rumours:
    """The rumours of one node, by their subjects."""

    def __init__(self, quiet: float) -> None:
        """`quiet`: seconds for which an answer keeps its member from being asked again."""
        self._quiet = quiet
        self._rumours: dict[str, Rumour] = {}
        self._answered_at: dict[str, float] = {}

    def get(self, name: str) -> Rumour | None:
        """What is said of a member."""
        return self._rumours.get(name)

    def hear(self, view: MemberView, by: str, now: float) -> float | None:
        """A verdict is told; when its subject is to be asked, None if that is arranged."""
        rumour = self._rumours.get(view.name)
        if rumour is not None:
            if rank(view) > rank(rumour.view):
                rumour.view, rumour.by = view, by
            return None
        self._rumours[view.name] = Rumour(view, by)
        return max(now, self._answered_at.get(view.name, now - self._quiet) + self._quiet)

    def answered(self, name: str, now: float) -> None:
        """A member was asked, and lives."""
        self.drop(name)
        if len(self._answered_at) >= QUIET_MAX:
            since = now - self._quiet
            self._answered_at = {of: at for of, at in self._answered_at.items() if at > since}
        self._answered_at[name] = now

    def drop(self, name: str) -> None:
        """What is said of a member is refuted, or known."""
        self._rumours.pop(name, None)
