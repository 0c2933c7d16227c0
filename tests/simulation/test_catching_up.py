"""Nodes that are told of more than they can take: they fall behind, catch up, and are exact."""

from __future__ import annotations

from gossipd.core import Settings
from tests.effort import later
from tests.simulation.checkers import Checker
from tests.simulation.faulty.world import World

from .clients import random_key
from .test_keys import NOTHING, formed, left_out, settle, values

WINDOW = 4.0
KEYS, AT_ONCE, PAUSE = 3_000, 25, 0.05
WORK = 0.012
"""Seconds that each datagram and timer takes: so a node takes a fraction of what it is sent."""

CATCHES_UP = 10.0
"""Seconds. What is missing fits into some 200 datagrams for each node, 2.4 s of work."""


def _hedge(world: World) -> None:
    """Each key is used on two of three nodes at once; half of the doubles find room."""
    names = list(world.hosts)
    for _ in range(KEYS // AT_ONCE):
        keys = [random_key(world.rng) for _ in range(AT_ONCE)]
        for name in world.rng.sample(names, 2):
            world.batch(name, [("default", 1, key) for key in keys])
        world.run(PAUSE)


def _behind(count: int) -> tuple[World, Checker]:
    """A cluster on hosts with little CPU and a bad network, right after many increments."""
    settings = Settings(key_window=WINDOW, key_retention=3_600.0, doubles_max=count // 2)
    world, checker = formed(3, settings)
    world.network.loss = 0.1
    for name in world.hosts:
        world.slow(name, WORK)
    _hedge(world)
    return world, checker


@later
def test_hedged_keys_beyond_what_nodes_can_take_count_once_soon_after() -> None:
    world, checker = _behind(KEYS)
    assert values(world) != {KEYS}, "they are behind"
    world.run(CATCHES_UP)
    assert (values(world), left_out(world)) == ({KEYS}, {KEYS})
    world.network.loss = 0.0
    settle(world, checker, NOTHING)
    assert max(len(node.log.doubles) for node in world.running.values()) < KEYS
