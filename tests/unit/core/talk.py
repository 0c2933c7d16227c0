"""One node under test, and peers whose datagrams are written and read by hand.

Time passes only in `Talk.wait`; peers answer pings (unless told not to) as real ones would.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import TypeVar

from gossipd.core import (
    Address,
    Batch,
    Changes,
    Drop,
    Dropped,
    Effect,
    Expire,
    Failure,
    KeyRecord,
    KeysWanted,
    MemberView,
    Node,
    Probe,
    Save,
    Send,
    Settings,
    Status,
    Stored,
    TagFrame,
)
from gossipd.core.log.writer import NOTHING_STORED
from gossipd.core.wire.decoding import decode
from gossipd.core.wire.encoding import pack_body, pack_head, pack_view
from gossipd.core.wire.messages import (
    Ack,
    Cookie,
    Envelope,
    Gossip,
    Hello,
    Join,
    Message,
    Ping,
    Shown,
    Standing,
    Welcome,
)
from gossipd.core.wire.records import END, Group, Page, Register
from tests.commits import AT_ONCE, prepared
from tests.unit.core.wire.wire_examples import packed

FRAME = TagFrame("test")
ROUND_TRIP = 0.002
CONDEMNED_AFTER = 1.001
"""Seconds after which a verdict of others is believed of who was never measured and is silent."""

WALL = 1_700_000_000.0

E = TypeVar("E", bound=Effect)
M = TypeVar("M", bound=Message)


@dataclass
class Peer:
    """A member that is played by the test."""

    name: str
    address: Address
    generation: int = 1000
    incarnation: int = 0
    answers: bool = True
    """Whether it answers pings."""
    shown: Shown | None = None
    """What its acks show; None: what the node under test has itself."""

    @property
    def view(self) -> MemberView:
        return self.seen()

    def seen(
        self,
        status: Status = Status.ALIVE,
        incarnation: int | None = None,
        accusers: Sequence[str] = (),
        age: int = 0,
    ) -> MemberView:
        """This peer as somebody holds it."""
        number = self.incarnation if incarnation is None else incarnation
        return MemberView(
            self.name, self.address, self.generation, number, status, (), age, tuple(accusers)
        )

    def says(
        self, message: Message, views: Iterable[MemberView] = (), groups: Iterable[Group] = ()
    ) -> bytes:
        """A datagram of this peer."""
        head = pack_head(self.name, self.generation, self.incarnation, message)
        riding = list(map(packed, groups))
        return FRAME.close(pack_body(head, [pack_view(view) for view in views], riding))


def envelope(data: bytes) -> Envelope:
    """What a datagram says."""
    body = FRAME.open(data)
    assert isinstance(body, bytes)
    said = decode(body)
    assert isinstance(said, Envelope)
    return said


class Said:
    """What the node under test did, and when."""

    def __init__(self, effects: list[tuple[float, Effect]]) -> None:
        self.timed = effects
        self.effects = [effect for _, effect in effects]

    def of(self, kind: type[E]) -> list[E]:
        """The effects of one kind."""
        return [effect for effect in self.effects if isinstance(effect, kind)]

    @property
    def drops(self) -> list[Drop]:
        return [effect.reason for effect in self.of(Dropped)]

    def sent(self, kind: type[M], to: Peer | Address | None = None) -> list[M]:
        """The messages of one kind, to one peer or to anybody."""
        said = [heard.message for heard in self.envelopes(to)]
        return [message for message in said if isinstance(message, kind)]

    def times(self, kind: type[Message], to: Peer | None = None) -> list[float]:
        """When messages of one kind were sent."""
        return [
            at
            for at, effect in self.timed
            if isinstance(effect, Send)
            and (to is None or effect.to == to.address)
            and isinstance(envelope(effect.data).message, kind)
        ]

    def envelopes(self, to: Peer | Address | None = None) -> list[Envelope]:
        address = to.address if isinstance(to, Peer) else to
        return [envelope(s.data) for s in self.of(Send) if address is None or s.to == address]

    def views(self, name: str, to: Peer | Address | None = None) -> list[MemberView]:
        """Every view of a member that was told."""
        return [v for heard in self.envelopes(to) for v in heard.views if v.name == name]

    def groups(self, to: Peer | None = None) -> list[Group]:
        return [group for heard in self.envelopes(to) for group in heard.groups]

    def bytes_to(self, address: Address) -> int:
        return sum(len(send.data) for send in self.of(Send) if send.to == address)


class Talk:
    """A node, its clock and its peers."""

    def __init__(
        self,
        peers: int = 0,
        alone: bool = True,
        name: str = "me",
        settings: Settings | None = None,
        generation: int = 1000,
        incarnation: int = 0,
        seed: int = 1,
        durable: bool = False,
        host: str = "10.0.0.1",
        listens: bool = False,
    ) -> None:
        """`listens`: whether others hold it as a member, where it has nobody to join; otherwise
        it is ready at once."""
        self.now = 100.0
        self.settings = settings or Settings()
        if not listens:
            self.settings = replace(self.settings, alone_after=0.0)
        self.me = Peer(name, (host, 7946), generation, incarnation)
        view, rng = self.me.view, Random(seed)
        self.node = Node(view, self.settings, FRAME, rng, self.now, durable=durable)
        self.peers: dict[str, Peer] = {}
        self._answers: list[tuple[float, bytes, Address]] = []
        self.beginning = self._done(self.node.start(alone, self.now))
        for number in range(peers):
            self.admit(Peer(f"p{number}", (f"10.0.1.{number + 1}", 7946)))

    @property
    def own(self) -> MemberView:
        return self.node.own

    @property
    def shown(self) -> Shown:
        """What the node under test would show."""
        return Shown(self.node.log.fingerprint, self.node.members_fingerprint, self.node.ready)

    def peer(self, name: str) -> Peer:
        return self.peers[name]

    def held(self, name: str) -> MemberView:
        """What the node holds of a member."""
        return next(view for view in self.node.members if view.name == name)

    def status(self, name: str) -> Status:
        return self.held(name).status

    # --- inputs ------------------------------------------------------------------------------

    def deliver(self, data: bytes, source: Address) -> Said:
        return self._done(self.node.receive_datagram(data, source, self.now))

    def hear(
        self,
        peer: Peer,
        message: Message,
        views: Iterable[MemberView] = (),
        groups: Iterable[Group] = (),
        source: Address | None = None,
    ) -> Said:
        """Let a peer say something."""
        return self.deliver(peer.says(message, views, groups), source or peer.address)

    def hear_news(self, *groups: Group) -> Said:
        """Let the first peer tell news of the log."""
        return self.hear(self.peer("p0"), Gossip(), groups=groups)

    def hear_views(self, *views: MemberView) -> Said:
        """Let the first peer tell news of members."""
        return self.hear(self.peer("p0"), Gossip(), views)

    def wait(self, seconds: float) -> Said:
        """Let time pass, with every timer in time."""
        until = self.now + seconds
        done: list[tuple[float, Effect]] = []
        while True:
            due = self.node.next_timeout
            answer_at = min((at for at, _, _ in self._answers), default=None)
            at = min((at for at in (due, answer_at) if at is not None), default=None)
            if at is None or at > until:
                break
            self.now = max(self.now, at)
            if answer_at is not None and answer_at <= self.now:
                answer = min(self._answers)
                self._answers.remove(answer)
                done += self.deliver(answer[1], answer[2]).timed
            else:
                done += self.timeout().timed
        self.now = until
        return Said(done)

    def timeout(self) -> Said:
        """Let the node look at its clock."""
        said = self._done(self.node.handle_timeout(self.now))
        due = self.node.next_timeout
        assert due is None or due > self.now
        return said

    def see_clock(self, wall: float) -> None:
        """Show the node the wall clock, seconds since 1970."""
        self.node.see_clocks(self.now, wall)

    def join(self, *addresses: Address) -> Said:
        return self._done(self.node.join(addresses, self.now))

    def ask_members(self) -> Said:
        return self._done(self.node.ask_members(self.now))

    def readdress(self, address: Address) -> Said:
        return self._done(self.node.readdress(address, self.now))

    def retag(self, *tags: tuple[str, str]) -> Said:
        return self._done(self.node.retag(tags, self.now))

    def cut_off(self, is_cut_off: bool) -> Said:
        return self._done(self.node.cut_off(is_cut_off, self.now))

    def may_be_alone(self, allowed: bool) -> Said:
        return self._done(self.node.may_be_ready_alone(allowed, self.now))

    def nobody_to_join(self) -> Said:
        return self._done(self.node.nobody_to_join(self.now))

    def leave(self, since: float | None = None) -> Said:
        return self._done(self.node.leave(self.now, since))

    def forget(self, name: str) -> Said:
        return self._done(self.node.forget(name, self.now))

    def increment(
        self, counter: str = "hits", by: int = 1, times: int = 1, key: bytes | None = None
    ) -> Said:
        done: list[tuple[float, Effect]] = []
        while times > 0:
            batch = self.prepare(*[(counter, by, key)] * min(times, AT_ONCE))
            done += self.expose(batch).timed
            times -= AT_ONCE
        return Said(done)

    def prepare(
        self, *increments: tuple[str, int, bytes | None], stored: Stored = NOTHING_STORED
    ) -> Batch:
        """Take increments (counter, by, key) in."""
        pairs = [(counter, by) for counter, by, _ in increments]
        keys = [key for _, _, key in increments]
        return prepared(self.node, pairs, self.now, WALL + self.now, keys, stored)

    def commit(self) -> Said:
        """Begin to commit what waits."""
        return self._done(self.node.commit(self.now, WALL + self.now))

    def expose(self, batch: Batch) -> Said:
        """A batch is committed."""
        return self._done(self.node.committed(batch, self.now))

    def read(self, wanted: KeysWanted, records: Sequence[KeyRecord]) -> Said:
        """The disk has told key records that a peer waits for."""
        return self._done(self.node.keys_read(wanted, records, self.now))

    # --- the disk ----------------------------------------------------------------------------

    def take(self, registers_max: int = 100) -> Changes:
        """A part of what is not stored yet, on its way to the disk."""
        changes = self.maybe_take(registers_max)
        assert changes is not None, "everything is stored"
        return changes

    def maybe_take(self, registers_max: int = 100) -> Changes | None:
        """The same, or None if everything is stored."""
        said = self._tidied(self._done(self.node.save(self.now, registers_max)))
        return next((save.changes for save in said.of(Save)), None)

    def _tidied(self, said: Said) -> Said:
        """The disk does what else it is asked for."""
        while kinds := [type(each) for each in said.effects if isinstance(each, Expire | Probe)]:
            done = self.node.expired if Expire in kinds else self.node.probed
            others = [(at, each) for at, each in said.timed if type(each) not in kinds]
            said = Said(others + self._done(done(self.now)).timed)
        return said

    def not_stored(self) -> Said:
        """It could not be stored."""
        return self._done(self.node.disk_failed(Failure.FULL, "full", self.now))

    def stored(self, changes: Changes, twins: Stored = NOTHING_STORED) -> Said:
        """A part is on the disk."""
        return self._tidied(self._done(self.node.saved(changes, self.now, twins)))

    def store_all(self) -> Said:
        """Store until nothing is left."""
        done: list[tuple[float, Effect]] = []
        while changes := self.maybe_take():
            done += self.stored(changes).timed
        return Said(done)

    # --- members -----------------------------------------------------------------------------

    def admit(self, peer: Peer) -> Welcome:
        """Let a peer join with the proof of its address."""
        cookie = self.ask_in(peer).sent(Cookie, peer)[0]
        welcome = self.ask_in(peer, cookie.cookie).sent(Welcome, peer)[0]
        self.peers[peer.name] = peer
        return welcome

    def ask_in(self, peer: Peer, cookie: bytes = b"", source: Address | None = None) -> Said:
        """Let a peer ask to be taken in."""
        return self.hear(peer, Join(7, peer.address, (), cookie, Standing.NEWCOMER), source=source)

    def let_prove(self, *peers: Peer) -> None:
        """Let peers that others have told of prove where they are."""
        self.peers |= {peer.name: peer for peer in peers}
        self.wait(0.2)

    def settle(self) -> None:
        """Let the news of the beginning pass."""
        self.wait(3.0)

    def fail(self, name: str) -> None:
        """Let a member be held failed."""
        self.condemn(name, Status.FAILED)
        self.peer(name).answers = False

    def condemn(self, name: str, status: Status, incarnation: int | None = None) -> Said:
        """Let another member say that this one lives no more, while it is silent."""
        peer = self.peer(name)
        other = next(other for other in self.peers.values() if other is not peer)
        answers, peer.answers = peer.answers, False
        said = self.hear(other, Gossip(), [peer.seen(status, incarnation)])
        done = said.timed + self.wait(CONDEMNED_AFTER).timed
        peer.answers = answers
        return Said(done)

    # --- answers of the peers ----------------------------------------------------------------

    def _done(self, effects: list[Effect]) -> Said:
        for effect in effects:
            if isinstance(effect, Send):
                assert len(effect.data) <= self.settings.datagram_size
                self._maybe_answer(effect)
        return Said([(self.now, effect) for effect in effects])

    def _maybe_answer(self, send: Send) -> None:
        if not send.data.startswith(b"gd"):
            return
        message = envelope(send.data).message
        for peer in self.peers.values():
            if peer.address == send.to and peer.answers and isinstance(message, Ping):
                ack = Ack(message.nonce, peer.shown or self.shown)
                self._answers.append((self.now + ROUND_TRIP, peer.says(ack), peer.address))
            if peer.address == send.to and isinstance(message, Hello) and message.nonce:
                self._answers.append(
                    (self.now + ROUND_TRIP, peer.says(Hello(0, message.nonce)), peer.address)
                )


def stream(number: int) -> bytes:
    """A stream of somebody else's; equal numbers give equal ones."""
    return (number << 40 | 1).to_bytes(10, "big")


def group(number: int, registers: Sequence[Register], start: int = 0, to: int = 0) -> Group:
    """News of a stream that claims up to `to` (without: up to the newest register)."""
    newest = max((seq for _, seq, _ in registers), default=start)
    ordered = tuple(sorted(registers, key=lambda register: -register[1]))
    return Group(stream(number), start, to or newest, ordered)


def page(
    number: int,
    registers: tuple[Register, ...],
    version: int,
    after: str = "",
    upto: str = "",
    start: int = 0,
) -> Page:
    """A page of a pass over a stream: its registers between two counters (without: all)."""
    end = (0, upto) if upto else END
    return Page(stream(number), start, (0, after), end, version, registers)
