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
    mistakes: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: mistakes.append(context))
    failing = thread.call(divmod, 1, 0)
    failing.cancel()
    begin.set()
    assert await thread.call(done.is_set)
    thread.close()
    assert failing.cancelled()
    assert not mistakes


async def test_a_closed_thread_takes_nothing_more() -> None:
    thread = WorkThread("work")
    thread.close()
    with pytest.raises(RuntimeError):
        thread.call(divmod, 1, 1)


def test_a_loop_that_is_closed_while_work_is_done_is_told_nothing() -> None:
    thread = WorkThread("work")
    begin, done = threading.Event(), threading.Event()

    async def hand_over() -> None:
        thread.call(begin.wait, 10)

    asyncio.run(hand_over())
    begin.set()
    thread._jobs.put(done.set)
    assert done.wait(10), "the thread goes on"
    thread.close()


async def test_the_end_waits_for_all_that_was_handed_over() -> None:
    thread = WorkThread("work")
    done: list[int] = []
    for number in range(1000):
        thread.call(done.append, number)
    thread.close()
    assert len(done) == 1000
    assert "work" not in [thread.name for thread in threading.enumerate()]
