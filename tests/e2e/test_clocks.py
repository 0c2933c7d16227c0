"""Real processes whose wall clock is wrong, or is set while they run (libfaketime)."""

from __future__ import annotations

import time
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from tests.e2e.cluster import Cluster, agree
from tests.e2e.node import Node, until
from tests.effort import few

LIBRARY = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)

pytestmark = pytest.mark.skipif(LIBRARY is None, reason="libfaketime is missing")

HOUR = 3600


class WallClock:
    """That of one process; it may be set at any time."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.ahead = 0.0
        self.set(0)

    def set(self, ahead: float) -> None:
        """Let it be so many seconds ahead."""
        self.ahead = ahead
        new = self._file.with_suffix(".new")
        new.write_text(f"{ahead:+.0f}\n")
        new.rename(self._file)

    @property
    def variables(self) -> dict[str, str]:
        """What lets a process have this clock, and the machine's in all else."""
        return {
            "LD_PRELOAD": str(LIBRARY),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
        }


def time_key(ahead: float = 0.0) -> UUID:
    """A UUIDv7 of a client whose clock is so much ahead."""
    milliseconds = int(1000 * (time.time() + ahead))
    return UUID(int=milliseconds << 80 | 7 << 76 | 2 << 62 | uuid4().int & (1 << 62) - 1)


def use(node: Node, key: UUID) -> bool:
    """Count under a key; whether that was a retry."""
    reply = node.ask("POST", "/increment", {"key": str(key)})
    assert reply.status == 200, reply
    return bool(reply.data["duplicate"])


@pytest.mark.parametrize("step", few([-7 * HOUR, 7 * HOUR, 10 * 365 * 24 * HOUR], 1))
def test_a_key_is_known_after_a_step_of_the_clock_and_a_restart(
    cluster: Cluster, step: int
) -> None:
    node = cluster.add()
    clock = WallClock(cluster.directory / "clock")
    key = uuid4()
    node.start(join=[], **clock.variables)
    agree([node], within=20.0)
    assert not use(node, key)
    clock.set(step)
    assert use(node, key), "while it runs"
    node.kill()
    node.start(join=[], **clock.variables)
    agree([node], within=20.0)
    since = node.get("/members")[0]["since"]
    assert since == pytest.approx(time.time() + step, abs=HOUR), "its clock is wrong indeed"
    assert use(node, key), "after a restart"
    assert node.count() == 1


def test_a_node_whose_clock_is_ahead_stops_no_keyed_increment_elsewhere(cluster: Cluster) -> None:
    right, wrong = cluster.add(), cluster.add()
    clock = WallClock(cluster.directory / "clock")
    clock.set(33)
    right.start("--key-window", "3")
    wrong.start("--key-window", "3", join=[right], **clock.variables)
    agree([right, wrong], within=20.0)
    used = 0

    def held_less() -> bool:
        nonlocal used
        assert not use(wrong, time_key(33))
        assert not use(right, time_key())
        used += 2
        return int(right.status()["keys"]["held"]) < used / 2

    while used < 20:
        held_less()
    until(held_less, 30.0, "most keys have left the memory of the node whose clock is right")
    clock.set(0)
    for node in (right, wrong):
        for _ in range(5):
            assert not use(node, time_key())
    until(lambda: right.count() == wrong.count() == used + 10, 10.0, "both count the same")
