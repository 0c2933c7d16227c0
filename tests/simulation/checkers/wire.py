"""What nodes say: every datagram, as it leaves its sender, before the network can damage it.

A claim on the wire is checked for itself, so that a wrong one is found even where nobody happens
to be misled by it.
"""

from __future__ import annotations

from collections.abc import Iterable

from gossipd.core import Frame, MemberView, Stream
from gossipd.core.wire.decoding import decode
from gossipd.core.wire.messages import Envelope, Hold, MembersPage, Pages
from gossipd.core.wire.records import Group, Page, Record
from tests.simulation.faulty.world import Captured, World

from .disks import DiskChecker
from .ghosts import Ghosts
from .keyed import Keyed
from .tables import Words


class WireChecker:
    """I1 to I4, I10 and I12 of what is said. Has the world note its datagrams; where somebody
    else does so, too, it reads along."""

    def __init__(
        self,
        world: World,
        ghosts: Ghosts,
        keyed: Keyed,
        words: Words,
        disks: DiskChecker,
        frame: Frame,
    ) -> None:
        self._world = world
        self._ghosts = ghosts
        self._keyed = keyed
        self._words = words
        self._disks = disks
        self._frame = frame
        self._own: list[Captured] = []
        self._read = 0
        if world.captured is None:
            world.captured = self._own
        self._noted = world.captured
        self._read = len(self._noted)
        for node in world.running.values():
            for view in (*node.members, node.own):
                words.hear(view.name, view.address, view.generation, view.incarnation)

    def check(self) -> None:
        """Look at what was sent since the last time."""
        noted = self._noted
        for captured in noted[self._read :]:
            self._hear(captured)
        self._read = len(noted)
        if self._own:
            self._own.clear()
            self._read = 0
        if self._world.captured is None:
            self._world.captured = self._own
        if self._world.captured is not noted:
            self._noted, self._read = self._world.captured, 0
            self.check()

    def _hear(self, captured: Captured) -> None:
        size, most = len(captured.data), self._world.settings.datagram_size
        assert size <= most, f"I10: a datagram of {size} bytes"
        body = self._frame.open(captured.data)
        envelope = decode(body) if isinstance(body, bytes) else body
        assert isinstance(envelope, Envelope), f"I10: a datagram that is dropped: {envelope}"
        where = f"{envelope.sender} says"
        self._hear_words(envelope, captured, where)
        self._disks.check_told(envelope, captured.source)
        for part in _parts(envelope):
            self._check_records(part, where)
        message = envelope.message
        for group in (*envelope.groups, *(message.groups if isinstance(message, Hold) else ())):
            self._check_group(group, where)
        if isinstance(envelope.message, Pages):
            for page in envelope.message.pages:
                self._check_page(page, where)

    def _hear_words(self, envelope: Envelope, captured: Captured, where: str) -> None:
        said = (envelope.generation, envelope.incarnation)
        self._words.hear(envelope.sender, captured.source, *said)
        for view in _views(envelope):
            self._words.check(view, where)

    def _check_records(self, part: Group | Page, where: str) -> None:
        for register in part.registers:
            self._ghosts.check_register(part.stream, register, where)
        for record in part.keys:
            self._keyed.check_record(part.stream, record, where)
        records: tuple[Record, ...] = (*part.registers, *part.keys)
        if isinstance(part, Page):
            for double in part.doubles:
                self._keyed.check_double(part.stream, double, where)
            records = (*records, *part.doubles, *part.corrections)
        for told in records:
            self._disks.check_exposed(part.stream, told[1], where)

    def _check_group(self, group: Group, where: str) -> None:
        """I3: who holds everything up to `start` may take it that it holds everything up to `to`
        after this."""
        told = {counter: seq for counter, seq, _ in group.registers}
        for counter, needed in self._covered(group.stream, group.start, group.to, where):
            has = told.get(counter, 0)
            assert has >= needed, f"I3: {where} up to {group.to} without {counter} {needed}"
        keys = {record.seq for record in group.keys}
        for made in self._keyed.due(group.stream, group.start, group.to):
            assert made.seq in keys, f"I3: {where} up to {group.to} without the key of {made}"

    def _check_page(self, page: Page, where: str) -> None:
        """I3: a page brings everything between its counters, from its start to its version."""
        told = {counter: seq for counter, seq, _ in page.registers}
        for counter, needed in self._covered(page.stream, page.start, page.version, where):
            if page.after < (0, counter) <= page.upto:
                has = told.get(counter, 0)
                assert has >= needed, f"I3: {where} a page without {counter} {needed}"
        keys = {record.seq for record in page.keys}
        for made in self._keyed.due(page.stream, page.start, page.version):
            if page.after < (made.seq, "") <= page.upto:
                assert made.seq in keys, f"I3: {where} a page without the key of {made}"

    def _covered(
        self, stream: Stream, start: int, upto: int, where: str
    ) -> Iterable[tuple[str, int]]:
        if self._ghosts.is_shared(stream):
            return ()
        newest = self._ghosts.newest(stream)
        assert upto <= newest, f"I3: {where} version {upto}, made were {newest}"
        return self._ghosts.needed(stream, start, upto)


def _parts(envelope: Envelope) -> Iterable[Group | Page]:
    message = envelope.message
    yield from envelope.groups
    if isinstance(message, Hold):
        yield from message.groups
    if isinstance(message, Pages):
        yield from message.pages


def _views(envelope: Envelope) -> Iterable[MemberView]:
    yield from envelope.views
    if isinstance(envelope.message, MembersPage):
        yield from envelope.message.views
