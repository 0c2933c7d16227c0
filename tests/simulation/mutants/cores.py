"""Broken variants of single functions of the core. They reach into what they break."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from random import Random
from typing import Any, TypeAlias
from uuid import UUID

import pytest

from gossipd.core import (
    Batch,
    Effect,
    MemberView,
    Node,
    Snapshot,
    Status,
    hashing,
    identity,
)
from gossipd.core.durability.acks import CopiesWanted, _Question
from gossipd.core.durability.holders import Peer
from gossipd.core.durability.holding import Holding
from gossipd.core.durability.write_behind import Changes, WriteBehind
from gossipd.core.identity import Address, Stream
from gossipd.core.log import writer
from gossipd.core.log.digest import Trie
from gossipd.core.log.keys import Keys
from gossipd.core.log.learning import Learning
from gossipd.core.log.log import Log
from gossipd.core.log.passes import Pass
from gossipd.core.log.recent import RecentEvents
from gossipd.core.log.registers import Advance
from gossipd.core.log.writer import Accepted, Result, Writer
from gossipd.core.repair.differing import Differing
from gossipd.core.repair.log_repair import LogRepair
from gossipd.core.swim.detector import Detector
from gossipd.core.swim.leaving import Leaving
from gossipd.core.swim.members import Change, MemberTable
from gossipd.core.swim.membership import Membership
from gossipd.core.swim.own_view import OwnView
from gossipd.core.swim.reason import Reason
from gossipd.core.turn import Turn
from gossipd.core.wire import encoding
from gossipd.core.wire.messages import Held, Hold
from gossipd.core.wire.records import Leaf, Page, Register
from tests.simulation.faulty.world import Disk, Outcome, World

Break: TypeAlias = Callable[[pytest.MonkeyPatch], None]

_CORE = "gossipd.core"


def nothing(*_: object, **__: object) -> None:
    """Stands for whatever is left out."""


# --- streams, ids and registers ------------------------------------------------------------------


def one_stream_for_all(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(f"{_CORE}.log.writer.new_stream", lambda rng: bytes(9) + b"\1")


def clones_unheard(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Writer, "heard_more_of", nothing)


def seq_off_by_one_on_the_wire(patch: pytest.MonkeyPatch) -> None:
    def pack(register: Register) -> encoding.Packed:
        counter, seq, total = register
        return encoding.pack_record((counter, seq + 1, total))

    patch.setattr(f"{_CORE}.log.groups.pack_record", pack)


def sign_lost_on_the_wire(patch: pytest.MonkeyPatch) -> None:
    def pack(register: Register) -> encoding.Packed:
        counter, seq, total = register
        return encoding.pack_record((counter, seq, abs(total)))

    patch.setattr(f"{_CORE}.log.groups.pack_record", pack)


def totals_of_the_event_alone(patch: pytest.MonkeyPatch) -> None:
    sound = Log.merge

    def merge(
        self: Log, stream: Stream, registers: Iterable[Register], **how: bool
    ) -> list[Advance] | None:
        alone = [(c, seq, total - self.register(stream, c)[1]) for c, seq, total in registers]
        return sound(self, stream, alone, **how)

    patch.setattr(Log, "merge", merge)


def other_variant_of_uuid(patch: pytest.MonkeyPatch) -> None:
    sound = identity.increment_id

    def increment_id(stream: Stream, seq: int) -> UUID:
        return UUID(int=sound(stream, seq).int | 1 << 62)

    patch.setattr(identity, "increment_id", increment_id)


def streams_of_any_kind(patch: pytest.MonkeyPatch) -> None:
    def new_stream(rng: Random) -> Stream:
        return (rng.getrandbits(73) | 1 << 73).to_bytes(10, "big")

    patch.setattr(f"{_CORE}.log.writer.new_stream", new_stream)


# --- claims --------------------------------------------------------------------------------------


def one_more_claimed(patch: pytest.MonkeyPatch) -> None:
    sound = Log.claim

    def claim(self: Log, stream: Stream, version: int) -> bool:
        return sound(self, stream, version + 1)

    patch.setattr(Log, "claim", claim)


def groups_claim_what_they_leave_out(patch: pytest.MonkeyPatch) -> None:
    sound = encoding.pack_group

    def pack_group(stream: Stream, start: int, to: int, packed: list[bytes]) -> bytes:
        return sound(stream, 0, to, packed)

    patch.setattr(f"{_CORE}.gossip.queues.pack_group", pack_group)


def groups_claim_whatever_was_held(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Learning, "_may_claim", lambda *_: True)


def passes_claim_before_their_end(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Pass, "complete", property(lambda self: self.claim is not None))


def passes_use_pages_from_further_on(patch: pytest.MonkeyPatch) -> None:
    sound = Pass.use

    def use(self: Pass, page: Page) -> bool:
        return sound(self, page._replace(start=self.start))

    patch.setattr(Pass, "use", use)


def passes_skip_gaps(patch: pytest.MonkeyPatch) -> None:
    sound = Keys.runs

    def runs(self: Keys, stream: Stream, above: int) -> Iterator[tuple[int, int]]:
        found = list(sound(self, stream, above))
        yield from [(above + 1, found[-1][1])] if found else []

    patch.setattr(Keys, "runs", runs)


def versions_rise_over_gaps(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Log, "run_end", Log.newest)


def versions_rise_over_what_is_not_present(patch: pytest.MonkeyPatch) -> None:
    def run_end(self: Log, stream: Stream) -> int:
        upto = self.version(stream)
        for record in self.keys.oldest_first(stream, upto, 0.0):
            if record.seq > upto + 1:
                break
            upto = record.seq
        return upto

    patch.setattr(Log, "run_end", run_end)


def passes_claim_the_largest_version(patch: pytest.MonkeyPatch) -> None:
    sound = Pass.use

    def use(self: Pass, page: Page) -> bool:
        used = sound(self, page)
        self.claim = max(self.claim or 0, page.version)
        return used

    patch.setattr(Pass, "use", use)


# --- joins ---------------------------------------------------------------------------------------


def put(log: Log, stream: Stream, register: Register, before: tuple[int, int]) -> Advance:
    """A register takes another one's place, whichever is larger."""
    held = log._streams[stream]
    log._sum(stream, held, log._hash_put(stream, register, before))
    return log._put(stream, held, register, before)


