"""One input on its way through the parts: its time, where it came from, what it has caused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from gossipd.core.gossip.amplification import AmplificationLimit
from gossipd.core.gossip.packets import PacketBuilder
from gossipd.core.log.learning import Company, Lesson
from gossipd.core.log.log import Log
from gossipd.core.log.recent import RecentEvents
from gossipd.core.log.registers import Advance
from gossipd.core.settings import DATAGRAM_SIZE_MAX
from gossipd.core.swim.members import MemberTable
from gossipd.core.wire.drops import Drop
from gossipd.core.wire.messages import MemberView, Message

from .effects import Dropped, Effect, Learned, Send
from .identity import Address
from .tally import Tally
from .timers import Timer, Timers

CATCH_UP_PAUSE = 0.002
"""Seconds between two parts of the doubles that a register has come for."""


class Outlet(NamedTuple):
    """What effects are made with."""

    packet_builder: PacketBuilder
    members: MemberTable
    amplification: AmplificationLimit
    recent: RecentEvents
    log: Log
    timers: Timers
    tally: Tally


class Turn:
    """One input: its time, where it came from, and its effects so far."""

    def __init__(
        self, outlet: Outlet, now: float, source: Address, effects: list[Effect] | None = None
    ) -> None:
        """`effects`: those of an input that raised on its way, which are still to be performed."""
        self._outlet = outlet
        self.now = now
        self.source = source
        """Where the input came from."""
        self.reply_to = source
        """Where answers go."""
        self.speaker = ""
        """The name under which it was sent."""
        self.size = 0
        """The bytes that it took."""
        self.effects: list[Effect] = [] if effects is None else effects
        self.emit: Callable[[Effect], None] = self.effects.append
        """Something happened that the shell is told."""
        self.save_wanted = False
        """Whether what has changed is to be stored soon."""
        self.company = Company()

    @property
    def tally(self) -> Tally:
        """Where what happens is counted."""
        return self._outlet.tally

    def send(
        self,
        message: Message,
        to: Address,
        name: str | None = None,
        views: tuple[MemberView, ...] = (),
        *,
        by_itself: bool = False,
    ) -> None:
        """Send a message with `views` and whatever news fits; `name` is the member at `to`.
        `by_itself`: that answers nothing, so nobody has to have earned it."""
        outlet = self._outlet
        free = by_itself or outlet.members.lives_at(to)
        room = DATAGRAM_SIZE_MAX if free else outlet.amplification.room(to)
        data = outlet.packet_builder.pack(message, to, name, views, self.now, room)
        if free or outlet.amplification.allow(to, len(data)):
            outlet.tally.sent[type(message)].add(len(data))
            self.effects.append(Send(data, to))
        else:
            self.drop(Drop.LIMITED)

    def send_at_cost(self, message: Message, to: Address, budget: int) -> int:
        """Send a bare message that somebody has paid for, to an address that has proven nothing,
        if it is within `budget` bytes; how many it took."""
        data = self._outlet.packet_builder.pack(message, to, None, (), self.now)
        if len(data) > budget:
            return 0
        self.tally.sent[type(message)].add(len(data))
        self.effects.append(Send(data, to))
        return len(data)

    def answer_to(self, name: str, generation: int) -> None:
        """Answers go where the member is known to be: that address has been proven, while the
        one that a datagram came from may be any of the sender's. Only who has lost its name to
        another address is answered where it speaks from."""
        view = self._outlet.members.held(name)
        if view.generation == generation:
            self.reply_to = view.address

    def learn(self, advances: Sequence[Advance]) -> None:
        """Values have moved by what others did, or by doubles."""
        if advances:
            self._outlet.recent.append(advances, self.now)
            self.emit(Learned(tuple(advances)))
        if self._outlet.log.doubles.behind:
            self._outlet.timers.set_if_sooner(Timer.DOUBLES, self.now + CATCH_UP_PAUSE)

    def heed(self, lesson: Lesson) -> None:
        """Tell what became of something that was told."""
        self.learn(lesson.advances)
        if Drop.NOT_OURS in lesson.drops:
            self._outlet.timers.set_if_sooner(Timer.AMEND, self.now)
        for reason in lesson.drops:
            self.drop(reason)

    def drop(self, reason: Drop) -> None:
        """What came from the source is not used."""
        self.effects.append(Dropped(self.source, reason))
