"""Nodes that die at random moments under load; what they acknowledged is asked for by id.

Every acknowledged increment must be counted everywhere in the end; beyond these there may be only
those whose requests were under way when a node died. A refused connection is not under way.

Clients count at full speed until a node dies, so that it dies with much under way; and more slowly
while it starts again, which needs the machine's time.

A death is SIGKILL, which leaves what was written to the system, or also a power cut, which leaves
what was synced and, torn, some of the rest (`PowerCuts`).
"""

from __future__ import annotations

import http.client
import json
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

from tests.e2e.cluster import agree
from tests.e2e.node import Node, at_once, until
from tests.e2e.pipelined import Answer, ask_all
from tests.effort import effort
from tests.power.disk import Disk

CLIENTS_PER_NODE = 2
ASKED_AT_ONCE = 500

PAUSE = 0.02
"""Seconds between two increments of a client that does not hurry."""

READY_AFTER = effort(2, 10)
"""Seconds after which nodes are ready that find none who is."""


@dataclass(slots=True)
class Ledger:
    """What clients know: ids that were acknowledged, and requests that never got an answer."""

    acknowledged: list[str] = field(default_factory=list)
    unanswered: int = 0
    """Those that were answered as doubtful among them."""
    doubtful: int = 0
    """Answered that they may have been counted, as a commit that failed is."""
    refused: int = 0
    """Answered otherwise than with 200, or not taken at all."""


class Client(threading.Thread):
    """One increment after the other on one node, for as long as it may."""

    def __init__(self, node: Node, over: threading.Event, hurry: threading.Event) -> None:
        """It waits for a moment between two, but as long as it is to `hurry`."""
        super().__init__()
        self._node = node
        self._over = over
        self._hurry = hurry
        self.ledger = Ledger()

    def run(self) -> None:
        while not self._over.is_set():
            try:
                connection = http.client.HTTPConnection(*self._node.api)
                connection.sock = self._node.connect()
            except OSError:
                self.ledger.refused += 1
                self._over.wait(0.02)
                continue
            self._count(connection)
            connection.close()

    def _count(self, connection: http.client.HTTPConnection) -> None:
        while not self._over.wait(0.0 if self._hurry.is_set() else PAUSE):
            try:
                connection.request("POST", "/increment")
                response = connection.getresponse()
                body = response.read()
            except (OSError, http.client.HTTPException):
                self.ledger.unanswered += 1
                return
            if response.status == 200:
                self.ledger.acknowledged.append(json.loads(body)["id"])
            else:
                doubtful = b"may have been counted" in body
                self.ledger.refused += 1
                self.ledger.doubtful += doubtful
                self.ledger.unanswered += doubtful


@contextmanager
def load(nodes: Sequence[Node], hurry: threading.Event | None = None) -> Iterator[list[Client]]:
    """Clients on every node while the block lasts, at full speed while they are to `hurry`."""
    stop = threading.Event()
    hurry = hurry or threading.Event()
    clients = [Client(node, stop, hurry) for node in nodes for _ in range(CLIENTS_PER_NODE)]
    for client in clients:
        client.start()
    try:
        yield clients
    finally:
        stop.set()
        for client in clients:
            client.join()


def missing(node: Node, ids: Sequence[str]) -> list[str]:
    """Which of these increments a node does not count."""
    answers = ask_all(node, [f"GET /increments/{id_}" for id_ in ids], ASKED_AT_ONCE)
    return [id_ for id_, answer in zip(ids, answers, strict=True) if not _is_counted(answer)]


def _is_counted(answer: Answer) -> bool:
    assert answer.status == 200, answer
    return bool(answer.data["counted"])


class PowerCuts:
    """Data directories on disks whose power can be cut; each node must be put on one first."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._disks: dict[Node, tuple[Disk, random.Random]] = {}
        self.took_back: list[bool] = []
        """Of each cut, whether it left something else than SIGKILL alone would have left."""

    def put(self, node: Node) -> Disk:
        """Let a node that does not run keep its state on such a disk from now on."""
        disk = Disk(node.data_directory)
        self._disks[node] = disk, random.Random(f"{self._seed} {node.name}")
        node.program = ("tests.power", str(disk.directory))
        return disk

    def cut(self, node: Node) -> None:
        """Every other time nothing that was not synced is left, else a random part of it."""
        node.kill()
        disk, rng = self._disks[node]
        self.took_back.append(disk.cut(rng.choice((None, rng))))


@dataclass(slots=True)
class Outcome:
    acknowledged: int
    unanswered: int
    beyond: int
    """Counted beyond what was acknowledged."""
    lost: int
    """Acknowledged and not counted, over all nodes."""


def rounds(
    nodes: Sequence[Node],
    count: int,
    seed: int,
    die: Callable[[Node], None] = Node.kill,
    all_every: int = 10,
) -> Outcome:
    """`count` rounds of load, death of one node (every so many rounds of all) and a restart."""
    rng = random.Random(seed)
    hurry = threading.Event()
    with load(nodes, hurry) as clients:
        for number in range(1, count + 1):
            victims = list(nodes) if number % all_every == 0 else [rng.choice(nodes)]
            hurry.set()
            time.sleep(rng.uniform(0.05, 0.6))  # a random moment, not a wait for something
            at_once(partial(die, victim) for victim in victims)
            hurry.clear()
            for victim in victims:
                others = [node for node in nodes if node is not victim]
                victim.start("--ready-after", str(READY_AFTER), join=others)
            for victim in victims:
                until(partial(getattr, victim, "ready"), 20.0, f"{victim.name} is ready again")
    return settled(nodes, [client.ledger for client in clients])


def settled(nodes: Sequence[Node], ledgers: Sequence[Ledger]) -> Outcome:
    """What these nodes hold of what clients were told, once they agree."""
    agree(nodes, within=20.0)
    ids = [id_ for ledger in ledgers for id_ in ledger.acknowledged]
    assert len(set(ids)) == len(ids), "an id was given twice"
    # Counts may be equal while each node still lacks the last increment of the other.
    until(
        lambda: len({node.status()["fingerprint"] for node in nodes}) == 1, 10.0, "logs are equal"
    )
    lost = sum(len(missing(node, ids)) for node in nodes)
    unanswered = sum(ledger.unanswered for ledger in ledgers)
    return Outcome(len(ids), unanswered, nodes[0].count() - len(ids), lost)
