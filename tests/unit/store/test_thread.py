"""The thread does what it is given, in order, and its end is waited for."""

from __future__ import annotations

import asyncio
import threading

import pytest

from gossipd.store.thread import WorkThread


async def test_work_is_done_in_its_order_and_gives_its_results() -> None:
    thread = WorkThread("work")
    done: list[int] = []

    def work(number: int) -> int:
        done.append(number)
        return -number

    assert await asyncio.gather(*[thread.call(work, number) for number in range(100)]) == [
        -number for number in range(100)
    ]
    assert done == list(range(100))
    thread.close()


async def test_what_the_work_raises_comes_out_and_the_thread_goes_on() -> None:
    thread = WorkThread("work")
    with pytest.raises(ZeroDivisionError):
        await thread.call(divmod, 1, 0)
    assert await thread.call(divmod, 7, 2) == (3, 1)
    thread.close()


async def test_work_whose_future_is_cancelled_is_done_all_the_same() -> None:
    thread = WorkThread("work")
    begin, done = threading.Event(), threading.Event()
    thread.call(begin.wait, 10)
    thread.call(done.set).cancel()
    failing = thread.call(divmod, 1, 0)
    failing.cancel()
    begin.set()
    assert await thread.call(done.is_set)
    thread.close()
    assert failing.cancelled()


async def test_the_end_waits_for_all_that_was_handed_over() -> None:
    thread = WorkThread("work")
    done: list[int] = []
    for number in range(1000):
        thread.call(done.append, number)
    thread.close()
    assert len(done) == 1000
    assert "work" not in [thread.name for thread in threading.enumerate()]
