"""How a node becomes a member (gossipd/core/README.md#membership): the side of who joins.

    joiner --Join--> member            nothing is stored
    joiner <--Cookie-- member          to the address that the joiner advertises, stateless
    joiner --Join with cookie--> member
    joiner <--Welcome or Refuse-- member

The side of who is asked is `admission`.
"""

from __future__ import annotations

from dataclasses import InitVar, dataclass
from typing import NamedTuple

from gossipd.core.effects import FoundItself, JoinDoubtful, Joined
from gossipd.core.gossip.amplification import AmplificationLimit
from gossipd.core.identity import Address
from gossipd.core.means import Means
from gossipd.core.turn import Turn
from gossipd.core.wire.drops import Drop
from gossipd.core.wire.messages import (
    Cookie,
    Join,
    Refusal,
    Refuse,
    Welcome,
)

from .circle import some_of
from .life import Life
from .members import MemberTable
from .name_conflict import NameConflict
from .own_view import OwnView
from .questions import Questions

ASKED_MAX = 1024
"""Questions whose answers are known again, the most recent ones: seeds are asked at a rate, and
their answers take a round trip."""

ANSWER_WITHIN = 10.0
"""Seconds in which the holder of a name has to answer one that has it, too."""

QUESTION = 48
"""Bytes that whoever says that this node's name lives somewhere takes at least: that address may
be sent three times as much, which a question without tags takes."""

ANEW_MAX = 8
"""Members that are asked to take this node in anew."""

FORMER_MAX = 16


class _Asked(NamedTuple):
    meant: Address
    """Whom a join was meant for: its answer may come from another address."""
    to: Address
    """Where it was sent."""
    at: float
    rival: bool
    """Whether this node's name is said to live there, too."""


@dataclass(eq=False, repr=False)
class Joining:
    """The side of who wants in, or has to say again where it is."""

    means: InitVar[Means]
    _members: MemberTable
    _questions: Questions
    _amplification: AmplificationLimit
    _life: Life
    _own: OwnView
    _rival: NameConflict

    def __post_init__(self, means: Means) -> None:
        self._rng = means.rng
        self._former: dict[Address, None] = {}
        """Where this node has been in this life: a ghost that it left there is no rival."""

    def ask(self, addresses: list[Address], turn: Turn) -> None:
        """Ask whoever is at these addresses; its own address is passed over."""
        for address in addresses:
            if address != self._members.own.address:
                self._amplification.turn_to(address)
                self._send_join(address, b"", address, turn)

    def ask_rivals(self, turn: Turn) -> None:
        """Ask where this node's name is said to live, too: it may be its own address."""
        for address in self._rival.due(turn):
            self._amplification.received(address, QUESTION)
            self._send_join(address, b"", address, turn, rival=True)

    def came_back(self, sender: str, join: Join, turn: Turn) -> bool:
        """Whether a join is one of this node's own: it was sent to an address which is its own,
        too. Or somebody has sent it back: so whoever was asked may still answer."""
        own = self._members.own
        asked = self._questions.get(_Asked, join.nonce) if sender == own.name else None
        if asked is not None and asked.meant != own.address:
            turn.emit(FoundItself(asked.meant))
        return asked is not None

    def ask_members(self, turn: Turn) -> None:
        """Ask some members as a newcomer would. A welcome shows that this node is reached where
        it advertises to be; who sees it elsewhere says so."""
        names = some_of(self._rng, self._members.live, ANEW_MAX)
        names += some_of(self._rng, self._members.down, ANEW_MAX - len(names))
        self.ask([self._members.held(name).address for name in names], turn)

    def move(self, address: Address, turn: Turn) -> None:
        """This node is reached at another address now: it says so as after a restart there."""
        own = self._members.own
        self._former.pop(address, None)
        self._former[own.address] = None
        if len(self._former) > FORMER_MAX:
            del self._former[next(iter(self._former))]
        self._rival.moved(turn.now)
        self._own.restate(turn, own.generation + 1, 0, address=address)
        self.ask_members(turn)

    def cookie_came(self, cookie: Cookie, sender: str, answers: bool, turn: Turn) -> None:
        """Echo a cookie. Without one it is a hint that we are seen elsewhere. `answers`: it
        answers one of our pings. One that answers no question is echoed to a member, where that
        is held: whoever else has sent it reads no nonce of ours."""
        own, held = self._members.own, self._members.get(sender)
        asked = self._questions.get(_Asked, cookie.nonce)
        if cookie.cookie and asked is not None:
            self._send_join(turn.reply_to, cookie.cookie, asked.meant, turn, asked.rival)
        elif cookie.cookie and answers:
            self._send_join(turn.reply_to, cookie.cookie, turn.reply_to, turn)
        elif cookie.cookie and held is not None and sender != own.name:
            self._send_join(held.address, cookie.cookie, held.address, turn)
        elif cookie.cookie or asked is None:
            turn.drop(Drop.UNASKED)
        elif cookie.seen != own.address:
            turn.emit(JoinDoubtful(own.address, cookie.seen))

    def welcomed(self, welcome: Welcome, sender: str, turn: Turn) -> Address | None:
        """A member took us in: where it has proven to be. None if we did not ask it."""
        asked = self._questions.take(_Asked, welcome.nonce)
        if asked is None:
            turn.drop(Drop.UNASKED)
            return None
        self._rival.welcomed(turn.now)
        turn.emit(Joined(asked.meant, sender))
        return asked.to

    def refused(self, refuse: Refuse, sender: str, generation: int, turn: Turn) -> None:
        """The name is taken, or our generation has to rise before we may take it over."""
        asked = self._questions.take(_Asked, refuse.nonce)
        own = self._members.own
        if asked is None:
            turn.drop(Drop.UNASKED)
        elif self._life.leaving or self._rival.is_lost:
            return  # who goes neither loses its name nor comes to life again for it
        elif refuse.holder in self._former and refuse.generation <= own.generation:
            return  # this node itself has answered, where it is no more
        elif refuse.reason is Refusal.GENERATION_TOO_LOW:
            if self._own.rise_over(refuse.generation, turn):
                self._send_join(asked.meant, b"", asked.meant, turn)
        elif sender != own.name or refuse.holder != asked.to:
            self._rival.told(refuse.holder, turn)
        elif turn.now - asked.at <= ANSWER_WITHIN:
            self._rival.met((refuse.standing, generation, asked.to), turn)

    def _send_join(
        self, to: Address, cookie: bytes, meant: Address, turn: Turn, rival: bool = False
    ) -> None:
        """A rival is sent no tags: it has proven nothing, so that the question must be short."""
        own = self._members.own
        tags = () if rival else own.tags
        asked = _Asked(meant, to, turn.now, rival)
        nonce = self._questions.ask(asked, ASKED_MAX, turn.now)
        turn.send(Join(nonce, own.address, tags, cookie, self._rival.standing(turn.now)), to)
