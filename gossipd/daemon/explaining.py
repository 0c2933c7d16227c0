"""Why a member is in its state: what `GET /explain` tells, from what the core knows of it."""

from __future__ import annotations

import time
from collections.abc import Callable

from gossipd.core import Explanation, MemberView, Node, Outcome, Probed, Status
from gossipd.daemon.reasons import reason_text, why
from gossipd.daemon.reports import address_text

At = Callable[[float | None], float | None]
"""Makes seconds since the epoch of an instant of the core."""


def explain(node: Node, name: str) -> dict[str, object] | None:
    """What this node knows of a name; None where that is nothing."""
    now = time.monotonic()
    known = node.explanation(name, now)
    ahead = time.time() - now

    def at(instant: float | None) -> float | None:
        return None if instant is None else round(instant + ahead, 3)

    if known.view is not None:
        return _member(node, known.view, known, at, now)
    if known.newcomer is not None:
        view = known.newcomer.view
        return {
            "name": name,
            "state": "newcomer",
            "text": f"{name} is no member yet: it is said to be at {address_text(view.address)}, "
            f"and was asked {known.newcomer.asks} times to prove that",
            "address": address_text(view.address),
            "asks": known.newcomer.asks,
            "generation": view.generation,
        }
    return None


def _member(
    node: Node, view: MemberView, known: Explanation, at: At, now: float
) -> dict[str, object]:
    contact, rtt = known.contact, node.round_trip(view.name)
    probes = [known.probe, *contact.probes] if known.probe is not None else contact.probes
    return {
        "name": view.name,
        "state": view.status.name.lower(),
        "text": _text(node, view, known, now),
        "why": why(view, known.reason),
        "since": at(node.since(view.name)),
        "self": view.name == node.own.name,
        "address": address_text(view.address),
        "proven": known.proven,
        "generation": view.generation,
        "incarnation": view.incarnation,
        "tags": dict(view.tags),
        "spoke": at(contact.spoke_at),
        "spoke_from": None if contact.spoke_from is None else address_text(contact.spoke_from),
        "answered": at(contact.answered_at),
        "rtt_ms": None if rtt is None else round(1000 * rtt, 3),
        "timeout_ms": round(1000 * known.timeout, 3),
        "probed_every": known.every,
        "probes": [_probe(probe, at) for probe in probes],
        "accusers": list(view.accusers),
        "suspicion": _suspicion(known, at, now),
        "corroborating": known.corroborating,
        "rumour": _rumour(known),
    }


def _probe(probe: Probed, at: At) -> dict[str, object]:
    return {
        "at": at(probe.began_at),
        "ms": round(1000 * probe.seconds, 3),
        "outcome": probe.outcome.value,
        "pings": probe.pings,
        "relays": list(probe.relays),
        "nacks": list(probe.nacks),
    }


def _suspicion(known: Explanation, at: At, now: float) -> dict[str, object] | None:
    suspected = known.suspicion
    if suspected is None:
        return None
    return {
        "since": at(suspected.started_at),
        "until": at(suspected.deadline),
        "left": round(max(0.0, suspected.deadline - now), 3),
        "confirmations": suspected.confirmations,
        "confirmations_max": suspected.confirmations_max,
    }


def _rumour(known: Explanation) -> dict[str, object] | None:
    rumour = known.rumour
    if rumour is None:
        return None
    return {"state": rumour.view.status.name.lower(), "by": rumour.by, "pings": rumour.pings}


def _text(node: Node, view: MemberView, known: Explanation, now: float) -> str:
    """The same as a sentence or two."""
    state = view.status.name.lower()
    if view.name == node.own.name:
        return f"{view.name} is this node itself, {state}"
    because = "" if known.reason is None else f": {reason_text(known.reason, view)}"
    said = [f"{view.name} is {state}{because}"]
    if known.suspicion is not None:
        left = max(0.0, known.suspicion.deadline - now)
        said.append(f"it has {left:.1f} s left to refute")
    if view.status <= Status.FAILED:
        said += _ways(known, now)
    return "; ".join(said)


def _ways(known: Explanation, now: float) -> list[str]:
    """What the last words and answers tell of the ways there and back."""
    contact, last = known.contact, known.contact.probes[:1]
    if contact.spoke_at is None:
        return ["it has not spoken to this node in this life"]
    said = [f"it last spoke {_ago(now - contact.spoke_at)}"]
    if contact.answered_at is None:
        said.append("it has answered no ping of this node")
    elif contact.answered_at != contact.spoke_at:
        said.append(f"it last answered {_ago(now - contact.answered_at)}")
    if last and last[0].outcome is Outcome.RELAYED:
        said.append("other members reach it, this node does not")
    return said


def _ago(seconds: float) -> str:
    return f"{seconds:.1f} s ago" if seconds < 100 else f"{seconds:.0f} s ago"
