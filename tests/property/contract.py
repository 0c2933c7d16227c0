"""A node under the contract of `gossipd.core.node`: every input is checked, twice over.

Each input goes to the node and to a twin that was built alike: their effects must be the same,
byte for byte. Nothing is raised, no datagram is too large, timers advance, and an address that has
not answered a nonce of this node is sent at most three times the bytes that came from it, in its
name, or that told of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import TypeVar, get_args

from gossipd.core import (
    Address,
    Batch,
    Drop,
    Effect,
    Failure,
    Frame,
    MemberView,
    Node,
    Send,
    Settings,
    Snapshot,
    Stream,
)
from gossipd.core.gossip.amplification import AMPLIFICATION_MAX
from gossipd.core.wire.decoding import decode
from gossipd.core.wire.encoding import pack_view
from gossipd.core.wire.messages import (
    Cookie,
    Envelope,
    Hello,
    Join,
    MembersPage,
    Refuse,
    Welcome,
)
from tests.commits import prepared

from .books import Books

T = TypeVar("T")


class WatchedNode:
    """A node with its twin. `now` is given by the caller and never decreases."""

    def __init__(
        self, own: MemberView, settings: Settings, frame: Frame, seed: int, now: float
    ) -> None:
        self.settings = settings
        self.books = Books(settings)
        self._frame = frame
        self._received: dict[Address, int] = {}
        self._sent: dict[Address, int] = {}
        self._proven: set[Address] = {own.address}
        self._cookies: set[tuple[Address, bytes]] = set()
        self._asked: dict[int, Address] = {}
        """Where the nonces of joins and introductions were sent."""
        self._begin(own, seed, now)

    def _begin(self, own: MemberView, seed: int, now: float) -> None:
        self.node = Node(own, self.settings, self._frame, Random(seed), now)
        self._twin = Node(own, self.settings, self._frame, Random(seed), now)

    def restart(self, own: MemberView, snapshot: Snapshot, seed: int, now: float) -> list[Effect]:
        """End this life and load its snapshot in the next, which is yet to be started."""
        self._begin(own, seed, now)
        self._proven |= {view.address for view in snapshot.members}
        self.books.new_life()
        return self._watch(lambda node: node.load(snapshot, now))

    # --- inputs ------------------------------------------------------------------------------

    def start(self, alone: bool, now: float) -> list[Effect]:
        return self._watch(lambda node: node.start(alone, now))

    def join(self, addresses: Sequence[Address], now: float) -> list[Effect]:
        self._proven.update(addresses)
        return self._watch(lambda node: node.join(addresses, now))

    def leave(self, now: float) -> list[Effect]:
        return self._watch(lambda node: node.leave(now))

    def forget(self, name: str, now: float) -> list[Effect]:
        return self._watch(lambda node: node.forget(name, now))

    def prepare(
        self,
        increments: Sequence[tuple[str, int]],
        now: float,
        wall: float,
        keys: Sequence[bytes | None] = (),
    ) -> tuple[Batch, Batch]:
        """The batch of the node, and that of its twin."""
        batch, same = self._both(lambda node: prepared(node, increments, now, wall, keys))
        assert batch == same, "the same inputs, other rows"
        return batch, same

    def expose(self, batches: tuple[Batch, Batch], now: float) -> list[Effect]:
        by_node = {id(self.node): batches[0], id(self._twin): batches[1]}
        return self._watch(lambda node: node.committed(by_node[id(node)], now))

    def abandon(self, now: float) -> list[Effect]:
        """The commit under way fails."""
        return self._watch(lambda node: node.commit_failed(Failure.FULL, "full", now))

    def await_copies(
        self, token: int, stream: Stream, seq: int, copies: int, memory: bool, now: float
    ) -> list[Effect]:
        return self._watch(
            lambda node: node.await_copies(
                token, stream, seq, copies, until=now + 2, now=now, memory=memory
            )
        )

    def receive(self, data: bytes, source: Address, now: float) -> list[Effect]:
        """Hand over one datagram."""
        self._received[source] = self._received.get(source, 0) + len(data)
        envelope = self._opened(data)
        if envelope is not None:
            self._note(envelope, source, len(data))
            self._note_rivals(envelope, len(data))
        return self._watch(lambda node: node.receive_datagram(data, source, now))

    def timeout(self, now: float) -> list[Effect]:
        """Let the node look at its clock."""
        effects = self._watch(lambda node: node.handle_timeout(now))
        due = self.node.next_timeout
        assert due is None or due > now, "a timer does not advance"
        return effects

    # --- checks ------------------------------------------------------------------------------

    def check(self, now: float) -> None:
        """Check the books of both."""
        self.books.check(self.node, now)
        assert self._twin.log.fingerprint == self.node.log.fingerprint
        assert self._twin.members == self.node.members

    def _both(self, give: Callable[[Node], T]) -> tuple[T, T]:
        """Both results; if the node raises, so must its twin."""
        try:
            first = give(self.node)
        except (KeyError, ValueError) as error:
            try:
                give(self._twin)
            except type(error):
                raise error from None
            raise AssertionError("the same input, no error") from error
        return first, give(self._twin)

    def _watch(self, give: Callable[[Node], list[Effect]]) -> list[Effect]:
        effects, same = self._both(give)
        assert effects == same, "the same inputs, other effects"
        assert self._twin.next_timeout == self.node.next_timeout
        for effect in effects:
            assert isinstance(effect, get_args(Effect))
            if isinstance(effect, Send):
                self._check_send(effect)
        return effects

    def _check_send(self, send: Send) -> None:
        assert len(send.data) <= self.settings.datagram_size, "I10: a datagram too large"
        envelope = self._opened(send.data)
        match envelope.message if envelope is not None else None:
            case Cookie(_, cookie):
                self._cookies.add((send.to, cookie))
            case Join(nonce) | Hello(nonce):
                self._asked[nonce] = send.to
            case _:
                pass
        if send.to not in self._proven:
            self._sent[send.to] = self._sent.get(send.to, 0) + len(send.data)
            allowed = AMPLIFICATION_MAX * self._received.get(send.to, 0)
            assert self._sent[send.to] <= allowed, f"3x: {send.to} has proven nothing"

    def _note(self, envelope: Envelope, source: Address, size: int) -> None:
        """What it says of addresses, and what it proves of them."""
        page = envelope.message.views if isinstance(envelope.message, MembersPage) else ()
        for view in (*envelope.views, *page):
            told = self._received.get(view.address, 0) + len(pack_view(view))
            self._received[view.address] = told
        match envelope.message:
            case Join():
                self._note_join(envelope.message, source, size)
            case Welcome(nonce) | Hello(_, nonce) if nonce in self._asked:
                self._proven.add(self._asked[nonce])
            case _:
                pass

    def _note_join(self, join: Join, source: Address, size: int) -> None:
        if join.cookie and (join.address, join.cookie) in self._cookies:
            self._proven.add(join.address)
        if join.address != source:
            self._received[join.address] = self._received.get(join.address, 0) + size

    def _note_rivals(self, envelope: Envelope, size: int) -> None:
        """Where the node's name is said to live, too, it asks."""
        own = self.node.own
        rivals = {view.address for view in envelope.views if view.name == own.name}
        if isinstance(envelope.message, Refuse):
            rivals.add(envelope.message.holder)
        for address in rivals:
            self._received[address] = self._received.get(address, 0) + size

    def _opened(self, data: bytes) -> Envelope | None:
        body = self._frame.open(data)
        envelope = body if isinstance(body, Drop) else decode(body)
        return envelope if isinstance(envelope, Envelope) else None
