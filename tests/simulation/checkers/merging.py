"""I5: states and messages merge to the same in any order, however often.

What nodes hold is merged into fresh logs and tables, and what they said is delivered again; both
at world's scale, beside the laws that property tests prove on small values.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gossipd.core import MemberView, Snapshot, Status
from gossipd.core.log.log import Log
from gossipd.core.swim.members import MemberTable
from tests.inside import snapshot_of
from tests.simulation.faulty.world import Captured, World

from .tables import precedence

_NOBODY = MemberView("nobody", ("192.0.2.1", 9), 0, 0, Status.ALIVE)
"""Owns the tables into which others' are merged."""


def check_merging(world: World) -> None:
    """Merge the snapshots of all running nodes forwards, backwards, and all of them twice."""
    snapshots = [snapshot_of(node, world.now) for node in world.running.values()]
    orders = (snapshots, snapshots[::-1], snapshots + snapshots)
    logs = [_log(order) for order in orders]
    tables = [_table(order, world) for order in orders]
    for other, again in zip(logs[1:], tables[1:], strict=True):
        equal = (other.fingerprint, other.values) == (logs[0].fingerprint, logs[0].values)
        assert equal, "I5: the order of merging shows in the log"
        assert again.fingerprint == tables[0].fingerprint, "I5: the order of merging shows"
        assert _ranks(again) == _ranks(tables[0]), "I5: the order of merging shows in the table"


def check_replay(world: World, captured: Sequence[Captured]) -> None:
    """Deliver again what was once sent to nodes that still run, when all of it is known: that
    must change nothing."""
    for to, data, source in captured:
        node = world.running.get(to)
        if node is not None:
            before = (node.log.fingerprint, node.log.values, node.members_fingerprint)
            world.deliver(to, data, source)
            after = (node.log.fingerprint, node.log.values, node.members_fingerprint)
            assert after == before, f"I5: a datagram that came again changed {to}"


def _log(snapshots: Iterable[Snapshot]) -> Log:
    log = Log()
    for snapshot in snapshots:
        log.load(snapshot.streams, 0.0, 0.0)
    return log


def _table(snapshots: Iterable[Snapshot], world: World) -> MemberTable:
    table = MemberTable(_NOBODY, world.settings.remember, world.now)
    for snapshot in snapshots:
        for view in snapshot.members:
            table.merge(view, world.now)
    return table


def _ranks(table: MemberTable) -> list[tuple[str, object]]:
    return [(view.name, precedence(view)) for view in table.views()]
