"""Latencies and bursts have the distributions that they say."""

from __future__ import annotations

from random import Random
from statistics import mean, median

import pytest

from tests.simulation.faulty.link import (
    Bursts,
    Constant,
    Latency,
    Link,
    LogNormal,
    Uniform,
)


def drawn(latency: Latency, count: int = 20_000) -> list[float]:
    rng = Random(1)
    return [latency.draw(rng) for _ in range(count)]


def test_a_constant_latency_is_always_the_same() -> None:
    assert set(drawn(Constant(0.05))) == {0.05}


def test_a_uniform_latency_lies_evenly_within_its_bounds() -> None:
    times = drawn(Uniform(0.01, 0.03))
    assert 0.01 <= min(times) < 0.0101
    assert 0.0299 < max(times) <= 0.03
    assert mean(times) == pytest.approx(0.02, rel=0.01)


def test_a_log_normal_latency_has_a_floor_a_median_and_a_long_tail() -> None:
    times = sorted(drawn(LogNormal(floor=0.02, median=0.001, sigma=1.0)))
    assert times[0] > 0.02
    assert median(times) == pytest.approx(0.021, rel=0.01)
    queue = times[int(0.8413 * len(times))] - 0.02
    assert queue == pytest.approx(0.001 * 2.718, rel=0.05)
    assert times[-1] > 0.04


@pytest.mark.parametrize("latency", [Constant(0.05), Uniform(0.01, 0.2), LogNormal(0.02, 0.01, 1)])
def test_no_latency_leaves_its_bounds(latency: Latency) -> None:
    least, largest = latency.bounds
    assert all(least <= time <= largest for time in drawn(latency, 1000))


def test_setting_a_delay_makes_a_latency_uniform() -> None:
    link = Link(latency=Constant(1.0))
    link.delay = (0.1, 0.2)
    assert link.latency == Uniform(0.1, 0.2)
    assert link.delay == (0.1, 0.2)


@pytest.mark.parametrize("step", [0.01, 1.0, 100.0])
def test_bursts_take_their_share_of_the_time_however_often_one_looks(step: float) -> None:
    bursts = Bursts(every=8.0, lasting=2.0)
    rng = Random(1)
    state, within = None, 0
    count = 200_000
    for _ in range(count):
        state = bursts.goes_on(state, step, rng)
        within += state
    assert bursts.share == 0.2
    assert within / count == pytest.approx(0.2, abs=0.03)


def test_bursts_last_as_long_as_they_say() -> None:
    bursts = Bursts(every=5.0, lasting=0.5)
    rng = Random(1)
    state, lengths = False, [0]
    for _ in range(400_000):
        before, state = state, bursts.goes_on(state, 0.01, rng)
        if state:
            lengths[-1] += 1
        elif before:
            lengths.append(0)
    assert mean(lengths) * 0.01 == pytest.approx(0.5, rel=0.15)


def test_a_link_with_any_fault_is_not_clean() -> None:
    assert Link(latency=LogNormal(0.1, 0.1, 1.0), size_max=100).is_clean
    faulty = (
        Link(loss=0.1),
        Link(bursts=Bursts(1.0, 1.0)),
        Link(duplication=0.1),
        Link(late=0.1),
        Link(truncation=0.1),
        Link(bit_flips=0.1),
    )
    assert not any(link.is_clean for link in faulty)
