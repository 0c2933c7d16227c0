"""How this life of a node stands with the others: books that several parts read and write."""

from __future__ import annotations

from .contacts import Contacts

HEARD_PROBES = 5.0
"""Probe intervals for which an answer shows that this node is a member for somebody."""


class Life:
    """What has become of one node since it began."""

    def __init__(self, probe_interval: float, now: float) -> None:
        self._recent = HEARD_PROBES * probe_interval
        self.began_at = now
        self.heard_at = float("-inf")
        """When a member last answered a question of this node."""
        self.spoken_at = float("-inf")
        """When a member last said anything to this node."""
        self.cut_off = False
        """Whether this node's host has no way to any member, so that silence proves nothing."""
        self.ready = False
        self.leaving = False
        self.contacts = Contacts()

    def is_recent(self, at: float, now: float) -> bool:
        """Whether what a member did at that time still tells of it."""
        return now - at <= self._recent

    def is_to_blame(self, now: float) -> bool:
        """Whether it is this node's own fault that others are silent: it has no way to them, or
        they do speak, but nobody answers, so that answers go elsewhere."""
        are_silent = not self.is_recent(max(self.heard_at, self.began_at), now)
        return self.cut_off or (are_silent and self.is_recent(self.spoken_at, now))
