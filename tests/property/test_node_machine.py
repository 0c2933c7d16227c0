"""A state machine over one node: any order of any inputs keeps its contract and its books.

The peers are played: members by proof of their address, and strangers. `WatchedNode` checks every
effect, `Books` the state after each rule; the machine itself knows what was incremented.
"""

from __future__ import annotations

from collections import Counter
from typing import TypeAlias, get_args

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gossipd.core import (
    Accepted,
    Address,
    Answered,
    Batch,
    Copies,
    Dropped,
    Duplicate,
    Effect,
    Fate,
    Incremented,
    KeyRecord,
    Left,
    MemberView,
    NameLost,
    Node,
    Questioned,
    Send,
    Settings,
    Stalled,
    Status,
    Stream,
)
from gossipd.core.identity import BY_MAX, GENERATION_MAX
from gossipd.core.log.keys import KeyedEvent
from gossipd.core.settings import DATAGRAM_SIZE_FLOOR
from gossipd.core.wire.decoding import decode
from gossipd.core.wire.messages import (
    Cookie,
    Envelope,
    Gossip,
    Join,
    Message,
    PingReq,
    Standing,
    Welcome,
)
from gossipd.core.wire.records import Group
from tests.effort import examples
from tests.inside import snapshot_of
from tests.unit.core.talk import FRAME, WALL, Peer

from .contract import WatchedNode
from .played import (
    ADDRESSES,
    COUNTERS,
    KEYS,
    NAMES,
    OWN,
    PEERS,
    STRANGER,
    Question,
    aimed,
    answers,
    messages,
    several_groups,
    several_views,
)

_TIMERS_MAX = 150
"""Deadlines that one rule lets pass at most."""

_KEPT_MAX = 100
"""Datagrams and questions that are kept to be repeated or answered later."""

_increments = st.lists(
    st.tuples(
        st.sampled_from(COUNTERS),
        st.sampled_from((1, 1, 5, -2, BY_MAX, -BY_MAX)),
        st.sampled_from((None, None, None, *KEYS)),
    ),
    max_size=4,
)
_Increments: TypeAlias = list[tuple[str, int, bytes | None]]
_picks = st.integers(0, _KEPT_MAX - 1)
_latest = st.sampled_from((0, 0, 0, 0, 1, 2, 9))
_peers = st.integers(0, len(PEERS) - 1)


