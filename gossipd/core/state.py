"""What the parts of a node share: one object, built by `node`, that decides nothing.

Also `Turn`, one input on its way through the parts: the time, and the effects that it has caused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

from .courier import Courier
from .drops import Drop
from .effects import Dropped, Effect, Learned, Send
from .elsewhere import Elsewhere
from .growth import Growth
from .health import Health
from .hearsay import Hearsay
from .identity import Address
from .judge import Judge
from .lanes import LogLane, MemberLane
from .log import Advance, Log
from .members import MemberTable
from .messages import MemberView, Message, Shown
from .newcomers import Newcomers
from .pings import Pings, RoundTrips
from .plausible import Plausible
from .rounds import Rounds
from .saving import Saving
from .settings import Settings
from .strangers import Strangers
from .tail import Tail
from .timers import Timer, Timers
from .writer import Writer

CATCH_UP_PAUSE = 0.002
"""Seconds between two parts of the doubles that a register has come for."""

COMPANY_MAX = 40
"""Events of keys that one input may make this node look at, beside those that it tells: each may
become a double of a new one. A datagram has room for some 36 records, each may show one."""

HEARD_PROBES = 5.0
"""Probe intervals for which an answer shows that this node is a member for somebody."""


@dataclass(slots=True)
class State:
    """Everything that a node knows."""

    settings: Settings
    rng: Random
    timers: Timers
    members: MemberTable
    newcomers: Newcomers
    log: Log
    judge: Judge
    writer: Writer
    tail: Tail
    member_lane: MemberLane
    log_lane: LogLane
    pings: Pings
    round_trips: RoundTrips
    health: Health
    strangers: Strangers
    courier: Courier
    saving: Saving
    plausible: Plausible
    hearsay: Hearsay
    rounds: Rounds = field(default_factory=Rounds)
    shown_by: dict[str, Shown] = field(default_factory=dict)
    """What live members last showed of their state."""
    corroborations: dict[str, int] = field(default_factory=dict)
    """Pings sent to each member that somebody else suspects, to find out; they end with the
    suspicion."""
    elsewhere: Elsewhere = field(default_factory=Elsewhere)
    growth: Growth = field(default_factory=Growth)
    heard_at: float = float("-inf")
    """When a member last answered a question of this node."""
    began_at: float = float("-inf")
    """When this life began."""
    spoken_at: float = float("-inf")
    """When a member last said anything to this node."""
    cut_off: bool = False
    """Whether this node's host has no way to any member, so that silence proves nothing."""
    ready: bool = False
    leaving: bool = False

    @property
    def own(self) -> MemberView:
        """What this node says of itself."""
        return self.members.own

    def is_recent(self, at: float, now: float) -> bool:
        """Whether what a member did at that time still tells of it."""
        return now - at <= HEARD_PROBES * self.settings.probe_interval

    def is_to_blame(self, now: float) -> bool:
        """Whether it is this node's own fault that others are silent: it has no way to them, or
        they do speak, but nobody answers, so that answers go elsewhere."""
        are_silent = not self.is_recent(max(self.heard_at, self.began_at), now)
        return self.cut_off or (are_silent and self.is_recent(self.spoken_at, now))

    @property
    def shown(self) -> Shown:
        """What this node shows of its state."""
        return Shown(
            self.log.fingerprint, self.members.fingerprint, self.ready, self.rounds.number
        )

    def member(self, name: str) -> MemberView:
        """What is held of somebody of whom something is held."""
        view = self.members.get(name)
        assert view is not None
        return view

    def is_heard_of(self, name: str) -> bool:
        """Whether anything is held of somebody, be it that it has proven nothing yet."""
        return self.members.get(name) is not None or self.newcomers.get(name) is not None

    def sample(self, names: list[str], count: int) -> list[str]:
        """Up to `count` of some names, at random."""
        return self.rng.sample(names, min(count, len(names)))


class Turn:
    """One input: its time, where it came from, and its effects so far."""

    def __init__(self, state: State, now: float, source: Address = ("", 0)) -> None:
        self._state = state
        self.now = now
        self.source = self.origin = source
        """Where answers go, and where the input came from."""
        self.effects: list[Effect] = []
        self.company_left = COMPANY_MAX
        """Events of keys that may still be looked at."""

    def send(
        self,
        message: Message,
        to: Address,
        name: str | None = None,
        views: tuple[MemberView, ...] = (),
    ) -> None:
        """Send a message with `views` and whatever news fits; `name` is the member at `to`."""
        state = self._state
        data = state.courier.pack(message, to, name, views, self.now)
        if state.members.is_proven(to) or state.strangers.allow(to, len(data)):
            self.effects.append(Send(data, to))
        else:
            self.drop(Drop.LIMITED)

    def send_at_cost(self, message: Message, to: Address, budget: int) -> int:
        """Send a bare message that somebody has paid for, to an address that has proven nothing,
        if it is within `budget` bytes; how many it took."""
        data = self._state.courier.pack(message, to, None, (), self.now)
        if len(data) > budget:
            return 0
        self.effects.append(Send(data, to))
        return len(data)

    def answer_to(self, name: str, generation: int) -> None:
        """Answers go where the member is known to be: that address has been proven, while the
        one that a datagram came from may be any of the sender's. Only who has lost its name to
        another address is answered where it speaks from."""
        view = self._state.member(name)
        if view.generation == generation:
            self.source = view.address

    def emit(self, effect: Effect) -> None:
        """Something happened that the shell is told."""
        self.effects.append(effect)

    def learn(self, advances: Sequence[Advance]) -> None:
        """Values have moved by what others did, or by doubles."""
        if self._state.log.doubles.is_behind:
            self._state.timers.set_if_sooner(Timer.DOUBLES, self.now + CATCH_UP_PAUSE)
        if advances:
            self._state.tail.append(list(advances), self.now)
            self.emit(Learned(tuple(advances)))

    def drop(self, reason: Drop) -> None:
        """What came from the source is not used."""
        self.effects.append(Dropped(self.source, reason))
