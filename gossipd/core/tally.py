"""What has happened to a node so far, as plain numbers: counted where it happens, read by whoever
asks. Nothing is decided by them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from typing import get_args

from gossipd.core.wire.messages import Message

ROUND_TRIP_BOUNDS = (
    *(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01),
    *(0.025, 0.05, 0.1, 0.25, 0.5),
)
"""Seconds, from one host to the other side of the world; slower answers are some host's stall."""


class Histogram:
    """How many values lie between which bounds, and their sum."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        """In order; a value that is equal to one lies below it."""
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def add(self, value: float) -> None:
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value


class Traffic:
    """Datagrams of one kind of message."""

    __slots__ = ("count", "size")

    def __init__(self) -> None:
        self.count = 0
        self.size = 0
        """Their bytes, all together."""

    def add(self, size: int) -> None:
        self.count += 1
        self.size += size


class Tally:
    """Of one node."""

    def __init__(self) -> None:
        self.probes = {"answered": 0, "relayed": 0, "silent": 0, "void": 0}
        """By outcome (see `core.swim.contacts`)."""
        self.round_trips = Histogram(ROUND_TRIP_BOUNDS)
        """Of probes, in seconds."""
        self.suspicions = {"probe": 0, "told": 0, "confirmed": 0}
        """By why they are held here: this node's own probe, others have said so, or others have
        and this node found the same."""
        self.refutations = {"self": 0, "others": 0}
        """Suspicions that were refuted: by this node, of itself; by members, held here."""
        self.false_failures = 0
        """Members that were held as failed and live on, in the same life."""
        self.repairs = {"log": 0, "members": 0}
        """Begun, by what differed."""
        self.received = {kind: Traffic() for kind in get_args(Message)}
        self.sent = {kind: Traffic() for kind in get_args(Message)}
