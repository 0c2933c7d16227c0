"""What follows from what a gossip port answered, or did not: which way is closed, and by whom.

Who has stopped and who is behind a firewall that rejects look alike from outside. So who refuses,
or is silent, is first asked about here: what the node of this host has heard of it meanwhile.
"""

from __future__ import annotations

import errno
import os
import time
from functools import partial

from gossipd.config.spans import span
from gossipd.doctor.findings import Finding, failed, ok, warning
from gossipd.doctor.visiting import Row, Visit

PERIODS = 3.0
"""Periods of probes without a word after which nothing arrives from who lives."""

LATELY = 60.0
"""Seconds for which a word shows that a member runs, or those periods, if they are longer."""

HANGS = "look at its log, and at what its host does; restart it"
RUN_THERE = "run gossipd doctor there, too"

_RULE = "nft list ruleset, or iptables -S, shows the rule"

_PROHIBITED = {
    errno.EHOSTUNREACH,
    errno.ENETUNREACH,
    errno.EACCES,  # as IPv6 has it
    errno.ENOPROTOOPT,
    errno.EHOSTDOWN,
    errno.ENONET,
}
"""What the kernel makes of the word of a firewall elsewhere. That a router has not found a host it
keeps to itself."""

_ACCUSED = ("suspect", "failed")


def judge_way(visit: Visit) -> Finding:
    """Whether a gossip port answers; and why it does not."""
    heard, port = visit.heard, visit.address.port
    code, fails = heard.refusal, partial(failed, "udp", visit.about)
    if not code:
        return _answers(visit) if heard.is_there else _silent(visit)
    if code == errno.EPERM or (code == errno.EACCES and heard.is_unsent):
        return fails(
            "a filter of this host does not let anything be sent there",
            f"let UDP out to port {port}: {_RULE}",
        )
    if not heard.is_unsent and code in {errno.ECONNREFUSED, *_PROHIBITED}:
        return _rejected(visit, code)
    return fails(
        f"this host has no way there: {os.strerror(code).lower()}",
        "mend the address, or the routes and the network of this host",
    )


def _answers(visit: Visit) -> Finding:
    heard, state = visit.heard, visit.of_it.get("state")
    after = "" if heard.pong_after is None else f" after {1000 * heard.pong_after:.1f} ms"
    if state in _ACCUSED:
        return warning(
            "udp",
            visit.about,
            f"answers this command{after}, but for the node here it is {state}: "
            f"{visit.of_it.get('why')}",
            "look again in some seconds; if it stays, a filter goes by ports: let UDP from "
            f"port {visit.address.port} to it through, both ways",
        )
    return ok("udp", visit.about, f"answers{after}")


def _rejected(visit: Visit, code: int) -> Finding:
    """Its host, or a firewall there or on the way, has said no: is there a node behind it?"""
    port, fails = visit.address.port, partial(failed, "udp", visit.about)
    rejected = f"what this host sends there is rejected: {os.strerror(code).lower()}"
    spoke = _arrives(visit.of_it, visit.began_at)
    if spoke is not None:
        return _one_way(visit, spoke, rejected)
    if _was_relayed(visit.of_it):
        return fails(
            f"it lives, as other members reach it, but {rejected}",
            f"a firewall rejects UDP between these two hosts: let it in to port {port} of that "
            f"host; {RUN_THERE}",
        )
    if code == errno.ECONNREFUSED:
        return fails(
            f"nothing listens on UDP port {port} there, or a firewall rejects what is sent to it",
            "start gossipd there, or, if it runs, let UDP in to that port; or the port is wrong: "
            "its --bind, or --join here",
        )
    return fails(
        f"a firewall, of that host or on the way, rejects what is sent to UDP port {port}: "
        f"{os.strerror(code).lower()}",
        f"let UDP in to port {port} of that host, there and on the way: {_RULE}",
    )


