"""The same attacks against three real nodes on loopback addresses, with bounded traffic to these:

    python -m tests.fuzz.attacks.real

Forged words about the nodes themselves, ghosts at a victim's address, as many ghosts as a member
table holds, and less than a node has counted. What became of it is told by the nodes' own side
ports, and by the victim.
"""

from __future__ import annotations

import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import NamedTuple
from uuid import UUID

from gossipd.core import (
    Address,
    MemberView,
    Status,
    TagFrame,
)
from gossipd.core.identity import GENERATION_MAX, parse_increment_id
from gossipd.core.swim.members import MEMBERS_MAX
from gossipd.core.wire.messages import (
    Cookie,
    DigestAsk,
    Envelope,
    Gossip,
    MembersAsk,
    Message,
    PassAsk,
)
from gossipd.core.wire.records import BEGINNING, Group, PassItem
from tests.e2e.cluster import Cluster, agree, see
from tests.e2e.node import Node, until
from tests.unit.core.wire.wire_examples import encode

from .costly import Costly

COUNT = 3
SECONDS = 10.0
GHOSTS = 20
ASKS = 20
PER_DATAGRAM = 28
COUNTED = 50
SPOILT = 5
"""Increments of a node, and how often somebody tells of less."""
WITHIN = 60.0
"""Seconds within which the nodes have to agree: generous, as the host may be busy."""

FRAME = TagFrame("gossipd")


class Outcome(NamedTuple):
    """What became of an attack."""

    text: str
    is_harmless: bool


# --- parts ---------------------------------------------------------------------------------------


def own_view(node: Node, of: Node) -> MemberView:
    """What a node holds of another one, or of itself."""
    (row,) = (member for member in node.get("/members") if member["address"] == of.address)
    return MemberView(row["name"], place(of), row["generation"], row["incarnation"], Status.ALIVE)


def place(node: Node) -> Address:
    """Where a node is."""
    return node.host, node.port


def datagram(speaker: MemberView, message: Message, views: Iterable[MemberView] = ()) -> bytes:
    """What somebody says, or seems to."""
    said = Envelope(speaker.name, speaker.generation, speaker.incarnation, message, tuple(views))
    return FRAME.close(encode(said))