def the_last_register_wins(patch: pytest.MonkeyPatch) -> None:
    sound = Log.merge

    def merge(
        self: Log, stream: Stream, registers: Iterable[Register], **how: bool
    ) -> list[Advance] | None:
        advances: list[Advance] = []
        for register in registers:
            before = self.register(stream, register[0])
            if before in ((0, 0), register[1:]):
                advances += sound(self, stream, [register], **how) or []
            else:
                advances.append(put(self, stream, register, before))
        return advances

    patch.setattr(Log, "merge", merge)


def the_last_claim_wins(patch: pytest.MonkeyPatch) -> None:
    sound = Log.claim

    def claim(self: Log, stream: Stream, version: int) -> bool:
        held = self._streams.get(stream)
        if held is not None and 0 < version < held.version:
            delta = hashing.wide_hash("v", stream, version)
            self._trie.add(stream, delta - hashing.wide_hash("v", stream, held.version))
            held.version = version
        return sound(self, stream, version)

    patch.setattr(Log, "claim", claim)


def registers_count_again(patch: pytest.MonkeyPatch) -> None:
    sound = Log.merge

    def merge(
        self: Log, stream: Stream, registers: Iterable[Register], **how: bool
    ) -> list[Advance] | None:
        registers = tuple(registers)
        for counter, seq, total in registers:
            if self.register(stream, counter) == (seq, total):
                self._values[counter] += total
        return sound(self, stream, registers, **how)

    patch.setattr(Log, "merge", merge)


def the_last_view_wins(patch: pytest.MonkeyPatch) -> None:
    sound = MemberTable.merge

    def merge(self: MemberTable, view: MemberView, now: float, **kept: bool) -> Change | None:
        before = self.get(view.name)
        change = sound(self, view, now, **kept)
        if change is None and before is not None and before.status is not view.status:
            self._store(view, now, now, met=True, known=True, proven=True)
            return Change(view, before)
        return change

    patch.setattr(MemberTable, "merge", merge)


def status_first(patch: pytest.MonkeyPatch) -> None:
    def rank(view: MemberView) -> tuple[int, Address, int, int]:
        return view.generation, view.address, view.status, view.incarnation

    for module in ("members", "membership", "newcomers", "introducing"):
        patch.setattr(f"{_CORE}.swim.{module}.rank", rank)


def the_failed_go_at_once(patch: pytest.MonkeyPatch) -> None:
    sound = MemberTable.expire

    def expire(self: MemberTable, now: float, *others: Any) -> list[MemberView]:
        return sound(self, now + 500, *others)

    patch.setattr(MemberTable, "expire", expire)


def verdicts_go_at_half_their_life(patch: pytest.MonkeyPatch) -> None:
    sound = MemberTable.expire

    def expire(self: MemberTable, now: float, *others: Any) -> list[MemberView]:
        return sound(self, now + self._remember / 2, *others)

    patch.setattr(MemberTable, "expire", expire)


# --- sums ----------------------------------------------------------------------------------------