class NodeMachine(RuleBasedStateMachine):
    """Everything that can be done to a node."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 100.0
        self.lives = 1
        self.peers = [Peer(name, address) for name, address in PEERS]
        self.heard: list[tuple[bytes, Address]] = []
        self.told: list[Send] = []
        self.questions: list[tuple[Question, Address]] = []
        self.names = {OWN.name}
        self.batches: tuple[Batch, Batch] | None = None
        self.made: Counter[tuple[Stream, str]] = Counter()
        self.cloned: set[Stream] = set()
        self.asked_to_leave = self.ended = False
        self.wishes = 0
        self.awaited: dict[int, int] = {}
        """How many copies each wish that waits wants."""

    @initialize(
        alone=st.booleans(),
        members=st.integers(0, len(PEERS)),
        size=st.sampled_from((DATAGRAM_SIZE_FLOOR, 1200)),
    )
    def begins(self, alone: bool, members: int, size: int) -> None:
        figures = Settings(datagram_size=size)
        self.watched = WatchedNode(OWN, figures, FRAME, self.lives, self.now)
        self._done(self.watched.start(alone, self.now))
        for peer in self.peers[:members]:
            self._admit(peer)

    # --- the operator and clients ------------------------------------------------------------

    @rule(addresses=st.lists(st.sampled_from(ADDRESSES), max_size=3))
    def joins(self, addresses: list[Address]) -> None:
        self._done(self.watched.join(addresses, self.now))

    @rule(patience=st.integers(0, 4))
    def leaves(self, patience: int) -> None:
        """Mostly it does not, as nothing but a restart comes after it."""
        if patience == 4:
            self.asked_to_leave = True
            self._done(self.watched.leave(self.now))

    @rule(name=st.sampled_from(NAMES))
    def forgets(self, name: str) -> None:
        held = {view.name: view.status for view in self.watched.node.members}
        try:
            self._done(self.watched.forget(name, self.now))
        except KeyError:
            assert held.get(name, Status.FORGOTTEN) is Status.FORGOTTEN
        except ValueError:
            assert held[name] <= Status.SUSPECT
        else:
            assert held[name] in (Status.FAILED, Status.LEFT)

    @precondition(lambda self: self.batches is None)
    @rule(increments=_increments, step=st.sampled_from((0.0, 0.0, 0.0, 5.0)))
    def prepares(self, increments: _Increments, step: float) -> None:
        wall = WALL + self.now + step
        pairs = [(counter, by) for counter, by, _ in increments]
        keys = [key for _, _, key in increments]
        if not increments:
            return  # nothing begins
        try:
            self.batches = self.watched.prepare(pairs, self.now, wall, keys)
        except ValueError as error:
            (refusal,) = error.args
            assert refusal.fate is (Fate.LEAVING if self.asked_to_leave else Fate.CLOSED)
            return
        assert not self.asked_to_leave
        batch = self.batches[0]
        assert batch.stream not in self.cloned, "a stream is never shared"
        for (counter, by, key), result in zip(increments, batch.results, strict=True):
            if isinstance(result, Duplicate):
                assert (result.event.counter, result.event.by) == (counter, by)
            if isinstance(result, Accepted) and key is not None:
                node = self.watched.node
                assert all(_is_made_up(event, node) for event in node.events(key))

    @precondition(lambda self: self.batches is None)
    @rule(increments=_increments)
    def increments(self, increments: _Increments) -> None:
        self.prepares(increments, 0.0)
        if self.batches is not None:
            self.commits()

    @precondition(lambda self: self.batches is not None)
    @rule()
    def commits(self) -> None:
        assert self.batches is not None
        batches, self.batches = self.batches, None
        accepted = [done for done in batches[0].results if isinstance(done, Accepted)]
        effects = self._done(self.watched.expose(batches, self.now))
        told = [e.advances for e in effects if isinstance(e, Incremented)]
        counted = [(a.counter, a.by) for advances in told for a in advances]
        assert counted == [(done.counter, done.by) for done in accepted]
        for done in accepted:
            self.made[batches[0].stream, done.counter] += done.by
        self._make_amends(batches[0])
        if not self.watched.node.leaving:
            self._retry(batches[0].keys)

    @precondition(lambda self: self.batches is not None)
    @rule()
    def fails_to_commit(self) -> None:
        assert self.batches is not None
        self.batches = None
        self._done(self.watched.abandon(self.now))

    @precondition(lambda self: self.made)
    @rule(pick=_picks, copies=st.integers(1, 4), memory=st.booleans(), back=st.integers(0, 3))
    def waits_for_copies(self, pick: int, copies: int, memory: bool, back: int) -> None:
        """Of an increment that was made, in this life or before."""
        node = self.watched.node
        stream, _ = list(self.made)[pick % len(self.made)]
        seq = max(1, node.log.version(stream) - back)
        self.wishes += 1
        self.awaited[self.wishes] = copies
        self._done(self.watched.await_copies(self.wishes, stream, seq, copies, memory, self.now))

    @rule(alone=st.booleans(), rise=st.integers(1, 3))
    def restarts(self, alone: bool, rise: int) -> None:
        """The next life loads what this one held; a batch under way is lost."""
        node = self.watched.node
        generation = min(GENERATION_MAX, node.own.generation + rise)
        own = MemberView(OWN.name, OWN.address, generation, 0, Status.ALIVE)
        self.batches, self.questions, self.awaited = None, [], {}
        self.asked_to_leave = self.ended = False
        self.lives += 1
        self._done(self.watched.restart(own, snapshot_of(node, self.now), self.lives, self.now))
        self._done(self.watched.start(alone, self.now))

    # --- the network -------------------------------------------------------------------------

    @rule(peer=_peers)
    def admits(self, peer: int) -> None:
        self._admit(self.peers[peer])

    @rule(peer=_peers, message=messages, views=several_views, groups=several_groups)
    def hears_any_message(
        self, peer: int, message: Message, views: list[MemberView], groups: list[Group]
    ) -> None:
        self._hear(self.peers[peer], message, views, groups)

    @rule(peer=_peers, views=several_views, groups=several_groups)
    def hears_news(self, peer: int, views: list[MemberView], groups: list[Group]) -> None:
        self._hear(self.peers[peer], Gossip(), views, groups)

    @precondition(lambda self: self.questions)
    @rule(pick=_latest, said=st.data(), views=several_views, groups=several_groups)
    def hears_an_answer(
        self, pick: int, said: st.DataObject, views: list[MemberView], groups: list[Group]
    ) -> None:
        """Mostly one to the last question, from whom was asked."""
        question, to = self.questions[-1 - pick % len(self.questions)]
        answer = said.draw(answers(question))
        peer = next((peer for peer in self.peers if peer.address == to), self.peers[0])
        self._hear(peer, aimed(answer, question, groups, views), views[:1], groups[:1])

    @rule(
        generation=st.sampled_from((0, 1000, GENERATION_MAX)),
        source=st.sampled_from(ADDRESSES),
        message=messages,
    )
    def hears_a_namesake(self, generation: int, source: Address, message: Message) -> None:
        self._hear(Peer(OWN.name, source, generation), message)

    @rule(peer=_peers, about=_peers, nonce=st.integers(0, 3))
    def is_asked_to_relay(self, peer: int, about: int, nonce: int) -> None:
        silent = self.peers[about]
        self._hear(self.peers[peer], PingReq(nonce, silent.name, silent.address, 500), (), ())

    @rule(peer=_peers, generation=st.integers(-1, 2), incarnation=st.integers(0, 2))
    def a_peer_restarts(self, peer: int, generation: int, incarnation: int) -> None:
        self.peers[peer].generation += generation
        self.peers[peer].incarnation = incarnation

    @rule(data=st.binary(max_size=60), source=st.sampled_from(ADDRESSES), framed=st.booleans())
    def hears_garbage(self, data: bytes, source: Address, framed: bool) -> None:
        effects = self._receive(FRAME.close(data) if framed else data, source)
        assert all(isinstance(effect, Send | Dropped | Stalled | Questioned) for effect in effects)

    @precondition(lambda self: self.heard)
    @rule(pick=_picks, cut=st.integers(0, 40), source=st.sampled_from((None, STRANGER)))
    def hears_something_again(self, pick: int, cut: int, source: Address | None) -> None:
        """An old datagram, whole or cut off, from where it came or from elsewhere."""
        data, before = self.heard[-1 - pick % len(self.heard)]
        self._receive(data[: len(data) - cut], source or before)

    @precondition(lambda self: self.told)
    @rule(pick=_picks, source=st.sampled_from((None, STRANGER)))
    def hears_itself(self, pick: int, source: Address | None) -> None:
        sent = self.told[-1 - pick % len(self.told)]
        self._receive(sent.data, source or sent.to)

    @precondition(lambda self: self.batches is None and self.watched.node.stream is not None)
    @rule(peer=_peers, counter=st.sampled_from(COUNTERS), ahead=st.integers(1, 9))
    def hears_of_a_clone(self, peer: int, counter: str, ahead: int) -> None:
        """Somebody else has written on under this node's stream."""
        node = self.watched.node
        stream = node.stream
        assert stream is not None
        self._admit(self.peers[peer])
        seq = node.log.newest(stream) + ahead
        self._hear(self.peers[peer], Gossip(), (), [Group(stream, 0, 0, ((counter, seq, 7),))])
        if node.log.register(stream, counter) == (seq, 7):
            self.cloned.add(stream)
            assert node.stream != stream, "a stream is never shared"

    # --- time --------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from((0.001, 0.02, 0.2, 1.0, 5.0, 60.0)))
    def time_passes(self, seconds: float) -> None:
        """Every timer is in time."""
        until = self.now + seconds
        for _ in range(_TIMERS_MAX):
            due = self.watched.node.next_timeout
            if due is None or due > until or self.ended:
                break
            self.now = max(self.now, due)
            self._done(self.watched.timeout(self.now), end=False)
        else:
            until = self.now
        self.now = max(self.now, until)
        self._maybe_end()

    @rule(seconds=st.sampled_from((0.3, 2.0, 20.0)))
    def stalls(self, seconds: float) -> None:
        """Time passes and nobody looks at the clock."""
        self.now += seconds

    @rule(seconds=st.sampled_from((10_000.0, 200_000.0)))
    def is_suspended(self, seconds: float) -> None:
        """A stall that verdicts do not outlive."""
        self.now += seconds

    @rule()
    def looks_at_its_clock(self) -> None:
        self._done(self.watched.timeout(self.now))

    # --- invariants --------------------------------------------------------------------------

    @invariant()
    def the_books_are_right(self) -> None:
        self.watched.check(self.now)

    @invariant()
    def every_accepted_increment_counts_once(self) -> None:
        log = self.watched.node.log
        for (stream, counter), total in self.made.items():
            if stream not in self.cloned:
                assert log.register(stream, counter)[1] == total

    @invariant()
    def only_members_that_were_told_of_are_held(self) -> None:
        assert {view.name for view in self.watched.node.members} <= self.names

    # --- how -----------------------------------------------------------------------------------

    def _retry(self, records: tuple[KeyRecord, ...]) -> None:
        """A retry of what was counted changes nothing, at once at least."""
        pairs = [(record.counter, record.by) for record in records]
        keys = [record.key for record in records]
        if not records:
            return
        again = self.watched.prepare(pairs, self.now, WALL + self.now, keys)
        assert all(isinstance(result, Duplicate) for result in again[0].results)
        before = self.watched.node.log.fingerprint
        effects = self._done(self.watched.expose(again, self.now))
        if again[0].amends:  # what the first batch had no room for
            self._make_amends(again[0])
            return
        assert all(isinstance(effect, Answered) for effect in effects)
        assert self.watched.node.log.fingerprint == before

    def _make_amends(self, batch: Batch) -> None:
        """What others have put something else in place of counts under this batch's stream."""
        for amend in batch.amends:
            self.made[batch.stream, amend.place[1]] += amend.by

    def _admit(self, peer: Peer) -> None:
        """Let a peer ask to be taken in, with proof of its address if it is given a cookie."""
        effects = self._hear(peer, Join(7, peer.address, (), b"", Standing.NEWCOMER))
        cookies = [m for m in map(_message, effects) if isinstance(m, Cookie) and m.cookie]
        if cookies:
            effects = self._hear(
                peer, Join(7, peer.address, (), cookies[0].cookie, Standing.NEWCOMER)
            )
            assert len([m for m in map(_message, effects) if isinstance(m, Welcome)]) <= 1

    def _hear(
        self,
        peer: Peer,
        message: Message,
        views: list[MemberView] | tuple[MemberView, ...] = (),
        groups: list[Group] | tuple[Group, ...] = (),
    ) -> list[Effect]:
        return self._receive(peer.says(message, views, groups), peer.address)

    def _receive(self, data: bytes, source: Address) -> list[Effect]:
        self.heard = [*self.heard[-_KEPT_MAX:], (data, source)]
        said = _opened(data)
        if said is not None:
            told = getattr(said.message, "views", ())
            self.names |= {said.sender, *(view.name for view in (*said.views, *told))}
        return self._done(self.watched.receive(data, source, self.now))

    def _done(self, effects: list[Effect], end: bool = True) -> list[Effect]:
        for effect in effects:
            match effect:
                case Send(data, to):
                    said = _opened(data)
                    if said is not None:
                        self.told = [*self.told[-_KEPT_MAX:], effect]
                        if isinstance(said.message, get_args(Question)):
                            asked = (said.message, to)
                            self.questions = [*self.questions[-_KEPT_MAX:], asked]
                case Left() | NameLost():
                    self.ended = True
                case Copies(token, count, enough):
                    assert enough == (count >= self.awaited.pop(token))
                    assert count <= 1 + len(self.peers)
                case _:
                    pass
        if end:
            self._maybe_end()
        return effects

    def _maybe_end(self) -> None:
        """Who has left or lost its name ends; the next life begins."""
        if self.ended:
            self.restarts(False, 1)


def _is_made_up(event: KeyedEvent, node: Node) -> bool:
    """Whether a version says that all up to an event is held, and no register has reached it."""
    log = node.log
    return not log.is_present(event) and event.seq <= log.version(event.stream)


def _opened(data: bytes) -> Envelope | None:
    body = FRAME.open(data)
    said = decode(body) if isinstance(body, bytes) else body
    return said if isinstance(said, Envelope) else None


def _message(effect: Effect) -> Message | None:
    said = _opened(effect.data) if isinstance(effect, Send) else None
    return said.message if said else None


TestNode = NodeMachine.TestCase
TestNode.settings = settings(examples(100), stateful_step_count=50)
