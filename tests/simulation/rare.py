"""Rare events of a world, seen in its effects and datagrams: a swarm in which one never happens
tests less than it seems to."""

from __future__ import annotations

from enum import Enum

from gossipd.core import (
    CatchingUp,
    Drop,
    Dropped,
    Duplicate,
    KeyExpired,
    KeyReused,
    KeysFull,
    KeysWanted,
    MemberChanged,
    NameLost,
    Node,
    PutConflicts,
    Refuted,
    Stalled,
    Status,
    Stream,
    TagFrame,
)
from gossipd.core.wire.decoding import decode
from gossipd.core.wire.messages import Envelope, Held, Pages, PassAsk, RelayedAck
from gossipd.core.wire.records import BEGINNING
from tests.simulation.faulty.world import Received, World

KINDS = frozenset({b"\x03", b"\x0c", b"\x0d", b"\x11"})
"""RelayedAck, PassAsk, Pages and Held on the wire: the others are not looked into."""

_KIND_AT = 17

FULL_WITHIN = 16
"""A packet counts as filled if no more than so many bytes are left of its size."""


class Rare(Enum):
    """An event that a good swarm has to meet."""

    REFUTED = "a node refuted what was said of it"
    RELAY_SAVED_A_PROBE = "a probe succeeded by way of a relay"
    REPAIRED = "pages were asked for and came"
    PASS_RESUMED = "a pass that one peer began was continued by another"
    CAME_BACK = "a failed member came back to life"
    PARTITION_HEALED = "two that held each other failed agree again"
    PACKET_FILLED = "a packet was filled to the limit"
    STALL_NOTICED = "a node noticed that it stood still"
    STRANGER_LIMITED = "an answer to a stranger was withheld"
    GHOST_FORGOTTEN = "a member that was gone for long was forgotten"
    DRAINED = "a leaving node was told that another one holds what it holds"
    COPIED = "a client that waits was told of another one that holds its increment"
    NAME_LOST = "a process ended because another one has its name"
    DAMAGE_DROPPED = "a damaged datagram was dropped"
    DOUBLE_LEFT_OUT = "an event was left out of a value, as its double counts"
    KEY_REPAIRED = "a page brought a key record"
    RETRY_KNOWN_FROM_DISK = "a retry was known from the disk alone"
    ARCHIVE_READ = "key records were read from a disk for a peer"
    KEY_EXPIRED = "a key was refused as too old or too new"
    KEYS_FULL = "a key was refused for lack of room"
    KEY_REUSED = "a key was used for something else"
    NOT_READY = "a key was refused by a node that is not ready"
    PUT_CONFLICTED = "two totals of a source had one seq"
    COMMIT_IN_DOUBT = "a commit failed though everything was written"
    COUNTED_LATER = "what may have been counted was, from the next start on"
    READ_WAITED = "a read was ended by the increment that it waited for"


