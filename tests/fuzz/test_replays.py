"""What an observer has heard and says again changes nothing: at once, later, after restarts."""

from __future__ import annotations

import pytest

from gossipd.core import NameLost, Status
from tests.effort import effort, later

from .attacks import replays
from .attacks.replays import BUSY, WAYS, Observed, Way, an_hour, lived, replay, restart_all, sample

MOST = effort(1, 100)
"""Datagrams of each kind between each two nodes that come again."""


@pytest.fixture(scope="module")
def world() -> Observed:
    """Each test takes it up where the one before has left it."""
    return lived(1)


def check(world: Observed, *ways: Way) -> None:
    tape = sample(world, MOST)
    for way in ways:
        found = replay(world, tape, way)
        assert found.is_harmless, f"{way.name}: {found}"
        assert found.sent >= (20 if way.busy else 150)
    assert world.run_until_settled(20)
    assert world.factor > 0.1, "nobody is answered at all"


def test_a_moment_later_nothing_changes(world: Observed) -> None:
    check(world, *BUSY[1:], *effort(WAYS[3:], WAYS))


@later
def test_an_hour_later_nothing_changes(world: Observed) -> None:
    an_hour(world)
    check(world, *WAYS[:2])


def test_after_all_nodes_have_restarted_nothing_changes(world: Observed) -> None:
    restart_all(world)
    check(world, *effort(WAYS[:2], WAYS[:3]))


@later
def test_nothing_changes_where_it_is_sealed() -> None:
    """A window refuses most of it, until nodes have restarted."""
    world = lived(3, sealed=True)
    check(world, *BUSY)
    restart_all(world)
    check(world, *WAYS)


@later
def test_in_the_same_second_nothing_changes() -> None:
    world = lived(2, echoes=True)
    assert {c: n.log.value(c) for n in world.running.values() for c in world.counted} == dict(
        world.counted
    )
    for node in world.running.values():
        gone = {view.name: view.status for view in node.members if view.name not in world.running}
        assert gone == {"n5": Status.FAILED, "n6": Status.LEFT}
    assert not any(isinstance(effect, NameLost) for _, _, effect in world.effects)


def test_the_program_tells_of_each_way(
    world: Observed, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replays, "lived", lambda *_, **__: world)
    monkeypatch.setattr(replays, "WAYS", WAYS[:1])
    monkeypatch.setattr(replays, "BUSY", ())
    monkeypatch.setattr(replays, "HOUR", 1.0)
    assert replays.main(["--most", "1"]) == 0
    told = capsys.readouterr().out.splitlines()
    assert [line.partition(",")[0] for line in told] == [
        "a moment later",
        "an hour later",
        "after restarts",
    ]
