"""Reads that wait for an increment, and increments that wait for copies, on real nodes."""

from __future__ import annotations

import random
import shutil
import threading
from collections import Counter
from collections.abc import Sequence
from functools import partial

from tests.e2e.cluster import agree
from tests.e2e.node import Node, at_once, until

CLIENTS = 8
WAIT = "20s"


def reads(nodes: Sequence[Node], tries: int, seed: int) -> list[str]:
    """Increments on random nodes, each read at once on another with `after`: what was answered
    without it. Each client counts alone on a counter for each node, so a count says which of its
    increments there it includes."""
    return [
        wrong
        for found in at_once(
            partial(_read, nodes, f"c{number}", tries // CLIENTS, random.Random(seed + number))
            for number in range(CLIENTS)
        )
        for wrong in found
    ]


def _read(nodes: Sequence[Node], client: str, tries: int, rng: random.Random) -> list[str]:
    wrong: list[str] = []
    made_on: Counter[str] = Counter()
    for _ in range(tries):
        writer, reader = rng.sample(list(nodes), 2)
        counter = f"{client}-{writer.name}"
        made_on[counter] += 1
        made = made_on[counter]
        done = writer.ask("POST", f"/increment?counter={counter}")
        assert done.status == 200, done
        path = f"/count?counter={counter}&after={done.data['id']}&timeout={WAIT}"
        read = reader.ask("GET", path)
        if read.status != 200 or read.data["count"] != made:
            wrong.append(f"{reader.name} after {made} of {writer.name}: {read}")
    return wrong


def destroyed(nodes: Sequence[Node], rounds: int, seed: int) -> list[str]:
    """Each round: a random node answers increments with `ack=2` and is destroyed, disk included,
    right after an answer; what the others then lack of what was answered."""
    rng = random.Random(seed)
    held = 0
    lost: list[str] = []
    for number in range(1, rounds + 1):
        victim = rng.choice(nodes)
        others = [node for node in nodes if node is not victim]
        held += _destroy(victim, others, rng.randint(1, 20))
        try:
            until(partial(_hold, others, held), 10.0, "what was answered is counted")
        except AssertionError as error:
            lost.append(f"round {number}: {error}, {_counts(others)} of {held}")
            held = _counts(others)[0]
        victim.start(join=others)
        agree(nodes, within=30.0)
    return lost


def _destroy(victim: Node, others: Sequence[Node], count: int) -> int:
    """Count on a node while others count too, then end it with its disk; what it answered."""
    end = threading.Event()
    noise = threading.Thread(target=_count_on, args=(others[0], end))
    noise.start()
    for _ in range(count):
        done = victim.ask("POST", "/increment?counter=held&ack=2&timeout=10s")
        assert done.status == 200, done
        assert done.data["acks"] >= 2, done
    victim.kill()
    end.set()
    noise.join()
    shutil.rmtree(victim.state_home)
    return count


def _hold(nodes: Sequence[Node], count: int) -> bool:
    return set(_counts(nodes)) == {count}


def _counts(nodes: Sequence[Node]) -> list[int]:
    return [node.count("held") for node in nodes]


def _count_on(node: Node, end: threading.Event) -> None:
    """Other increments, so that holds cross other news."""
    while not end.is_set():
        node.increment("noise")
