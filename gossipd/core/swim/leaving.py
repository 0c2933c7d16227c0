"""Leaving without losing anything: drain, say LEFT, go.

See gossipd/core/README.md#readiness-and-leaving.

The node waits until one staying peer has shown that it durably holds everything held here when the
leave began: for each stream the version, and the records above it, which are sent along. A peer
that is behind pulls from the leaver, as from anybody. Doubles follow from the records that both
versions cover. Then LEFT is told, and the node is done.
"""

from __future__ import annotations

from dataclasses import InitVar, dataclass
from typing import NamedTuple

from gossipd.core.effects import Left
from gossipd.core.gossip.packets import PacketBuilder
from gossipd.core.identity import SEQ_MAX, SOURCE_BIT, Address, Stream
from gossipd.core.log.log import Log
from gossipd.core.means import Means
from gossipd.core.timers import Timer
from gossipd.core.turn import Turn
from gossipd.core.wire.drops import Drop
from gossipd.core.wire.encoding import GROUP_OVERHEAD, pack_record
from gossipd.core.wire.messages import HOLD_GROUPS_MAX, NONCE_MAX, Gossip, Held, Hold, Status
from gossipd.core.wire.records import Group, Record, by_kind

from .circle import some_of
from .life import Life
from .members import MemberTable
from .own_view import OwnView
from .questions import Questions

STEP = 0.06
"""Seconds between two steps of a leave."""

STEPS_PER_PEER = 8
"""Steps without progress after which another peer is asked."""

HOLDS_PER_STEP = 32

FAREWELLS = 3
FAREWELL_PEERS = 24


DRAINS_MAX = HOLDS_PER_STEP * (STEPS_PER_PEER + 1)
"""Holds of which the peer may still answer."""


class _Drain(NamedTuple):
    """A Hold of a leave."""

    sent: dict[Stream, int]
    """For each stream in it how many records beside its version were sent by then."""


