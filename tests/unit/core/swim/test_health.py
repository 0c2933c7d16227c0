from __future__ import annotations

from gossipd.core.swim.health import Health


def test_health_saturates_at_both_ends() -> None:
    health = Health(3)
    assert (health.score, health.factor) == (0, 1)
    health.better()
    assert health.score == 0
    health.worse()
    health.worse(5)
    assert (health.score, health.factor) == (2, 3)
    health.better()
    assert health.factor == 2


def test_a_maximum_of_1_switches_it_off() -> None:
    health = Health(1)
    health.worse(9)
    assert health.factor == 1
