"""What nearly every part of a node needs: its settings, its randomness, its deadlines."""

from __future__ import annotations

from random import Random
from typing import NamedTuple

from .settings import Settings
from .timers import Timers


class Means(NamedTuple):
    """Those of one node."""

    settings: Settings
    rng: Random
    timers: Timers
