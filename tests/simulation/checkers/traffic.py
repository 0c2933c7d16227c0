"""Q7: what a cluster at rest sends, which must not grow with what it holds."""

from __future__ import annotations

from typing import NamedTuple

from tests.simulation.faulty.world import World

FINGERPRINT_BYTES = 16
"""What a packet may gain when the log is no longer empty: the fingerprint of nothing is 0, which
takes one byte for each of its halves, any other nine."""

TOLERANCE = 0.05
"""Part by which packets and bytes of two equal clusters may differ, as phases are random."""


class Traffic(NamedTuple):
    """What one node sends on average."""

    packets: float
    """Datagrams per second."""
    size: float
    """Bytes per second, UDP payload."""


def idle_traffic(world: World, seconds: float) -> Traffic:
    """Let time pass and see what a node sends meanwhile, without any load."""
    others, world.captured = world.captured, []
    world.run(seconds)
    captured, world.captured = world.captured, others
    if others is not None:
        others += captured
    share = seconds * len(world.running)
    return Traffic(len(captured) / share, sum(len(each.data) for each in captured) / share)


def compare_idle(empty: Traffic, full: Traffic) -> None:
    """Q7: raise `AssertionError` if a full log costs more at rest than an empty one."""
    most = empty.packets * (1 + TOLERANCE)
    assert full.packets <= most, f"Q7: {full.packets:.2f} packets/s, empty {empty.packets:.2f}"
    most = (empty.size + FINGERPRINT_BYTES * empty.packets) * (1 + TOLERANCE)
    assert full.size <= most, f"Q7: {full.size:.0f} bytes/s, at most {most:.0f}"
