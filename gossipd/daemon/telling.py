"""What happened to a node, in the log; now and then only where it may happen again and again."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Sequence
from typing import assert_never

from gossipd.core import (
    Address,
    BecameReady,
    ClustersMet,
    Drop,
    JoinDoubtful,
    MemberChanged,
    Refuted,
    SpeaksElsewhere,
    Stalled,
    Status,
)
from gossipd.daemon.reasons import reason_text
from gossipd.daemon.repeats import Repeats
from gossipd.daemon.reports import address_text
from gossipd.daemon.troubles import Troubles

log = logging.getLogger("gossipd")

WARN_AGAIN_AFTER = 60.0

MERGE = "clusters met"
MERGE_SHOWN = 3600.0
"""Seconds for which it is an alarm that two clusters have become one."""

LISTED_MAX = 3
"""Members that are named in such an alarm."""


_WARN_OF = (
    *(Drop.FOREIGN, Drop.VERSION, Drop.MEMBERS_FULL, Drop.STREAMS_FULL, Drop.KEYS_FULL),
    *(Drop.ABSURD, Drop.FALSE_CLAIM, Drop.NOT_OURS),
)
"""Drops that an operator is to know of."""


class Telling:
    """What is told of one node, and what it has dropped."""

    def __init__(self, troubles: Troubles) -> None:
        self.drops = Counter[Drop]()
        self._troubles = troubles
        self._repeats = Repeats()
        self._warned_at: dict[Drop, float] = {}

    def tell_again(self, about: str, effect: MemberChanged | Refuted) -> None:
        """Log what may happen again and again, where somebody lies, say."""
        hidden = self._repeats.tell(about, time.monotonic())
        if hidden:
            what = f"changes of member {about}" if about else "refutations"
            log.warning("%d more %s, not logged", hidden, what)
        if hidden is not None:
            tell(effect)

    def drop(self, source: Address, reason: Drop) -> None:
        """A datagram was dropped."""
        self.drops[reason] += 1
        now = time.monotonic()
        if reason in _WARN_OF:
            last = self._warned_at.get(reason)
            if last is None or now - last > WARN_AGAIN_AFTER:
                self._warned_at[reason] = now
                log.warning("dropped a datagram from %s: %s", address_text(source), reason.value)
        else:
            log.debug("dropped a datagram from %s: %s", address_text(source), reason.value)

    def merged(self, met: ClustersMet, cluster: str, own: str) -> None:
        """Told for a while, as it cannot be undone and nobody may be looking now."""
        ours = listed((own, *met.ours))
        text = (
            f"two clusters called {cluster!r} have met, {ours} and "
            f"{listed(met.theirs)}: their counts become one for good; if that was not meant, "
            "give each a --cluster of its own"
        )
        self._troubles.begin(MERGE, text)
        asyncio.get_running_loop().call_later(MERGE_SHOWN, self._troubles.end, MERGE)


def tell(
    effect: MemberChanged | Refuted | Stalled | JoinDoubtful | SpeaksElsewhere | BecameReady,
) -> None:
    """Log what happened."""
    match effect:
        case MemberChanged(view, before, reason):
            level = logging.WARNING if view.status is Status.FAILED else logging.INFO
            state = view.status.name.lower()
            was = "" if before is None else f" (was {before.name.lower()})"
            if before is view.status:
                was = " again"  # it has started anew
            at, why = address_text(view.address), reason_text(reason, view)
            log.log(level, "member %s at %s is %s%s: %s", view.name, at, state, was, why)
        case Refuted(claimed, incarnation):
            claim = claimed.name.lower()
            log.warning("refuted being %s with incarnation %d", claim, incarnation)
        case Stalled(seconds):
            log.warning("this node stalled for %.2f s; nobody is suspected for that", seconds)
        case JoinDoubtful(advertised, seen):
            log.warning(
                "this node advertises %s but its datagrams come from %s: is --advertise wrong, "
                "or is there a NAT between?",
                address_text(advertised),
                address_text(seen),
            )
        case SpeaksElsewhere(name, advertised, seen):
            log.warning(
                "member %s advertises %s, which does not answer, but its datagrams come from %s: "
                "is its --advertise wrong, or is there a NAT between?",
                name,
                address_text(advertised),
                address_text(seen),
            )
        case BecameReady(alone):
            if alone:
                log.warning("ready, though no ready peer was found: counts may be incomplete")
            else:
                log.info("ready")
        case _:
            assert_never(effect)


def listed(names: Sequence[str]) -> str:
    """Some names, of many the first."""
    more = f" and {len(names) - LISTED_MAX} more" if len(names) > LISTED_MAX else ""
    return ", ".join(names[:LISTED_MAX]) + more