@dataclass(eq=False, repr=False)
class Leaving:
    """The leave of this node."""

    means: InitVar[Means]
    _members: MemberTable
    _log: Log
    _packet_builder: PacketBuilder
    _questions: Questions
    _life: Life
    _own: OwnView

    def __post_init__(self, means: Means) -> None:
        self._settings, self._rng, self._timers = means
        self._deadline = float("inf")
        self._wanted: dict[Stream, int] = {}
        """The versions that one peer must hold, as of the beginning of the leave."""
        self._missing: dict[Stream, None] = {}
        """Streams of which the peer that is asked has not shown everything yet."""
        self._beside: dict[Stream, tuple[Record, ...]] = {}
        """What the versions do not speak for, newest first."""
        self._beside_sent: dict[Stream, int] = {}
        """How many of these the peer has confirmed to hold."""
        self._peer: str | None = None
        self._peer_life = 0
        """Its generation: what an earlier life told may be gone with it."""
        self._refused_by: dict[str, None] = {}
        self._idle_steps = 0
        self._farewells = 0

    @property
    def undrained(self) -> int:
        """Streams that the peer asked last has not shown to hold."""
        return len(self._missing)

    def start(self, turn: Turn, since: float) -> None:
        """Begin to leave, as was asked at `since`; a second call changes nothing."""
        if self._life.leaving:
            return
        self._life.leaving = True
        self._deadline = since + self._settings.leave_timeout
        for stream in self._log.streams:
            version = self._wanted[stream] = self._log.version(stream)
            # A source's version does not tell which of two totals is held.
            told = version - 1 if version and stream[0] & SOURCE_BIT else version
            beside = tuple(self._log.records_newest_first(stream, told, SEQ_MAX, turn.now))
            if beside:
                self._beside[stream] = beside
        self._missing = dict.fromkeys(self._wanted)
        self.step(turn)

    def step(self, turn: Turn) -> None:
        """Go on with the leave; each call arranges for the next."""
        if self._farewells:
            self._say_farewell(turn)
            return
        if turn.now >= self._deadline or not self._choose_peer():
            self._say_left(turn)
            return
        self._idle_steps += 1
        self._send_holds(turn)
        self._timers.set(Timer.LEAVE, turn.now + STEP)

    def held(self, held: Held, sender: str, turn: Turn) -> None:
        """A peer told what it durably holds."""
        drain = self._questions.take(_Drain, held.nonce)
        life = self._members.held(sender).generation
        if drain is None or (sender, life) != (self._peer, self._peer_life):
            turn.drop(Drop.UNASKED)
            return
        if self._farewells:
            return  # nothing is asked any more
        if held.leaving:
            self._refused_by[sender] = None
            self._peer = None
            self.step(turn)
            return
        for stream, version in held.versions:
            sent = drain.sent.get(stream)
            if sent is not None and self._is_held(stream, version, sent):
                self._missing.pop(stream, None)
                self._idle_steps = 0
        if not self._missing:
            self._say_left(turn)

    # --- draining ----------------------------------------------------------------------------

    def _choose_peer(self) -> bool:
        """Keep the peer that is asked, or take another; False when nobody stays."""
        live = self._members.live
        if (
            self._peer in live
            and self._members.held(self._peer).generation == self._peer_life
            and self._idle_steps < STEPS_PER_PEER
        ):
            return True
        staying = [name for name in live if name not in self._refused_by]
        if not staying:
            return False
        self._peer = self._rng.choice(staying)
        self._peer_life = self._members.held(self._peer).generation
        self._missing = dict.fromkeys(self._wanted)
        self._beside_sent = {}
        self._questions.give_up(_Drain)
        self._idle_steps = 0
        return True

    def _is_held(self, stream: Stream, version: int, beside_sent: int) -> bool:
        self._beside_sent[stream] = max(self._beside_sent.get(stream, 0), beside_sent)
        beside = self._beside.get(stream)
        if beside and self._beside_sent[stream] < len(beside):
            _, newest, *_ = beside[0]
            return version >= newest  # which speaks for all of them
        return version >= self._wanted[stream]

    def _send_holds(self, turn: Turn) -> None:
        assert self._peer is not None
        peer = self._members.held(self._peer)
        streams = list(self._missing)
        for _ in range(HOLDS_PER_STEP):
            if not streams:
                break
            self._send_hold(streams, peer.address, turn)
        if not self._missing:
            self._say_left(turn)

    def _send_hold(self, streams: list[Stream], to: Address, turn: Turn) -> None:
        """Take streams from the end of the list until a datagram is full."""
        room = self._packet_builder.room(Hold(NONCE_MAX, ()))
        groups: list[Group] = []
        sent: dict[Stream, int] = {}
        while streams and room > GROUP_OVERHEAD and len(groups) < HOLD_GROUPS_MAX:
            stream = streams[-1]
            done = self._beside_sent.get(stream, 0)
            beside: list[Record] = []
            free = room - GROUP_OVERHEAD
            for record in self._beside.get(stream, ())[done:]:
                free -= len(pack_record(record))
                if free < 0:
                    break
                beside.append(record)
            version = self._wanted[stream]
            if not beside and done < len(self._beside.get(stream, ())):
                break
            streams.pop()
            groups.append(Group(stream, version, version, *by_kind(beside)[:2]))
            sent[stream] = done + len(beside)
            room = free
        nonce = self._questions.ask(_Drain(sent), DRAINS_MAX, turn.now)
        turn.send(Hold(nonce, tuple(groups)), to, self._peer)

    # --- saying so ---------------------------------------------------------------------------

    def _say_left(self, turn: Turn) -> None:
        own = self._members.own
        self._own.restate(turn, own.generation, own.incarnation, Status.LEFT)
        self._say_farewell(turn)

    def _say_farewell(self, turn: Turn) -> None:
        if self._farewells == FAREWELLS or not self._members.live:
            self._farewells = FAREWELLS
            turn.emit(Left(self.undrained))
            self._timers.cancel(Timer.LEAVE)
            return
        self._farewells += 1
        for name in some_of(self._rng, self._members.live, FAREWELL_PEERS):
            turn.send(Gossip(), self._members.held(name).address, name, (self._members.own,))
        self._timers.set(Timer.LEAVE, turn.now + STEP)
