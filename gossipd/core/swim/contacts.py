"""When each member last spoke and answered, and what came of the last probes of it.

It explains to people why a member is in its state. Nothing is decided by that but who is asked to
ping somebody for this node: some of those who spoke last, as these most likely live and are in
reach.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from gossipd.core.identity import Address

PROBES_KEPT = 5
"""Probes of one member that are remembered."""

NAMES_MAX = 4096
"""Members of which something is; who has not spoken for longest goes first."""


class Outcome(Enum):
    """What came of a probe."""

    ANSWERED = "answered"
    """It has answered this node."""
    RELAYED = "relayed"
    """It has answered another member that this node had asked to ping it."""
    SILENT = "silent"
    """Nothing came until the verdict."""
    VOID = "void"
    """This node stood still, or was cut off, so that it proves nothing."""
    OPEN = "open"
    """It is under way."""


class Probed(NamedTuple):
    """A probe of a member."""

    began_at: float
    seconds: float
    """How long it took, or has taken until now."""
    outcome: Outcome
    pings: int
    """Sent by this node."""
    relays: tuple[str, ...]
    """Members that were asked to ping it, too."""
    nacks: tuple[str, ...]
    """Those of them that live, and did not reach it."""


@dataclass(slots=True)
class Contact:
    """What is remembered of one member."""

    spoke_at: float | None = None
    """When it last sent anything to this node in this life."""
    spoke_from: Address | None = None
    """And from where, which may be another address than it advertises."""
    answered_at: float | None = None
    """When it last answered a ping of this node."""
    probes: tuple[Probed, ...] = ()
    """The newest first."""


class Contacts:
    """Those of one node, by member."""

    def __init__(self) -> None:
        self._by: dict[str, Contact] = {}
        """Who spoke last comes last."""

    def of(self, name: str) -> Contact:
        """What is remembered of a member: nothing yet, perhaps."""
        return self._by.get(name) or Contact()

    def spoke(self, name: str, source: Address, now: float) -> None:
        """A member has sent something."""
        contact = self._kept(name)
        contact.spoke_at, contact.spoke_from = now, source
        self._by[name] = self._by.pop(name)

    def latest(self, within: float) -> Iterator[str]:
        """Those who have spoken, from the last one on, up to `within` seconds before its word."""
        newest: float | None = None
        for name, contact in reversed(self._by.items()):
            if contact.spoke_at is None:
                continue
            newest = contact.spoke_at if newest is None else newest
            if contact.spoke_at < newest - within:
                return
            yield name

    def answered(self, name: str, now: float) -> None:
        """A member has answered a ping of this node."""
        self._kept(name).answered_at = now

    def probed(self, name: str, probed: Probed) -> None:
        """A probe is over."""
        contact = self._kept(name)
        contact.probes = (probed, *contact.probes[: PROBES_KEPT - 1])

    def _kept(self, name: str) -> Contact:
        contact = self._by.get(name)
        if contact is None:
            if len(self._by) >= NAMES_MAX:
                del self._by[next(iter(self._by))]
            contact = self._by[name] = Contact()
        return contact
