"""Many seeds of random faults; a seed that fails becomes a scenario with a name."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from .swarm import Swarm

SEEDS = 64
ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("first", range(0, SEEDS, 8))
def test_the_invariants_hold_under_random_faults_and_all_agree_after_the_heal(first: int) -> None:
    for seed in range(first, first + 8):
        swarm = Swarm(seed)
        try:
            swarm.run(12)
            swarm.converge(25)
        except AssertionError as error:
            raise AssertionError(f"seed {seed} at {swarm.world.now:.2f} s: {error}") from error


def test_the_faults_do_happen() -> None:
    happened: dict[str, int] = {}
    for seed in range(20):
        swarm = Swarm(seed)
        swarm.run(6)
        for fault, count in swarm.happened.items():
            happened[fault] = happened.get(fault, 0) + count
    assert len(happened) == 11
    assert min(happened.values()) >= 3


def trace_of(seed: int) -> str:
    """The hash of everything that one swarm did."""
    swarm = Swarm(seed)
    swarm.run(8)
    return swarm.world.trace


def test_a_seed_replays_and_another_seed_differs() -> None:
    assert trace_of(5) == trace_of(5) != trace_of(6)


def test_a_seed_replays_under_any_hash_seed() -> None:
    code = f"from {__package__}.test_swarm import trace_of; print(trace_of(5))"
    traces = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for hash_seed in ("0", "1", "4711")
    }
    assert traces == {trace_of(5)}
