"""Leaving without losing anything (README.md#readiness-and-leaving): drain, say LEFT, go.

The node waits until one staying peer has shown that it durably holds everything held here when the
leave began: for each stream the version, and the records above it, which are sent along. A peer
that is behind pulls from the leaver, as from anybody. Doubles follow from the records that both
versions cover. Then LEFT is told, and the node is done.
"""

from __future__ import annotations

from .drops import Drop
from .effects import Left
from .encoding import GROUP_OVERHEAD, pack_record
from .identity import SEQ_MAX, Address, Stream
from .membership import Membership
from .messages import (
    HOLD_GROUPS_MAX,
    NONCE_MAX,
    Gossip,
    Group,
    Held,
    Hold,
    Record,
    Status,
    by_kind,
)
from .state import State, Turn
from .timers import Timer

STEP = 0.06
"""Seconds between two steps of a leave."""

STEPS_PER_PEER = 8
"""Steps without progress after which another peer is asked."""

HOLDS_PER_STEP = 32

FAREWELLS = 3
FAREWELL_PEERS = 24


class Leaving:
    """The leave of this node."""

    def __init__(self, state: State, membership: Membership) -> None:
        self._state = state
        self._membership = membership
        self._deadline = float("inf")
        self._wanted: dict[Stream, int] = {}
        """The versions that one peer must hold, as of the beginning of the leave."""
        self._missing: dict[Stream, None] = {}
        """Streams of which the peer that is asked has not shown everything yet."""
        self._beside: dict[Stream, tuple[Record, ...]] = {}
        """What the versions do not speak for."""
        self._beside_sent: dict[Stream, int] = {}
        """How many of these the peer has confirmed to hold."""
        self._peer: str | None = None
        self._peer_life = 0
        """Its generation: what an earlier life told may be gone with it."""
        self._refused_by: dict[str, None] = {}
        self._idle_steps = 0
        self._open: dict[int, dict[Stream, int]] = {}
        """Holds under way: by nonce, for each stream how many records beside it were sent."""
        self._farewells = 0

    @property
    def undrained(self) -> int:
        """Streams that the peer asked last has not shown to hold."""
        return len(self._missing)

    def start(self, turn: Turn, since: float) -> None:
        """Begin to leave, as was asked at `since`; a second call changes nothing."""
        state = self._state
        if state.leaving:
            return
        state.leaving = True
        self._deadline = since + state.settings.leave_timeout
        for stream in state.log.streams:
            version = self._wanted[stream] = state.log.version(stream)
            above = state.log.records_newest_first(stream, version, SEQ_MAX, turn.now)
            beside = tuple(above)
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
        self._state.timers.set(Timer.LEAVE, turn.now + STEP)

    def held(self, held: Held, sender: str, turn: Turn) -> None:
        """A peer told what it durably holds."""
        sent = self._open.pop(held.nonce, None)
        life = self._state.member(sender).generation
        if sent is None or (sender, life) != (self._peer, self._peer_life):
            turn.drop(Drop.UNASKED)
            return
        if held.leaving:
            self._refused_by[sender] = None
            self._peer = None
            self.step(turn)
            return
        for stream, version in held.versions:
            if stream in sent and self._is_held(stream, version, sent[stream]):
                self._missing.pop(stream, None)
                self._idle_steps = 0
        if not self._missing:
            self._say_left(turn)

    # --- draining ----------------------------------------------------------------------------

    def _choose_peer(self) -> bool:
        """Keep the peer that is asked, or take another; False when nobody stays."""
        live = self._state.members.live
        if (
            self._peer in live
            and self._state.member(self._peer).generation == self._peer_life
            and self._idle_steps < STEPS_PER_PEER
        ):
            return True
        staying = [name for name in live if name not in self._refused_by]
        if not staying:
            return False
        self._peer = self._state.rng.choice(staying)
        self._peer_life = self._state.member(self._peer).generation
        self._missing = dict.fromkeys(self._wanted)
        self._beside_sent = {}
        self._open = {}
        self._idle_steps = 0
        return True

    def _is_held(self, stream: Stream, version: int, beside_sent: int) -> bool:
        self._beside_sent[stream] = max(self._beside_sent.get(stream, 0), beside_sent)
        beside_held = self._beside_sent[stream] >= len(self._beside.get(stream, ()))
        return beside_held and version >= self._wanted[stream]

    def _send_holds(self, turn: Turn) -> None:
        assert self._peer is not None
        peer = self._state.member(self._peer)
        streams = list(self._missing)
        for _ in range(HOLDS_PER_STEP):
            if not streams:
                break
            self._send_hold(streams, peer.address, turn)
        if not self._missing:
            self._say_left(turn)

    def _send_hold(self, streams: list[Stream], to: Address, turn: Turn) -> None:
        """Take streams from the end of the list until a datagram is full."""
        state = self._state
        room = state.courier.room(Hold(NONCE_MAX, ()), state.settings.datagram_size)
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
        nonce = state.rng.getrandbits(64)
        self._open[nonce] = sent
        turn.send(Hold(nonce, tuple(groups)), to, self._peer)

    # --- saying so ---------------------------------------------------------------------------

    def _say_left(self, turn: Turn) -> None:
        if self._farewells:
            return
        own = self._state.own
        self._membership.restate(turn, own.generation, own.incarnation, Status.LEFT)
        self._say_farewell(turn)

    def _say_farewell(self, turn: Turn) -> None:
        state = self._state
        if self._farewells == FAREWELLS or not state.members.live:
            self._farewells = FAREWELLS
            turn.emit(Left(self.undrained))
            state.timers.cancel(Timer.LEAVE)
            return
        self._farewells += 1
        for name in state.sample(state.members.live, FAREWELL_PEERS):
            turn.send(Gossip(), state.member(name).address, name, (state.own,))
        state.timers.set(Timer.LEAVE, turn.now + STEP)
