"""One gossipd node without I/O: bytes and times in, effects out.

Contract of every input:
1. `now` is seconds on any monotonic clock and never decreases between calls.
2. Bytes from the network never raise; what is not used comes back as `Dropped` with its reason.
   Only a caller's mistake raises.
3. After `handle_timeout(now)`, `next_timeout` is None or above `now`.
4. No `Send` is larger than `settings.datagram_size`.
5. The same constructor arguments and inputs give the same effects, byte for byte.
6. Should an input raise, what it has caused by then comes with the next one: parts of the node
   count on that it is done.

This module only routes: it knows which part an input is for, and nothing of how it is answered.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import TypeVarTuple

from gossipd.core.durability.acks import Demand
from gossipd.core.durability.committing import Reaction
from gossipd.core.durability.write_behind import Changes
from gossipd.core.log.sources import Put
from gossipd.core.log.writer import NOTHING_STORED, Batch, Stored
from gossipd.core.swim.detector import VOIDS_MAX
from gossipd.core.swim.plausible import Word
from gossipd.core.wire.decoding import decode, is_of_probes
from gossipd.core.wire.drops import Drop
from gossipd.core.wire.frame import QUESTION, Frame
from gossipd.core.wire.messages import MemberView, Status
from gossipd.core.wire.records import KeyRecord

from .dispatch import EXPIRE_INTERVAL, Dispatch
from .effects import Effect, KeysWanted, Questioned, Stalled, Token
from .following import Following
from .identity import GENERATION_MAX, Address, Stream, Tags
from .inspection import Inspection
from .parts import Parts
from .replies import Failure
from .results import Item
from .settings import Settings
from .snapshot import Snapshot
from .state import State
from .timers import Timer
from .turn import Turn

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

Given = TypeVarTuple("Given")


class Node(Inspection):
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
        state = State(own, settings, frame, rng, now, durable)
        super().__init__(state, Parts(state, disk_timeout))
        self._dispatch = Dispatch(state, self._parts)
        self.following = Following(state.recent, state.members)
        """For who wants to know of each change."""
        self._frame = frame
        self._now = now
        self._stalls = 0
        """Stalls in a row, with no timer in time between them."""
        self._spoke = ""
        """The name under which the last datagram was sent; empty: it was not used."""
        self._stalled = False
        self._open: Turn | None = None
        """The input that is being taken, or has raised."""

    # --- inputs of the operator and of clients -----------------------------------------------

    def start(self, alone: bool, now: float) -> list[Effect]:
        """Begin to probe. `alone`: there is nobody to join, so what is held is all there is."""
        turn = self._turn(now)
        self._parts.detector.start(turn)
        self._parts.readiness.start(alone, turn)
        self._state.means.timers.set(Timer.EXPIRE, now + EXPIRE_INTERVAL)
        self._parts.retention.start(turn)
        self._parts.storing.start(turn)
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
            if self._parts.membership.is_absurd(view, Word.OTHERS):
                continue
            if met or view.status > Status.SUSPECT:
                self._parts.membership.restore(view, turn, met)
            else:
                self._parts.introducing.keep(view, turn)
        self._state.write_behind.skip(snapshot, [view.name for view in self._state.newcomers.kept])
        return self._end(turn)

    def join(self, addresses: Sequence[Address], now: float) -> list[Effect]:
        """Ask whoever is at these addresses to take this node in."""
        return self._do(now, self._parts.joining.ask, list(addresses))

    def readdress(self, address: Address, now: float) -> list[Effect]:
        """This node is reached at another address from now on. It says so as after a restart
        there, with a larger generation, and asks members to take it in. Not if it has left, nor
        beyond the last generation."""
        turn = self._turn(now)
        own = self._state.members.own
        may = own.status is not Status.LEFT and own.generation < GENERATION_MAX
        if may and address != own.address:
            self._parts.joining.move(address, turn)
            self._parts.introducing.ask_anew(turn)
            self._parts.detector.restart(turn)
        return self._end(turn)

    def retag(self, tags: Tags, now: float) -> list[Effect]:
        """This node has other tags from now on, unless it has left."""
        return self._do(now, self._parts.own.retag, tags)

    def grow(self, limits: Settings) -> None:
        """Take those limits of the log that are larger in `limits`: nothing is evicted, so none
        can become smaller."""
        log, dedup = self._state.log, self._state.dedup
        log.streams_max = max(log.streams_max, limits.streams_max)
        log.registers_max = max(log.registers_max, limits.registers_max)
        log.doubles_max = max(log.doubles_max, int(limits.doubles_max))
        log.keys_max = max(log.keys_max, limits.keys_max)
        dedup.limit = max(dedup.limit, int(limits.key_limit))

    def cut_off(self, is_cut_off: bool, now: float) -> list[Effect]:
        """Whether this node's host has no way to any member. As long as that is so, nobody is
        blamed for being silent; afterwards members are asked at once."""
        turn = self._turn(now)
        if self._parts.detector.cut_off(is_cut_off, turn):
            self._parts.joining.ask_members(turn)
            self._parts.introducing.ask_anew(turn)
        return self._end(turn)

    def ask_members(self, now: float) -> list[Effect]:
        """Ask some members as a newcomer would: a `Joined` shows that this node is reached where
        it advertises to be, a `JoinDoubtful` that it is seen elsewhere."""
        return self._do(now, self._parts.joining.ask_members)

    def may_be_ready_alone(self, allowed: bool, now: float) -> list[Effect]:
        """Whether time may make this node ready although no peer shows itself, as it may from the
        beginning. Once that is allowed anew, the time begins anew, too."""
        return self._do(now, self._parts.readiness.may_be_alone, allowed)

    def nobody_to_join(self, now: float) -> list[Effect]:
        """After `start` it has turned out that there is nobody to join: where nothing is held of
        others either, what is held is all there is."""
        return self._do(now, self._parts.readiness.nobody_to_join)

    def leave(self, now: float, since: float | None = None) -> list[Effect]:
        """Take no more increments, commit those that wait, drain, say that this node has left, and
        end with a `Left` effect. `since`: when it was asked to, if that was earlier; its time runs
        from then."""
        return self._do(now, self._parts.committing.drain, now if since is None else since)

    def forget(self, name: str, now: float) -> list[Effect]:
        """Show a member that is not live nowhere any more; it may refute.

        Raises `KeyError` for a name not held and `ValueError` for a live member.
        """
        view = self._state.members.get(name)
        if view is None or view.status is Status.FORGOTTEN:
            raise KeyError(name)
        if view.status <= Status.SUSPECT:
            raise ValueError(f"{name} is {view.status.name.lower()}")
        return self._do(now, self._parts.membership.forget, name)

    def increment(
        self, token: Token, counter: str, by: int, key: bytes | None = None, count: int = 1
    ) -> Sequence[Reaction]:
        """Count `by` on `counter`; an `Answered` under `token` tells what became of it.

        `count`: so many times, in a row, without a key: a `Run` or `Several` tells of all, or what
        became of each of them.

        Both must be legal (see `identity`). `key`: its idempotency key (a UUID of any version but
        8, its 16 bytes).
        """
        return self._parts.committing.increment(token, counter, by, key, count)

    def increment_all(self, token: Token, items: Sequence[Item]) -> Sequence[Reaction]:
        """Count all of these (one at least), in parts: `AnsweredPart` tells of each; `Answered`
        where not one was looked at."""
        return self._parts.committing.increment_all(token, items)

    def put(self, token: Token, put: Put) -> Sequence[Reaction]:
        """Set a source; an `Answered` under `token` tells what became of it."""
        return self._parts.committing.put(token, put)

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
        return self._do(
            now, self._parts.copies.want, token, stream, seq, Demand(copies, memory), until
        )

    def await_included(
        self, token: int, stream: Stream, seq: int, counter: str | None, until: float, now: float
    ) -> list[Effect]:
        """Tell with `Included` as soon as this node counts an increment (see `counted`), or at
        `until` that it does not. `counter`: the one that is to be read, if that is known."""
        return self._do(now, self._parts.reads.want, token, stream, seq, counter, until)

    def give_up(self, token: int) -> None:
        """Nobody waits any more for the copies or the inclusion that was asked for under `token`;
        if they are still to be told of, they are not."""
        for waiting in (self._parts.copies, self._parts.reads):
            if waiting.waits(token):
                waiting.give_up(token)

    def stop_waiting(self, now: float) -> list[Effect]:
        """Nothing more will arrive: who waits for copies or inclusion is told what is known."""
        turn = self._turn(now)
        self._parts.copies.stop(turn)
        self._parts.reads.stop(turn)
        return self._end(turn)

    # --- inputs of the disk ------------------------------------------------------------------

    def commit(self, now: float, wall: float) -> list[Effect]:
        """All that was ready when `CommitSoon` was told has been taken in: begin with what waits.
        `wall` is seconds since the epoch."""
        return self._do(now, self._parts.committing.begin, wall)

    def committed(self, batch: Batch, now: float) -> list[Effect]:
        """A batch is durable: count it, answer, and tell others; an `Incremented` effect says
        what.

        A key in it may have been used elsewhere meanwhile: `Learned` says what that takes off.
        """
        return self._do(now, self._parts.committing.committed, batch)

    def commit_failed(self, failure: Failure, why: str, now: float) -> list[Effect]:
        """The batch under way could not be committed, as far as is known; or an input that had to
        do with it has raised (`Failure.MISTAKE`). Its stream ends."""
        return self._do(now, self._parts.committing.commit_failed, failure, why)

    def keys_found(self, question: int, stored: Stored, now: float, wall: float) -> list[Effect]:
        """What the disk knows of the keys of a `FindKeys`."""
        return self._do(now, self._parts.committing.keys_found, question, stored, wall)

    def keys_not_found(
        self, question: int, failure: Failure, why: str, now: float
    ) -> list[Effect]:
        """The disk could not tell what it knows of the keys of a `FindKeys`."""
        return self._do(now, self._parts.committing.keys_not_found, question, failure, why)

    def disk_hangs(self, now: float) -> list[Effect]:
        """The disk has not answered something for `disk_timeout` seconds."""
        return self._do(now, self._parts.committing.disk_hangs)

    def disk_answers(self, now: float) -> list[Effect]:
        """All that made the disk hang has been answered."""
        turn = self._turn(now)
        self._parts.committing.disk_answers()
        return self._end(turn)

    def save(self, now: float, most: int = PART_MAX) -> list[Effect]:
        """All that was ready when `SaveWanted` was told has been taken in: begin to store what
        has changed, at most so many records at a time."""
        return self._do(now, self._parts.storing.save, most)

    def saved(self, changes: Changes, now: float, twins: Stored = NOTHING_STORED) -> list[Effect]:
        """A part is on the disk: those who wait for that are answered.

        `twins`: of keys in it that the disk knows several events of, all of these.
        """
        turn = self._turn(now)
        self._parts.storing.saved(changes, turn)
        turn.learn(self._parts.learning.twins(twins, now))
        self._parts.holding.stored(turn)
        self._parts.copies.stored([stream for stream, _ in changes.versions], turn)
        return self._end(turn)

    def expired(self, now: float, wait: float = 0.0) -> list[Effect]:
        """An `Expire` is done; of what is left nothing expires for `wait` seconds."""
        return self._do(now, self._parts.storing.tidied, wait)

    def probed(self, now: float) -> list[Effect]:
        """A `Probe` is done."""
        return self._do(now, self._parts.storing.probed)

    def disk_failed(self, failure: Failure, why: str, now: float) -> list[Effect]:
        """A `Save`, an `Expire` or a `Probe` was not done: it is tried again."""
        return self._do(now, self._parts.storing.failed, failure, why)

    def save_rest(self, now: float) -> list[Effect]:
        """Store what there is once more, and no more after that; ends with `AllSaved`."""
        return self._do(now, self._parts.storing.end)

    def keys_read(
        self, wanted: KeysWanted, records: Sequence[KeyRecord], now: float
    ) -> list[Effect]:
        """Key records that a peer waits for have been read from the disk."""
        turn = self._turn(now)
        self._parts.slices.read()
        self._parts.serving.keys_read(wanted, records, turn)
        return self._end(turn)

    def keys_not_read(self) -> None:
        """They could not be read; the peer will ask again."""
        self._parts.slices.read()

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
            self._parts.detector.stall(turn)
        else:
            self._stalls = 0
        self._stalled = False
        while key := self._state.means.timers.pop(now):
            self._dispatch.fire(key, turn)
        return self._end(turn)

    def receive_datagram(self, data: bytes, source: Address, now: float) -> list[Effect]:
        """Take one datagram in; `source` is where it came from."""
        turn = self._turn(now, source)
        self._spoke = ""
        body = self._frame.open(data)
        if isinstance(body, bytes) and body.startswith(QUESTION):
            turn.emit(Questioned(source, body))
            return self._end(turn)
        envelope = decode(body) if isinstance(body, bytes) else body
        if isinstance(envelope, Drop):
            turn.drop(envelope)
            return self._end(turn)
        self._spoke, turn.size = envelope.sender, len(data)
        turn.tally.received[type(envelope.message)].add(turn.size)
        if envelope.unknown:
            turn.drop(Drop.UNKNOWN_FIELD)
        if not self._state.members.lives_at(source):
            self._state.amplification.received(source, turn.size)
        self._dispatch.receive(envelope, turn)
        return self._end(turn)

    def spoke_from(self, source: Address) -> bool:
        """Whether what was received last is of the member that has proven to be at `source`:
        whoever heard it on its way can send it from anywhere."""
        return self._state.members.has_proven(self._spoke, source)

    def is_urgent(self, data: bytes) -> bool:
        """Whether a datagram should be taken in before others, for somebody may be blamed if it
        is late: a probe or an answer to one."""
        body = self._frame.peek(data)
        return isinstance(body, bytes) and is_of_probes(body)

    def _turn(self, now: float, source: Address = ("", 0)) -> Turn:
        self._advance(now)
        broken = self._open
        turn = self._state.turn(now, source, broken.effects if broken else None)
        if broken is not None:
            turn.save_wanted = broken.save_wanted
        self._open = turn
        due, stall_after = self.next_timeout, self._state.means.settings.stall_after
        if due is not None and now - due > stall_after and not self._stalled:
            self._notice_stall(due, turn)
        return turn

    def _do(
        self, now: float, act: Callable[[*Given, Turn], object], *given: *Given
    ) -> list[Effect]:
        """A turn in which one part is told one thing."""
        turn = self._turn(now)
        act(*given, turn)
        return self._end(turn)

    def _end(self, turn: Turn) -> list[Effect]:
        if turn.save_wanted:
            self._parts.storing.want(turn)
        self._parts.reads.look(turn)
        self._open = None
        return turn.effects

    def _notice_stall(self, due: float, turn: Turn) -> None:
        """Before anything else, as what begins after the stall is not to be moved by it."""
        turn.emit(Stalled(turn.now - due))
        self._stalled = True
        self._stalls += 1
        if self._stalls <= VOIDS_MAX:
            self._state.means.timers.postpone(_WAITS, turn.now - due)
        self._parts.suspecting.stall(due, turn)

    def _advance(self, now: float) -> None:
        assert now >= self._now, "time went back"
        self._now = now
