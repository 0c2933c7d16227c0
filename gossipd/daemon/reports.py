"""What the side port shows of a node: the core's state as plain data."""

from __future__ import annotations

import time
from collections.abc import Iterator

from gossipd.config.endpoint import Endpoint
from gossipd.core import Address, MemberView, Node, RecentEvent, Status, Stream, increment_text
from gossipd.daemon.reasons import why
from gossipd.daemon.sealing import Seals
from gossipd.version import full_version

SHOWN = (Status.ALIVE, Status.SUSPECT, Status.FAILED, Status.LEFT)
"""The states whose members are counted."""


def address_text(address: Address) -> str:
    """`host:port`, IPv6 in brackets."""
    return str(Endpoint(*address))


def counters(node: Node, prefix: str, after: str) -> Iterator[tuple[str, int]]:
    """The counters behind `after` that begin with `prefix`, as the node knows them when each is
    asked for; others may count in between."""
    log = node.log
    first = max(prefix, after + "\0" if after else "")
    while names := log.counters_from(first):
        for name in names:
            if not name.startswith(prefix):
                return
            yield name, log.value(name)
        first = names[-1] + "\0"


def peers(node: Node) -> Iterator[str]:
    """Gossip addresses of the other alive members."""
    for name in node.member_names():
        view = node.member(name)
        if view is not None and view.status is Status.ALIVE and name != node.own.name:
            yield address_text(view.address)


def members(node: Node, seals: Seals, prefix: str, after: str) -> Iterator[dict[str, object]]:
    """Those behind `after` who begin with `prefix` and are not forgotten, as they are when each
    is asked for."""
    for name in node.member_names(after):
        if name < prefix:
            continue
        if not name.startswith(prefix):
            return
        view = node.member(name)
        if view is not None and view.status is not Status.FORGOTTEN:
            yield member(node, seals, view)


def member(node: Node, seals: Seals, view: MemberView) -> dict[str, object]:
    """A member as the list of all of them has it."""
    now, rtt = time.monotonic(), node.round_trip(view.name)
    is_own = view.name == node.own.name
    return {
        "name": view.name,
        "address": address_text(view.address),
        "state": view.status.name.lower(),
        "generation": view.generation,
        "incarnation": view.incarnation,
        "self": is_own,
        "rtt_ms": None if rtt is None else round(rtt * 1000, 3),
        "sealed": seals.own if is_own else seals.of(view.address),
        "tags": dict(view.tags),
        "since": round(time.time() - (now - node.since(view.name)), 3),
        "why": why(view, node.reason(view.name)),
    }


def recent(
    node: Node, prefix: str, after: tuple[Stream, int] | int | None
) -> Iterator[dict[str, object]]:
    """The last events, newest first, on counters that begin with `prefix`; with `after` those
    before the event of that number, or before the oldest of that increment, which may be told of
    again as it is left out. Raises `KeyError` where it is not among them."""
    entries, newest = node.recent(), node.following.event_count
    first = 0 if after is None else _behind(entries, newest, after)
    return (
        {**event(entry), "number": newest - place}
        for place, entry in enumerate(entries[first:], first)
        if entry.advance.counter.startswith(prefix)
    )


def _behind(entries: list[RecentEvent], newest: int, after: tuple[Stream, int] | int) -> int:
    """The place behind it in `entries`, of which the first is the newest and has that number."""
    if isinstance(after, int):
        if not newest - len(entries) < after <= newest:
            raise KeyError(after)
        return newest - after + 1
    ids = [(entry.advance.stream, entry.advance.seq) for entry in reversed(entries)]
    if after not in ids:
        raise KeyError(after)
    return len(ids) - ids.index(after)


def event(entry: RecentEvent) -> dict[str, object]:
    """An event as the log shows it."""
    stream, counter, seq, by, value = entry.advance
    uuid = increment_text(stream, seq)
    return {
        "id": uuid,
        "counter": counter,
        "by": by,
        "count": value,
        "origin": uuid.rpartition("-")[0],  # an id without its last group is the stream
        "at": round(entry.at + time.time() - time.monotonic(), 3),
    }


def standing(node: Node, not_ready: str | None) -> str:
    """The node in one line; `not_ready`: why clients should ask another one."""
    states = node.state_counts
    counts = (f"{states[status]} {status.name.lower()}" for status in SHOWN if states[status])
    ready = (
        "leaving the cluster" if node.leaving else "ready" if not_ready is None else "not ready"
    )
    reason = "" if node.leaving or not_ready is None else f" ({not_ready})"
    own = f"{node.own.name} at {address_text(node.own.address)}"
    return f"{own}: {ready}; members: {', '.join(counts)}{reason}"


def status(node: Node, cluster: str) -> dict[str, object]:
    """The node in one look."""
    states = node.state_counts
    return {
        "name": node.own.name,
        "address": address_text(node.own.address),
        "cluster": cluster,
        "version": full_version(),
        "ready": node.ready,
        "leaving": node.leaving,
        "members": {status.name.lower(): states[status] for status in SHOWN},
        "changes": node.following.event_count,
        "counters": node.log.counter_count,
        "streams": node.log.stream_count,
        "registers": node.log.register_count,
        "limits": {
            "streams": node.log.streams_max,
            "registers": node.log.registers_max,
            "keys": node.key_limit,
            "doubles": node.log.doubles_max,
        },
        "keys": {
            "held": len(node.log.keys),
            "doubles": node.log.doubles.left_out,
            "doubles_held": len(node.log.doubles),
        },
        "fingerprint": f"{node.log.fingerprint:032x}",
        "agreeing": node.agreeing,
        "health": node.health_score,
    }
