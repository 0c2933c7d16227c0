"""What one life keeps and the next one loads."""

from __future__ import annotations

from random import Random

from gossipd.core import (
    Address,
    MemberView,
    Node,
    Settings,
    Snapshot,
    Status,
    StreamSnapshot,
    TagFrame,
)
from tests.commits import count_all
from tests.inside import shared_members, snapshot_of

HERE: Address = ("10.0.0.1", 7946)
THERE: Address = ("10.0.0.2", 7946)
STREAM = bytes(9) + b"\x07"


def life(generation: int = 1000) -> Node:
    own = MemberView("here", HERE, generation, 0, Status.ALIVE)
    return Node(own, Settings(), TagFrame("c"), Random(1), 0.0)


def test_a_life_goes_on_from_what_the_last_one_kept() -> None:
    first = life()
    first.start(True, 0.0)
    count_all(first, [("a", 2), ("b", 3), ("a", 1)], 0.0, 1e9)
    failed = MemberView("there", THERE, 5, 0, Status.FAILED, age=3)
    first.load(Snapshot((), (failed,)), 0.0)
    snapshot = snapshot_of(first, 60.0)

    second = life(2000)
    second.load(snapshot, 60.0)
    assert second.log.fingerprint == first.log.fingerprint
    assert second.log.values == {"a": 3, "b": 3}
    assert [view.status for view in second.members] == [Status.ALIVE, Status.FAILED]
    assert snapshot_of(second, 60.0) == snapshot
    assert snapshot.members[0].age == 4
    assert second.stream is None


def test_a_verdict_is_kept_as_long_as_it_is_remembered() -> None:
    first, remember = life(), Settings().remember
    failed = MemberView("there", THERE, 5, 0, Status.FAILED)
    first.load(Snapshot((), (failed,)), 0.0)
    now = 0.9 * remember
    second = life(2000)
    second.load(snapshot_of(first, now), now)
    assert [view.name for view in second.members] == ["here", "there"]
    assert shared_members(second, now) == [second.own]
    third = life(3000)
    third.load(snapshot_of(first, remember), remember)
    assert third.members == [third.own]


def test_members_of_an_image_are_contacts_and_no_news() -> None:
    node = life()
    alive = MemberView("there", THERE, 5, 0, Status.ALIVE)
    node.load(Snapshot((), (alive,)), 0.0)
    assert node.members == shared_members(node, 0.0) == [node.own]
    assert snapshot_of(node, 0.0).members == (alive,)
    other = life()
    other.load(Snapshot((), (alive,)), 0.0, met=True)
    assert shared_members(other, 0.0) == [other.own, alive]


def test_the_own_entry_of_an_image_is_left_out() -> None:
    node = life()
    own = MemberView("here", HERE, 9000, 3, Status.FAILED)
    node.load(Snapshot((), (own,)), 0.0)
    assert (node.own.generation, node.own.status) == (1000, Status.ALIVE)


def test_more_than_the_log_takes_otherwise_is_loaded() -> None:
    own = MemberView("here", HERE, 1000, 0, Status.ALIVE)
    node = Node(own, Settings(registers_max=1), TagFrame("c"), Random(1), 0.0)
    node.load(Snapshot((StreamSnapshot(STREAM, 2, (("a", 1, 1), ("b", 2, 1))),), ()), 0.0)
    assert (node.log.version(STREAM), node.log.values) == (2, {"a": 1, "b": 1})


def test_an_old_image_takes_nothing_back() -> None:
    node = life()
    node.start(True, 0.0)
    node.load(Snapshot((), (MemberView("there", THERE, 5, 0, Status.ALIVE),)), 0.0)
    count_all(node, [("a", 2)], 0.0, 1e9)
    old = snapshot_of(node, 0.0)
    count_all(node, [("a", 3), ("b", 1)], 0.0, 1e9)
    node.load(Snapshot((), (MemberView("there", THERE, 5, 4, Status.LEFT, age=1),)), 0.0)
    newer = snapshot_of(node, 0.0)

    node.load(old, 0.0)
    assert snapshot_of(node, 0.0) == newer
    assert node.log.values == {"a": 5, "b": 1}


def test_an_image_is_of_its_moment() -> None:
    node = life()
    node.start(True, 0.0)
    count_all(node, [("a", 2)], 0.0, 1e9)
    snapshot = snapshot_of(node, 0.0)
    count_all(node, [("a", 3)], 0.0, 1e9)
    (kept,) = snapshot.streams
    assert (kept.version, kept.registers) == (1, (("a", 1, 2),))
