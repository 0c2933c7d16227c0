"""What changes, for those who follow it: every event that moves a value, every member.

While somebody follows, all of it is kept until it is taken, so nothing is missed however much
happens in one input; while nobody does, it costs nothing.
"""

from __future__ import annotations

from gossipd.core.log.recent import RecentEvent, RecentEvents
from gossipd.core.swim.members import MemberTable


class Following:
    """The changes of one node since they were last taken."""

    def __init__(self, recent: RecentEvents, members: MemberTable) -> None:
        self._recent = recent
        self._members = members

    def begin(self) -> None:
        """From now on changes are kept."""
        self._recent.follow()
        self._members.followed = {}

    def end(self) -> None:
        """Nobody wants to know any more."""
        self._recent.stop_following()
        self._members.followed = None

    @property
    def event_count(self) -> int:
        """How many events this node has seen so far."""
        return self._recent.count

    def take_events(self) -> list[RecentEvent]:
        """All events since they were last taken, oldest first."""
        return self._recent.take_followed()

    @property
    def has_members(self) -> bool:
        """Whether something else is held of a member since they were last taken."""
        return bool(self._members.followed)

    def take_members(self) -> list[str]:
        """The names of these members, each once; some may be held no more."""
        taken = self._members.followed
        if not taken:
            return []
        self._members.followed = {}
        return list(taken)
