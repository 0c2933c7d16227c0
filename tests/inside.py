"""What tests look at inside of a node, as nothing of the product asks for it."""

from __future__ import annotations

from collections import Counter

from gossipd.core import Node, Snapshot, StreamSnapshot
from gossipd.core.log.doubles import Doubles
from gossipd.core.wire.messages import MemberView


def copies(node: Node, token: int) -> int:
    """How many are known to hold the increment of a wish that waits."""
    return node._parts.copies.count(token)


def left_out_of(doubles: Doubles) -> Counter[str]:
    """What the values of counters leave out, computed anew (I7)."""
    out: Counter[str] = Counter()
    for stream in doubles._corrections:
        for correction in doubles.corrections(stream):
            out[correction.counter] += correction.out
    for stream in doubles._orders:
        for each in doubles.of(stream, 0, 0.0):
            if doubles._waits_for(stream, each) is None:
                out[each.counter] += each.by
    return out


def shared_members(node: Node, now: float) -> list[MemberView]:
    """All members, this node included, as others are told of them, by name: without those that
    only an earlier life knew, and verdicts older than half of `settings.remember`."""
    views = (node._state.members.shared(view.name, now) for view in node.members)
    return [view for view in views if view is not None]


def snapshot_of(node: Node, now: float) -> Snapshot:
    """What the next life of a node may `load`, had it all on a disk."""
    log, members = node.log, node._state.members
    streams = tuple(
        StreamSnapshot(
            stream,
            log.version(stream),
            tuple(log.by_name(stream, 0, "")),
            tuple(log.keys.oldest_first(stream, 0, now)),
            tuple(log.doubles.of(stream, 0, now)),
            log.archived(stream, now),
            tuple(log.doubles.corrections(stream)),
        )
        for stream in log.streams
    )
    others = (view.name for view in node.members if view.name != node.own.name)
    views = (members.worth_keeping(name, now) for name in others)
    known = [view for view in views if view is not None]
    known += (view for view in node.earlier if node.member(view.name) is None)
    return Snapshot(streams, tuple(sorted(known)), node._state.dedup.horizon)
