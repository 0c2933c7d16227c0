"""How a node and those that it is told of prove to each other where they are.

    A --Hello(nonce)--> B                 A was told of B: B is asked to echo a nonce of A
    A <--Hello(nonce, echo)-- B           A has found B; B, which was told of A, asks in turn
    A --Hello(0, echo)--> B               B has found A

A nonce is a keyed hash of the name and the address that it is sent to, so nothing is remembered of
those that never answer. Who does not know the other one echoes, and no more: it will be told, or
it asks to be taken in. Those that an earlier life knew are asked to take this node in, as seeds
are, for they may know nothing of it any more.
"""

from __future__ import annotations

from dataclasses import InitVar, dataclass
from hashlib import blake2b

import msgpack

from gossipd.core.identity import Address
from gossipd.core.means import Means
from gossipd.core.timers import Timer
from gossipd.core.turn import Turn
from gossipd.core.wire.drops import Drop
from gossipd.core.wire.messages import Envelope, Hello, MemberView, Status

from .admission import COOKIE_SLOT
from .joining import Joining
from .life import Life
from .members import MemberTable, rank
from .membership import Membership
from .newcomers import Newcomer, Newcomers
from .plausible import Word
from .reason import Cause, Reason

CHALLENGE_AGAIN_AFTER = 0.1
"""Seconds between two challenges to a newcomer that goes on to speak."""

GREET_AFTER = 0.3
"""Seconds after which a member that still had to find this node is greeted: the echo that it waits
for may have been lost, and to one that is proven that may be said again."""


@dataclass(eq=False, repr=False)
class Introducing:
    """Both sides of an introduction."""

    means: InitVar[Means]
    _members: MemberTable
    _newcomers: Newcomers
    _life: Life
    _membership: Membership
    _joining: Joining

    def __post_init__(self, means: Means) -> None:
        self._rng, self._timers = means.rng, means.timers
        self._secret = self._rng.getrandbits(256).to_bytes(32, "big")

    def keep(self, view: MemberView, turn: Turn) -> None:
        """An earlier life knew a live member."""
        held = self._members.get(view.name)
        if held is None or (view.generation, view.address) > (held.generation, held.address):
            turn_at = self._newcomers.keep(view, turn.now)
            self._timers.set_if_sooner(Timer.INTRODUCE, turn_at, view.name)

    def due(self, name: str, turn: Turn) -> None:
        """It is the turn of a newcomer, or a member has begun a new life and knows nobody."""
        newcomer = self._newcomers.get(name)
        if newcomer is None:
            view = self._members.get(name)
            if view is not None and view.status <= Status.SUSPECT:
                turn.send(Hello(0, 0), view.address)
        elif self._is_out_of_date(newcomer):
            self._newcomers.drop(name)
        elif turn.now >= newcomer.ends_at and not (newcomer.is_kept and self._life.cut_off):
            self._newcomers.drop(name)
            if newcomer.is_kept:
                gone = newcomer.view._replace(status=Status.FAILED, accusers=())
                self._membership.restore(gone, turn, met=False, cause=Cause.ABSENT)
        else:
            may_ask_again = self._ask(newcomer, turn)
            again_at = newcomer.turn_at if may_ask_again else newcomer.ends_at
            if turn.now < newcomer.ends_at:
                again_at = min(again_at, newcomer.ends_at)
            self._timers.set(Timer.INTRODUCE, again_at, name)

    def ask_anew(self, turn: Turn) -> None:
        """This node has a way to others again, or says where it is: those that an earlier life
        knew have their whole time to answer from now on."""
        for name, turn_at in self._newcomers.anew(turn.now):
            self._timers.set(Timer.INTRODUCE, turn_at, name)

    def heard(self, envelope: Envelope, hello: Hello, turn: Turn) -> None:
        """Somebody introduces itself, or echoes a nonce."""
        if self._members.own.status is Status.LEFT:
            return  # whoever finds it now would take it for one that stays
        newcomer = self._newcomer(envelope)
        nonce = 0
        if newcomer is not None:
            turn.reply_to = newcomer.view.address
            if self._is_echo(hello.echo, newcomer.view, turn.now):
                self._membership.learn(
                    newcomer.view,
                    turn,
                    pulled=not newcomer.is_news,
                    word=Word.OWN,
                    reached=True,
                    reason=Reason(Cause.INTRODUCED),
                )
                if hello.nonce:
                    at = turn.now + GREET_AFTER
                    self._timers.set(Timer.INTRODUCE, at, envelope.sender)
            else:
                nonce = self._nonce(newcomer.view, turn.now)
                newcomer.challenged_at = turn.now
        elif hello.echo:
            turn.drop(Drop.UNASKED)
        if hello.nonce or nonce:
            turn.send(Hello(nonce, hello.nonce), turn.reply_to)

    def challenge(self, envelope: Envelope, turn: Turn) -> bool:
        """A newcomer speaks before it has proven where it is: ask it to; False if it is none."""
        newcomer = self._newcomer(envelope)
        if newcomer is None:
            return False
        if turn.now - newcomer.challenged_at >= CHALLENGE_AGAIN_AFTER:
            newcomer.challenged_at = turn.now
            turn.send(Hello(self._nonce(newcomer.view, turn.now), 0), newcomer.view.address)
        return True

    def _is_out_of_date(self, newcomer: Newcomer) -> bool:
        """Whether the table knows better meanwhile."""
        held = self._members.get(newcomer.view.name)
        return held is not None and rank(newcomer.view) <= rank(held)

    def _newcomer(self, envelope: Envelope) -> Newcomer | None:
        """The sender, where it is a newcomer that speaks in the life that was told of."""
        newcomer = self._newcomers.get(envelope.sender)
        if newcomer is None or newcomer.view.generation != envelope.generation:
            return None
        return newcomer

    def _ask(self, newcomer: Newcomer, turn: Turn) -> bool:
        """Ask, if it has earned that; whether it may be asked again without being told of."""
        address = newcomer.view.address
        if newcomer.is_kept:
            newcomer.asked(turn.now)
            self._joining.ask([address], turn)
            return True
        hello = Hello(self._nonce(newcomer.view, turn.now), 0)
        size = turn.send_at_cost(hello, address, newcomer.credit)
        if size:
            newcomer.asked(turn.now)
            newcomer.credit -= size
        return size > 0 and newcomer.credit >= size

    def _nonce(self, view: MemberView, now: float) -> int:
        return self._nonce_in(view.name, view.address, int(now // COOKIE_SLOT))

    def _is_echo(self, echo: int, view: MemberView, now: float) -> bool:
        slot = int(now // COOKIE_SLOT)
        own = (self._nonce_in(view.name, view.address, at) for at in (slot, slot - 1))
        return echo != 0 and echo in own

    def _nonce_in(self, name: str, address: Address, slot: int) -> int:
        said: bytes = msgpack.packb((name, *address, slot))
        # Never 0, which stands for none.
        return int.from_bytes(blake2b(said, digest_size=8, key=self._secret).digest(), "big") | 1
