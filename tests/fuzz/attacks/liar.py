"""A hostile peer that has joined and says whatever the wire allows, made of what it hears.

It is a good member else: it answers pings, echoes nonces and joins again when it is asked to, so
that it is believed as far as anybody is. What it says in whoever's name and from wherever, it says
with `lie`; `said` keeps what it has claimed about counts.

One thing is left out: to be a twin of a node. Who holds a node's name at an address of its own,
and refuses the node there in answer to its question with a larger claim, is its twin, and it gives
way; without secrets nothing tells the two apart (see `take_name`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from gossipd.core import Address, MemberView, Stream
from gossipd.core.settings import DATAGRAM_SIZE_MAX
from gossipd.core.wire.decoding import decode
from gossipd.core.wire.messages import (
    Ack,
    Cookie,
    Digest,
    DigestAsk,
    Envelope,
    Gossip,
    Held,
    Hello,
    Hold,
    Join,
    MembersAsk,
    MembersPage,
    Message,
    Nack,
    Pages,
    PassAsk,
    Ping,
    PingReq,
    Refusal,
    Refuse,
    RelayedAck,
    Shown,
    Standing,
    Welcome,
)
from gossipd.core.wire.records import Correction, Group, Page, PassItem
from tests.simulation.faulty.world import World
from tests.unit.core.wire.wire_examples import encode

from .grammar import KINDS, Grammar
from .hostile import FRAME, Hostile

ANSWERS: dict[type[Message], tuple[type[Message], ...]] = {
    Ping: (Ack, Cookie),
    PingReq: (RelayedAck, Nack, Ack),
    Join: (Welcome, Refuse, Cookie, Join),
    DigestAsk: (Digest,),
    PassAsk: (Pages,),
    MembersAsk: (MembersPage,),
    Hold: (Held,),
    Hello: (Hello,),
}
"""What questions are answered with."""

ANSWERED = 0.4
"""How many lies are answers to what it was asked last."""

KEPT = 0.85
"""How often an answer repeats a field of its question."""

BEHAVED = 0.95
"""How often it does what a good member does."""

TRIES_MAX = 40
QUESTIONS_MAX = 30


@dataclass(slots=True)
class Said:
    """What it has claimed about counts, wherever it stood in a datagram."""

    registers: dict[tuple[Stream, str], set[tuple[int, int]]] = field(default_factory=dict)
    """By (stream, counter): (seq, total)."""
    keys: set[tuple[Any, ...]] = field(default_factory=set)
    """(stream, key, seq, counter, by)."""
    doubles: set[tuple[Any, ...]] = field(default_factory=set)
    """(stream, counter, seq, by, winner, winner_seq)."""
    corrections: set[tuple[Stream, Correction]] = field(default_factory=set)

    def take(self, envelope: Envelope) -> None:
        """Note what a datagram claims."""
        message = envelope.message
        beside: Iterable[Group | Page] = ()
        if isinstance(message, Hold):
            beside = message.groups
        elif isinstance(message, Pages):
            beside = message.pages
        for part in (*envelope.groups, *beside):
            for counter, seq, total in part.registers:
                self.registers.setdefault((part.stream, counter), set()).add((seq, total))
            self.keys.update((part.stream, *record.said) for record in part.keys)
            if isinstance(part, Page):
                self.doubles.update((part.stream, *double.said) for double in part.doubles)
                self.corrections.update((part.stream, each) for each in part.corrections)


class Liar(Hostile):
    """It listens, behaves, and lies."""

    def __init__(self, world: World, rng: Random) -> None:
        super().__init__(world)
        self._rng = rng
        self.grammar = Grammar(rng)
        self.said = Said()
        self.told: dict[str, int] = {}
        """How often it has lied with each kind of message."""
        self._asked: list[tuple[str, Message]] = []
        """Who asked it what, the newest last."""

    # --- a good member -----------------------------------------------------------------------

    def behave(self) -> None:
        """Listen, and answer as a member does."""
        for by, envelope in self.heard():
            self.grammar.hear(envelope)
            message = envelope.message
            if type(message) in ANSWERS:
                self._asked = [*self._asked[-QUESTIONS_MAX:], (by, message)]
            if by in self.world.running and self._rng.random() < BEHAVED:
                self._answer(by, message)

    def _answer(self, by: str, message: Message) -> None:
        match message:
            case Ping(nonce, target, _):
                speaker = None
                if target != self.name:
                    known = [v for v in self.grammar.heard(MemberView) if v.name == target]
                    speaker = known[-1] if known else None
                self.say(by, Ack(nonce, self._shown()), speaker=speaker)
            case Hello(nonce, _) if nonce:
                self.say(by, Hello(0, nonce))
            case Cookie(_, cookie, _) if cookie:
                self.say(by, Join(1, self.address, (), cookie, Standing.NEWCOMER))
            case _:
                pass

    def _shown(self) -> Shown:
        known = self.grammar.heard(Shown)
        shown = self._rng.choice(known) if known else Shown(0, 0, True)
        return self.grammar.twisted(shown) if self._rng.random() < 0.5 else shown

    def ask_around(self) -> None:
        """Ask each node for all that it holds, as a member may."""
        for name in self.world.running:
            self.say(name, DigestAsk(1, 0, 0, DATAGRAM_SIZE_MAX))
            self.say(name, MembersAsk(1, "", 32, DATAGRAM_SIZE_MAX))
            streams = {made.stream: None for made in self.world.made[-200:]}
            wishes = tuple(PassItem(stream, 0, (0, "")) for stream in streams)[:20]
            if wishes:
                self.say(name, PassAsk(1, wishes, 32, DATAGRAM_SIZE_MAX))

    # --- a liar ------------------------------------------------------------------------------

    def lie(self) -> None:
        """Tell somebody something."""
        for _ in range(TRIES_MAX):
            to, message = self._drawn()
            said = self._envelope(message)
            data = FRAME.close(encode(said))
            if len(data) <= DATAGRAM_SIZE_MAX and isinstance(decode(encode(said)), Envelope):
                break
        else:
            return
        source = self._source()
        if isinstance(message, Refuse) and said.sender == to and message.holder == self.address:
            return
        self.said.take(said)
        kind = type(message).__name__
        self.told[kind] = self.told.get(kind, 0) + 1
        self.world.deliver(to, data, source)

    def take_name(self, of: str, seconds: float) -> None:
        """Be a twin of a node for so long: it is told that its name lives here, asks, and is
        refused by the larger holder."""
        twin = self.world.node(of).own
        self.name, self.generation = of, twin.generation + 1000
        view = twin._replace(address=self.address, generation=self.generation)
        until = self.world.now + seconds
        while self.world.now < until:
            self.say(of, Gossip(), [view], speaker=self._other(of))
            self.world.run(0.1)
            for by, envelope in self.heard():
                match envelope.message:
                    case Join(nonce, _) if by == of:
                        taken = Refusal.NAME_TAKEN
                        self.say(by, Refuse(nonce, taken, self.address, self.generation))
                    case Ping(nonce, _, shown):
                        self.say(by, Ack(nonce, shown))
                    case _:
                        pass
            if of not in self.world.running:
                return

    def _other(self, name: str) -> MemberView:
        """Some member but that one."""
        return next(node.own for other, node in self.world.running.items() if other != name)

    def _drawn(self) -> tuple[str, Message]:
        rng, running = self._rng, self.world.running
        if self._asked and rng.random() < ANSWERED:
            to, question = self._asked[-1 - min(len(self._asked) - 1, int(rng.expovariate(0.5)))]
            if to in running:
                answer = self.grammar.draw(rng.choice(ANSWERS[type(question)]))
                return to, _answering(answer, question, rng)
        return rng.choice(list(running)), self.grammar.draw(rng.choice(KINDS))

    def _envelope(self, message: Message) -> Envelope:
        grammar, rng = self.grammar, self._rng
        views = tuple(grammar.draw(MemberView) for _ in range(rng.choice((0, 0, 1, 2))))
        groups = tuple(grammar.draw(Group) for _ in range(rng.choice((0, 0, 1, 2))))
        who = rng.random()
        speaker: tuple[str, int, int] = (self.name, self.generation, 0)
        if who > 0.6 and (known := grammar.heard(MemberView)):
            view = rng.choice(known)
            speaker = (view.name, view.generation, view.incarnation)
        if who > 0.9:
            drawn = grammar.draw(MemberView)
            speaker = (drawn.name, drawn.generation, drawn.incarnation)
        return Envelope(*speaker, message, views, groups)

    def _source(self) -> Address:
        where = self._rng.random()
        if where < 0.75:
            return self.address
        if where < 0.9:
            return self._rng.choice([host.address for host in self.world.hosts.values()])
        address: Address = self.grammar.draw(Address, "address")
        return address


def _answering(answer: Message, question: Message, rng: Random) -> Message:
    """An answer whose fields are mostly those of the question, where both have them."""
    same = {name: getattr(question, name) for name in ("nonce", "depth", "prefix", "after")
            if hasattr(question, name) and hasattr(answer, name)}  # fmt: skip
    if isinstance(question, Hello) and isinstance(answer, Hello):
        same = {"echo": question.nonce}
    return replace(answer, **{name: of for name, of in same.items() if rng.random() < KEPT})
