"""Detections and false verdicts, told from changes whose truth is known."""

from __future__ import annotations

import pytest

from gossipd.core import Cause, MemberChanged, Reason, Status
from gossipd.simulator.verdicts import (
    Detection,
    Subject,
    Tally,
    Verdicts,
)
from tests.simulation.faulty.world import World

NOBODY = Tally()

D_ALONE = {"a": 0, "b": 0, "c": 0, "d": 1}
"""Who is on which side of a cut."""


class Told:
    """Four nodes that never meet; what each holds of the others is made up."""

    def __init__(self) -> None:
        self.world = World(1)
        for name in "abcd":
            self.world.add(name)
        self.verdicts = Verdicts(self.world)
        self._lives = {name: self.world.node(name).own for name in "abcd"}

    def change(
        self, at: float, observer: str, name: str, status: Status, incarnation: int = 0
    ) -> None:
        view = self._lives[name]._replace(status=status, incarnation=incarnation)
        self.verdicts.changed(at, observer, MemberChanged(view, None, Reason(Cause.SAID)))

    def kill(self, name: str, at: float) -> None:
        others = set(self.world.running) - {name}
        self.world.crash(name)
        self.verdicts.killed(name, others, at)


@pytest.fixture
def told() -> Told:
    return Told()


def test_a_kill_is_suspected_then_failed_then_known_to_all_others(told: Told) -> None:
    told.kill("d", at=10)
    told.change(11, "b", "d", Status.SUSPECT)
    told.change(12, "a", "d", Status.SUSPECT)
    told.change(13, "a", "d", Status.FAILED)
    told.change(14, "b", "d", Status.FAILED)
    assert told.verdicts.detections == [Detection("d", 10, 1, 3, None)]
    told.change(14.5, "c", "d", Status.FAILED)
    assert told.verdicts.detections == [Detection("d", 10, 1, 3, 4.5)]
    assert list(told.verdicts.tallies.values()) == [NOBODY] * 2


def test_the_killed_wait_for_nobody_who_was_killed(told: Told) -> None:
    told.kill("d", at=10)
    told.kill("c", at=11)
    told.change(13, "a", "d", Status.FAILED)
    told.change(14, "b", "d", Status.FAILED)
    told.change(15, "a", "c", Status.FAILED)
    told.kill("b", at=20)
    first, second, third = told.verdicts.detections
    assert (first.known_after, second.known_after, third.known_after) == (4, 9, None)


def test_a_verdict_on_a_healthy_member_is_false_and_counts_once_per_incarnation(
    told: Told,
) -> None:
    for observer in "abc":
        told.change(5, observer, "d", Status.SUSPECT)
        told.change(7, observer, "d", Status.FAILED)
    told.change(9, "a", "d", Status.SUSPECT, incarnation=1)
    assert told.verdicts.tallies[Subject.HEALTHY] == Tally(2, 4, 1, 3)


def test_who_hears_later_of_a_verdict_does_not_make_it_another(told: Told) -> None:
    told.verdicts.parted(D_ALONE, 4)
    told.change(5, "a", "d", Status.SUSPECT)
    told.verdicts.healed(6)
    told.change(20, "b", "d", Status.SUSPECT)
    told.change(20, "b", "d", Status.FAILED)
    assert told.verdicts.tallies[Subject.CUT] == Tally(1, 2, 1, 1)
    assert told.verdicts.tallies[Subject.HEALTHY] == NOBODY


def test_a_verdict_is_of_the_kind_of_the_first_suspicion_before_it(told: Told) -> None:
    told.change(5, "a", "d", Status.SUSPECT)
    told.verdicts.parted(D_ALONE, 6)
    told.change(8, "a", "d", Status.FAILED)
    assert told.verdicts.tallies[Subject.HEALTHY] == Tally(1, 1, 1, 1)
    assert told.verdicts.tallies[Subject.CUT] == NOBODY


def test_a_kill_is_not_waited_for_by_those_who_hold_it_as_failed_already(told: Told) -> None:
    told.change(5, "a", "d", Status.FAILED)
    told.change(6, "b", "d", Status.FAILED)
    told.kill("d", at=10)
    (detection,) = told.verdicts.detections
    assert detection == Detection("d", 10, 0, 0, None)
    told.change(12, "c", "d", Status.FAILED)
    assert detection == Detection("d", 10, 0, 0, 2)


def test_a_kill_that_all_hold_as_failed_already_is_known_at_once(told: Told) -> None:
    for observer in "abc":
        told.change(5, observer, "d", Status.FAILED)
    told.kill("d", at=10)
    assert told.verdicts.detections == [Detection("d", 10, 0, 0, 0)]


def test_who_takes_back_its_verdict_on_the_killed_is_waited_for_again(told: Told) -> None:
    for observer in "ab":
        told.change(5, observer, "d", Status.FAILED)
    told.kill("d", at=10)
    told.change(11, "a", "d", Status.ALIVE, incarnation=1)
    told.change(13, "c", "d", Status.FAILED, incarnation=1)
    (detection,) = told.verdicts.detections
    before = detection.known_after
    told.change(14, "a", "d", Status.FAILED, incarnation=1)
    assert (before, detection.known_after) == (None, 4)


def test_only_members_on_the_other_side_are_cut_off(told: Told) -> None:
    told.verdicts.parted({"a": 0, "b": 0, "c": 1}, 3)
    told.change(5, "a", "c", Status.FAILED)
    told.change(5, "a", "b", Status.FAILED)
    told.change(5, "a", "d", Status.FAILED)
    assert told.verdicts.tallies[Subject.CUT] == Tally(0, 0, 1, 1)
    assert told.verdicts.tallies[Subject.HEALTHY] == Tally(0, 0, 2, 2)


def test_the_cluster_is_apart_until_nobody_who_runs_is_held_as_failed(told: Told) -> None:
    told.verdicts.parted({"a": 0, "b": 0, "c": 1, "d": 1}, 3)
    told.change(5, "a", "c", Status.FAILED)
    told.change(5, "d", "b", Status.FAILED)
    told.verdicts.healed(20)
    states = [told.verdicts.apart]
    told.change(21, "a", "c", Status.ALIVE, incarnation=1)
    states.append(told.verdicts.apart)
    told.kill("d", at=22.5)
    states.append(told.verdicts.apart)
    assert states == [True, True, False]
    assert told.verdicts.rejoined_after == [2.5]


def test_a_healing_without_a_cut_is_none(told: Told) -> None:
    told.verdicts.healed(20)
    assert (told.verdicts.apart, told.verdicts.rejoined_after) == (False, [])


def test_a_verdict_on_a_former_life_is_true(told: Told) -> None:
    told.kill("d", at=10)
    told.world.start("d")
    for observer in "abc":
        told.change(12, observer, "d", Status.FAILED)
    assert told.verdicts.tallies[Subject.HEALTHY] == NOBODY
    assert told.verdicts.detections[0].known_after == 2


def test_members_that_are_no_hosts_of_the_world_are_left_out(told: Told) -> None:
    view = told.world.node("a").own._replace(name="ghost", status=Status.FAILED)
    told.verdicts.changed(1, "a", MemberChanged(view, None, Reason(Cause.SAID)))
    assert list(told.verdicts.tallies.values()) == [NOBODY] * 2
