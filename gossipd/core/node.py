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

from gossipd.core.durability.acks import CopiesWanted, Demand
from gossipd.core.durability.committing import Committing, Reaction, Wanted
from gossipd.core.durability.disk_health import Disk
from gossipd.core.durability.holding import Holding
from gossipd.core.durability.read_barrier import Reads
from gossipd.core.durability.retention import Retention
from gossipd.core.durability.storing import Storing
from gossipd.core.durability.write_behind import Changes
from gossipd.core.gossip.dissemination import Dissemination
from gossipd.core.log.keys import KeyedEvent
from gossipd.core.log.learning import Learning
from gossipd.core.log.log import Log
from gossipd.core.log.recent import RecentEvent
from gossipd.core.log.sources import Put
from gossipd.core.log.writer import NOTHING_STORED, Batch, Stored
from gossipd.core.repair.answering import Answering
from gossipd.core.repair.log_repair import LogRepair
from gossipd.core.repair.member_repair import MemberRepair
from gossipd.core.repair.slices import Slices
from gossipd.core.swim.detector import VOIDS_MAX, Detector
from gossipd.core.swim.introducing import Introducing
from gossipd.core.swim.joining import Joining
from gossipd.core.swim.leaving import Leaving
from gossipd.core.swim.membership import Membership
from gossipd.core.swim.merging import ClusterMerge
from gossipd.core.swim.name_conflict import NameConflict
from gossipd.core.swim.pings import Purpose
from gossipd.core.swim.plausible import Word
from gossipd.core.swim.readiness import Readiness
from gossipd.core.swim.senders import Senders
from gossipd.core.wire.decoding import decode, is_of_probes
from gossipd.core.wire.drops import Drop
from gossipd.core.wire.frame import Frame
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

from .effects import (
    Effect,
    KeysWanted,
    Send,
    Stalled,
)
from .identity import GENERATION_MAX, Address, Stream
from .replies import Failure
from .settings import Settings
from .snapshot import Snapshot
from .state import State, begin
from .timers import Key, Timer
from .turn import Turn

EXPIRE_INTERVAL = 60.0

