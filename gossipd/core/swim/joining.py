"""How a node becomes a member, and how names are kept unique (gossipd/core/README.md#membership).

    joiner --Join--> member            nothing is stored
    joiner <--Cookie-- member          to the address that the joiner advertises, stateless
    joiner --Join with cookie--> member
    joiner <--Welcome or Refuse-- member

A name held by another address is checked first: its holder is pinged directly and through relays;
if it answers within `name_check` the newcomer is refused, else it takes the name over.
"""

from __future__ import annotations

from dataclasses import InitVar, dataclass
from hashlib import blake2b
from typing import NamedTuple, TypeAlias

import msgpack

from gossipd.core.effects import FoundItself, JoinDoubtful, Joined, NameLost, SpeaksElsewhere
from gossipd.core.gossip.amplification import AmplificationLimit
from gossipd.core.identity import Address
from gossipd.core.means import Means
from gossipd.core.timers import Timer
from gossipd.core.turn import Turn
from gossipd.core.wire.drops import Drop
from gossipd.core.wire.messages import (
    Cookie,
    Join,
    MemberView,
    Ping,
    Refusal,
    Refuse,
    Standing,
    Status,
    Welcome,
)

from .detector import Detector
from .life import Life
from .members import MemberTable, some_of
from .membership import Membership
from .moved import Elsewhere
from .name_conflict import NameConflict
from .pings import Purpose
from .plausible import Plausible, Word
from .questions import Questions
from .readiness import Readiness
from .reason import Cause, Reason
from .showing import Showing

COOKIE_SLOT = 30.0
"""A cookie is good for one to two of these, seconds."""

VACANT_FOR = 10.0
"""Seconds for which a name that was found vacant is kept for the newcomer."""

ASKED_MAX = 1024
"""Questions whose answers are known again, the most recent ones: seeds are asked at a rate, and
their answers take a round trip."""

ANSWER_WITHIN = 10.0
"""Seconds in which the holder of a name has to answer one that has it, too."""

STATED_FOR = 60.0
"""Seconds for which a node keeps to what it has told another holder of its name: until nobody
can go by that any more."""

DOUBTS_MAX = 64
SETTLED_CHECKS = 2
"""A name is held for good after so many times `name_check`: by then a refusal would have come."""

CHECKS_MAX = 256

QUESTION = 48
"""Bytes that whoever says that this node's name lives somewhere takes at least: that address may
be sent three times as much, which a question without tags takes."""

ANEW_MAX = 8
"""Members that are asked to take this node in anew."""

FORMER_MAX = 16


_Claim: TypeAlias = tuple[Standing, int, Address]
"""How well somebody holds a name: of two the larger one keeps it. That of a node only rises."""


class _Asked(NamedTuple):
    meant: Address
    """Whom a join was meant for: its answer may come from another address."""
    to: Address
    """Where it was sent."""
    at: float
    rival: bool
    """Whether this node's name is said to live there, too."""


class _Newcomer(NamedTuple):
    view: MemberView
    nonce: int
    standing: Standing

    @property
    def claim(self) -> _Claim:
        return self.standing, self.view.generation, self.view.address

    def outranks(self, held: MemberView) -> bool:
        """Whether it is a holder that met a smaller one."""
        view = self.view
        larger = (view.generation, view.address) > (held.generation, held.address)
        return self.standing is Standing.HOLDER and larger


class _Relays(NamedTuple):
    """Relays were asked whether the holder of a name lives."""

    holder: str


@dataclass(slots=True)
class _Check:
    newcomer: _Newcomer
    holder: MemberView
    relayed: int
    """The nonce by which relays ask the holder."""


