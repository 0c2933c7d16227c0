"""What must hold of a node at any moment, seen from outside through its queries.

Everything that is kept incrementally is computed again, and what was seen before is remembered, so
that shrinking shows. Failures name the invariant (gossipd/core/README.md#invariants).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TypeAlias

from gossipd.core import (
    Node,
    Settings,
    Status,
    Stream,
)
from gossipd.core.log.log import Log
from gossipd.core.swim.members import MemberTable, Rank, rank
from gossipd.core.wire.messages import MemberView
from tests.inside import left_out_of, shared_members, snapshot_of

_Registers: TypeAlias = dict[tuple[Stream, str], tuple[int, int]]


class Books:
    """The audit of one node over time."""

    def __init__(
        self, settings: Settings, may_go: Callable[[MemberView], bool] = lambda _: False
    ) -> None:
        """`may_go`: views that are let go as soon as their members are gone."""
        self._may_go = may_go
        self._remember = settings.remember
        self._registers: _Registers = {}
        self._versions: dict[Stream, int] = {}
        self._views: dict[str, MemberView] = {}
        self._own: Rank | None = None

    def new_life(self) -> None:
        """The node restarts from its snapshot: the log goes on, verdicts that are old do not."""
        self._views = {}
        self._own = None

    def check(self, node: Node, now: float) -> None:
        """Raise `AssertionError` if an invariant does not hold."""
        self._check_log(node, now)
        self._check_members(node, now)
        self._check_own(node)

    def _check_log(self, node: Node, now: float) -> None:
        log, again = node.log, Log()
        registers: _Registers = {}
        streams = snapshot_of(node, now).streams
        again.load(streams, now, now)
        for kept in streams:
            registers |= {(kept.stream, name): (seq, total) for name, seq, total in kept.registers}
        assert again.values == log.values, "I7: a value is not the sum of its registers"
        totals, left_out = Counter[str](), left_out_of(log.doubles)
        for (_, counter), (_, total) in registers.items():
            totals[counter] += total
        for counter, value in log.values.items():
            assert value == totals[counter] - left_out[counter], "I7: not less its doubles"
        assert again.fingerprint == log.fingerprint, "I9: not the fingerprint of the log"
        assert len(registers) == log.register_count
        for place, before in self._registers.items():
            assert registers.get(place, (0, 0)) >= before, "I6: a register shrank"
        for stream, version in self._versions.items():
            assert log.version(stream) >= version, "I6: a version shrank"
        self._registers = registers
        self._versions = {stream: log.version(stream) for stream in log.streams}

    def _check_members(self, node: Node, now: float) -> None:
        views = {view.name: view for view in node.members}
        assert [view.name for view in node.members] == sorted(views), "one entry for each name"
        live = [n for n, v in views.items() if v.status <= Status.SUSPECT and n != node.own.name]
        assert node.live_count == len(live) + 1
        for name, before in self._views.items():
            if self._may_go(before):
                continue
            if name in views:
                assert rank(views[name]) >= rank(before), (
                    f"I6: {before} went back to {views[name]}"
                )
            else:
                assert before.status > Status.SUSPECT, "I6: a live member vanished"
        again = MemberTable(node.own, self._remember, now)
        for view in shared_members(node, now):
            again.merge(view._replace(age=0), now)
        assert again.fingerprint == node.members_fingerprint, "I9: not that of the table"
        self._views = views

    def _check_own(self, node: Node) -> None:
        own = node.own
        assert own in node.members
        assert own.status in ((Status.ALIVE, Status.LEFT) if node.leaving else (Status.ALIVE,))
        assert self._own is None or rank(own) >= self._own, "I6: its own state went back"
        self._own = rank(own)
