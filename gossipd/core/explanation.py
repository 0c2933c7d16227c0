"""All that a node knows of why a member is in its state, in one value."""

from __future__ import annotations

from dataclasses import dataclass

from gossipd.core.swim.contacts import Contact, Probed
from gossipd.core.swim.newcomers import Newcomer
from gossipd.core.swim.reason import Reason
from gossipd.core.swim.rumours import Rumour
from gossipd.core.swim.suspicion import Suspected
from gossipd.core.wire.messages import MemberView


@dataclass(frozen=True, slots=True)
class Explanation:
    """Of one name, at one moment."""

    view: MemberView | None
    """What is held of it; None: it is no member."""
    reason: Reason | None
    """Why that became so; None of this node itself."""
    proven: bool
    """Whether it has answered this node at its address in this life."""
    contact: Contact
    probe: Probed | None
    """The one that is under way."""
    timeout: float
    """Seconds in which it is to answer a ping."""
    every: float
    """Seconds in which live members probe each other once."""
    suspicion: Suspected | None
    corroborating: int | None
    """Pings of this node, beside those of probes, that it has not answered since it is suspected,
    by whomever; None: it is not, or has answered, or is not pinged."""
    rumour: Rumour | None
    """What others say of it, and this node is to find out."""
    newcomer: Newcomer | None
    """Somebody that has not proven yet where it is."""