@dataclass(eq=False, repr=False)
class Joining:
    """Both sides of a join."""

    means: InitVar[Means]
    _members: MemberTable
    _questions: Questions
    _amplification: AmplificationLimit
    _plausible: Plausible
    _elsewhere: Elsewhere
    _life: Life
    _showing: Showing
    _membership: Membership
    _detector: Detector
    _rival: NameConflict
    _readiness: Readiness

    def __post_init__(self, means: Means) -> None:
        self._settings, self._rng, self._timers = means
        self._secret = self._rng.getrandbits(256).to_bytes(32, "big")
        self._checks: dict[str, _Check] = {}
        self._vacant: dict[str, tuple[Address, float]] = {}
        self._doubts: dict[Address, None] = {}
        self._former: dict[Address, None] = {}
        """Where this node has been in this life: a ghost that it left there is no rival."""
        self._member_since = float("inf")
        """When somebody first took this node in, or was taken in by it."""
        self._acked_at = float("-inf")
        """When a member last answered this node as one of its own."""
        self._took_in_at = float("-inf")
        """When this node last took somebody in."""
        self._lost = False
        """Whether this node has given its name up."""
        self._stated: tuple[_Claim, float] | None = None
        """The largest claim that rivals were told of late, and when one was told last."""

    # --- as the one who joins ----------------------------------------------------------------

    def ask(self, addresses: list[Address], turn: Turn) -> None:
        """Ask whoever is at these addresses; its own address is passed over."""
        for address in addresses:
            if address != self._members.own.address:
                self._amplification.trust(address)
                self._send_join(address, b"", address, turn)

    def ask_rivals(self, turn: Turn) -> None:
        """Ask where this node's name is said to live, too: it may be its own address."""
        for address in self._rival.due(turn):
            self._amplification.received(address, QUESTION)
            self._send_join(address, b"", address, turn, rival=True)

    def came_back(self, sender: str, join: Join, turn: Turn) -> bool:
        """Whether a join is one of this node's own: it was sent to an address which is its own,
        too."""
        own = self._members.own
        asked = self._questions.take(_Asked, join.nonce) if sender == own.name else None
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
        self._doubts.clear()
        if self._life.is_recent(max(self._life.heard_at, self._took_in_at), turn.now):
            # Who is a member holds its name, however short a time: nobody need wait for silence
            # at its old address, which may be just as much its own.
            self._member_since, self._acked_at = float("-inf"), turn.now
        self._membership.restate(turn, own.generation + 1, 0, address=address)
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
        elif cookie.seen not in (own.address, *self._doubts) and len(self._doubts) < DOUBTS_MAX:
            self._doubts[cookie.seen] = None
            turn.emit(JoinDoubtful(own.address, cookie.seen))

    def welcomed(self, welcome: Welcome, sender: str, turn: Turn) -> Address | None:
        """A member took us in: where it has proven to be. None if we did not ask it."""
        asked = self._questions.take(_Asked, welcome.nonce)
        if asked is None:
            turn.drop(Drop.UNASKED)
            return None
        self._member_since = min(self._member_since, turn.now)
        self._life.heard_at = turn.now
        self._doubts.clear()
        turn.emit(Joined(asked.meant, sender))
        return asked.to

    def acked(self, turn: Turn) -> None:
        """A member has answered a ping, as it does for those that it holds."""
        self._acked_at = self._life.heard_at = turn.now

    def refused(self, refuse: Refuse, sender: str, generation: int, turn: Turn) -> None:
        """The name is taken, or our generation has to rise before we may take it over."""
        asked = self._questions.take(_Asked, refuse.nonce)
        own = self._members.own
        if asked is None:
            turn.drop(Drop.UNASKED)
        elif self._life.leaving or self._lost:
            return  # who goes neither loses its name nor comes to life again for it
        elif refuse.holder in self._former and refuse.generation <= own.generation:
            return  # this node itself has answered, where it is no more
        elif refuse.reason is Refusal.GENERATION_TOO_LOW:
            self._rise(refuse.generation, asked.meant, turn)
        elif sender != own.name or refuse.holder != asked.to:
            self._rival.told(refuse.holder, turn)
        elif turn.now - asked.at <= ANSWER_WITHIN:
            self._meet((refuse.standing, generation, asked.to), turn)

    def _meet(self, theirs: _Claim, turn: Turn) -> None:
        """Another holder of this node's name has answered where this node asked it, with a nonce
        that was sent to nobody else. Both know the same rule, and none goes by less than it has
        just told the other one: so the largest one of any number never gives way."""
        host, port = theirs[2]
        stated, stated_at = self._stated or (theirs, float("-inf"))
        is_bound = turn.now - stated_at <= STATED_FOR
        if theirs > self._claim(turn.now) and not (is_bound and theirs <= stated):
            self._lost = True
            was_member = self._member_since < float("inf")
            was = "was taken over by the" if was_member else "is taken by a live"
            turn.emit(
                NameLost(f"the name {self._members.own.name!r} {was} node at {host} port {port}")
            )
        else:
            self._rival.told(theirs[2], turn)  # until it has asked in turn, and gives way

    def _rise(self, above: int, asker: Address, turn: Turn) -> None:
        """The holder of the name is silent, but was of a later generation."""
        own, plausible = self._members.own, self._plausible
        if plausible.is_absurd(above, 0, Word.OF_ONESELF):
            turn.drop(Drop.ABSURD)
        elif own.generation <= above:
            self._membership.restate(turn, above + 1, 0)
            self._send_join(asker, b"", asker, turn)

    def _standing(self, now: float) -> Standing:
        """That of this node. Who is a member for nobody any more is as good as alone."""
        was_member = self._member_since < float("inf")
        last = max(self._member_since, self._acked_at)
        if not was_member or not self._life.is_recent(last, now):
            return Standing.ALONE if self._life.ready else Standing.NEWCOMER
        settled_at = self._member_since + SETTLED_CHECKS * self._settings.name_check
        return Standing.HOLDER if settled_at <= now else Standing.MEMBER

    def _claim(self, now: float) -> _Claim:
        own = self._members.own
        return self._standing(now), own.generation, own.address

    def _send_join(
        self, to: Address, cookie: bytes, meant: Address, turn: Turn, rival: bool = False
    ) -> None:
        """A rival is sent no tags: it has proven nothing, so that the question must be short."""
        own = self._members.own
        tags = () if rival else own.tags
        asked = _Asked(meant, to, turn.now, rival)
        nonce = self._questions.ask(asked, ASKED_MAX, turn.now)
        turn.send(Join(nonce, own.address, tags, cookie, self._standing(turn.now)), to)

    # --- as the one who is asked -------------------------------------------------------------

    def challenge(self, name: str, nonce: int, to: Address, turn: Turn) -> None:
        """Ask who calls itself `name` at `to` to prove that it reads what is sent there."""
        turn.send(Cookie(nonce, self._cookie(name, to, turn.now), turn.source), to)

    def asked(self, join: Join, newcomer: MemberView, size: int, turn: Turn) -> None:
        """Somebody wants in; `size` is that of its datagram."""
        proven = join.cookie and join.cookie in (
            self._cookie(newcomer.name, join.address, turn.now),
            self._cookie(newcomer.name, join.address, turn.now - COOKIE_SLOT),
        )
        if proven:
            self._elsewhere.proven(newcomer.name)
            self._consider(_Newcomer(newcomer, join.nonce, join.standing), turn)
            return
        if join.address != turn.source:
            self._amplification.received(join.address, size)
            turn.send(Cookie(join.nonce, b"", turn.source), turn.reply_to)
            if self._elsewhere.asked(newcomer.name, join.address, turn.now):
                turn.emit(SpeaksElsewhere(newcomer.name, join.address, turn.source))
        self.challenge(newcomer.name, join.nonce, join.address, turn)

    def name_answered(self, name: str, turn: Turn) -> None:
        """The holder of a name that somebody wants lives: refuse the newcomer."""
        check = self._checks.pop(name, None)
        if check is not None:
            self._timers.cancel(Timer.NAME_CHECK, name)
            self._questions.take(_Relays, check.relayed)
            self._refuse(check.newcomer, Refusal.NAME_TAKEN, check.holder, turn)

    def check_relayed(self, nonce: int, turn: Turn) -> bool:
        """A relay reached the holder of a name; False if no check asked for that."""
        relays = self._questions.get(_Relays, nonce)
        if relays is not None:
            self.name_answered(relays.holder, turn)
        return relays is not None

    def name_vacant(self, name: str, turn: Turn) -> None:
        """The holder did not answer: the newcomer may have the name."""
        check = self._checks.pop(name)
        self._questions.take(_Relays, check.relayed)
        self._vacant = {
            held: (to, until) for held, (to, until) in self._vacant.items() if until > turn.now
        }
        self._vacant[name] = (check.newcomer.view.address, turn.now + VACANT_FOR)
        self._consider(check.newcomer, turn)

    def _cookie(self, name: str, address: Address, now: float) -> bytes:
        """Bound to the name, too: each one costs its bearer an exchange of its own."""
        slot = int(now // COOKIE_SLOT)
        message: bytes = msgpack.packb((name, *address, slot))
        return blake2b(message, digest_size=8, key=self._secret).digest()

    def _consider(self, newcomer: _Newcomer, turn: Turn) -> None:
        view = newcomer.view
        own = self._members.own
        held = self._members.get(view.name)
        if view.name == own.name:
            self._meet_namesake(newcomer, turn)
        elif held is None or held.address == view.address or newcomer.outranks(held):
            self._admit(newcomer, turn)
        elif held.status < Status.LEFT and not self._is_vacant(view, turn.now):
            self._check_name(newcomer, held, turn)
        elif view.generation <= held.generation:
            self._refuse(newcomer, Refusal.GENERATION_TOO_LOW, held, turn)
        else:
            self._admit(newcomer, turn)

    def _meet_namesake(self, newcomer: _Newcomer, turn: Turn) -> None:
        """Another holder of this node's name asks it, or its own earlier life did."""
        if self._lost:
            return  # it has given way to somebody, and says no more
        own = self._claim(turn.now)
        if newcomer.claim > own:
            self._rival.told(newcomer.view.address, turn)
        stated, stated_at = self._stated or (own, turn.now)
        self._stated = max(own, stated) if turn.now - stated_at <= STATED_FOR else own, turn.now
        self._refuse(newcomer, Refusal.NAME_TAKEN, self._members.own, turn)

    def _is_vacant(self, view: MemberView, now: float) -> bool:
        address, until = self._vacant.get(view.name, (None, 0.0))
        return address == view.address and now < until

    def _admit(self, newcomer: _Newcomer, turn: Turn) -> None:
        view = newcomer.view
        self._member_since = min(self._member_since, turn.now)
        self._took_in_at = turn.now
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

    def _refuse(
        self, newcomer: _Newcomer, reason: Refusal, holder: MemberView, turn: Turn
    ) -> None:
        standing = Standing.HOLDER if holder is not self._members.own else self._standing(turn.now)
        refuse = Refuse(newcomer.nonce, reason, holder.address, holder.generation, standing)
        address = newcomer.view.address
        self._amplification.trust(address)  # its cookie has proven it
        turn.send(refuse, address)

    def _check_name(self, newcomer: _Newcomer, holder: MemberView, turn: Turn) -> None:
        if holder.name in self._checks or len(self._checks) >= CHECKS_MAX:
            return
        direct = self._detector.asks(holder.name, Purpose.NAME_CHECK, turn)
        relayed = self._questions.ask(_Relays(holder.name), CHECKS_MAX, turn.now)
        self._checks[holder.name] = _Check(newcomer, holder, relayed)
        wait = self._settings.name_check
        self._timers.set(Timer.NAME_CHECK, turn.now + wait, holder.name)
        turn.send(Ping(direct, holder.name, self._showing.own), holder.address, holder.name)
        self._detector.ask_relays(holder, relayed, wait, turn)
