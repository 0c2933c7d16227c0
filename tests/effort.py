"""How much is tried: minutes' worth as a rule, all of it under `python -m tests --thorough`.

As a rule each run tries the same: examples and seeds are fixed. A thorough one draws them from one
seed, which is told, and the same seed tries the same again.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings

VARIABLE = "GOSSIPD_TESTS_SEED"
"""The variable with the seed of a thorough run."""

SEED = int(os.environ[VARIABLE]) if VARIABLE in os.environ else None
THOROUGH = SEED is not None

T = TypeVar("T")

later = pytest.mark.skipif(not THOROUGH, reason="python -m tests --thorough runs it")
"""Marks what a thorough run tries, and no other."""


def effort(brief: T, whole: T) -> T:
    """How many there are of something in this run, or which of them."""
    return whole if THOROUGH else brief


def some(whole: int) -> range:
    """Seeds of worlds in which the same must hold: a sixteenth of them as a rule."""
    return range(effort(math.ceil(whole / 16), whole))


def few(cases: Iterable[Any], brief: int) -> list[Any]:
    """Cases in which the same must hold, for `parametrize`: the first `brief` are tried as a rule,
    the others in a thorough run."""
    return [
        pytest.param(
            *(case if isinstance(case, tuple) else (case,)),
            marks=[later] if number >= brief else [],
        )
        for number, case in enumerate(cases)
    ]


def examples(count: int) -> settings:
    """Decorates a law with the number of its examples: a sixteenth as a rule, thrice in whole."""
    return settings(max_examples=effort(max(5, count // 16), 3 * count))


def load_profile() -> None:
    """Let hypothesis look at no clock, since a busy machine is no fault, and keep nothing."""
    settings.register_profile(
        "gossipd",
        derandomize=not THOROUGH,
        deadline=None,
        database=None,
        print_blob=True,
        suppress_health_check=(HealthCheck.too_slow,),
    )
    settings.load_profile("gossipd")
