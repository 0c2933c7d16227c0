"""Hostile peers that have joined real nodes: nobody else is blamed, and clients are served."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial

import pytest

from tests.e2e.bounds import blames_nobody
from tests.e2e.cluster import Cluster, counted
from tests.e2e.forge import Forge
from tests.e2e.node import Node
from tests.effort import effort, few
from tests.fuzz.attacks import real, sealed
from tests.fuzz.attacks.costly import NAME, Costly

SECONDS = effort(2, 4)
RATE = 1000.0
PAUSE = 0.02
"""Seconds between two increments, so that the machine has time for the attack."""


def test_the_dearest_datagrams_of_a_peer_make_nobody_suspect_a_live_node(cluster: Cluster) -> None:
    nodes = cluster.start(3)
    liar = Costly((nodes[0].host, nodes[0].port), cluster.address() + "1")
    with closing(liar.socket):
        liar.join()
        attack = threading.Thread(target=liar.attack, args=(SECONDS, RATE))
        attack.start()
        slowest, done = 0.0, 0
        while attack.is_alive():
            began = time.monotonic()
            nodes[done % 3].increment()
            slowest = max(slowest, time.monotonic() - began)
            done += 1
            attack.join(PAUSE)
        print(f"{liar.sent} datagrams; {done} increments meanwhile, the slowest {slowest:.2f} s")
        for node in nodes:
            blamed = re.findall(r"member (\S+) at \S+ is (?:suspect|failed)", node.log)
            blames_nobody(set(blamed) - {NAME})
        print({node.name: node.status()["dropped"] for node in nodes})
        counted(nodes, done, within=20)


@pytest.mark.parametrize("attack", few([real.reflects, real.crowds], 1))
def test_ghosts_bring_no_traffic_upon_anybody_and_keep_nobody_out(
    attack: Callable[[Cluster, list[Node]], real.Outcome],
    cluster: Cluster,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(real, "SECONDS", effort(6, 10))
    found = attack(cluster, cluster.start(real.COUNT))
    print(found.text)
    assert found.is_harmless


def test_what_a_node_has_counted_counts_though_others_are_told_of_less(cluster: Cluster) -> None:
    found = real.spoils(cluster, cluster.start(real.COUNT))
    print(found.text)
    assert "never made" in found.text, "the alarm"


def test_hostile_datagrams_change_nothing_at_a_node_with_a_secret(
    forge: Forge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sealed, "Cluster", partial(Cluster, forge=forge))
    found = sealed.run(effort(8_000, 200_000))
    print(found)
    assert not found.changed
    assert found.uncounted == 0
    assert all(found.dropped.values()), "each reason"
    assert len(found.dropped) == 6
    assert found.opened > sealed.CAPTURED, "a life that knows no window opens what is real"
    # Of a CPU that others use as well; the program demands what is to be reached.
    assert found.microseconds < 3 * sealed.MICROSECONDS_MAX
