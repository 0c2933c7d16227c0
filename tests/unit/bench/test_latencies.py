"""The latencies of a bench: by nearest rank, in buckets of half a percent."""

from __future__ import annotations

from random import Random

import pytest

from gossipd.bench.latencies import Latencies


def test_there_are_none_without_a_sample() -> None:
    assert Latencies().at([0.5, 1]) == []


def test_each_sample_counts_as_often_as_it_was_given() -> None:
    latencies = Latencies()
    latencies.add(0.0001, 99)
    latencies.add(0.0002, 1)
    assert latencies.at([0.5, 0.99, 0.999, 1]) == [0.1, 0.1, 0.2, 0.2]


def test_what_is_told_is_half_a_percent_off_at_most_and_takes_little_memory() -> None:
    rng = Random(1)
    samples = sorted(rng.lognormvariate(-6, 2) for _ in range(20_000))
    latencies = Latencies()
    for sample in samples:
        latencies.add(sample, 1)
    shares = [0.5, 0.95, 0.99, 0.999, 1]
    for share, found in zip(shares, latencies.at(shares), strict=True):
        wanted = 1000 * samples[round(share * len(samples)) - 1]
        assert found == pytest.approx(wanted, rel=0.005, abs=0.001)
    assert len(vars(latencies)["_samples"]) < 4_000


def test_the_worst_sample_is_half_a_percent_off_at_most() -> None:
    latencies = Latencies()
    latencies.add(0.033_023, 1)
    assert latencies.at([1]) == [pytest.approx(33.023, rel=0.005)]
