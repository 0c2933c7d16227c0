"""Fills datagrams: a message, then views that its receiver must see, then news as far as it fits.

Every datagram to a member that is not held alive carries what is held of it if that fits, so that
a wrong verdict reaches its subject. Strangers, and members that are gone, get no news. The
accusers in a view help, but it is told without them where they do not fit. I10: no datagram is
above its limit.
"""

from __future__ import annotations

from dataclasses import dataclass

from gossipd.core.identity import Address
from gossipd.core.settings import DATAGRAM_SIZE_MAX, Settings
from gossipd.core.swim.members import MemberTable
from gossipd.core.wire.encoding import (
    BODY_OVERHEAD,
    Packed,
    pack_body,
    pack_head,
    pack_view,
    padded,
)
from gossipd.core.wire.frame import Frame
from gossipd.core.wire.messages import MemberView, Message, Status

from .queues import LogQueue, MemberQueue, transmissions

MEMBER_SHARE = 0.5
"""The part of a datagram's free room that views of members may take while the log has news."""


@dataclass(eq=False, repr=False)
class PacketBuilder:
    """Packs what one node sends."""

    _settings: Settings
    _frame: Frame
    _members: MemberTable
    _member_queue: MemberQueue
    _log_queue: LogQueue

    @property
    def sends_max(self) -> int:
        """How often news is sent in a cluster as large as this one."""
        return transmissions(self._settings.retransmit_mult, self._members.live_count)

    def room(self, message: Message, size: int = DATAGRAM_SIZE_MAX) -> int:
        """Bytes left beside `message` in a datagram of `size` bytes, or in the largest one."""
        size = min(size, self._settings.datagram_size)
        return size - self._frame.overhead - BODY_OVERHEAD - len(self._head(message))

    def pack(
        self,
        message: Message,
        to: Address,
        name: str | None,
        views: tuple[MemberView, ...],
        now: float,
        room: int = DATAGRAM_SIZE_MAX,
    ) -> bytes:
        """The datagram for `to`, where the member `name` is thought to be. `room`: what rides
        along fits into so many bytes with it."""
        head = self._head(message)
        size = min(room, self._settings.datagram_size)
        budget = size - self._frame.overhead - BODY_OVERHEAD - len(head)
        if name is not None and self._members.is_proven(to):
            views += self._own_case(name, now)
        packed: list[Packed] = []
        for view in views:
            part = _pack_within(view, budget)
            if len(part) <= budget:
                packed.append(part)
                budget -= len(part)
        groups: list[Packed] = []
        if name is not None and self._members.lives_at(to):
            news, groups = self._news(budget, now)
            packed += news
        body = pack_body(head, packed, groups)
        if (multiple := self._frame.padding) > 1:
            whole = -(-len(body) // multiple) * multiple
            body = padded(body, min(whole, size - self._frame.overhead))
        return self._frame.close(body)

    def _head(self, message: Message) -> Packed:
        own = self._members.own
        return pack_head(own.name, own.generation, own.incarnation, message)

    def _own_case(self, name: str, now: float) -> tuple[MemberView, ...]:
        view = self._members.remembered(name, now)
        return () if view is None or view.status is Status.ALIVE else (view,)

    def _news(self, budget: int, now: float) -> tuple[list[Packed], list[Packed]]:
        def pack(name: str) -> Packed | None:
            view = self._members.shared(name, now)
            return None if view is None else _pack_within(view, budget)

        sends_max = self.sends_max
        share = int(budget * MEMBER_SHARE) if self._log_queue else budget
        views = self._member_queue.take(share, budget, sends_max, pack)
        if self._log_queue.is_crowded:
            sends_max = min(sends_max, len(self._members.live))
        return views, self._log_queue.take(budget - sum(map(len, views)), sends_max, now)


def _pack_within(view: MemberView, room: int) -> Packed:
    """A view, without its accusers where these do not fit."""
    packed = pack_view(view)
    if len(packed) > room and view.accusers:
        packed = pack_view(view._replace(accusers=()))
    return packed
