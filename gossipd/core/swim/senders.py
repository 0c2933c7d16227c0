"""Who speaks: a member, this node itself, another holder of its name; and what it says of members.

A sender is taken for who it says to be in the life in which it is held. That it is a member proves
nothing of what others say, and an answer goes to where it is held, not to where it speaks from.
"""

from __future__ import annotations

from dataclasses import dataclass

from gossipd.core.effects import SpeaksElsewhere
from gossipd.core.identity import Address
from gossipd.core.turn import Turn
from gossipd.core.wire.drops import Drop
from gossipd.core.wire.messages import Ack, Envelope, Gossip, Join, MemberView, Status

from .life import Life
from .members import MemberTable
from .membership import TELL_ELSEWHERE_AFTER, Membership
from .moved import Elsewhere
from .pings import Flight
from .plausible import Word
from .questions import Questions
from .reason import Cause, Reason


@dataclass(eq=False, repr=False)
class Senders:
    """Those who speak to one node."""

    _members: MemberTable
    _questions: Questions
    _elsewhere: Elsewhere
    _life: Life
    _membership: Membership

    def is_own(self, envelope: Envelope, source: Address) -> bool:
        """Whether this node has sent it, and no twin at another address."""
        own = self._members.own
        message = envelope.message
        address = message.address if isinstance(message, Join) else source
        said = (envelope.sender, envelope.generation, address)
        return said == (own.name, own.generation, own.address)

    def is_member(self, envelope: Envelope, turn: Turn) -> bool:
        """Whether the sender is held in this generation or a later one; a member that is held
        otherwise than it speaks of itself, or elsewhere than it speaks from, is told so. What it
        says of members is learned."""
        held = self._members.get(envelope.sender)
        if held is None or envelope.generation > held.generation:
            return False
        said = (envelope.generation, envelope.incarnation)
        if said > (held.generation, held.incarnation):
            # Its tags, of which the least is said here, come with its own view: they may be a lie.
            said_alive = held._replace(
                incarnation=envelope.incarnation, status=Status.ALIVE, tags=(), accusers=()
            )
            reason = Reason(Cause.SPOKEN)
            self._membership.learn(said_alive, turn, word=Word.OWN, reason=reason)
        elif held.status is not Status.ALIVE or said < (held.generation, held.incarnation):
            self._membership.tell(envelope.sender, turn)
        if envelope.generation == held.generation and turn.source != held.address:
            # A twin, or a host with several addresses, to which its own view is no news.
            self._membership.tell(envelope.sender, turn, TELL_ELSEWHERE_AFTER)
            self._note_elsewhere(held, turn)
        self._life.spoken_at = turn.now
        self._life.contacts.spoke(envelope.sender, turn.source, turn.now)
        self._members.meet(envelope.sender, turn.now)
        turn.answer_to(envelope.sender, envelope.generation)
        self._learn_views(envelope, turn)
        return True

    def namesake_spoke(self, envelope: Envelope, turn: Turn) -> None:
        """Another process speaks under this node's name. It has proven nothing, so its word is
        not used: which holder keeps the name, each learns from the members."""
        own = self._members.own
        if envelope.generation < own.generation:
            turn.send(Gossip(), turn.reply_to, None, (own,))
        # In the same generation it may be reflected, and an answer would be, too.
        turn.drop(Drop.OWN if envelope.generation == own.generation else Drop.STRANGER)

    def found(self, envelope: Envelope, address: Address, turn: Turn) -> None:
        """A member that takes this node in has proven to be at `address`."""
        sender, members = envelope.sender, self._members
        for view in envelope.views:
            own = view.name == sender
            word = Word.OWN if own else Word.OTHERS
            reason = Reason(Cause.TOOK_IN) if own else None
            reached = own and view.address == address
            self._membership.learn(view, turn, word=word, reached=reached, reason=reason)
        members.prove(sender, address)
        members.meet(sender, turn.now)
        held = members.get(sender)
        if held is not None and held.status is not Status.ALIVE:
            self._membership.tell(sender, turn)

    def _learn_views(self, envelope: Envelope, turn: Turn) -> None:
        """What a member says of itself in answer to this node's ping is no rumour."""
        message = envelope.message
        nonce = message.nonce if isinstance(message, Ack) else 0
        flight = self._questions.get(Flight, nonce)
        proven = flight is not None and flight.target == envelope.sender
        for view in envelope.views:
            own = view.name == envelope.sender
            word = Word.OWN if own else Word.OTHERS
            self._membership.learn(view, turn, word=word, proven=own and proven)

    def _note_elsewhere(self, held: MemberView, turn: Turn) -> None:
        is_silent = held.status in (Status.SUSPECT, Status.FAILED)
        if is_silent and self._elsewhere.spoke(held.name, held.address, turn.now):
            turn.emit(SpeaksElsewhere(held.name, held.address, turn.source))
