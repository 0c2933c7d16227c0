"""Keyed increments sent again and again, anywhere: each must count once.

Every operation has one key and is tried 1 to 4 times on random nodes: while all is well, on both
sides of a cut network, and after a node was killed. What a node could not say is tried elsewhere.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from uuid import UUID

from tests.e2e.cluster import agree
from tests.e2e.namespaces import Network
from tests.e2e.node import Node, at_once, until
from tests.e2e.pipelined import ask_all

TRIES_MAX = 4
ROUND = 500
"""Tries that each node is sent at a time."""
HELD_BACK_MAX = 10.0
"""Seconds in which what a node knows of a key has to be whole."""

Try = tuple[Node, str]


def minted(rng: random.Random) -> str:
    """A UUIDv7 (RFC 9562) of this moment."""
    milliseconds = time.time_ns() // 1_000_000
    random_bits = rng.getrandbits(74)
    value = milliseconds << 80 | 7 << 76 | (random_bits >> 62) << 64
    return str(UUID(int=value | 2 << 62 | random_bits & (2**62 - 1)))


@dataclass
class Ledger:
    """What was answered."""

    fresh: int = 0
    """Answers that say that this try was counted."""
    duplicates: int = 0
    refused: list[str] = field(default_factory=list)
    """Answers that are neither."""


class Retries:
    """Operations on a cluster, and what became of their tries."""

    def __init__(self, nodes: Sequence[Node], seed: int) -> None:
        self.ledger = Ledger()
        self.keys: list[str] = []
        self._nodes = nodes
        self._rng = random.Random(seed)

    def begin(self, count: int) -> list[Try]:
        """New operations, each with 1 to 4 tries on random nodes, in random order."""
        keys = [minted(self._rng) for _ in range(count)]
        self.keys += keys
        return self._mixed(
            (self._rng.choice(self._nodes), key)
            for key in keys
            for _ in range(self._rng.randint(1, TRIES_MAX))
        )

    def again(self, count: int) -> list[Try]:
        """Tries of operations that were begun before."""
        rng = self._rng
        return [(rng.choice(self._nodes), rng.choice(self.keys)) for _ in range(count)]

    def send(self, tries: Sequence[Try]) -> None:
        """Send all tries, to all nodes beside each other."""
        for at in range(0, len(tries), ROUND * len(self._nodes)):
            part = tries[at : at + ROUND * len(self._nodes)]
            at_once(
                partial(self._send, node, [key for to, key in part if to is node])
                for node in self._nodes
            )

    def _mixed(self, tries: Iterable[Try]) -> list[Try]:
        mixed = list(tries)
        self._rng.shuffle(mixed)
        return mixed

    def _send(self, node: Node, keys: list[str]) -> None:
        """All of them; what is held back for a moment is sent again, as clients do."""
        left = list(keys)

        def all_are_said() -> bool:
            left[:] = self._try(node, left)
            return not left

        until(all_are_said, HELD_BACK_MAX, "no try is held back")

    def _try(self, node: Node, keys: list[str]) -> list[str]:
        """Those that are held back."""
        left: list[str] = []
        answers = ask_all(node, [f"POST /increment?key={key}" for key in keys])
        for key, (status, data) in zip(keys, answers, strict=True):
            if status == 503:
                left.append(key)
            elif status != 200:
                self.ledger.refused.append(f"{node.name} {status} {data['detail']}")
            elif data["duplicate"]:
                self.ledger.duplicates += 1
            else:
                self.ledger.fresh += 1
        return left


@dataclass
class Outcome:
    operations: int
    tries: int
    fresh: int
    refused: list[str]
    counts: list[int]
    """The count on each node in the end."""
    doubles: list[int]
    """What each node says that it left out."""
    seconds: float


def run(nodes: Sequence[Node], network: Network, total: int, cut: float, seed: int) -> Outcome:
    """`total` operations: a third while all is well, a third while the network is cut for at least
    `cut` seconds, a third after a node was killed; and old ones tried again in each part."""
    began = time.monotonic()
    retries = Retries(nodes, seed)
    third = total // 3
    retries.send(retries.begin(third))
    links = list(network.between(range(2), range(2, len(nodes))))
    for link in links:
        network.cut(*link)
    end = time.monotonic() + cut
    retries.send(retries.begin(third) + retries.again(third // 10))
    until(lambda: time.monotonic() >= end, cut + 1, "the time is over")
    for link in links:
        network.heal(*link)
    retries.send(retries.begin(total - 2 * third) + retries.again(third // 10))
    victim = nodes[1]
    victim.kill()
    victim.start(join=nodes[:1])
    agree(nodes, within=30.0)
    retries.send(retries.again(third))
    until(
        lambda: len({node.status()["fingerprint"] for node in nodes}) == 1,
        30.0,
        "the logs are equal",
    )
    ledger = retries.ledger
    return Outcome(
        total,
        ledger.fresh + ledger.duplicates + len(ledger.refused),
        ledger.fresh,
        ledger.refused,
        [node.count() for node in nodes],
        [node.status()["keys"]["doubles"] for node in nodes],
        time.monotonic() - began,
    )
