"""The door: who may become a member, asked by whoever wants to be one (see `joining`).

It has to read what is sent to where it advertises to be, and its name has to be free, or its
holder silent. Nothing is stored of those that have proven nothing: a cookie is a keyed hash.
"""

from __future__ import annotations

from dataclasses import InitVar, dataclass
from hashlib import blake2b

import msgpack

from gossipd.core.effects import SpeaksElsewhere
from gossipd.core.gossip.amplification import AmplificationLimit
from gossipd.core.identity import Address
from gossipd.core.means import Means
from gossipd.core.turn import Turn
from gossipd.core.wire.drops import Drop
from gossipd.core.wire.messages import (
    Cookie,
    Join,
    MemberView,
    Refusal,
    Refuse,
    Standing,
    Status,
    Welcome,
)

from .members import MemberTable
from .membership import Membership
from .moved import Elsewhere
from .name_checks import NameChecks, Newcomer
from .name_conflict import NameConflict
from .plausible import Word
from .readiness import Readiness
from .reason import Cause, Reason
from .showing import Showing

COOKIE_SLOT = 30.0
"""A cookie is good for one to two of these, seconds."""


@dataclass(eq=False, repr=False)
class Admission:
    """Asks for proof, checks names, takes in or refuses."""

    means: InitVar[Means]
    _members: MemberTable
    _amplification: AmplificationLimit
    _elsewhere: Elsewhere
    _showing: Showing
    _membership: Membership
    _rival: NameConflict
    _readiness: Readiness
    _checks: NameChecks

    def __post_init__(self, means: Means) -> None:
        self._secret = means.rng.getrandbits(256).to_bytes(32, "big")

    def challenge(self, name: str, nonce: int, to: Address, turn: Turn) -> None:
        """Ask who calls itself `name` at `to` to prove that it reads what is sent there."""
        turn.send(Cookie(nonce, self._cookie(name, to, turn.now), turn.source), to)

    def asked(self, join: Join, newcomer: MemberView, turn: Turn) -> None:
        """Somebody wants in."""
        proven = join.cookie and join.cookie in (
            self._cookie(newcomer.name, join.address, turn.now),
            self._cookie(newcomer.name, join.address, turn.now - COOKIE_SLOT),
        )
        if proven:
            self._elsewhere.proven(newcomer.name)
            self._consider(Newcomer(newcomer, join.nonce, join.standing), turn)
            return
        if join.address != turn.source:
            self._amplification.received(join.address, turn.size)
            turn.send(Cookie(join.nonce, b"", turn.source), turn.reply_to)
            if self._elsewhere.spoke(newcomer.name, join.address, turn.now):
                turn.emit(SpeaksElsewhere(newcomer.name, join.address, turn.source))
        self.challenge(newcomer.name, join.nonce, join.address, turn)

    def name_answered(self, name: str, turn: Turn) -> None:
        """The holder of a name that somebody wants lives: refuse the newcomer."""
        check = self._checks.answered(name)
        if check is not None:
            self._refuse(check.newcomer, Refusal.NAME_TAKEN, check.holder, turn)

    def check_relayed(self, nonce: int, turn: Turn) -> bool:
        """A relay reached the holder of a name; False if no check asked for that."""
        holder = self._checks.relayed(nonce)
        if holder is not None:
            self.name_answered(holder, turn)
        return holder is not None

    def name_vacant(self, name: str, turn: Turn) -> None:
        """The holder did not answer: the newcomer may have the name."""
        self._consider(self._checks.unanswered(name, turn.now), turn)

    def _cookie(self, name: str, address: Address, now: float) -> bytes:
        """Bound to the name, too: each one costs its bearer an exchange of its own."""
        slot = int(now // COOKIE_SLOT)
        message: bytes = msgpack.packb((name, *address, slot))
        return blake2b(message, digest_size=8, key=self._secret).digest()

    def _consider(self, newcomer: Newcomer, turn: Turn) -> None:
        view = newcomer.view
        own = self._members.own
        held = self._members.get(view.name)
        if view.name == own.name:
            self._refuse_namesake(newcomer, turn)
        elif held is None or held.address == view.address or newcomer.outranks(held):
            self._admit(newcomer, turn)
        elif held.status < Status.LEFT and not self._checks.is_vacant(view, turn.now):
            self._checks.begin(newcomer, held, turn)
        elif view.generation <= held.generation:
            self._refuse(newcomer, Refusal.GENERATION_TOO_LOW, held, turn)
        else:
            self._admit(newcomer, turn)

    def _refuse_namesake(self, newcomer: Newcomer, turn: Turn) -> None:
        if self._rival.asked(newcomer.claim, turn):
            self._refuse(newcomer, Refusal.NAME_TAKEN, self._members.own, turn)

    def _admit(self, newcomer: Newcomer, turn: Turn) -> None:
        view = newcomer.view
        self._rival.took_in(turn.now)
        reason = Reason(Cause.JOINED)
        self._membership.learn(view, turn, word=Word.OWN, reached=True, reason=reason)
        self._members.prove(view.name, view.address)
        held = self._members.get(view.name)
        if held is None:
            turn.drop(Drop.MEMBERS_FULL)
            return
        # Below what is held (a clock went back): the newcomer rises above it and joins again.
        views = (self._members.own,) if held == view else (self._members.own, held)
        turn.send(Welcome(newcomer.nonce, self._showing.own), view.address, view.name, views)
        self._readiness.taken_in(view.name, newcomer.standing, turn)

    def _refuse(self, newcomer: Newcomer, reason: Refusal, holder: MemberView, turn: Turn) -> None:
        standing = (
            Standing.HOLDER if holder is not self._members.own else self._rival.standing(turn.now)
        )
        refuse = Refuse(newcomer.nonce, reason, holder.address, holder.generation, standing)
        address = newcomer.view.address
        self._amplification.turn_to(address)  # its cookie has proven it
        turn.send(refuse, address)
