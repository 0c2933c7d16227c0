"""What the side port shows of a node: the core's state as plain data."""

from __future__ import annotations

import time
from collections import Counter

import gossipd
from gossipd.core import Address, MemberView, Node, Status, TailEntry, increment_id
from gossipd.endpoint import Endpoint


def address_text(address: Address) -> str:
    """`host:port`, IPv6 in brackets."""
    return str(Endpoint(*address))


def peers(node: Node) -> list[str]:
    """Gossip addresses of the other alive members."""
    return [
        address_text(view.address)
        for view in node.members
        if view.status is Status.ALIVE and view.name != node.own.name
    ]


def members(node: Node, now: float) -> list[dict[str, object]]:
    """Everybody who is not forgotten; `now` is the core's clock."""
    shown = [view for view in node.members if view.status is not Status.FORGOTTEN]
    return [_member(node, view, now) for view in shown]


def _member(node: Node, view: MemberView, now: float) -> dict[str, object]:
    rtt = node.round_trip(view.name)
    return {
        "name": view.name,
        "address": address_text(view.address),
        "state": view.status.name.lower(),
        "generation": view.generation,
        "incarnation": view.incarnation,
        "self": view.name == node.own.name,
        "rtt_ms": None if rtt is None else round(rtt * 1000, 3),
        "tags": dict(view.tags),
        "since": round(time.time() - (now - node.since(view.name)), 3),
    }


def tail(node: Node, limit: int, now: float) -> list[dict[str, object]]:
    """The last events, newest first."""
    wall = time.time()
    return [_event(entry, wall - now) for entry in node.tail(limit)]


def _event(entry: TailEntry, offset: float) -> dict[str, object]:
    stream, counter, seq, by, value = entry.advance
    uuid = str(increment_id(stream, seq))
    return {
        "id": uuid,
        "counter": counter,
        "by": by,
        "count": value,
        "origin": uuid.rpartition("-")[0],  # an id without its last group is the stream
        "at": round(entry.at + offset, 3),
    }


def status(node: Node, cluster: str) -> dict[str, object]:
    """The node in one look."""
    states = Counter(view.status.name.lower() for view in node.members)
    return {
        "name": node.own.name,
        "address": address_text(node.own.address),
        "cluster": cluster,
        "version": gossipd.__version__,
        "ready": node.ready,
        "leaving": node.leaving,
        "members": {state: states[state] for state in ("alive", "suspect", "failed", "left")},
        "counters": node.log.counter_count,
        "streams": node.log.stream_count,
        "registers": node.log.register_count,
        "limits": {
            "streams": node.log.streams_max,
            "registers": node.log.registers_max,
            "doubles": node.log.doubles_max,
        },
        "keys": {
            "held": len(node.log.keys),
            "doubles": node.log.doubles.left_out,
            "doubles_held": len(node.log.doubles),
        },
        "fingerprint": f"{node.log.fingerprint:016x}",
        "agreeing": node.agreeing,
        "health": node.health_score,
    }