class Witness:
    """Counts the rare events of one world."""

    def __init__(self, world: World) -> None:
        self._received: list[Received] = []
        world.received = self._received
        self._world = world
        self._frame = TagFrame("sim")
        self._effects = 0
        self._names: dict[Node, set[str]] = {}
        self._passes: dict[tuple[str, int, Stream, int], str] = {}
        """(asker, its generation, stream, start) and who was asked last."""
        self._answers = 0
        self._puts = 0
        self.counts = dict.fromkeys(Rare, 0)

    def look(self) -> None:
        """Take in what has happened since the last time."""
        for _, _, effect in self._world.effects[self._effects :]:
            match effect:
                case Refuted():
                    self._saw(Rare.REFUTED)
                case Stalled():
                    self._saw(Rare.STALL_NOTICED)
                case NameLost():
                    self._saw(Rare.NAME_LOST)
                case Dropped(_, Drop.LIMITED):
                    self._saw(Rare.STRANGER_LIMITED)
                case Dropped(_, Drop.TAG | Drop.TOO_SHORT | Drop.FOREIGN | Drop.MAGIC):
                    self._saw(Rare.DAMAGE_DROPPED)
                case MemberChanged(view, Status.FAILED) if view.status is Status.ALIVE:
                    self._saw(Rare.CAME_BACK)
                case KeysWanted():
                    self._saw(Rare.ARCHIVE_READ)
                case _:
                    pass
        self._effects = len(self._world.effects)
        self._look_at_answers()
        for received in self._received:
            self._hear(received)
        self._received.clear()
        self._look_at_tables()
        if self._world.largest_sent > self._world.settings.datagram_size - FULL_WITHIN:
            self.counts[Rare.PACKET_FILLED] = 1

    def estranged(self) -> list[tuple[str, str]]:
        """Pairs of hosts, both running, of which the first one holds the second one failed."""
        running = self._world.running
        hosts = {node.own.name: host for host, node in running.items()}
        return [
            (host, hosts[view.name])
            for host, node in running.items()
            for view in node.members
            if view.status is Status.FAILED and view.name in hosts
        ]

    def agreed(self, estranged: list[tuple[str, str]]) -> None:
        """All agree now; these had been estranged before the network healed."""
        for one, other in estranged:
            if (other, one) in estranged and {one, other} <= set(self._world.running):
                self._saw(Rare.PARTITION_HEALED)

    def _saw(self, rare: Rare) -> None:
        self.counts[rare] += 1

    def _hear(self, received: Received) -> None:
        if received.data[_KIND_AT : _KIND_AT + 1] not in KINDS:
            return
        body = self._frame.open(received.data)
        envelope = decode(body) if isinstance(body, bytes) else body
        if not isinstance(envelope, Envelope):
            return
        used = not any(isinstance(effect, Dropped) for effect in received.effects)
        match envelope.message:
            case RelayedAck() if used:
                self._saw(Rare.RELAY_SAVED_A_PROBE)
            case Pages(_, pages) if used:
                self._saw(Rare.REPAIRED)
                if any(page.keys for page in pages):
                    self._saw(Rare.KEY_REPAIRED)
            case Held() if used:
                node = self._world.hosts[received.host].node
                self._saw(Rare.DRAINED if node is None or node.leaving else Rare.COPIED)
            case PassAsk(_, items):
                for stream, start, after, *_ in items:
                    asker = (envelope.sender, envelope.generation, stream, start)
                    before = self._passes.get(asker, received.host)
                    if after > BEGINNING and before != received.host:
                        self._saw(Rare.PASS_RESUMED)
                    self._passes[asker] = received.host
            case _:
                pass

    def _look_at_answers(self) -> None:
        for answer in self._world.judged[self._answers :]:
            match answer.result:
                case Duplicate() if answer.from_disk:
                    self._saw(Rare.RETRY_KNOWN_FROM_DISK)
                case KeyExpired():
                    self._saw(Rare.KEY_EXPIRED)
                case KeysFull():
                    self._saw(Rare.KEYS_FULL)
                case KeyReused():
                    self._saw(Rare.KEY_REUSED)
                case CatchingUp():
                    self._saw(Rare.NOT_READY)
                case _:
                    pass
        self._answers = len(self._world.judged)
        for put in self._world.puts[self._puts :]:
            if isinstance(put.result, PutConflicts):
                self._saw(Rare.PUT_CONFLICTED)
        self._puts = len(self._world.puts)
        doubtful = [made for made in self._world.made if not made.certain]
        self.counts[Rare.COMMIT_IN_DOUBT] = len(doubtful)
        for made in doubtful:
            if any(
                node.log.register(made.stream, made.counter)[0] >= made.seq
                for node in self._world.running.values()
            ):
                self.counts[Rare.COUNTED_LATER] = 1
        self.counts[Rare.READ_WAITED] = sum(
            read.included and read.waited for read in self._world.reads
        )
        if any(node.log.doubles.left_out for node in self._world.running.values()):
            self.counts[Rare.DOUBLE_LEFT_OUT] = 1

    def _look_at_tables(self) -> None:
        before, self._names = self._names, {}
        for node in self._world.running.values():
            names = {view.name for view in node.members}
            if before.get(node, names) - names:
                self._saw(Rare.GHOST_FORGOTTEN)
            self._names[node] = names
