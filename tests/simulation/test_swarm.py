"""Many seeds of random faults; a seed that fails becomes a scenario with a name.

As a rule the first few seeds are run; a thorough run takes many others, where all that is rare has
to be seen.
"""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from tests.effort import SEED, THOROUGH, effort

from .faults import KINDS
from .rare import Rare
from .swarm import (
    Outcome,
    Swarm,
    run_seed,
    total,
)

SEEDS = effort(1, 100)
CHUNK = 1
BASE = 1000 * (SEED or 0)
"""The first seed."""
ROOT = Path(__file__).parents[2]
FAILED_BEFORE = Path(__file__).with_name("failing_seeds.txt")


@cache
def outcomes(first: int, count: int) -> list[Outcome]:
    """What became of some seeds, each of which runs once however many tests ask."""
    return [run_seed(seed) for seed in range(first, first + count)]


def seeds_that_failed() -> dict[int, str]:
    """Each seed that once failed, and what it was."""
    lines = (line.partition("#") for line in FAILED_BEFORE.read_text().splitlines())
    return {int(seed): why.strip() for seed, _, why in lines if seed.strip()}


@pytest.mark.parametrize("chunk", range(SEEDS // CHUNK))
def test_the_invariants_hold_under_random_faults_and_all_agree_after_the_heal(chunk: int) -> None:
    failed = [outcome for outcome in outcomes(BASE + CHUNK * chunk, CHUNK) if outcome.failure]
    told = "\n".join("\n".join((outcome.failure, *outcome.diary)) for outcome in failed)
    first = failed[0].seed if failed else BASE
    again = f"python -m tests.simulation.swarm --seeds 1 --first {first}"
    assert not failed, f"again with: {again}\n{told}"


def test_seeds_that_failed_once_say_why_and_fail_no_more() -> None:
    """As a rule the last ones that were found."""
    seeds = seeds_that_failed()
    assert all(seeds.values()), "nobody knows why a seed is here"
    for seed in list(seeds)[-effort(3, len(seeds)) :]:
        assert run_seed(seed).failure == ""


def is_seen(what: str) -> bool:
    """Whether a fault or a rare event happens in the seeds of this run, or in twice as many more:
    what is seen in one seed of fifteen may by chance be missing in a hundred."""
    return any(
        total(outcomes(BASE + CHUNK * chunk, CHUNK))[what] for chunk in range(3 * SEEDS // CHUNK)
    )


rarely = pytest.mark.skipif(
    not THOROUGH, reason="some need hundreds of seeds: python -m tests --thorough"
)


@rarely
@pytest.mark.parametrize("rare", Rare, ids=lambda rare: rare.name.lower())
def test_the_rare_events_do_happen(rare: Rare) -> None:
    assert is_seen(rare.name), f"from seed {BASE} on: never seen: {rare.value}"


@rarely
@pytest.mark.parametrize("fault", [kind.__name__ for kind in KINDS])
def test_the_faults_do_happen(fault: str) -> None:
    assert is_seen(fault), f"from seed {BASE} on: never done: {fault}"


def trace_of(seed: int) -> str:
    """The hash of everything that one swarm did."""
    swarm = Swarm(seed, traced=True)
    swarm.run(5)
    return swarm.world.trace


def test_a_seed_replays_and_another_seed_differs() -> None:
    assert trace_of(5) == trace_of(5) != trace_of(6)


def test_a_seed_replays_under_any_hash_seed() -> None:
    code = f"from {__name__} import trace_of; print(trace_of(5))"
    trace = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONHASHSEED": "4711"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    assert trace == trace_of(5)


def test_the_program_tells_what_happened_and_ends_well() -> None:
    done = subprocess.run(
        [sys.executable, "-m", f"{__package__}.swarm", "--seeds", "2", "--first", "24"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 of 2 seeds failed" in done.stdout
