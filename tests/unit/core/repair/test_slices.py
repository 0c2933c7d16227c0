"""Long answers come in slices, one asker after the other."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gossipd.core import Effect, KeysWanted, Send
from gossipd.core.repair.slices import (
    ANSWERS_MAX,
    LATE_SLICES_MAX,
    PAUSE,
    READS_MAX,
    SLICE_MAX,
    Slices,
)
from gossipd.core.state import State
from gossipd.core.timers import Timer
from gossipd.core.wire.messages import MembersPage, PassAsk
from tests.unit.core.parts import ALIVE, state_of


class Desk:
    """Answers to members, and the time."""

    def __init__(self) -> None:
        self.state: State = state_of(ALIVE)
        self.serving = Slices(self.state.means.timers)
        self.now = 0.0
        self.made: list[str] = []

    def ask(self, asker: str, pages: int, about: str = "members") -> list[Effect]:
        turn = self.state.turn(self.now)
        parts = self._pages(asker, pages)
        self.serving.serve(about, asker, ALIVE.address, parts, turn)
        return turn.effects

    def _pages(self, asker: str, count: int) -> Iterator[MembersPage]:
        for number in range(count):
            self.made.append(asker)
            yield MembersPage(number, "", "", ())

    def wait(self) -> int:
        """Let a moment pass; how many datagrams were sent."""
        self.now += PAUSE
        turn = self.state.turn(self.now)
        while key := self.state.means.timers.pop(self.now):
            assert key == (Timer.ANSWER, "")
            self.serving.go_on(turn)
        return len([effect for effect in turn.effects if isinstance(effect, Send)])


def test_a_short_answer_is_sent_at_once() -> None:
    desk = Desk()
    assert len(desk.ask("bob", SLICE_MAX - 1)) == SLICE_MAX - 1
    assert desk.state.means.timers.next is None


def test_a_long_answer_is_sent_a_slice_at_a_time() -> None:
    desk = Desk()
    assert len(desk.ask("bob", 2 * SLICE_MAX + 1)) == SLICE_MAX
    assert len(desk.made) == SLICE_MAX, "what is not sent yet is not made yet"
    assert [desk.wait(), desk.wait(), desk.wait()] == [SLICE_MAX, 1, 0]
    assert desk.state.means.timers.next is None
    assert len(desk.ask("bob", 1)) == 1


def test_where_timers_are_late_slices_are_larger() -> None:
    desk = Desk()
    desk.ask("bob", 1000)
    desk.now += PAUSE / 2
    assert desk.wait() == 1.5 * SLICE_MAX
    assert desk.wait() == SLICE_MAX
    desk.now += 1.0
    assert desk.wait() == LATE_SLICES_MAX * SLICE_MAX


def test_each_asker_gets_a_slice_in_turn() -> None:
    desk = Desk()
    desk.ask("bob", 2 * SLICE_MAX)
    assert desk.ask("eve", SLICE_MAX) == []
    desk.ask("bob", SLICE_MAX, "log")
    for _ in range(6):
        desk.wait()
    order = desk.made[::SLICE_MAX]
    assert order == ["bob", "bob", "eve", "bob"]


def test_a_mistake_in_one_answer_stops_no_other() -> None:
    desk = Desk()
    desk.ask("bob", 2 * SLICE_MAX)
    desk.ask("eve", SLICE_MAX)
    turn = desk.state.turn(desk.now)
    desk.serving.serve("members", "bob", ALIVE.address, map(mistaken, (0,)), turn)
    with pytest.raises(RuntimeError):
        desk.wait()
    assert [desk.wait(), desk.wait()] == [SLICE_MAX, 0], "that of eve"
    assert len(desk.ask("bob", 1)) == 1


def mistaken(_: int) -> MembersPage:
    raise RuntimeError("a bug")


def test_who_asks_anew_waits_for_nothing_of_before() -> None:
    desk = Desk()
    desk.ask("bob", 1000)
    for _ in range(50):
        desk.ask("bob", SLICE_MAX)
    desk.wait()
    desk.wait()
    assert len(desk.made) == 2 * SLICE_MAX


def test_no_more_askers_than_some_are_served_at_once() -> None:
    desk = Desk()
    for number in range(ANSWERS_MAX + 1):
        desk.ask(f"m{number}", SLICE_MAX + 1)
    while desk.state.means.timers.next is not None:
        desk.wait()
    assert f"m{ANSWERS_MAX - 1}" in desk.made
    assert f"m{ANSWERS_MAX}" not in desk.made


def test_so_many_reads_of_the_disk_are_under_way_and_no_more() -> None:
    desk = Desk()
    wanted = KeysWanted(bytes(10), 0, 5, 10, PassAsk(1, (), 1, 1200), "bob", ALIVE.address)

    def asked(count: int) -> int:
        turn = desk.state.turn(desk.now)
        for number in range(count):
            desk.serving.serve("log", f"p{number}", ALIVE.address, iter((wanted,)), turn)
        return turn.effects.count(wanted)

    assert asked(READS_MAX + 1) == READS_MAX
    assert asked(1) == 0
    desk.serving.read()
    assert asked(2) == 1
