"""What this node says of itself, and answers to what others say of it.

Whatever is said of it above its own state it refutes by rising above that; nothing that is said
ends it. That its name lives elsewhere makes it ask there (`name_conflict`).
"""

from __future__ import annotations

from dataclasses import dataclass

from gossipd.core.effects import Refuted
from gossipd.core.gossip.dissemination import Dissemination
from gossipd.core.identity import Address, Tags
from gossipd.core.turn import Turn
from gossipd.core.wire.drops import Drop
from gossipd.core.wire.messages import Gossip, MemberView, Status

from .health import Health
from .members import MemberTable, rank
from .name_conflict import NameConflict
from .plausible import INCARNATION_BELIEVED_MAX, Plausible, Word


@dataclass(eq=False, repr=False)
class OwnView:
    """The view that this node has of itself."""

    _members: MemberTable
    _plausible: Plausible
    _health: Health
    _dissemination: Dissemination
    _rival: NameConflict

    def heard(self, view: MemberView, turn: Turn) -> None:
        """Nothing that is said of this node ends it: it rises above that, or asks who is there."""
        own = self._members.own
        word = Word.OF_ONESELF
        if self._plausible.is_absurd(view.generation, view.incarnation, word):
            turn.drop(Drop.ABSURD)
            return
        larger = (view.generation, view.address) > (own.generation, own.address)
        if view.address != own.address and view.status <= Status.SUSPECT:
            if larger:
                self._rival.told(view.address, turn)
            else:
                self._dissemination.push_member(own.name, turn)
        elif rank(view) > rank(own) and own.status is not Status.LEFT:
            if larger and view.address == own.address:
                self._rival.told(own.address, turn)  # a twin behind the same address, perhaps
            self._rise_above(view, turn)

    def rise_over(self, generation: int, turn: Turn) -> bool:
        """The holder of this node's name is silent, but was of this generation; whether there is
        something new to say."""
        own = self._members.own
        if self._plausible.is_absurd(generation, 0, Word.OF_ONESELF):
            turn.drop(Drop.ABSURD)
            return False
        if own.generation > generation:
            return False
        self.restate(turn, generation + 1, 0)
        return True

    def retag(self, tags: Tags, turn: Turn) -> None:
        """This node has other tags, unless it has left. A new incarnation says so: within one
        everybody keeps the larger tags, as some may have heard of none yet."""
        own = self._members.own
        if own.status is Status.LEFT or tags == own.tags:
            return
        generation, incarnation = own.generation, own.incarnation + 1
        if incarnation > INCARNATION_BELIEVED_MAX:
            generation, incarnation = own.generation + 1, 0
        self.restate(turn, generation, incarnation, tags=tags)

    def restate(
        self,
        turn: Turn,
        generation: int,
        incarnation: int,
        status: Status = Status.ALIVE,
        address: Address | None = None,
        tags: Tags | None = None,
    ) -> None:
        """Say something new of this node itself."""
        own = self._members.own
        view = own._replace(
            generation=generation,
            incarnation=incarnation,
            status=status,
            address=address or own.address,
            tags=own.tags if tags is None else tags,
        )
        self._members.merge(view, turn.now)
        self._dissemination.push_member(view.name, turn)

    def _rise_above(self, view: MemberView, turn: Turn) -> None:
        own = self._members.own
        generation, incarnation = own.generation, view.incarnation + 1
        outranked = (view.generation, view.address) > (own.generation, own.address)
        if outranked or incarnation > INCARNATION_BELIEVED_MAX:
            generation, incarnation = view.generation + 1, 0
        if view.status is not Status.ALIVE:
            self._health.worse()
            turn.tally.refutations["self"] += 1
            turn.emit(Refuted(view.status, incarnation))
        self.restate(turn, generation, incarnation)
        turn.send(Gossip(), turn.reply_to, None, (self._members.own,))