def _silent(visit: Visit) -> Finding:
    """Nothing has come back: which way is closed?"""
    port, api, fails = visit.address.port, visit.api, partial(failed, "udp", visit.about)
    spoke = _arrives(visit.of_it, visit.began_at)
    if spoke is not None:
        lost = "nothing is answered: what this host sends gets lost on the way there"
        return _one_way(visit, spoke, lost)
    if _arrives(api.of_us, visit.began_at) is not None:
        return fails(
            "it hears this host, but nothing that it sends arrives here: its answers get lost on "
            "the way back",
            f"a firewall drops UDP one way: let it in to this host, from port {port} of that one",
        )
    if _was_relayed(visit.of_it):
        return _unreached(visit)
    if api.hangs:
        return fails(
            f"silent, and its TCP port {api.endpoint.port} takes connections and answers none: "
            "the process there hangs, or is stopped",
            HANGS,
        )
    if api.is_there:
        said = "answers" if api.status else "refuses"
        return fails(
            f"the host is up, its TCP port {api.endpoint.port} {said}, but UDP port {port} is "
            "silent",
            f"a firewall drops UDP, one way or both: let UDP port {port} through; {RUN_THERE}",
        )
    return fails(
        "silent, over UDP and TCP",
        "that host is down, the address is wrong, or a firewall drops everything",
    )


def _one_way(visit: Visit, spoke: float, but: str) -> Finding:
    """It speaks, so it runs; and hears nothing. A firewall that rejects is often silent, too: no
    host says so more than about once a second."""
    port, source = visit.address.port, visit.of_it.get("spoke_from")
    fails = partial(failed, "udp", visit.about)
    if source not in (None, str(visit.address)):
        return fails(
            f"what it sends arrives here, {span(spoke)} ago, from {source}, but {but}",
            f"set its --advertise to where others reach it, if that is not {visit.address}; or a "
            "firewall lets UDP through one way only: let it in there",
        )
    return fails(
        f"what it sends arrives here, {span(spoke)} ago, but {but}",
        f"a firewall lets UDP through one way only: let it in to port {port} of that host",
    )


def _arrives(explained: Row, began_at: float) -> float | None:
    """Seconds since a member last spoke, if it did so after something that was sent to it had not
    been answered any more: a probe, those of others that have accused it since, or what was asked
    from `began_at` on."""
    spoke, since, now = explained.get("spoke"), began_at, time.time()
    for probe in _ended(explained):
        if probe.get("outcome") not in ("relayed", "silent"):
            break
        since = min(since, float(probe.get("at") or since))
    if explained.get("state") in _ACCUSED:
        since = min(since, float(explained.get("since") or since))
    since = max(since, now - max(LATELY, PERIODS * _every(explained)))
    return max(0.0, now - spoke) if isinstance(spoke, float) and spoke > since else None


def _unreached(visit: Visit) -> Finding:
    """Others reach it. Does it speak to this host? Who lives probes each other one in its turn."""
    spoke, every = visit.of_it.get("spoke"), _every(visit.of_it)
    lives = "it lives, as other members reach it, but"
    fails = partial(failed, "udp", visit.about)
    if isinstance(spoke, float) and time.time() - spoke <= PERIODS * every:
        return fails(
            f"{lives} it does not answer this host",
            "a firewall drops UDP between these two hosts, one way or both: look again in "
            f"{span(PERIODS * every)} to know which; {RUN_THERE}",
        )
    return fails(
        f"{lives} nothing that it sends arrives here",
        "a firewall drops UDP between these two hosts, on the way from there to here at least: "
        f"let it through both ways; {RUN_THERE}",
    )


def _was_relayed(explained: Row) -> bool:
    """Whether others reached a member that did not answer the last probe, and hold it alive."""
    if explained.get("state") in _ACCUSED:
        return False
    return any(probe.get("outcome") == "relayed" for probe in _ended(explained)[:1])


def _every(explained: Row) -> float:
    """Seconds between two probes of a member."""
    return float(explained.get("probed_every") or 0.0)


def _ended(explained: Row) -> list[Row]:
    """The probes that are over, the newest first."""
    probes = explained.get("probes")
    rows = probes if isinstance(probes, list) else []
    return [row for row in rows if isinstance(row, dict) and row.get("outcome") != "open"]
