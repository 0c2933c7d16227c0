"""The classic rule behaves as memberlist does, where that differs from the defaults."""

from __future__ import annotations

import pytest

from gossipd.core import MemberChanged, Stalled, Status
from tests.bench.classic import CLASSIC
from tests.simulation.faulty.world import World


def test_a_silent_target_is_pinged_twice_directly_and_then_suspected() -> None:
    world = World(1, CLASSIC)
    world.formed(2)
    world.run(5)
    world.crash("n1")
    world.effects.clear()
    sent = [(world.now, world.sent["n0"])]
    while not world.effects:
        world.run(0.01)
        if world.sent["n0"] > sent[-1][1]:
            sent.append((world.now, world.sent["n0"]))
    (_, first), (at, _), (again_at, last) = sent
    assert last == first + 2
    assert again_at - at == pytest.approx(0.5, abs=0.011)
    assert world.now - at == pytest.approx(1.0, abs=0.011)


def test_a_kill_takes_the_shortest_suspicion_and_more() -> None:
    world = World(1, CLASSIC)
    world.formed(5)
    world.run(5)
    world.crash("n4")
    world.effects.clear()
    world.run(30)
    times = {
        status: [
            at
            for at, _, effect in world.effects
            if isinstance(effect, MemberChanged) and effect.view.status is status
        ]
        for status in (Status.SUSPECT, Status.FAILED)
    }
    shortest = CLASSIC.suspicion_mult * CLASSIC.probe_interval
    assert min(times[Status.FAILED]) - min(times[Status.SUSPECT]) >= shortest - 1e-9
    assert len(times[Status.FAILED]) == 4


def test_a_late_timer_is_nothing_special() -> None:
    world = World(1, CLASSIC)
    world.formed(3)
    world.run(5)
    world.stall("n0")
    world.run(3)
    world.effects.clear()
    world.resume("n0")
    world.run(1)
    assert not [effect for _, _, effect in world.effects if isinstance(effect, Stalled)]