def say(node: Node, speaker: MemberView, message: Message, *views: MemberView) -> None:
    """A datagram from an address that has proven nothing, in a member's name."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendto(datagram(speaker, message, views), place(node))


class Victim:
    """Ports of an address that has nothing to do with the cluster."""

    def __init__(self, host: str, stack: ExitStack) -> None:
        self._sockets = [
            stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            for _ in range(GHOSTS)
        ]
        for sock in self._sockets:
            sock.bind((host, 0))
            sock.setblocking(False)

    @property
    def ghosts(self) -> list[MemberView]:
        """Members that do not exist, one at each port."""
        return [
            MemberView(f"g{number}", sock.getsockname(), 1_700_000_000_000, 0, Status.ALIVE)
            for number, sock in enumerate(self._sockets)
        ]

    def received(self) -> Iterator[int]:
        """The sizes of what has come."""
        for sock in self._sockets:
            while True:
                try:
                    yield len(sock.recv(65536))
                except BlockingIOError:
                    break


# --- attacks -------------------------------------------------------------------------------------


def forge(nodes: list[Node]) -> None:
    """Words about each node that once ended it, from an address that has proven nothing."""
    views = [own_view(nodes[0], node) for node in nodes]
    absurd = [view._replace(generation=GENERATION_MAX, status=Status.FAILED) for view in views]
    for number, node in enumerate(nodes):
        say(node, views[number - 1], Gossip(), *absurd)
        for step in (1, 2, 3, 4):
            later = views[0]._replace(generation=views[0].generation + step * 10**6)
            say(node, views[1], Gossip(), later)
        say(node, views[2], Gossip(), views[1]._replace(status=Status.LEFT))
        say(node, views[1], Cookie(0, b"12345678", views[0].address))
        elsewhere = views[0]._replace(address=("127.9.9.9", 9), generation=GENERATION_MAX // 4096)
        say(node, views[1], Gossip(), elsewhere)


def ends(cluster: Cluster, nodes: list[Node]) -> Outcome:
    """Does a node end by what is said of it?"""
    forge(nodes)
    agree(nodes, within=WITHIN)
    ended = [node.name for node in nodes if not node.running]
    return Outcome(f"ended: {ended or 'none'}", not ended)


def reflects(cluster: Cluster, nodes: list[Node]) -> Outcome:
    """What does a victim get for ghosts at its address, and for questions in their names?"""
    for number in range(100):
        nodes[number % COUNT].increment(f"counter {number}")
    with ExitStack() as stack:
        victim = Victim(cluster.address() + "7", stack)
        liar = Costly(place(nodes[0]), cluster.address() + "8")
        stack.enter_context(closing(liar.socket))
        liar.join()
        speaker = MemberView("costly", liar.socket.getsockname(), liar.generation, 0, Status.ALIVE)
        questions = (
            DigestAsk(1, 0, 0, 1200),
            PassAsk(1, (PassItem(bytes(10), 0, BEGINNING),), 32, 1200),
            MembersAsk(1, "", 32, 1200),
        )
        said = [datagram(speaker, Gossip(), victim.ghosts)]
        said += [datagram(victim.ghosts[0], question) for question in questions] * ASKS
        spent = 0
        for data in said:
            for node in nodes:
                liar.socket.sendto(data, place(node))
                spent += len(data)
        liar.behave(SECONDS)
        got = list(victim.received())
    factor = sum(got) / spent
    text = (
        f"{spent:,} bytes said, {sum(got):,} in {len(got)} packets at the victim: {factor:.2f} x"
    )
    return Outcome(text, factor <= 3)


def crowds(cluster: Cluster, nodes: list[Node]) -> Outcome:
    """Is a killed node found, and a new one taken in, beside as many ghosts as a table holds?"""
    liar = Costly(place(nodes[0]), cluster.address() + "8")
    with closing(liar.socket):
        liar.join()
        speaker = MemberView("costly", liar.socket.getsockname(), liar.generation, 0, Status.ALIVE)
        nowhere = cluster.address() + "9"
        for first in range(0, MEMBERS_MAX, PER_DATAGRAM):
            views = [
                MemberView(f"g{n}", (nowhere, 1024 + n), 1, 0, Status(n % len(Status)))
                for n in range(first, first + PER_DATAGRAM)
            ]
            for node in nodes:
                liar.socket.sendto(datagram(speaker, Gossip(), views), place(node))
            liar.behave(0.002)
        nodes[-1].process.kill()
        found = see(nodes[:-1], nodes[-1].name, "failed", within=WITHIN)
        newcomer = cluster.add()
        newcomer.start(join=[nodes[0]])
        joined = see([*nodes[:-1], newcomer], newcomer.name, "alive", within=WITHIN)
    return Outcome(f"killed one found after {found:.1f} s, newcomer in after {joined:.1f} s", True)


def spoils(cluster: Cluster, nodes: list[Node]) -> Outcome:
    """Is anything lost that a node has counted, if others are told of less?"""
    writer = nodes[0]

    def alarms() -> list[str]:
        return list(writer.status()["alarms"])

    liar = Costly(place(nodes[1]), cluster.address() + "8")
    with closing(liar.socket):
        liar.join()
        for number in range(1, COUNTED + 1):
            made = writer.ask("POST", "/increment", {"counter": "hits"}).data
            if number % (COUNTED // SPOILT) == 0:
                stream, seq = parse_increment_id(UUID(made["id"]))
                less = (Group(stream, 0, 0, (("hits", seq + number, -number),)),)
                said = Envelope("costly", liar.generation, 0, Gossip(), (), less)
                for node in nodes[1:]:
                    liar.socket.sendto(FRAME.close(encode(said)), place(node))
                liar.behave(0.1)
                until(alarms, WITHIN, "an alarm")
    everywhere = {COUNTED}
    until(lambda: {node.count("hits") for node in nodes} == everywhere, WITHIN, "all counts")
    return Outcome(f"all {COUNTED} counted everywhere; {alarms()}", True)


ATTACKS: dict[str, Callable[[Cluster, list[Node]], Outcome]] = {
    attack.__name__: attack for attack in (ends, reflects, crowds, spoils)
}


def run(name: str) -> Outcome:
    """One attack on a cluster of its own."""
    with tempfile.TemporaryDirectory() as directory, Cluster(Path(directory)) as cluster:
        nodes = cluster.start(COUNT)
        try:
            outcome = ATTACKS[name](cluster, nodes)
        except AssertionError as error:
            outcome = Outcome(str(error), False)
        mishaps = cluster.mishaps()
    return Outcome(f"{outcome.text} {mishaps}", False) if mishaps else outcome


def main() -> int:
    """The program."""
    harmed = 0
    for name in ATTACKS:
        began = time.monotonic()
        found = run(name)
        harmed += not found.is_harmless
        print(f"{name:10} {found.text} ({time.monotonic() - began:.0f} s)", flush=True)
    return int(harmed > 0)


if __name__ == "__main__":
    sys.exit(main())
