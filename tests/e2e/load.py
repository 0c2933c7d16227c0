"""Clients that count: all three ways in, from threads beside each other."""

from __future__ import annotations

import http.client
import random
import threading
import time
from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Self

from tests.e2e.node import Node, at_once

CLI_SHARE = 0.02
"""Of the increments; each one is a process."""

BATCH = 200
"""Lines of text that are sent before the answers are read."""

PAUSE = 0.1
"""Seconds between two increments of a stream on a node: what happens meanwhile is what is tested,
and needs the machine's time."""


def by_http(node: Node, count: int) -> None:
    """Increments one after the other on one connection that is kept."""
    connection = http.client.HTTPConnection(*node.api)
    connection.sock = node.connect()
    for _ in range(count):
        connection.request("POST", "/increment")
        response = connection.getresponse()
        body = response.read()
        assert response.status == 200, body
    connection.close()


def by_text(node: Node, count: int) -> None:
    """Lines one after the other, each after the answer to the last."""
    with node.connect() as connection, connection.makefile("rwb") as stream:
        for _ in range(count):
            stream.write(b"increment\n")
            stream.flush()
            answer = stream.readline()
            assert answer.strip().isdigit(), answer


def by_cli(node: Node, count: int) -> None:
    for _ in range(count):
        done = node.cli("increment")
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip().isdigit(), done.stdout


def in_three_ways(nodes: Sequence[Node], total: int) -> None:
    """`total` increments (a multiple of the nodes) from three clients on each node at once."""
    each = total // len(nodes)
    cli = int(each * CLI_SHARE)
    text = (each - cli) // 2
    at_once(
        task
        for node in nodes
        for task in (
            partial(by_cli, node, cli),
            partial(by_text, node, text),
            partial(by_http, node, each - cli - text),
        )
    )


def at_full_speed(nodes: Sequence[Node], seconds: float) -> int:
    """Batches of lines on every node at once; how many increments were answered."""
    end = time.monotonic() + seconds

    def pump(node: Node) -> int:
        done = 0
        with node.connect(20.0) as connection, connection.makefile("rb") as answers:
            while time.monotonic() < end:
                connection.sendall(b"increment\n" * BATCH)
                for _ in range(BATCH):
                    answer = answers.readline()
                    assert answer.strip().isdigit(), answer
                done += BATCH
        return done

    return sum(at_once(partial(pump, node) for node in nodes))


def at_random(nodes: Sequence[Node], seconds: float, seed: int) -> dict[str, int]:
    """Several counters, any amount either way; what each counter was incremented by in all."""
    end = time.monotonic() + seconds

    def pump(node: Node, rng: random.Random) -> Counter[str]:
        sums: Counter[str] = Counter()
        with node.connect() as connection, connection.makefile("rwb") as stream:
            while time.monotonic() < end:
                counter, by = f"c{rng.randrange(20)}", rng.choice((-(2**40), -3, 1, 7, 2**50))
                stream.write(f"increment {counter} {by}\n".encode())
                stream.flush()
                answer = stream.readline()
                assert answer.strip().lstrip(b"-").isdigit(), answer
                sums[counter] += by
        return sums

    total: Counter[str] = Counter()
    rngs = [random.Random(f"{seed} {node.name}") for node in nodes]
    for sums in at_once(partial(pump, node, rng) for node, rng in zip(nodes, rngs, strict=True)):
        for counter, by in sums.items():
            total[counter] += by
    return dict(total)


class Stream:
    """Increments on some nodes, one after the other each, for as long as the block lasts."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        self.answered = 0
        """Complete once the block has ended."""
        self.failures: list[str] = []
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._pump, args=(node,)) for node in nodes]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _pump(self, node: Node) -> None:
        while not self._stop.wait(PAUSE):
            try:
                node.increment()
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(f"{node.name}: {error!r}")
                return
            with self._lock:
                self.answered += 1
