"""What happened to a node, in the log; now and then only where it may happen again and again."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import assert_never

from gossipd.core import (
    BecameReady,
    Cause,
    ClustersMet,
    MemberChanged,
    Reason,
    Refuted,
    SpeaksElsewhere,
    Stalled,
    Status,
)
from gossipd.daemon.lines import fields, listed
from gossipd.daemon.reasons import reason_text
from gossipd.daemon.repeats import THINGS_MAX, Repeats
from gossipd.daemon.reports import address_text
from gossipd.daemon.troubles import Trouble, Troubles

log = logging.getLogger("gossipd")

MERGE_SHOWN = 3600.0
"""Seconds for which it is an alarm that two clusters have become one."""

BUSY_SHARE = 0.5
"""The part of a stall in which the process has worked, from which on the stall is its own."""


class Telling:
    """What is told of one node."""

    def __init__(self, troubles: Troubles) -> None:
        self._troubles = troubles
        self._repeats = Repeats()
        self._held: dict[str, tuple[MemberChanged, str]] = {}
        """What was not told of each, and nothing has come after it."""
        self._worked = time.thread_time()

    def in_time(self) -> None:
        """A timer has been served: what makes the next one late has happened since."""
        self._worked = time.thread_time()

    def tell_again(self, effect: MemberChanged | Refuted | Stalled) -> None:
        """Log what may happen again and again, where somebody lies, say."""
        match effect:
            case MemberChanged(view, _, Reason(Cause.TAGGED)):
                # They must not use up the lines that a failure needs.
                about, what = f"\0{view.name}", f"changes of the tags of member {view.name}"
            case MemberChanged(view):
                about, what = view.name, f"changes of member {view.name}"
            case Refuted():
                about, what = "", "refutations"
            case Stalled():
                about, what = "\0", "stalls"  # no member's name
        hidden = self._repeats.tell(about, time.monotonic())
        self._held.pop(about, None)
        if hidden is None:
            if isinstance(effect, MemberChanged):
                self._held[about] = effect, what
                if len(self._held) > THINGS_MAX:
                    del self._held[next(iter(self._held))]
            return
        _tell_hidden(hidden, what)
        match effect:
            case Stalled(seconds):
                self._tell_stall(seconds)
            case _:
                tell(effect)

    def catch_up(self, now: float) -> None:
        """About a second has passed: how a member came to be in the state that it is in is told,
        however often it has changed before."""
        for about, (effect, what) in list(self._held.items()):
            hidden = self._repeats.again(about, now)
            if hidden is not None:
                del self._held[about]
                _tell_hidden(hidden, what)
                tell(effect)

    def _tell_stall(self, seconds: float) -> None:
        busy = time.thread_time() - self._worked >= BUSY_SHARE * seconds
        why = "it was busy itself" if busy else "its host did not let it run"
        log.warning(
            "this node stalled for %.2f s; nobody is suspected for that",
            seconds,
            extra=fields(seconds=round(seconds, 3), why=why),
        )

    def merged(self, met: ClustersMet, cluster: str, own: str) -> None:
        """Told for a while, as it cannot be undone and nobody may be looking now."""
        ours = listed((own, *met.ours))
        text = (
            f"two clusters called {cluster!r} have met, {ours} and "
            f"{listed(met.theirs)}: their counts become one for good; if that was not meant, "
            "give each a --cluster of its own"
        )
        self._troubles.begin(Trouble.MERGE, text)
        asyncio.get_running_loop().call_later(MERGE_SHOWN, self._troubles.end, Trouble.MERGE)


def _tell_hidden(hidden: int, what: str) -> None:
    if hidden:
        log.warning("%d more %s, not logged", hidden, what, extra=fields(hidden=hidden))


def tell(effect: MemberChanged | Refuted | SpeaksElsewhere | BecameReady) -> None:
    """Log what happened."""
    match effect:
        case MemberChanged():
            _tell_change(effect)
        case Refuted(claimed, incarnation):
            claim = claimed.name.lower()
            extra = fields(claimed=claim, incarnation=incarnation)
            log.warning("refuted being %s with incarnation %d", claim, incarnation, extra=extra)
        case SpeaksElsewhere(name, advertised, seen):
            log.warning(
                "member %s advertises %s, which does not answer, but its datagrams come from %s: "
                "is its --advertise wrong, or is there a NAT between?",
                name,
                address_text(advertised),
                address_text(seen),
                extra=fields(
                    member=name, address=address_text(advertised), seen=address_text(seen)
                ),
            )
        case BecameReady(alone):
            if alone:
                log.warning("ready, though no ready peer was found: counts may be incomplete")
            else:
                log.info("ready")
        case _:
            assert_never(effect)


def _tell_change(change: MemberChanged) -> None:
    view, before, reason = change.view, change.before, change.reason
    state, at = view.status.name.lower(), address_text(view.address)
    was = None if before is None else before.name.lower()
    told = f" (was {was})" if was else ""
    if before is view.status:
        told = " again"  # it has started anew
    what = "has other tags" if reason.cause is Cause.TAGGED else f"is {state}{told}"
    log.log(
        logging.WARNING if view.status is Status.FAILED else logging.INFO,
        "member %s at %s %s",
        view.name,
        at,
        what,
        extra=fields(
            member=view.name,
            address=at,
            state=state,
            was=was,
            tags=tuple("=".join(tag) for tag in view.tags) or None,
            why=reason_text(reason, view),
        ),
    )