def _summing_otherwise(patch: pytest.MonkeyPatch, wrong: Callable[[int, int], int]) -> None:
    """`wrong` gets (seq before, what an event added) and gives what to add to the value, too."""
    sound = Log._put

    def put(
        self: Log, stream: Stream, held: object, register: Register, before: tuple[int, int]
    ) -> Advance:
        advance = sound(self, stream, held, register, before)  # type: ignore[arg-type]
        self._values[register[0]] += wrong(before[0], advance.by)
        return advance

    patch.setattr(Log, "_put", put)


def events_count_twice(patch: pytest.MonkeyPatch) -> None:
    _summing_otherwise(patch, lambda before, by: by)


def only_the_first_event_counts(patch: pytest.MonkeyPatch) -> None:
    _summing_otherwise(patch, lambda before, by: -by if before else 0)


def some_in_a_row_are_told_as_one_event(patch: pytest.MonkeyPatch) -> None:
    sound = writer._run
    patch.setattr(writer, "_run", lambda *given: list(sound(*given))[-1:])


def some_in_a_row_count_once(patch: pytest.MonkeyPatch) -> None:
    def add_run(self: writer._Draft, counter: str, by: int, count: int) -> Result:
        done = self.add(counter, by)
        self.seq += count - 1
        self.rows[counter].seq = self.seq
        return done._replace(times=count) if isinstance(done, Accepted) else done

    patch.setattr(writer._Draft, "add_run", add_run)


def sums_that_only_grow(patch: pytest.MonkeyPatch) -> None:
    sound = Trie.add

    def add(self: Trie, stream: Stream, delta: int) -> None:
        if delta > 0:
            sound(self, stream, delta)

    patch.setattr(Trie, "add", add)


def deep_sums_shifted(patch: pytest.MonkeyPatch) -> None:
    sound = Trie.sums

    def sums(self: Trie, depth: int, prefix: int) -> tuple[int, ...]:
        right = sound(self, depth, prefix)
        return right if depth < 2 else right[1:] + right[:1]

    patch.setattr(Trie, "sums", sums)


def hashes_without_totals(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        f"{_CORE}.log.registers.wide_hash", lambda *fields: hashing.wide_hash(*fields[:4])
    )


def hashes_without_status(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        f"{_CORE}.swim.members.wide_hash",
        lambda *fields: hashing.wide_hash(*fields[:6], 0, *fields[7:]),
    )


def a_salt_in_every_fingerprint(patch: pytest.MonkeyPatch) -> None:
    salts: dict[Trie, int] = {}
    sound = vars(Trie)["root"]

    def root(self: Trie) -> int:
        right: int = sound.fget(self)
        return right and right ^ salts.setdefault(self, len(salts))

    patch.setattr(Trie, "root", property(root))


# --- sizes ---------------------------------------------------------------------------------------


