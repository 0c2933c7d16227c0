"""One gossipd node without I/O: bytes and times in, effects out.

Contract of every input:
1. `now` is seconds on any monotonic clock and never decreases between calls.
2. Bytes from the network never raise; what is not used comes back as `Dropped` with its reason.
   Only a caller's mistake raises.
3. After `handle_timeout(now)`, `next_timeout` is None or above `now`.
4. No `Send` is larger than `settings.datagram_size`.
5. The same constructor arguments and inputs give the same effects, byte for byte.

This module only routes: it knows which part answers which message, and nothing of how.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import assert_never

from .copies import CopiesWanted, Demand
from .courier import Courier
from .decoding import decode, is_of_probes
from .detector import VOIDS_MAX, Detector
from .drops import Drop
from .effects import (
    Effect,
    Incremented,
    KeysWanted,
    Learned,
    Send,
    SpeaksElsewhere,
    Stalled,
)
from .frame import Frame
from .gossiping import Gossiping
from .health import Health
from .hearsay import Hearsay
from .holding import Holding
from .identity import GENERATION_MAX, Address, Stream
from .image import Image, StreamImage
from .introducing import Introducing
from .joining import Joining
from .judge import Judge
from .keys import KeyedEvent
from .lanes import LogLane, MemberLane
from .leaving import Leaving
from .log import Log
from .meeting import Meeting
from .member_repair import MemberRepair
from .members import MemberTable
from .membership import TELL_ELSEWHERE_AFTER, Membership
from .messages import (
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
    KeyRecord,
    MemberMessage,
    MembersAsk,
    MembersPage,
    MemberView,
    Nack,
    Pages,
    PassAsk,
    Ping,
    PingReq,
    Refuse,
    RelayedAck,
    Shown,
    Status,
    Welcome,
)
from .newcomers import Newcomers
from .pings import Pings, Purpose, RoundTrips
from .plausible import Plausible, Word
from .readiness import Readiness
from .repair import LogRepair
from .retention import Retention
from .rival import Rival
from .saving import Changes, Saving
from .serving import Serving
from .settings import Settings
from .sources import Put
from .state import State, Turn
from .strangers import Strangers
from .tail import Tail, TailEntry
from .timers import Key, Timer, Timers
from .writer import NOTHING_STORED, Batch, Stored, Writer

EXPIRE_INTERVAL = 60.0

_WAITS = frozenset(
    {
        *(Timer.CORROBORATE, Timer.RUMOUR, Timer.PULL, Timer.MEMBER_PULL),
        *(Timer.NAME_CHECK, Timer.READY),
    }
)
"""Timers that wait for somebody else and move when this node stalled (suspicions and the probe
have rules of their own)."""


class Node:
    """The protocol of one process lifetime under one name, address and generation."""

    def __init__(
        self,
        own: MemberView,
        settings: Settings,
        frame: Frame,
        rng: Random,
        now: float,
        *,
        durable: bool = False,
    ) -> None:
        """`rng` also mints streams and secrets: in production it must be `random.SystemRandom`.

        `durable`: the caller stores `take_changes` on a disk, and tells so with `stored`.
        """
        log = Log(
            settings.streams_max,
            settings.registers_max,
            settings.keys_max,
            int(settings.doubles_max),
        )
        members = MemberTable(own, settings.remember, now)
        log.keeps_marks = members.keeps_marks = durable
        judge = Judge(log, settings, lambda: self._state.ready)
        member_lane, log_lane = MemberLane(), LogLane(log)
        self._state = state = State(
            settings=settings,
            rng=rng,
            timers=Timers(),
            members=members,
            newcomers=Newcomers(settings.probe_interval),
            log=log,
            judge=judge,
            writer=Writer(log, judge, rng),
            tail=Tail(int(settings.tail_size)),
            member_lane=member_lane,
            log_lane=log_lane,
            pings=Pings(rng),
            round_trips=RoundTrips(settings),
            health=Health(settings.health_max),
            strangers=Strangers(),
            courier=Courier(settings, frame, members, member_lane, log_lane),
            saving=Saving(log, members, judge),
            plausible=Plausible(own.generation),
            hearsay=Hearsay(settings.probe_interval),
            began_at=now,
        )
        self._frame = frame
        self._now = now
        self._stalls = 0
        """Stalls in a row, with no timer in time between them."""
        self._stalled = False
        self._gossiping = Gossiping(state)
        rival = Rival(state)
        self._membership = Membership(state, self._gossiping, rival)
        self._detector = Detector(state, self._membership)
        self._readiness = Readiness(state, self._detector)
        self._retention = Retention(state)
        self._serving = serving = Serving(state)
        self._repair = LogRepair(state, self._gossiping, self._readiness, self._retention, serving)
        self._meeting = Meeting(state)
        self._member_repair = MemberRepair(state, self._membership, self._meeting, serving)
        self._joining = Joining(state, self._membership, self._detector, rival, self._readiness)
        self._introducing = Introducing(state, self._membership, self._joining)
        self._holding = Holding(state, self._repair)
        self._leaving = Leaving(state, self._membership)
        self._copies = CopiesWanted(state)

    # --- inputs of the operator and of clients -----------------------------------------------

    def start(self, alone: bool, now: float) -> list[Effect]:
        """Begin to probe. `alone`: there is nobody to join, so what is held is all there is."""
        turn = self._turn(now)
        self._detector.start(turn)
        self._readiness.start(alone, turn)
        self._state.timers.set(Timer.EXPIRE, now + EXPIRE_INTERVAL)
        self._retention.start(turn)
        return turn.effects

    def load(self, image: Image, now: float, *, met: bool = False) -> list[Effect]:
        """Join what an earlier life has kept, but for absurd members, which an attack has left;
        before `start`.

        `met`: its members are those of a cluster that is there, not only of one that was.
        """
        turn = self._turn(now)
        expires = now + self._state.settings.key_retention
        self._state.log.load(image.streams, now, expires)
        judge = self._state.judge
        judge.horizon = max(judge.horizon, image.horizon)
        for view in image.members:
            if view.name == self._state.own.name:
                continue
            if self._membership.is_absurd(view, Word.OTHERS):
                continue
            if met or view.status > Status.SUSPECT:
                self._membership.restore(view, turn, met)
            else:
                self._introducing.keep(view, turn)
        self._state.saving.skip(image, [view.name for view in self._state.newcomers.kept])
        return turn.effects

    def join(self, addresses: Sequence[Address], now: float) -> list[Effect]:
        """Ask whoever is at these addresses to take this node in."""
        turn = self._turn(now)
        self._joining.ask(list(addresses), turn)
        return turn.effects

    def readdress(self, address: Address, now: float) -> list[Effect]:
        """This node is reached at another address from now on. It says so as after a restart
        there, with a larger generation, and asks members to take it in. Not if it has left, nor
        beyond the last generation."""
        turn = self._turn(now)
        own = self._state.own
        may = own.status is not Status.LEFT and own.generation < GENERATION_MAX
        if may and address != own.address:
            self._joining.move(address, turn)
            self._introducing.ask_anew(turn)
            self._detector.restart(turn)
        return turn.effects

    def cut_off(self, is_cut_off: bool, now: float) -> list[Effect]:
        """Whether this node's host has no way to any member. As long as that is so, nobody is
        blamed for being silent; afterwards members are asked at once."""
        turn = self._turn(now)
        if self._detector.cut_off(is_cut_off, turn):
            self._joining.ask_members(turn)
            self._introducing.ask_anew(turn)
        return turn.effects

    def ask_members(self, now: float) -> list[Effect]:
        """Ask some members as a newcomer would: a `Joined` shows that this node is reached where
        it advertises to be, a `JoinDoubtful` that it is seen elsewhere."""
        turn = self._turn(now)
        self._joining.ask_members(turn)
        return turn.effects

    def may_be_ready_alone(self, allowed: bool, now: float) -> list[Effect]:
        """Whether time may make this node ready although no peer shows itself, as it may from the
        beginning. Once that is allowed anew, the time begins anew, too."""
        turn = self._turn(now)
        self._readiness.may_be_alone(allowed, turn)
        return turn.effects

    def nobody_to_join(self, now: float) -> list[Effect]:
        """After `start` it has turned out that there is nobody to join: where nothing is held of
        others either, what is held is all there is."""
        turn = self._turn(now)
        self._readiness.nobody_to_join(turn)
        return turn.effects

    def leave(self, now: float, since: float | None = None) -> list[Effect]:
        """Drain, say that this node has left, and end with a `Left` effect. `since`: when it was
        asked to, if that was earlier; its time runs from then."""
        turn = self._turn(now)
        self._leaving.start(turn, now if since is None else since)
        return turn.effects

    def forget(self, name: str, now: float) -> list[Effect]:
        """Show a member that is not live nowhere any more; it may refute.

        Raises `KeyError` for a name not held and `ValueError` for a live member.
        """
        view = self._state.members.get(name)
        if view is None or view.status is Status.FORGOTTEN:
            raise KeyError(name)
        if view.status <= Status.SUSPECT:
            raise ValueError(f"{name} is {view.status.name.lower()}")
        turn = self._turn(now)
        self._membership.forget(name, turn)
        return turn.effects

    def is_doubtful(self, key: bytes, wall: float) -> bool:
        """Whether only the disk may know an idempotency key: look there before `prepare`."""
        return self._state.log.keeps_marks and self._state.judge.is_doubtful(key, wall)

    def prepare(
        self,
        increments: Sequence[tuple[str, int]],
        now: float,
        wall: float,
        keys: Sequence[bytes | None] = (),
        stored: Stored = NOTHING_STORED,
        puts: Sequence[Put] = (),
    ) -> Batch:
        """Assign ids to (counter, by) pairs; commit the rows of the batch, then `expose` it.

        Counters and `by` must be legal (see `identity`); `wall` is seconds since the epoch.
        `keys`: beside each pair its idempotency key (a UUID of any version but 8, its 16 bytes)
        or None; empty where there is none at all. `stored`: what the disk holds of those that are
        doubtful. `puts`: new totals of sources. Raises `ValueError` on a node that is leaving.
        """
        if self._state.leaving:
            raise ValueError("this node is leaving")
        self._advance(now)
        return self._state.writer.prepare(increments, now, wall, keys, stored, puts)

    def expose(self, batch: Batch, now: float) -> list[Effect]:
        """A batch is committed: count it and tell others; an `Incremented` effect says what.

        A key in it may have been used elsewhere meanwhile: `Learned` says what that takes off.
        """
        turn = self._turn(now)
        log = self._state.log
        made, others = self._state.writer.expose(batch, now)
        self._state.tail.append(made + others, now)
        if made:
            log.set_committed(batch.stream, batch.rows, batch.version, batch.keys)
            turn.emit(Incremented(tuple(made)))
            self._gossiping.push_log(batch.stream, made[0].seq - 1, turn)
        if others:
            turn.emit(Learned(tuple(others)))
        turn.learn(())
        for stream, register in batch.sources:
            log.set_committed(stream, (register,), register[1])
            self._gossiping.push_log(stream, register[1] - 1, turn)
        return turn.effects

    def abandon(self, batch: Batch) -> None:
        """A batch could not be committed: nothing of it is told, its stream ends."""
        self._state.writer.abandon(batch)

    def await_copies(
        self,
        token: int,
        stream: Stream,
        seq: int,
        copies: int,
        until: float,
        now: float,
        *,
        memory: bool = False,
    ) -> list[Effect]:
        """Tell with `Copies` when `copies` nodes, this one included, hold an increment durably,
        or at `until` how many do. `memory`: nodes without a disk count, too. Only what counts
        here is asked for; `token` names the wish until that effect."""
        turn = self._turn(now)
        self._copies.want(token, stream, seq, Demand(copies, memory), until, turn)
        return turn.effects

    def give_up_copies(self, token: int) -> None:
        """Nobody waits any more for the wish `token`, which waits: it ends without `Copies`."""
        self._copies.give_up(token)

    # --- inputs of the disk ------------------------------------------------------------------

    def take_changes(self, registers_max: int, now: float) -> Changes | None:
        """A part of what is not stored yet; None when all is. Then `stored` or `not_stored`."""
        self._advance(now)
        return self._state.saving.take(registers_max, now)

    def stored(self, changes: Changes, now: float, twins: Stored = NOTHING_STORED) -> list[Effect]:
        """A part is on the disk: those who wait for that are answered.

        `twins`: of keys in it that the disk knows several events of, all of these.
        """
        turn = self._turn(now)
        self._repair.found_stored(twins, turn)
        self._state.saving.stored(changes)
        self._holding.stored(turn)
        self._copies.go_on(turn)
        return turn.effects

    def not_stored(self, changes: Changes) -> None:
        """A part could not be stored: it is taken again."""
        self._state.saving.not_stored(changes)

    def keys_read(
        self, wanted: KeysWanted, records: Sequence[KeyRecord], now: float
    ) -> list[Effect]:
        """Key records that a peer waits for have been read from the disk."""
        turn = self._turn(now)
        self._repair.keys_read(wanted, records, turn)
        return turn.effects

    # --- inputs of the world -----------------------------------------------------------------

    def see_clocks(self, now: float, wall: float) -> None:
        """Both clocks, from time to time: `wall` is seconds since the epoch."""
        self._advance(now)
        self._state.judge.see_clocks(now, wall)
        self._state.plausible.see_clock(wall)

    @property
    def next_timeout(self) -> float | None:
        """When `handle_timeout` wants to be called, on the clock of `now`."""
        return self._state.timers.next

    def handle_timeout(self, now: float) -> list[Effect]:
        """Do whatever is due at `now`."""
        turn = self._turn(now)
        if self._stalled:
            # What came in the meantime has been read by now: what is open still proves nothing.
            self._detector.stall(turn)
        else:
            self._stalls = 0
        self._stalled = False
        while key := self._state.timers.pop(now):
            self._fire(key, turn)
        return turn.effects

    def receive_datagram(self, data: bytes, source: Address, now: float) -> list[Effect]:
        """Take one datagram in; `source` is where it came from."""
        turn = self._turn(now, source)
        if data in (b"ping", b"ping\n", b"ping\r\n"):
            turn.emit(Send(data.replace(b"ping", b"pong"), source))
            return turn.effects
        body = self._frame.open(data)
        envelope = decode(body) if isinstance(body, bytes) else body
        if isinstance(envelope, Drop):
            turn.drop(envelope)
            return turn.effects
        if envelope.unknown:
            turn.drop(Drop.UNKNOWN_FIELD)
        if not self._state.members.is_proven(source):
            self._state.strangers.received(source, len(data))
        self._receive(envelope, len(data), turn)
        return turn.effects

    def is_urgent(self, data: bytes) -> bool:
        """Whether a datagram should be taken in before others, for somebody may be blamed if it
        is late: a probe or an answer to one."""
        body = self._frame.open(data)
        return isinstance(body, bytes) and is_of_probes(body)

    def is_proven(self, address: Address) -> bool:
        """Whether a member has proven to be at an address, so that it is no stranger."""
        return self._state.members.is_proven(address)

    # --- routing -----------------------------------------------------------------------------

    def _receive(self, envelope: Envelope, size: int, turn: Turn) -> None:
        own = self._state.own
        message = envelope.message
        if self._state.plausible.is_absurd(envelope.generation, envelope.incarnation, Word.OWN):
            turn.drop(Drop.ABSURD)
            return
        if isinstance(message, Join) and self._joining.came_back(envelope.sender, message, turn):
            return
        if self._is_own(envelope, turn.source):
            turn.drop(Drop.OWN)
        elif isinstance(message, Join):
            self._receive_join(envelope, message, size, turn)
        elif isinstance(message, Cookie | Welcome | Refuse):
            # Before namesakes: the holder of this node's name answers its join like anybody.
            self._receive_answer_to_join(envelope, message, turn)
        elif envelope.sender == own.name:
            self._receive_from_namesake(envelope, turn)
        elif self._is_member(envelope, turn):
            self._state.spoken_at = turn.now
            self._state.members.meet(envelope.sender, turn.now)
            turn.answer_to(envelope.sender, envelope.generation)
            self._learn_views(envelope, turn)
            own_stream = self._state.writer.stream
            for group in envelope.groups:
                self._repair.learn(group, turn)
            self._dispatch(message, envelope, turn)
            if self._state.writer.stream != own_stream:
                turn.drop(Drop.NOT_OURS)
        elif isinstance(message, Hello):
            self._introducing.heard(envelope, message, turn)
        else:
            self._receive_from_stranger(envelope, turn)

    def _receive_from_stranger(self, envelope: Envelope, turn: Turn) -> None:
        """What it says is not used, but it may prove where it is."""
        message = envelope.message
        turn.drop(Drop.STRANGER)
        if self._introducing.challenge(envelope, turn):
            return
        nonce = message.nonce if isinstance(message, Ping) else 0
        if isinstance(message, Ping) and message.target == self._state.own.name:
            self._readiness.called(turn)
        self._joining.challenge(envelope.sender, nonce, turn.source, turn)

    def _learn_views(self, envelope: Envelope, turn: Turn) -> None:
        """What a member says of itself in answer to this node's ping is no rumour."""
        message = envelope.message
        flight = self._state.pings.peek(message.nonce) if isinstance(message, Ack) else None
        proven = flight is not None and flight.target == envelope.sender
        for view in envelope.views:
            own = view.name == envelope.sender
            word = Word.OWN if own else Word.OTHERS
            self._membership.learn(view, turn, word=word, proven=own and proven)

    def _is_own(self, envelope: Envelope, source: Address) -> bool:
        """Whether this node has sent it, and no twin at another address."""
        own = self._state.own
        message = envelope.message
        address = message.address if isinstance(message, Join) else source
        said = (envelope.sender, envelope.generation, address)
        return said == (own.name, own.generation, own.address)

    def _is_member(self, envelope: Envelope, turn: Turn) -> bool:
        """Whether the sender is held in this generation or a later one; a member that is held
        otherwise than it speaks of itself, or elsewhere than it speaks from, is told so."""
        held = self._state.members.get(envelope.sender)
        if held is None or envelope.generation > held.generation:
            return False
        said = (envelope.generation, envelope.incarnation)
        if said > (held.generation, held.incarnation):
            # Its tags, of which the least is said here, come with its own view: they may be a lie.
            said_alive = held._replace(
                incarnation=envelope.incarnation, status=Status.ALIVE, tags=(), accusers=()
            )
            self._membership.learn(said_alive, turn, word=Word.OWN)
        elif held.status is not Status.ALIVE or said < (held.generation, held.incarnation):
            self._membership.tell(envelope.sender, turn)
        if envelope.generation == held.generation and turn.source != held.address:
            # A twin, or a host with several addresses, to which its own view is no news.
            self._membership.tell(envelope.sender, turn, TELL_ELSEWHERE_AFTER)
            self._note_elsewhere(held, turn)
        return True

    def _note_elsewhere(self, held: MemberView, turn: Turn) -> None:
        is_silent = held.status in (Status.SUSPECT, Status.FAILED)
        if is_silent and self._state.elsewhere.spoke(held.name, held.address, turn.now):
            turn.emit(SpeaksElsewhere(held.name, held.address, turn.source))

    def _receive_join(self, envelope: Envelope, join: Join, size: int, turn: Turn) -> None:
        if self._state.leaving:
            turn.drop(Drop.STRANGER)
            return
        newcomer = MemberView(
            envelope.sender,
            join.address,
            envelope.generation,
            envelope.incarnation,
            Status.ALIVE,
            join.tags,
        )
        self._joining.asked(join, newcomer, size, turn)

    def _receive_from_namesake(self, envelope: Envelope, turn: Turn) -> None:
        """Another process speaks under this node's name. It has proven nothing, so its word is
        not used: which holder keeps the name, each learns from the members."""
        own = self._state.own
        if envelope.generation < own.generation:
            turn.send(Gossip(), turn.source, None, (own,))
        # In the same generation it may be reflected, and an answer would be, too.
        turn.drop(Drop.OWN if envelope.generation == own.generation else Drop.STRANGER)

    def _receive_answer_to_join(
        self, envelope: Envelope, message: Cookie | Welcome | Refuse, turn: Turn
    ) -> None:
        match message:
            case Cookie(nonce):
                answers = self._answered(nonce, envelope.sender, turn)
                self._joining.cookie_came(message, envelope.sender, answers, turn)
            case Refuse():
                self._joining.refused(message, envelope.sender, envelope.generation, turn)
            case Welcome(_, shown):
                address = self._joining.welcomed(message, envelope.sender, turn)
                if address is not None:
                    self._meeting.welcomed(envelope.sender, shown)
                    self._find(envelope, address, turn)
                    urgent = not self._state.ready or self._meeting.peer == envelope.sender
                    self._show(shown, envelope.sender, turn, urgent)
            case _:
                assert_never(message)

    def _find(self, envelope: Envelope, address: Address, turn: Turn) -> None:
        """A member that takes this node in has proven to be at `address`."""
        sender, members = envelope.sender, self._state.members
        for view in envelope.views:
            own = view.name == sender
            word = Word.OWN if own else Word.OTHERS
            self._membership.learn(view, turn, word=word, reached=own and view.address == address)
        members.prove(sender, address)
        members.meet(sender, turn.now)
        held = members.get(sender)
        if held is not None and held.status is not Status.ALIVE:
            self._membership.tell(sender, turn)

    def _dispatch(self, message: MemberMessage, envelope: Envelope, turn: Turn) -> None:  # noqa: C901  a table
        sender = envelope.sender
        match message:
            case Ping(nonce, target, shown):
                if target != self._state.own.name:
                    turn.drop(Drop.MISDIRECTED)
                    return
                own = self._state.own
                views = (own,) if own.status is Status.LEFT else ()
                turn.send(Ack(nonce, self._state.shown), turn.source, sender, views)
                self._show(shown, sender, turn, answers=False)
            case Ack(nonce, shown):
                answers = self._answered(nonce, sender, turn)
                if answers:
                    self._joining.acked(turn)
                else:
                    turn.drop(Drop.UNASKED)
                self._show(shown, sender, turn, answers=answers)
            case PingReq():
                self._detector.relay(message, turn)
            case RelayedAck(nonce):
                if not (
                    self._detector.relay_acked(nonce) or self._joining.check_relayed(nonce, turn)
                ):
                    turn.drop(Drop.UNASKED)
            case Nack(nonce):
                self._detector.relay_nacked(nonce, turn)
            case Gossip():
                pass
            case DigestAsk():
                if self._may_ask_for_much(sender, turn):
                    self._repair.digest_asked(message, turn)
            case Digest():
                self._repair.digest_came(message, turn)
            case PassAsk():
                if self._may_ask_for_much(sender, turn):
                    self._repair.passes_asked(message, sender, turn)
            case Pages():
                self._repair.pages_came(message, turn)
            case MembersAsk():
                if self._may_ask_for_much(sender, turn):
                    self._member_repair.asked(message, sender, turn)
            case MembersPage():
                self._member_repair.page_came(message, turn)
            case Hold():
                self._holding.asked(message, sender, turn)
            case Held():
                if not self._copies.held(message, sender, turn):
                    self._leaving.held(message, sender, turn)
            case Hello():
                self._introducing.heard(envelope, message, turn)
            case _:
                assert_never(message)

    def _may_ask_for_much(self, sender: str, turn: Turn) -> bool:
        """Whether long answers go to where a member is held: if it lives and has proven to be
        there."""
        if self._state.members.has_proven(sender, turn.source) and self._is_live(sender):
            return True
        turn.drop(Drop.UNPROVEN)
        return False

    def _is_live(self, name: str) -> bool:
        view = self._state.members.get(name)
        return view is not None and view.status <= Status.SUSPECT

    def _answered(self, nonce: int, sender: str, turn: Turn) -> bool:
        """An ack came; False unless it answers a ping to that very member."""
        flight = self._state.pings.peek(nonce)
        if flight is None or flight.target != sender:
            return False
        self._state.pings.answer(nonce)
        if flight.purpose is Purpose.NAME_CHECK:
            self._joining.name_answered(sender, turn)
        self._detector.acked(nonce, flight, turn)
        return True

    def _show(
        self, shown: Shown, sender: str, turn: Turn, urgent: bool = False, *, answers: bool = True
    ) -> None:
        """A member showed its state: repair what differs. `answers`: to a question of this node;
        only that may make it ready."""
        state = self._state
        if not self._is_live(sender):
            return
        state.shown_by[sender] = shown
        state.rounds.hear(shown.round)
        if answers:
            self._readiness.shown(shown, sender, turn)
        else:
            self._readiness.said(shown, sender, turn)
        if shown.log != state.log.fingerprint:
            self._repair.want(sender, turn, urgent)
        if shown.members == state.members.fingerprint:
            self._member_repair.same()
        else:
            self._member_repair.want(sender, turn, urgent)

    def _fire(self, key: Key, turn: Turn) -> None:  # noqa: C901  a table
        timer, about = key
        match timer:
            case Timer.PROBE:
                self._detector.next_probe(turn)
            case Timer.PROBE_TIMEOUT:
                self._detector.probe_unanswered(turn)
            case Timer.PROBE_VERDICT:
                self._detector.probe_failed(turn)
            case Timer.RELAY_NACK:
                self._detector.relay_expired(int(about), turn)
            case Timer.SUSPICION:
                self._membership.suspicion_ended(about, turn)
            case Timer.CORROBORATE:
                self._detector.corroborate(about, turn)
            case Timer.RUMOUR:
                self._detector.look_into_rumour(about, turn)
            case Timer.GOSSIP:
                self._gossiping.round(turn)
            case Timer.PULL:
                self._repair.unanswered(turn)
            case Timer.MEMBER_PULL:
                self._member_repair.unanswered(turn)
            case Timer.CONTACT:
                silent = self._detector.contact(turn)
                if silent is not None:
                    self._joining.ask([silent], turn)
            case Timer.NAME_CHECK:
                self._joining.name_vacant(about, turn)
            case Timer.RIVAL:
                self._joining.ask_rivals(turn)
            case Timer.READY:
                self._readiness.waited(turn)
            case Timer.LEAVE:
                self._leaving.step(turn)
            case Timer.HOLD:
                self._copies.go_on(turn)
            case Timer.COPIES:
                self._copies.expired(int(about), turn)
            case Timer.INTRODUCE:
                self._introducing.due(about, turn)
            case Timer.EXPIRE:
                self._membership.expire(turn)
                self._state.timers.set(Timer.EXPIRE, turn.now + EXPIRE_INTERVAL)
            case Timer.KEYS:
                self._retention.drop(turn)
            case Timer.ANSWER:
                self._serving.go_on(turn)
            case Timer.DOUBLES:
                turn.learn(self._state.log.catch_up())
            case _:
                assert_never(timer)

    def _turn(self, now: float, source: Address = ("", 0)) -> Turn:
        self._advance(now)
        turn = Turn(self._state, now, source)
        due = self._state.timers.next
        if due is not None and now - due > self._state.settings.stall_after and not self._stalled:
            self._notice_stall(due, turn)
        return turn

    def _notice_stall(self, due: float, turn: Turn) -> None:
        """Before anything else, as what begins after the stall is not to be moved by it."""
        turn.emit(Stalled(turn.now - due))
        self._stalled = True
        self._stalls += 1
        if self._stalls <= VOIDS_MAX:
            self._state.timers.postpone(_WAITS, turn.now - due)
        self._membership.stall(due, turn)

    def _advance(self, now: float) -> None:
        assert now >= self._now, "time went back"
        self._now = now

    # --- queries -----------------------------------------------------------------------------

    @property
    def own(self) -> MemberView:
        """What this node says of itself."""
        return self._state.own

    @property
    def heard_at(self) -> float:
        """When a member last answered a question of this node, on the clock of `now`."""
        return self._state.heard_at

    @property
    def ready(self) -> bool:
        """Whether counts are complete as far as this node can know."""
        return self._state.ready

    @property
    def listens(self) -> bool:
        """Whether it has nobody to join, and it is yet to turn out that nobody holds it as a
        member."""
        return self._readiness.listens

    @property
    def leaving(self) -> bool:
        """Whether a leave has begun."""
        return self._state.leaving

    @property
    def members(self) -> list[MemberView]:
        """All members that are remembered, this node included, by name."""
        return self._state.members.views()

    def member(self, name: str) -> MemberView | None:
        """What is held of a member."""
        return self._state.members.get(name)

    def member_names(self, after: str = "") -> list[str]:
        """The names of all members behind `after`, in order."""
        return self._state.members.names_after(after)

    @property
    def knows_others(self) -> bool:
        """Whether there are others that have not left, or there were in an earlier life."""
        members = self._state.members
        others = (view for view in members.views() if view.name != members.own.name)
        return bool(self.earlier) or any(view.status < Status.LEFT for view in others)

    @property
    def earlier(self) -> list[MemberView]:
        """Those that an earlier life knew as live, and this one has not found out about yet."""
        return self._state.newcomers.kept

    @property
    def failed_count(self) -> int:
        """Members that are held as failed."""
        return len(self._state.members.down)

    def live_addresses(self, limit: int) -> list[Address]:
        """Where others that are live are held, at most so many of them."""
        members = self._state.members
        return [self._state.member(name).address for name in members.live[:limit]]

    @property
    def live_count(self) -> int:
        """Live members, this node included."""
        return self._state.members.live_count

    def image(self, now: float) -> Image:
        """What the next life of this node may `load`."""
        log, members = self._state.log, self._state.members
        streams = tuple(
            StreamImage(
                stream,
                log.version(stream),
                tuple(log.by_name(stream, 0, "")),
                tuple(log.keys.oldest_first(stream, 0, now)),
                tuple(log.doubles.of(stream, 0, now)),
                log.archived(stream, now),
                tuple(log.doubles.corrections(stream)),
            )
            for stream in log.streams
        )
        names = (view.name for view in members.views() if view.name != self._state.own.name)
        views = (members.worth_keeping(name, now) for name in names)
        known = [view for view in views if view is not None]
        known += (v for v in self._state.newcomers.kept if members.get(v.name) is None)
        return Image(streams, tuple(sorted(known)), self._state.judge.horizon)

    def shared_members(self, now: float) -> list[MemberView]:
        """All members, this node included, as others are told of them, by name: without those
        that only an earlier life knew, and verdicts older than half of `settings.remember`."""
        views = (self._state.members.shared(view.name, now) for view in self.members)
        return [view for view in views if view is not None]

    @property
    def log(self) -> Log:
        """The replicated log, to be read."""
        return self._state.log

    @property
    def stream(self) -> Stream | None:
        """The stream of this node's next increment, None when it is yet to be minted."""
        return self._state.writer.stream

    @property
    def members_fingerprint(self) -> int:
        """64 bits that are equal where member tables are."""
        return self._state.members.fingerprint

    @property
    def health_score(self) -> int:
        """Local health: 0 when this node notices no slowness of its own."""
        return self._state.health.score

    @property
    def agreeing(self) -> int:
        """How many live peers last showed the log's present fingerprint."""
        fingerprint = self._state.log.fingerprint
        return sum(shown.log == fingerprint for shown in self._state.shown_by.values())

    def since(self, name: str) -> float:
        """When a member's status became what it is, on the clock of `now`."""
        return self._state.members.since(name)

    def round_trip(self, name: str) -> float | None:
        """The smoothed round trip to a member, seconds."""
        return self._state.round_trips.mean(name)

    def events(self, key: bytes) -> set[KeyedEvent]:
        """What was counted under an idempotency key, as far as it is known in memory."""
        return self._state.log.events(key)

    def counted(self, stream: Stream, seq: int, counter: str | None = None) -> bool:
        """Whether an increment is counted here, as far as is known; exact with `counter`."""
        log = self._state.log
        if seq <= log.version(stream) or self._state.tail.has(stream, seq):
            return True
        return counter is not None and log.register(stream, counter)[0] >= seq

    def copies(self, token: int) -> int:
        """How many are known to hold the increment of a wish that waits."""
        return self._copies.count(token)

    def tail(self, limit: int | None = None) -> list[TailEntry]:
        """The last events seen, newest first; all that are remembered, or at most `limit`."""
        return self._state.tail.newest(limit)
