"""Strangers that hold the side port and flood the gossip port: the cluster stays as it is.

`tests.bench.floods` is the same in full.
"""

from __future__ import annotations

import multiprocessing
import re
from functools import partial

from tests.e2e.bounds import blames_nobody
from tests.e2e.cluster import Cluster, agree, counted
from tests.e2e.node import Node, until
from tests.fuzz.attacks import floods
from tests.fuzz.attacks.floods import DEAF, IDLE, SLOW

SECONDS = 4.0
RATE = 3000.0
PAUSE = 0.04
"""Seconds between two rounds of increments, so that the machine has time for the flood."""
GROWN_MAX = 32 * 2**20


def files(node: Node) -> int:
    return int(node.status()["files"]["open"])


def test_strangers_cost_nobody_his_place_and_are_forgotten(
    cluster: Cluster, many_files: None
) -> None:
    nodes = [cluster.add() for _ in range(3)]
    nodes[0].forge = None  # its memory is looked at
    cluster.form(nodes, "--in-memory")
    first, net = nodes[0], nodes[0].host.rpartition(".")[0]
    first.increment()
    before, memory = files(first), first.resident
    sources = [f"{net}.{number}" for number in range(101, 105)]
    data = floods.mixed(floods.of_every_kind(nodes, (f"{net}.200", 9)))
    crowds = (IDLE._replace(size=400), SLOW._replace(size=50), DEAF._replace(size=20))
    done = 1
    with multiprocessing.Pool(4) as pool:
        held = [
            pool.apply_async(floods.hold, (first.api, sources, crowd, SECONDS)) for crowd in crowds
        ]
        to = first.host, first.port
        flood = pool.apply_async(floods.flood, (to, sources, data, RATE, SECONDS))
        until(lambda: files(first) > before + 100, 10, "the strangers are there")
        late = cluster.add()
        late.start("--in-memory", join=[first])
        while not flood.ready():
            for node in nodes:
                node.increment()
                done += 1
            flood.wait(PAUSE)
        sent = flood.get(10)
        opened = sum(each.get(10) for each in held)
    nodes.append(late)
    agree(nodes, within=20)
    counted(nodes, done, within=20)
    until(lambda: files(first) <= before + 1, 20, "all that they held is free")  # late's peer
    assert first.resident - memory < GROWN_MAX
    status = first.status()
    print(f"{opened} connections, {sent} datagrams: {done} increments, {status['dropped']}")
    assert status["udp"]["received"] > sent / 10
    assert {"stranger", "magic", "malformed"} <= status["dropped"].keys()
    names = "|".join(node.name for node in nodes)
    pattern = partial(re.findall, rf"member (?:{names}) at \S+ is (?:suspect|failed)")
    blames_nobody([line for node in nodes for line in pattern(node.log)])