def datagrams_without_budget(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(f"{_CORE}.gossip.packets.BODY_OVERHEAD", -500)


def a_tail_without_end(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(f"{_CORE}.state.RecentEvents", lambda size: RecentEvents(100 * size))


def numbers_without_end(patch: pytest.MonkeyPatch) -> None:
    """Datagrams that their receivers refuse are found where they are sent."""
    sound = encoding.pack_group

    def pack_group(stream: Stream, start: int, to: int, packed: list[bytes]) -> bytes:
        return sound(stream, start, to + 2**48, packed)

    patch.setattr(f"{_CORE}.gossip.queues.pack_group", pack_group)


# --- members -------------------------------------------------------------------------------------


def accusers_raise_the_incarnation(patch: pytest.MonkeyPatch) -> None:
    def accuse(self: Membership, pinged: MemberView, reason: Reason, turn: Turn) -> None:
        raised = pinged._replace(incarnation=pinged.incarnation + 1, status=Status.SUSPECT)
        self.learn(raised, turn)

    patch.setattr(Membership, "accuse", accuse)


def deaf_to_acks(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Detector, "_probe_succeeded", nothing)


def nobody_refutes(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(OwnView, "_rise_above", nothing)


def nobody_contacts_the_failed(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Detector, "contact", nothing)


# --- liveness ------------------------------------------------------------------------------------


def no_repair(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(LogRepair, "want", nothing)


def equal_versions_end_it(patch: pytest.MonkeyPatch) -> None:
    sound = Differing.pass_over

    def pass_over(self: Differing, leaf: Leaf, nonce: int, now: float) -> Pass | None:
        if leaf.version == self._log.version(leaf.stream):
            return None
        return sound(self, leaf, nonce, now)

    patch.setattr(Differing, "pass_over", pass_over)


def everything_counts_as_held(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Leaving, "_is_held", lambda *_: True)


def held_without_holding(patch: pytest.MonkeyPatch) -> None:
    def asked(self: Holding, hold: Hold, sender: str, turn: Turn) -> None:
        versions = tuple((group.stream, group.to) for group in hold.groups)
        turn.send(Held(hold.nonce, False, versions, True), turn.reply_to, sender)

    patch.setattr(Holding, "asked", asked)


def told_once_only(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(f"{_CORE}.gossip.packets.transmissions", lambda *_: 1)


def told_for_ever(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(f"{_CORE}.gossip.packets.transmissions", lambda *_: 10**9)


def news_leaves_when_it_was_sent_once(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(f"{_CORE}.gossip.queues.is_told", lambda sent, sends_max: True)


def news_never_leaves(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(f"{_CORE}.gossip.queues.is_told", lambda sent, sends_max: False)


def repair_at_leisure(patch: pytest.MonkeyPatch) -> None:
    sound = LogRepair.want

    def want(self: LogRepair, peer: str, turn: Turn, urgent: bool = False) -> None:
        if turn.now % 20 > 19:
            sound(self, peer, turn, urgent)

    patch.setattr(LogRepair, "want", want)


# --- promises ------------------------------------------------------------------------------------


def copies_in_memory_count(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Peer, "is_copy", lambda *_: True)


def who_was_asked_counts(patch: pytest.MonkeyPatch) -> None:
    sound = CopiesWanted._ask

    def ask(self: CopiesWanted, turn: Turn) -> None:
        sound(self, turn)
        for name, peer in self._peers.items():
            for nonce in self._questions._kinds.get((_Question, name), {}):
                question = self._questions.get(_Question, nonce, name)
                for stream, span in question.claims if question else ():
                    peer.learn(stream, span)

    patch.setattr(CopiesWanted, "_ask", ask)


def any_later_event_counts(patch: pytest.MonkeyPatch) -> None:
    def counted(self: Node, stream: Stream, seq: int, counter: str | None = None) -> bool:
        return self.log.newest(stream) >= seq

    patch.setattr(Node, "counted", counted)


# --- the disk ------------------------------------------------------------------------------------


def own_increments_stored_lazily(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Disk, "commit", nothing)


def exposed_before_the_commit(patch: pytest.MonkeyPatch) -> None:
    sound = World.increment

    def increment(
        self: World, name: str, counter: str = "default", by: int = 1, key: bytes | None = None
    ) -> Outcome:
        host = self.hosts[name]
        disk, host.disk = host.disk, None
        result = sound(self, name, counter, by, key)
        host.disk = disk
        done = self.made[-1]
        total = self.node(name).log.register(done.stream, done.counter)[1]
        batch = Batch(done.stream, done.seq, ((done.counter, done.seq, total),), ())
        if disk is not None:
            self._push(self.now + 0.03, partial(disk.commit, batch, self._moment(host)))
        return result

    patch.setattr(World, "increment", increment)


def held_before_it_is_stored(patch: pytest.MonkeyPatch) -> None:
    sound = Holding.asked

    def asked(self: Holding, hold: Hold, sender: str, turn: Turn) -> None:
        log = self._log
        log.keeps_marks = False
        for group in hold.groups:
            log.merge(group.stream, group.registers)
        sound(self, hold, sender, turn)
        log.keeps_marks = True

    patch.setattr(Holding, "asked", asked)


def held_counts_as_durable(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Log, "durable", Log.version)


def holds_answered_by_any_part(patch: pytest.MonkeyPatch) -> None:
    sound = Holding.stored

    def stored(self: Holding, turn: Turn) -> None:
        self._wishes = [wish._replace(cycle=0) for wish in self._wishes]
        sound(self, turn)

    patch.setattr(Holding, "stored", stored)


def versions_in_the_first_part(patch: pytest.MonkeyPatch) -> None:
    sound = WriteBehind.take

    def take(self: WriteBehind, limit: int, now: float) -> Changes | None:
        changes = sound(self, limit, now)
        if changes is None or self._cycle is None:
            return changes
        return changes._replace(versions=tuple(self._cycle.marks.versions.items()))

    patch.setattr(WriteBehind, "take", take)


def versions_as_of_the_end(patch: pytest.MonkeyPatch) -> None:
    sound = WriteBehind.take

    def take(self: WriteBehind, limit: int, now: float) -> Changes | None:
        changes = sound(self, limit, now)
        if changes is None:
            return changes
        versions = ((stream, self._log.version(stream)) for stream, _ in changes.versions)
        return changes._replace(versions=tuple(versions))

    patch.setattr(WriteBehind, "take", take)


def versions_are_not_loaded(patch: pytest.MonkeyPatch) -> None:
    sound = Node.load

    def load(self: Node, snapshot: Snapshot, now: float) -> list[Effect]:
        streams = tuple(stream._replace(version=0) for stream in snapshot.streams)
        return sound(self, snapshot._replace(streams=streams), now)

    patch.setattr(Node, "load", load)
