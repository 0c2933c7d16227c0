"""Every deadline has somebody whose it is."""

from __future__ import annotations

from gossipd.core.dispatch import Dispatch
from gossipd.core.parts import Parts
from gossipd.core.timers import Timer

from .parts import state_of


def test_each_timer_is_somebodys_and_once_only() -> None:
    state = state_of()
    dispatch = Dispatch(state, Parts(state, 5.0))
    assert sorted([*dispatch.plain, *dispatch.about]) == sorted(Timer)
