"""What is done each second: with an input where there is one."""

from __future__ import annotations

import asyncio
import time

import pytest

from gossipd.daemon.ticking import TICK, TICK_LATEST, Ticking


async def test_it_ticks_at_the_start_and_then_with_inputs_that_come_in_time() -> None:
    seen: list[float] = []
    ticking = Ticking(seen.append)
    now = time.monotonic()
    ticking.awake(now + 60)
    assert seen == []
    ticking.start()
    assert len(seen) == 1
    inputs = [seen[0] + TICK * times for times in (0.5, 1.01, 1.5, 2.02)]
    for at in inputs:
        ticking.awake(at)
    assert seen[1:] == [inputs[1], inputs[3]]
    ticking.stop()
    ticking.awake(now + 60)
    assert len(seen) == 3


async def test_without_inputs_a_timer_rings_and_an_act_that_fails_takes_nothing_from_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    second = asyncio.Event()
    count = 0

    def fail(_: float) -> None:
        raise ValueError

    def act(_: float) -> None:
        nonlocal count
        count += 1
        if count == 2:
            second.set()

    ticking = Ticking(fail, act)
    began = time.monotonic()
    ticking.start()
    await asyncio.wait_for(second.wait(), 60)
    ticking.stop()
    assert time.monotonic() - began >= TICK_LATEST - 0.1
    assert caplog.messages == 2 * ["this is a bug in gossipd"]