PART_MAX = 2000
"""Records that are stored at a time: some milliseconds."""

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
        disk_timeout: float = 5.0,
    ) -> None:
        """`rng` also mints streams and secrets: in production it must be `random.SystemRandom`.

        `durable`: the caller has a disk, and does with it what effects say.
        `disk_timeout`: seconds after which the caller tells that the disk hangs.
        """
        self._state = s = begin(own, settings, frame, rng, now, durable)
        self._frame = frame
        self._now = now
        self._stalls = 0
        """Stalls in a row, with no timer in time between them."""
        self._stalled = False
        self._retention = Retention(s.means, s.log, s.dedup, s.write_behind)
        self._learning = Learning(s.log, s.writer, self._retention.accepted)
        self._gossiping = Dissemination(
            s.means,
            s.members,
            s.member_queue,
            s.log_queue,
            s.packet_builder,
            s.growth,
            self._learning,
        )
        self._build_detection(s)
        self._build_repair(s)
        self._build_joining(s)
        self._holding = Holding(s.log, s.write_behind, s.life, self._gossiping, self._repair)
        self._copies = CopiesWanted(
            s.means, s.members, s.log, s.packet_builder, s.questions, s.round_trips
        )
        self._reads = Reads(s.log, s.recent, s.means.timers)
        disk, durable_parts = Disk(), (s.means, s.log, s.writer, s.dedup, s.recent)
        self._committing = Committing(
            *durable_parts, self._gossiping, self._leaving, disk, disk_timeout
        )
        self._storing = Storing(s.write_behind, disk, s.means.timers, durable=durable)

    def _build_detection(self, s: State) -> None:
        self._rival = NameConflict(s.means, s.life)
        self._membership = Membership(
            s.means,
            s.members,
            s.newcomers,
            s.round_trips,
            s.health,
            s.plausible,
            s.rumours,
            s.life,
            s.showing,
            self._gossiping,
            self._rival,
        )
        self._senders = Senders(s.members, s.questions, s.elsewhere, s.life, self._membership)
        self._detector = Detector(
            s.means,
            s.members,
            s.questions,
            s.round_trips,
            s.health,
            s.rumours,
            s.rounds,
            s.life,
            s.showing,
            self._membership,
        )
        self._readiness = Readiness(
            s.means, s.members, s.newcomers, s.log, s.life, s.showing, self._detector
        )

    def _build_repair(self, s: State) -> None:
        self._serving = Slices(s.means.timers)
        answering = Answering(s.log, s.members, s.packet_builder, s.means.settings.key_window)
        self._repair = LogRepair(
            s.means,
            s.members,
            s.log,
            s.packet_builder,
            s.questions,
            s.health,
            s.life,
            self._learning,
            self._gossiping,
            self._readiness,
            self._retention,
            answering,
            self._serving,
        )
        self._meeting = ClusterMerge(s.members, s.newcomers, s.log)
        self._member_repair = MemberRepair(
            s.means,
            s.members,
            s.newcomers,
            s.member_queue,
            s.questions,
            s.health,
            s.showing,
            self._membership,
            self._meeting,
            answering,
            self._serving,
        )

    def _build_joining(self, s: State) -> None:
        self._joining = Joining(
            s.means,
            s.members,
            s.questions,
            s.amplification,
            s.plausible,
            s.elsewhere,
            s.life,
            s.showing,
            self._membership,
            self._detector,
            self._rival,
            self._readiness,
        )
        self._introducing = Introducing(
            s.means, s.members, s.newcomers, s.life, self._membership, self._joining
        )
        self._leaving = Leaving(
            s.means, s.members, s.log, s.packet_builder, s.questions, s.life, self._membership
        )

    # --- inputs of the operator and of clients -----------------------------------------------

    def start(self, alone: bool, now: float) -> list[Effect]:
        """Begin to probe. `alone`: there is nobody to join, so what is held is all there is."""
        turn = self._turn(now)
        self._detector.start(turn)
        self._readiness.start(alone, turn)
        self._state.means.timers.set(Timer.EXPIRE, now + EXPIRE_INTERVAL)
        self._retention.start(turn)
        self._storing.start(turn)
        return self._end(turn)

    def load(self, snapshot: Snapshot, now: float, *, met: bool = False) -> list[Effect]:
        """Join what an earlier life has kept, but for absurd members, which an attack has left;
        before `start`.

        `met`: its members are those of a cluster that is there, not only of one that was.
        """
        turn = self._turn(now)
        expires = now + self._state.means.settings.key_retention
        self._state.log.load(snapshot.streams, now, expires)
        dedup = self._state.dedup
        dedup.horizon = max(dedup.horizon, snapshot.horizon)
        for view in snapshot.members:
            if view.name == self._state.members.own.name:
                continue
            if self._membership.is_absurd(view, Word.OTHERS):
                continue
            if met or view.status > Status.SUSPECT:
                self._membership.restore(view, turn, met)
            else:
                self._introducing.keep(view, turn)
        self._state.write_behind.skip(snapshot, [view.name for view in self._state.newcomers.kept])
        return self._end(turn)

    def join(self, addresses: Sequence[Address], now: float) -> list[Effect]:
        """Ask whoever is at these addresses to take this node in."""
        turn = self._turn(now)
        self._joining.ask(list(addresses), turn)
        return self._end(turn)

    def readdress(self, address: Address, now: float) -> list[Effect]:
        """This node is reached at another address from now on. It says so as after a restart
        there, with a larger generation, and asks members to take it in. Not if it has left, nor
        beyond the last generation."""
        turn = self._turn(now)
        own = self._state.members.own
        may = own.status is not Status.LEFT and own.generation < GENERATION_MAX
        if may and address != own.address:
            self._joining.move(address, turn)
            self._introducing.ask_anew(turn)
            self._detector.restart(turn)
        return self._end(turn)

    def cut_off(self, is_cut_off: bool, now: float) -> list[Effect]:
        """Whether this node's host has no way to any member. As long as that is so, nobody is
        blamed for being silent; afterwards members are asked at once."""
        turn = self._turn(now)
        if self._detector.cut_off(is_cut_off, turn):
            self._joining.ask_members(turn)
            self._introducing.ask_anew(turn)
        return self._end(turn)

    def ask_members(self, now: float) -> list[Effect]:
        """Ask some members as a newcomer would: a `Joined` shows that this node is reached where
        it advertises to be, a `JoinDoubtful` that it is seen elsewhere."""
        turn = self._turn(now)
        self._joining.ask_members(turn)
        return self._end(turn)

    def may_be_ready_alone(self, allowed: bool, now: float) -> list[Effect]:
        """Whether time may make this node ready although no peer shows itself, as it may from the
        beginning. Once that is allowed anew, the time begins anew, too."""
        turn = self._turn(now)
        self._readiness.may_be_alone(allowed, turn)
        return self._end(turn)

    def nobody_to_join(self, now: float) -> list[Effect]:
        """After `start` it has turned out that there is nobody to join: where nothing is held of
        others either, what is held is all there is."""
        turn = self._turn(now)
        self._readiness.nobody_to_join(turn)
        return self._end(turn)

    def leave(self, now: float, since: float | None = None) -> list[Effect]:
        """Take no more increments, commit those that wait, drain, say that this node has left, and
        end with a `Left` effect. `since`: when it was asked to, if that was earlier; its time runs
        from then."""
        turn = self._turn(now)
        self._committing.drain(now if since is None else since, turn)
        return self._end(turn)

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
        return self._end(turn)

    def is_doubtful(self, key: bytes, wall: float) -> bool:
        """Whether only the disk may know an idempotency key: look there before `prepare`."""
        return self._state.log.keeps_marks and self._state.dedup.is_doubtful(key, wall)

    def increment(
        self, token: int, counter: str, by: int, key: bytes | None = None
    ) -> Sequence[Reaction]:
        """Count `by` on `counter`; an `Answered` under `token` tells what became of it.

        Both must be legal (see `identity`). `key`: its idempotency key (a UUID of any version but
        8, its 16 bytes).
        """
        return self._committing.increment(token, counter, by, key)

    def increment_all(self, token: int, items: Sequence[Wanted]) -> Sequence[Reaction]:
        """Count all of these (one at least), in parts: `AnsweredPart` tells of each; `Answered`
        where not one was looked at."""
        return self._committing.increment_all(token, items)

    def put(self, token: int, put: Put) -> Sequence[Reaction]:
        """Set a source; an `Answered` under `token` tells what became of it."""
        return self._committing.put(token, put)

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
        return self._end(turn)

    def await_included(
        self, token: int, stream: Stream, seq: int, counter: str | None, until: float, now: float
    ) -> list[Effect]:
        """Tell with `Included` as soon as this node counts an increment (see `counted`), or at
        `until` that it does not. `counter`: the one that is to be read, if that is known."""
        turn = self._turn(now)
        self._reads.want(token, stream, seq, counter, until, turn)
        return self._end(turn)

    def give_up(self, token: int) -> None:
        """Nobody waits any more for the copies or the inclusion that was asked for under `token`;
        if they are still to be told of, they are not."""
        for waiting in (self._copies, self._reads):
            if waiting.waits(token):
                waiting.give_up(token)

    def stop_waiting(self, now: float) -> list[Effect]:
        """Nothing more will arrive: who waits for copies or inclusion is told what is known."""
        turn = self._turn(now)
        self._copies.stop(turn)
        self._reads.stop(turn)
        return self._end(turn)

    # --- inputs of the disk ------------------------------------------------------------------

    def commit(self, now: float, wall: float) -> list[Effect]:
        """All that was ready when `CommitSoon` was told has been taken in: begin with what waits.
        `wall` is seconds since the epoch."""
        turn = self._turn(now)
        self._committing.begin(wall, turn)
        return self._end(turn)

    def committed(self, batch: Batch, now: float) -> list[Effect]:
        """A batch is durable: count it, answer, and tell others; an `Incremented` effect says
        what.

        A key in it may have been used elsewhere meanwhile: `Learned` says what that takes off.
        """
        turn = self._turn(now)
        self._committing.committed(batch, turn)
        return self._end(turn)

    def commit_failed(self, failure: Failure, why: str, now: float) -> list[Effect]:
        """The batch under way could not be committed, as far as is known; or an input that had to
        do with it has raised (`Failure.MISTAKE`). Its stream ends."""
        turn = self._turn(now)
        self._committing.commit_failed(failure, why, turn)
        return self._end(turn)

    def keys_found(self, question: int, stored: Stored, now: float, wall: float) -> list[Effect]:
        """What the disk knows of the keys of a `FindKeys`."""
        turn = self._turn(now)
        self._committing.keys_found(question, stored, wall, turn)
        return self._end(turn)

    def keys_not_found(
        self, question: int, failure: Failure, why: str, now: float
    ) -> list[Effect]:
        """The disk could not tell what it knows of the keys of a `FindKeys`."""
        turn = self._turn(now)
        self._committing.keys_not_found(question, failure, why, turn)
        return self._end(turn)

    def disk_hangs(self, now: float) -> list[Effect]:
        """The disk has not answered something for `disk_timeout` seconds."""
        turn = self._turn(now)
        self._committing.disk_hangs(turn)
        return self._end(turn)

    def disk_answers(self, now: float) -> list[Effect]:
        """All that made the disk hang has been answered."""
        turn = self._turn(now)
        self._committing.disk_answers()
        return self._end(turn)

    def save(self, now: float, most: int = PART_MAX) -> list[Effect]:
        """All that was ready when `SaveWanted` was told has been taken in: begin to store what
        has changed, at most so many records at a time."""
        turn = self._turn(now)
        self._storing.save(most, turn)
        return self._end(turn)

    def saved(self, changes: Changes, now: float, twins: Stored = NOTHING_STORED) -> list[Effect]:
        """A part is on the disk: those who wait for that are answered.

        `twins`: of keys in it that the disk knows several events of, all of these.
        """
        turn = self._turn(now)
        turn.learn(self._learning.twins(twins, now))
        self._storing.saved(changes, turn)
        self._holding.stored(turn)
        self._copies.go_on(turn)
        return self._end(turn)

    def save_failed(
        self, changes: Changes, failure: Failure, why: str, now: float
    ) -> list[Effect]:
        """A part could not be stored: it is taken again."""
        turn = self._turn(now)
        self._storing.save_failed(changes, failure, why, turn)
        return self._end(turn)

    def expired(self, now: float) -> list[Effect]:
        """An `Expire` is done."""
        turn = self._turn(now)
        self._storing.tidied(turn)
        return self._end(turn)

    def probed(self, now: float) -> list[Effect]:
        """A `Probe` is done."""
        turn = self._turn(now)
        self._storing.probed(turn)
        return self._end(turn)

    def disk_failed(self, failure: Failure, why: str, now: float) -> list[Effect]:
        """An `Expire` or a `Probe` was not done."""
        turn = self._turn(now)
        self._storing.failed(failure, why, turn)
        return self._end(turn)

    def save_rest(self, now: float) -> list[Effect]:
        """Store what there is once more, and no more after that; ends with `AllSaved`."""
        turn = self._turn(now)
        self._storing.end(turn)
        return self._end(turn)

    def keys_read(
        self, wanted: KeysWanted, records: Sequence[KeyRecord], now: float
    ) -> list[Effect]:
        """Key records that a peer waits for have been read from the disk."""
        turn = self._turn(now)
        self._serving.read()
        self._repair.keys_read(wanted, records, turn)
        return self._end(turn)

    def keys_not_read(self) -> None:
        """They could not be read; the peer will ask again."""
        self._serving.read()

    # --- inputs of the world -----------------------------------------------------------------

    def see_clocks(self, now: float, wall: float) -> None:
        """Both clocks, from time to time: `wall` is seconds since the epoch."""
        self._advance(now)
        self._state.dedup.see_clocks(now, wall)
        self._state.plausible.see_clock(wall)

    @property
    def next_timeout(self) -> float | None:
        """When `handle_timeout` wants to be called, on the clock of `now`."""
        return self._state.means.timers.next

    def handle_timeout(self, now: float) -> list[Effect]:
        """Do whatever is due at `now`."""
        turn = self._turn(now)
        if self._stalled:
            # What came in the meantime has been read by now: what is open still proves nothing.
            self._detector.stall(turn)
        else:
            self._stalls = 0
        self._stalled = False
        while key := self._state.means.timers.pop(now):
            self._fire(key, turn)
        return self._end(turn)

    def receive_datagram(self, data: bytes, source: Address, now: float) -> list[Effect]:
        """Take one datagram in; `source` is where it came from."""
        turn = self._turn(now, source)
        if data in (b"ping", b"ping\n", b"ping\r\n"):
            turn.emit(Send(data.replace(b"ping", b"pong"), source))
            return self._end(turn)
        body = self._frame.open(data)
        envelope = decode(body) if isinstance(body, bytes) else body
        if isinstance(envelope, Drop):
            turn.drop(envelope)
            return self._end(turn)
        if envelope.unknown:
            turn.drop(Drop.UNKNOWN_FIELD)
        if not self._state.members.is_proven(source):
            self._state.amplification.received(source, len(data))
        self._receive(envelope, len(data), turn)
        return self._end(turn)

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
        own = self._state.members.own
        message = envelope.message
        if self._state.plausible.is_absurd(envelope.generation, envelope.incarnation, Word.OWN):
            turn.drop(Drop.ABSURD)
            return
        if isinstance(message, Join) and self._joining.came_back(envelope.sender, message, turn):
            return
        if self._senders.is_own(envelope, turn.source):
            turn.drop(Drop.OWN)
        elif isinstance(message, Join):
            self._receive_join(envelope, message, size, turn)
        elif isinstance(message, Cookie | Welcome | Refuse):
            # Before namesakes: the holder of this node's name answers its join like anybody.
            self._receive_answer_to_join(envelope, message, turn)
        elif envelope.sender == own.name:
            self._senders.namesake_spoke(envelope, turn)
        elif self._senders.is_member(envelope, turn):
            for group in envelope.groups:
                self._gossiping.heard(group, turn)
            self._dispatch(message, envelope, turn)
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
        if isinstance(message, Ping) and message.target == self._state.members.own.name:
            self._readiness.called(turn)
        self._joining.challenge(envelope.sender, nonce, turn.reply_to, turn)

    def _receive_join(self, envelope: Envelope, join: Join, size: int, turn: Turn) -> None:
        if self._state.life.leaving:
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
                    self._senders.found(envelope, address, turn)
                    urgent = not self._state.life.ready or self._meeting.peer == envelope.sender
                    self._show(shown, envelope.sender, turn, urgent)
            case _:
                assert_never(message)

    def _dispatch(self, message: MemberMessage, envelope: Envelope, turn: Turn) -> None:  # noqa: C901  a table
        sender = envelope.sender
        match message:
            case Ping():
                if self._detector.pinged(message, sender, turn):
                    self._show(message.shown, sender, turn, answers=False)
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
        if self._state.members.has_proven(sender, turn.reply_to) and self._is_live(sender):
            return True
        turn.drop(Drop.UNPROVEN)
        return False

    def _is_live(self, name: str) -> bool:
        view = self._state.members.get(name)
        return view is not None and view.status <= Status.SUSPECT

    def _answered(self, nonce: int, sender: str, turn: Turn) -> bool:
        """An ack came; False unless it answers a ping to that very member."""
        flight = self._detector.acked(nonce, sender, turn)
        if flight is not None and flight.purpose is Purpose.NAME_CHECK:
            self._joining.name_answered(sender, turn)
        return flight is not None

    def _show(
        self, shown: Shown, sender: str, turn: Turn, urgent: bool = False, *, answers: bool = True
    ) -> None:
        """A member showed its state: repair what differs. `answers`: to a question of this node;
        only that may make it ready."""
        state = self._state
        if not self._is_live(sender):
            return
        state.showing.by[sender] = shown
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
            case Timer.AFTER:
                self._reads.expired(int(about), turn)
            case Timer.INTRODUCE:
                self._introducing.due(about, turn)
            case Timer.EXPIRE:
                self._membership.expire(turn)
                self._state.means.timers.set(Timer.EXPIRE, turn.now + EXPIRE_INTERVAL)
            case Timer.KEYS:
                self._retention.drop(turn)
            case Timer.ANSWER:
                self._serving.go_on(turn)
            case Timer.SAVE:
                self._storing.want(turn)
            case Timer.REOPEN:
                self._committing.reopen()
            case Timer.DRAIN:
                self._committing.drained_too_long(turn)
            case Timer.DOUBLES:
                turn.learn(self._state.log.catch_up())
            case _:
                assert_never(timer)

    def _turn(self, now: float, source: Address = ("", 0)) -> Turn:
        self._advance(now)
        turn = self._state.turn(now, source)
        due = self._state.means.timers.next
        if (
            due is not None
            and now - due > self._state.means.settings.stall_after
            and not self._stalled
        ):
            self._notice_stall(due, turn)
        return turn

    def _end(self, turn: Turn) -> list[Effect]:
        if turn.save_wanted:
            self._storing.want(turn)
        self._reads.look(turn)
        return turn.effects

    def _notice_stall(self, due: float, turn: Turn) -> None:
        """Before anything else, as what begins after the stall is not to be moved by it."""
        turn.emit(Stalled(turn.now - due))
        self._stalled = True
        self._stalls += 1
        if self._stalls <= VOIDS_MAX:
            self._state.means.timers.postpone(_WAITS, turn.now - due)
        self._membership.stall(due, turn)

    def _advance(self, now: float) -> None:
        assert now >= self._now, "time went back"
        self._now = now

    # --- queries -----------------------------------------------------------------------------

    @property
    def own(self) -> MemberView:
        """What this node says of itself."""
        return self._state.members.own

    @property
    def heard_at(self) -> float:
        """When a member last answered a question of this node, on the clock of `now`."""
        return self._state.life.heard_at

    @property
    def ready(self) -> bool:
        """Whether counts are complete as far as this node can know."""
        return self._state.life.ready

    @property
    def listens(self) -> bool:
        """Whether it has nobody to join, and it is yet to turn out that nobody holds it as a
        member."""
        return self._readiness.listens

    @property
    def leaving(self) -> bool:
        """Whether a leave has begun."""
        return self._state.life.leaving

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
        return [self._state.members.held(name).address for name in members.live[:limit]]

    @property
    def live_count(self) -> int:
        """Live members, this node included."""
        return self._state.members.live_count

    def snapshot(self, now: float) -> Snapshot:
        """What the next life of this node may `load`."""
        return self._state.snapshot(now)

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
        return sum(shown.log == fingerprint for shown in self._state.showing.by.values())

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
        return self._reads.includes(stream, seq, counter)

    def copies(self, token: int) -> int:
        """How many are known to hold the increment of a wish that waits."""
        return self._copies.count(token)

    def recent(self, limit: int | None = None) -> list[RecentEvent]:
        """The last events seen, newest first; all that are remembered, or at most `limit`."""
        return self._state.recent.newest(limit)
